package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Get returns the body of a small answer, such as a publisher's listing, of at most limit bytes. accept is the Accept
// header; "" sends none. Proxy, redirects, user agent and retries are those of a download; nothing touches the disk.
func (c *Client) Get(ctx context.Context, u, accept string, limit int64) ([]byte, error) {
	var body []byte
	err := c.retry(ctx, func() (_ int64, err error) {
		body, err = c.getOnce(ctx, u, accept, limit)
		return 0, err
	}, func(time.Duration, error) {})
	if _, named := errors.AsType[*statusError](err); err != nil && !named {
		err = fmt.Errorf("get %s: %w", redact(u), err)
	}
	return body, err
}

func (c *Client) getOnce(ctx context.Context, u, accept string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.StallTimeout)
	defer cancel()
	req, err := c.newRequest(ctx, u)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusOf(u, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%w: the answer is too long", errPermanent)
	}
	return body, err
}
