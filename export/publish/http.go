package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/retryafter"
)

// client is shared by all requests; the proxy comes from the environment.
var client = &http.Client{Timeout: 10 * time.Minute, CheckRedirect: redirect}

// redirect follows what keeps the method. Otherwise, where an upload would become a GET that uploads nothing, the
// redirect is the answer. Another host must not see the token, of which net/http knows the standard header only.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	if req.Method != via[0].Method {
		return http.ErrUseLastResponse
	}
	if req.URL.Host != via[0].URL.Host {
		req.Header.Del(standAloneToken)
	}
	return nil
}

const (
	tries     = 4
	maxAnswer = 1 << 20
)

// firstWait is the pause before the second try; every further one is twice as long.
var firstWait = time.Second

// put uploads every file. It asks for SHA256SUMS first, so that a version that is there already stays.
func put(ctx context.Context, e *exported, base *url.URL, o Options) (r Result, err error) {
	if o.Version == 0 {
		return r, errors.New("no version: --version, or a directory whose name is a number")
	}
	to := base.JoinPath(o.Name, strconv.Itoa(o.Version))
	if !o.Force {
		if there, err := exists(ctx, to.JoinPath(export.SumsFile), o); err != nil {
			return r, err
		} else if there {
			return r, fmt.Errorf("%s: %w. Try: another --version, or --force", to.Redacted(), export.ErrExists)
		}
	}
	for _, f := range e.all() {
		data, err := e.read(f)
		if err != nil {
			return r, err
		}
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		if f.SHA256 != "" {
			header.Set("X-Checksum-Sha256", f.SHA256) // Artifactory and Nexus check it
		}
		if _, err := send(ctx, http.MethodPut, to.JoinPath(f.Path), data, o, header); err != nil {
			return r, err
		}
	}
	return e.result(to.Redacted(), o), nil
}

// exists asks for file by HEAD or, where the server takes none, for its first byte.
func exists(ctx context.Context, file *url.URL, o Options) (bool, error) {
	_, err := send(ctx, http.MethodHead, file, nil, o, nil)
	var status *statusError
	if errors.As(err, &status) && status.in(http.StatusMethodNotAllowed, http.StatusNotImplemented) {
		_, err = send(ctx, http.MethodGet, file, nil, o, http.Header{"Range": {"bytes=0-0"}})
	}
	switch {
	case errors.As(err, &status) && status.in(http.StatusNotFound, http.StatusGone):
		return false, nil
	case errors.As(err, &status) && status.in(http.StatusRequestedRangeNotSatisfiable): // an empty file
		return true, nil
	}
	return err == nil, err
}

// statusError is an answer that is no success.
type statusError struct {
	code        int
	method, url string
	text        string
	retryAfter  time.Duration
}

func (e *statusError) in(codes ...int) bool { return slices.Contains(codes, e.code) }

// refused tells whether the same request would be refused again.
func (e *statusError) refused() bool {
	return e.in(http.StatusNotImplemented) ||
		e.code < 500 && !e.in(http.StatusTooManyRequests, http.StatusRequestTimeout)
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.method, e.url, e.code, http.StatusText(e.code))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// send sends a request until it succeeds, is refused, or has been tried often enough. Credentials are the URL's, or the
// token unless header has its own.
func send(ctx context.Context, method string, to *url.URL, body []byte, o Options, header http.Header) ([]byte, error) {
	wait := firstWait
	for try := 1; ; try++ {
		answer, err := sendOnce(ctx, method, to, body, o, header)
		var status *statusError
		if err == nil || errors.As(err, &status) && status.refused() || ctx.Err() != nil || try == tries {
			return answer, err
		}
		pause := wait
		if status != nil && status.retryAfter > 0 {
			pause = min(status.retryAfter, time.Minute)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		wait *= 2
	}
}

func sendOnce(
	ctx context.Context,
	method string,
	to *url.URL,
	body []byte,
	o Options,
	header http.Header,
) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	if o.Token != "" && to.User == nil && header.Get(standAloneToken) == "" {
		req.Header.Set("Authorization", "Bearer "+o.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer, err
	}
	text := firstLine(answer)
	if to, err := resp.Location(); err == nil && resp.StatusCode < 400 {
		text = "it redirects to " + to.Redacted() + ". Try: that address"
	}
	return answer, &statusError{code: resp.StatusCode, method: method, url: to.Redacted(), text: text,
		retryAfter: retryafter.Wait(resp.Header, time.Now())}
}

// firstLine is the part of an answer that an error can show: "" if that is long or HTML.
func firstLine(answer []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(answer), []byte{'\n'})
	if len(line) > 200 || bytes.HasPrefix(line, []byte{'<'}) {
		return ""
	}
	return string(line)
}
