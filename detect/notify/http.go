package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/retryafter"
	"github.com/degas-dns/degas/internal/userfile"
)

// httpTime is how long a request may take.
const httpTime = 10 * time.Second

// poster is the transport to a web hook. Its URL may hold a secret, in its path or as a password, and is never shown:
// errors and logs have the scheme and the host alone.
type poster struct {
	url    string
	token  func() (string, error)
	client *http.Client
}

func openHTTP(target string, o Options) (Sink, error) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" { // err quotes the URL
		return nil, errors.New("the URL for findings cannot be read. Try: https://HOST/PATH")
	}
	p := &poster{url: target, token: tokenFrom(o.TokenFile)}
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	name := u.Scheme + "://" + u.Host
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && (token != "" || u.User != nil) && !ip.IsLoopback() {
		slog.Warn("a password or token is sent without encryption. Try: https", "sink", name)
	}
	own := http.DefaultTransport.(*http.Transport).Clone()
	p.client = &http.Client{Timeout: httpTime, CheckRedirect: sameHost, Transport: own}
	return newQueue(name, p, o), nil
}

// tokenFrom reads the token from a file or, without one, from the environment. It has none if both are missing.
func tokenFrom(path string) func() (string, error) {
	return func() (string, error) {
		text, where := os.Getenv(TokenVariable), TokenVariable
		if path != "" {
			data, err := userfile.Read(path, userfile.Config)
			if err != nil {
				return "", fmt.Errorf("read the token for findings: %w", err)
			}
			text, where = string(data), path
		}
		text = strings.TrimSpace(text)
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) || text == "" && path != "" {
			return "", fmt.Errorf("%s: it is no bearer token. Try: one word of printable ASCII", where)
		}
		return text, nil
	}
}

// sameHost follows what repeats the request at the same host. Another host must see neither the token nor the findings,
// and a GET would deliver nothing.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 5 || req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// encode implements transport.
func (p *poster) encode(f *watch.Finding) ([]byte, error) {
	line, err := Encode(f)
	return bytes.TrimSpace(line), err
}

// send implements transport. The batch is one JSON array.
func (p *poster) send(ctx context.Context, batch [][]byte) (int, error) {
	body := append(append([]byte{'['}, bytes.Join(batch, []byte{','})...), "]\n"...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, &refusal{errors.New("the URL for findings cannot be read")}
	}
	token, err := p.token()
	if err != nil {
		return 0, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "degas")
	answer, err := p.client.Do(req)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return 0, fmt.Errorf("post findings: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	if err := verdict(answer); err != nil {
		return 0, err
	}
	return len(batch), nil
}

// verdict is the error of an answer, or nil if the findings have arrived.
func verdict(answer *http.Response) error {
	code := answer.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("the server answered %d %s", code, http.StatusText(code))
	switch {
	case code < 400:
		if to, e := answer.Location(); e == nil {
			err = fmt.Errorf("%w, and leads to %s://%s. Try: the address that it leads to", err, to.Scheme, to.Host)
		}
		return &refusal{err}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return &later{err, retryafter.Wait(answer.Header, time.Now())}
	}
	return &refusal{err}
}

// close implements transport.
func (p *poster) close() error {
	p.client.CloseIdleConnections()
	return nil
}
