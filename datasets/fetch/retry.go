package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

var (
	errStalled   = errors.New("connection stalled")
	errRestart   = errors.New("partial download no longer fits the file, starting again")
	errTruncated = errors.New("connection closed before the end of the file")
	errWebPage   = errors.New("the server answers with a web page instead of the file")
	errEncoding  = errors.New("the server compresses the file on its own account")
)

// retryable tells whether trying the same URL again may help.
func retryable(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code == http.StatusTooManyRequests || status.Code == http.StatusRequestTimeout || status.Code >= 500
	}
	var path *fs.PathError
	var unknownCA x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var verify *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrChecksum), errors.Is(err, errWebPage), errors.Is(err, errEncoding),
		errors.Is(err, errDowngrade), errors.As(err, &path),
		errors.As(err, &unknownCA), errors.As(err, &invalid), errors.As(err, &hostname), errors.As(err, &verify):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	case errors.Is(err, errPermanent):
		return false
	}
	return true
}

var errPermanent = errors.New("cannot be retried")

// backoff returns how long to wait before try number failures+1 (failures >= 1): exponential, half of it random.
func (c *Client) backoff(failures int) time.Duration {
	d := c.o.MaxBackoff
	if shift := failures - 1; shift < 20 {
		d = min(d, c.o.MinBackoff<<shift)
	}
	return d/2 + rand.N(d/2+1)
}

// waitFor returns the wait before the next try: the server's Retry-After when it gave one, else backoff. It fails when
// the server asks for more than is sensible.
func (c *Client) waitFor(err error, failures int) (time.Duration, error) {
	var status *StatusError
	if !errors.As(err, &status) || status.RetryAfter <= 0 {
		return c.backoff(failures), nil
	}
	if status.RetryAfter > c.o.MaxRetryAfter {
		return 0, fmt.Errorf("%w; the server asks to come back in %s", err, status.RetryAfter.Round(time.Second))
	}
	return status.RetryAfter, nil
}

// parseRetryAfter reads the header's two forms, seconds and HTTP date; 0 when there is none.
func parseRetryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(v); err == nil && s >= 0 {
		return time.Duration(min(s, 1<<30)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// sleep waits for d or until ctx ends, whichever is first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return strconv.Itoa(code)
}
