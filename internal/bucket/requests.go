package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/degas-dns/degas/internal/retryafter"
)

const (
	tries     = 4       // of a request
	maxAnswer = 8 << 20 // bytes of an answer that is no file
)

// firstPause is the one before the second try; every further one is twice as long.
const firstPause = 500 * time.Millisecond

// newTransport is http.DefaultTransport, with its proxy, made impatient.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	impatient(t, quietTimeout)
	return t
}

// impatient makes a transport wait neither for half a minute for a connection nor for a server that has become silent:
// a request ends with an error when no byte has come or gone for the time of quiet.
func impatient(t *http.Transport, quiet time.Duration) {
	dialer := net.Dialer{Timeout: connectTimeout}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lively{c, quiet}, nil
	}
}

// lively is a connection that ends when it was quiet for too long. Both directions count, since a transport waits for
// an answer all the time that it sends.
type lively struct {
	net.Conn
	quiet time.Duration
}

func (c *lively) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *lively) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// requests sends requests.
type requests struct{ client *http.Client }

// statusError is an answer that is no success.
type statusError struct {
	code  int
	text  string
	pause time.Duration // that the server asks for
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.text) }

// again tells whether the same request may succeed later.
func again(err error) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return true // the network
	}
	return status.code >= 500 && status.code != http.StatusNotImplemented ||
		status.code == http.StatusTooManyRequests || status.code == http.StatusRequestTimeout
}

// pause waits before the next try.
func pause(ctx context.Context, tried int, err error) error {
	wait := firstPause << tried
	var status *statusError
	if errors.As(err, &status) {
		wait = max(wait, min(status.pause, time.Minute))
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send sends a request until it succeeds, is refused, or has been tried often enough. The caller closes the body.
func (r requests) send(
	ctx context.Context,
	method, to string,
	header http.Header,
	body []byte,
) (*http.Response, error) {
	for tried := 1; ; tried++ {
		resp, err := r.once(ctx, method, to, header, body)
		if err == nil || !again(err) || tried == tries || ctx.Err() != nil {
			return resp, err
		}
		if err := pause(ctx, tried-1, err); err != nil {
			return nil, err
		}
	}
}

// once sends a request once. A success of PUT is also 308, which is "go on" there and a redirect elsewhere.
func (r requests) once(
	ctx context.Context,
	method, to string,
	header http.Header,
	body []byte,
) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 || method == http.MethodPut && resp.StatusCode == http.StatusPermanentRedirect {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	var explained struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text := string(answer)
	if json.Unmarshal(answer, &explained) == nil {
		text = explained.Error.Message
	}
	return nil, &statusError{resp.StatusCode, oneLine(text), retryafter.Wait(resp.Header, time.Now())}
}

// get decodes a JSON answer.
func (r requests) get(ctx context.Context, from string, to any) error {
	resp, err := r.send(ctx, http.MethodGet, from, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(to); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}
