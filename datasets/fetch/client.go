package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Options are the knobs of a Client. The zero value is a good default.
type Options struct {
	// Parallel is how many files are transferred at once; 0 means 4.
	Parallel int
	// Retries is how often in a row a file is tried again after a failure that may pass (429, 5xx, truncation,
	// timeouts, refused connections) without having come further; 0 means 5, negative means never.
	Retries int
	// MinBackoff and MaxBackoff bound the wait before a retry: it doubles from one to the other, with jitter.
	// 0 means 500 ms and 30 s. A server's Retry-After counts instead; one of more than 5 minutes fails the file.
	MinBackoff, MaxBackoff time.Duration
	// StallTimeout ends an attempt that received nothing for this long; 0 means 60 s.
	StallTimeout time.Duration
	// Mirror is a URL prefix under which a copy of the download directory is published: a file is then fetched from
	// Mirror + "/" + Path instead of its own URL. "" means none.
	Mirror string
	// From is a folder that files are copied from instead of the network, see Client.Fetch. "" means none.
	From string
	// Folder is the folder in From, or below it, where these files are looked for first, by their data set's name; files
	// in folders called one of Others are other data sets'. Both may be empty.
	Folder string
	Others []string
	// UpdateChecksums fetches files again and records what came, instead of enforcing what was known.
	UpdateChecksums bool
	// Token is sent as "Authorization: Bearer" with each request, and to no other host if a server redirects to one.
	Token string
	// Progress is called with each Event, never concurrently; nil means nobody watches.
	Progress func(Event)
}

// Client fetches files. It takes its proxy from the environment (HTTPS_PROXY, NO_PROXY …) and follows at most ten
// redirects, none of them from https to http. It is safe for concurrent use; make one with New.
type Client struct {
	o Options

	// Tests replace these.
	http   *http.Client
	create func(name string, flag int) (partFile, error) // opens .part files
	bounds bounds                                        // of archives
}

// New returns a Client with o's settings, defaults filled in.
func New(o Options) *Client {
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Retries = cmp.Or(o.Retries, 5)
	o.MinBackoff = cmp.Or(o.MinBackoff, 500*time.Millisecond)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 30*time.Second)
	o.StallTimeout = cmp.Or(o.StallTimeout, time.Minute)
	o.Mirror = strings.TrimRight(o.Mirror, "/")
	return &Client{
		o:      o,
		http:   &http.Client{Transport: newTransport(o), CheckRedirect: checkRedirect},
		create: openPart,
		bounds: usualBounds,
	}
}

// Options returns the client's settings with defaults filled in; New(c.Options()) is an equal client.
func (c *Client) Options() Options { return c.o }

// Offline tells whether files come from a folder or a mirror, so that asking their publisher for a listing is in vain.
func (c *Client) Offline() bool { return c.o.From != "" || c.o.Mirror != "" }

// newRequest begins a request. Accept headers and the like are the caller's.
func (c *Client) newRequest(ctx context.Context, u string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPermanent, err)
	}
	req.Header.Set("User-Agent", "degas/"+buildVersion())
	if c.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	return req, nil
}

func newTransport(o Options) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   max(o.Parallel, 1),
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   20 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // the bytes as published: checksums and ranges are over those
	}
}

// errRedirect is of redirects that the same request would meet again.
var errRedirect = errors.New("redirect refused")

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return fmt.Errorf("%w: it is the tenth in a row", errRedirect)
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: its scheme is %s, neither http nor https", errRedirect, clip(req.URL.Scheme))
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: from https to http", errRedirect)
	}
	return nil
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
