package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/degas-dns/degas/internal/retryafter"
)

var (
	errStalled   = errors.New("connection stalled")
	errRestart   = errors.New("partial download no longer fits the file, starting again")
	errTruncated = errors.New("connection closed before the end of the file")
	errWebPage   = errors.New("the server answers with a web page instead of the file")
	errEncoding  = errors.New("the server compresses the file on its own account")
	errTooLong   = errors.New("it is longer than such a file can be")
	errPermanent = errors.New("cannot be retried")
)

// maxRetryAfter is the longest Retry-After that is waited for.
const maxRetryAfter = 5 * time.Minute

// retryable tells whether trying the same URL again may help.
func retryable(err error) bool {
	var status *statusError
	var path *fs.PathError
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &status):
		return status.code == http.StatusTooManyRequests || status.code == http.StatusRequestTimeout || status.code >= 500
	case errors.Is(err, ErrChecksum), errors.Is(err, errWebPage), errors.Is(err, errEncoding),
		errors.Is(err, errRedirect), errors.Is(err, errTooLong), errors.Is(err, errPermanent),
		errors.As(err, &path), errors.As(err, &certificate):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}

// retry calls attempt until it succeeds, or fails with an error that will not pass, or has failed Retries times in a
// row without having come further, or ctx ends. attempt returns how many bytes it has reached. waiting is told of each
// wait.
func (c *Client) retry(ctx context.Context, attempt func() (int64, error), waiting func(time.Duration, error)) error {
	best, failures := int64(0), 0
	for {
		reached, err := attempt()
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return err
		}
		if reached > best {
			best, failures = reached, 0
		}
		if failures++; failures > c.o.Retries {
			return fmt.Errorf("%w (gave up after %d tries without progress)", err, failures)
		}
		wait, tooLong := c.waitFor(err, failures)
		if tooLong != nil {
			return tooLong
		}
		waiting(wait, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// statusError is an HTTP answer that is not the file.
type statusError struct {
	url        string
	code       int           // HTTP status
	retryAfter time.Duration // what the server asked for; 0 when it did not
}

func statusOf(u string, resp *http.Response) error {
	return &statusError{redact(u), resp.StatusCode, retryafter.Wait(resp.Header, time.Now())}
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("get %s: %d %s", e.url, e.code, http.StatusText(e.code)))
}

// waitFor returns the wait after one or more failures: the server's Retry-After if it gave one, else a wait that grows
// exponentially and is half random. It fails when the server asks for more than is sensible.
func (c *Client) waitFor(err error, failures int) (time.Duration, error) {
	var status *statusError
	if !errors.As(err, &status) || status.retryAfter <= 0 {
		d := min(c.o.MaxBackoff, c.o.MinBackoff<<min(failures-1, 20))
		return d/2 + rand.N(d/2+1), nil
	}
	if status.retryAfter > maxRetryAfter {
		return 0, fmt.Errorf("%w; the server asks to come back in %s", err, status.retryAfter.Round(time.Second))
	}
	return status.retryAfter, nil
}
