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
	for failures := 1; ; failures++ {
		body, err := c.getOnce(ctx, u, accept, limit)
		if err == nil {
			return body, nil
		}
		if ctx.Err() != nil || !retryable(err) || failures > c.o.Retries {
			return nil, named(u, err)
		}
		wait, err := c.waitFor(err, failures)
		if err == nil {
			err = sleep(ctx, wait)
		}
		if err != nil {
			return nil, named(u, err)
		}
	}
}

// named puts the URL before an error that does not have it yet.
func named(u string, err error) error {
	var status *StatusError
	if errors.As(err, &status) {
		return err
	}
	return fmt.Errorf("get %s: %w", redact(u), err)
}

func (c *Client) getOnce(ctx context.Context, u, accept string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.StallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPermanent, err)
	}
	req.Header.Set("User-Agent", c.userAgent)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{URL: redact(u), Code: resp.StatusCode,
			RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%w: %w", errPermanent, errors.New("the answer is too long"))
	}
	return body, err
}
