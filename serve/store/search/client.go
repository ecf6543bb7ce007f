package search

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/retryafter"
	"github.com/degas-dns/degas/internal/userfile"
)

// Bounds of a request.
const (
	requestTime = time.Minute
	maxAnswer   = 64 << 20 // bytes
)

// Scheme is how degas proves to the cluster who it is.
type Scheme string

// Schemes. The secret comes from a file, which is read again when it has changed.
const (
	NoAuth Scheme = ""
	Basic  Scheme = "basic"  // the file has USER:PASSWORD
	APIKey Scheme = "apikey" // the file has the key as Elasticsearch encodes it, or ID:KEY
	Bearer Scheme = "bearer" // the file has the token
)

// client makes requests to one cluster. It is safe for concurrent use.
type client struct {
	base   *url.URL
	scheme Scheme
	secret string // path
	http   *http.Client
}

// answerError is an answer that is no success.
type answerError struct {
	status int
	kind   string // such as resource_already_exists_exception
	text   string
	wait   time.Duration // that the server asks for
}

// Error is one line that a terminal can show.
func (e *answerError) Error() string {
	out := fmt.Sprintf("the cluster answered %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		out += ": " + printable.Terminal(printable.Cut(e.text, 300))
	}
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		out += ". Try: other credentials, or more rights for them"
	}
	return out
}

func newClient(o Options) (*client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" { // err quotes the URL
		return nil, errors.New("the URL of the search cluster cannot be read. Try: https://HOST:9200")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of the search cluster has more than a host and a path. " +
			"Try: credentials in a file of their own")
	}
	c := &client{base: u, scheme: o.Auth, secret: o.SecretFile}
	if _, err := c.authorization(); err != nil {
		return nil, err
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && c.scheme != NoAuth && (ip == nil || !ip.IsLoopback()) {
		o.Log.Warn("credentials for the search cluster are sent without encryption. Try: https", "cluster", u.Host)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // a core that counts events has nothing to spare for gzip
	if o.CAFile != "" {
		if transport.TLSClientConfig, err = trustOnly(o.CAFile); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{Transport: transport, Timeout: requestTime, CheckRedirect: stay}
	return c, nil
}

// trustOnly trusts the authorities of a PEM file and no others.
func trustOnly(path string) (*tls.Config, error) {
	pem, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authority of the search cluster: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it. Try: a PEM file", path)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// stay follows no redirect: what is behind it must see neither the credentials nor the events.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// authorization is the header's value, "" without credentials.
func (c *client) authorization() (string, error) {
	if c.scheme == NoAuth {
		return "", nil
	}
	data, err := userfile.Read(c.secret, userfile.Config)
	if err != nil {
		return "", fmt.Errorf("read the credentials for the search cluster: %w", err)
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%s: it has no credentials. Try: one line of text", c.secret)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	pair := strings.Contains(secret, ":")
	switch {
	case c.scheme == Basic && pair:
		return "Basic " + encoded, nil
	case c.scheme == APIKey && pair:
		return "ApiKey " + encoded, nil
	case c.scheme == APIKey:
		return "ApiKey " + secret, nil
	case c.scheme == Bearer:
		return "Bearer " + secret, nil
	case c.scheme == Basic:
		return "", fmt.Errorf("%s: it has no user and password. Try: USER:PASSWORD", c.secret)
	}
	return "", fmt.Errorf("unknown scheme %q of credentials. Allowed: %s, %s, %s", c.scheme, Basic, APIKey, Bearer)
}

// do makes a request and reads its answer into out, unless that is nil. path has no host; it may have a query. The
// error is an *answerError if the cluster refused. It never quotes the credentials.
func (c *client) do(ctx context.Context, method, path string, body []byte, out any) error {
	path, query, _ := strings.Cut(path, "?")
	u := c.base.JoinPath(path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	secret, err := c.authorization()
	if err != nil {
		return err
	}
	if secret != "" {
		req.Header.Set("Authorization", secret)
	}
	req.Header.Set("User-Agent", "degas")
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the cluster's answer: %w", err)
	case len(data) > maxAnswer:
		return fmt.Errorf("the cluster's answer has more than %d bytes", maxAnswer)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return refused(answer, data)
	case out == nil:
		return nil
	}
	if product := answer.Header.Get("X-Elastic-Product"); product != "" {
		if about, ok := out.(*about); ok {
			about.product = product
		}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the cluster's answer: %w", err)
	}
	return nil
}

func refused(answer *http.Response, data []byte) error {
	var body struct{ Error cause }
	e := &answerError{status: answer.StatusCode, wait: retryafter.Wait(answer.Header, time.Now())}
	if json.Unmarshal(data, &body) == nil {
		e.kind, e.text = body.Error.Type, body.Error.Reason
		if root := body.Error.Root; len(root) > 0 && root[0].Reason != e.text {
			e.text += ": " + root[0].Reason
		}
	}
	return e
}

// cause is an error as the cluster writes it.
type cause struct {
	Type, Reason string
	Root         []struct{ Type, Reason string } `json:"root_cause"` // says more, if there is one
}

// UnmarshalJSON implements json.Unmarshaler. Proxies in front of a cluster may write a text instead.
func (c *cause) UnmarshalJSON(data []byte) error {
	type plain cause
	if json.Unmarshal(data, (*plain)(c)) != nil {
		_ = json.Unmarshal(data, &c.Reason) // another shape says nothing
	}
	return nil
}

// about is the answer to GET /.
type about struct {
	Version struct{ Number, Distribution string }
	Tagline string
	product string // header X-Elastic-Product
}

// detect asks what the cluster is. The error is that of a server that is neither OpenSearch nor Elasticsearch.
func (c *client) detect(ctx context.Context) (product, version string, err error) {
	var a about
	if err := c.do(ctx, http.MethodGet, "/", nil, &a); err != nil {
		return "", "", err
	}
	switch {
	case a.Version.Number == "":
	case a.Version.Distribution == "opensearch":
		return "OpenSearch", a.Version.Number, nil
	case a.product == "Elasticsearch" || a.Tagline == "You Know, for Search":
		return "Elasticsearch", a.Version.Number, nil
	}
	return "", "", fmt.Errorf("%s is neither OpenSearch nor Elasticsearch. Try: the URL of one", c.base.Host)
}

// discard is the log of nobody.
func discard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
