// Package console is the part of degas' HTTP server for people: pages under /console/ that show what was seen and what
// the watch found, and where people decide. Pages are HTML from the server. They can be read without scripts; scripts
// add decisions in place, charts and what happens live.
//
// # Who may
//
// A person logs in with a password and gets a session (package accounts), whose cookie is good for /console/ alone: the
// API under /v1 and /v2 takes tokens. Roles: a viewer reads, a vetter decides, an admin looks after models and people.
// Who is not logged in sees the log-in page, and static files.
//
// # Against web pages of others
//
// Nothing changes by GET. Guards before this package refuse requests that a browser sends for a page of another origin
// (net/http.CrossOriginProtection). The cookie is SameSite=Strict. A page whose name was bound to this server's address
// has another host, to which the browser sends no cookie; Options.Hosts refuses it besides. The Content-Security-Policy
// lets a page load nothing but this server's own files, and run no script that stands in it.
//
// # Names
//
// Names and clients are texts of strangers. Templates escape them (html/template), and make what is invisible or turns
// the reading direction visible (printable.HTMLTemplate). Nothing links to a name.
package console

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/feed"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Engine decides about names.
type Engine interface {
	// Policy is the one in force, and the version of the model that it asks.
	Policy() (*detect.Policy, *models.Version)
	// Refresh puts in force at once what somebody has decided.
	Refresh() error
}

// Lists are allow lists and block lists that others keep up to date, such as lists.Set.
type Lists interface {
	Stats() []lists.Stat
}

// Options are what a Console shows.
type Options struct {
	Version  string // of the program
	Engine   Engine
	Models   *models.Set
	Store    store.Store
	Ledger   *ledger.Ledger
	Accounts *accounts.Accounts
	Lists    Lists            // nil for none
	Shadow   Shadow           // nil for none
	Watching *metrics.Metrics // what the stream of events counts; nil for none
	Cluster  bool             // the Store is OpenSearch or Elasticsearch, and not on this machine
	// Hosts are names that the Host header may have besides localhost, this machine's name, and addresses.
	Hosts []string
	// Proxies are the networks of proxies that speak TLS, and name their clients in X-Forwarded-For. With them, others
	// than this machine reach the console through a proxy alone.
	Proxies []netip.Prefix
	TLS     bool         // the server speaks TLS: cookies are for TLS alone
	Log     *slog.Logger // nil discards
}

// Console has the pages. Make it with New.
type Console struct {
	// Feed shows events live. Publish them there.
	Feed feed.Feed

	o       Options
	log     *slog.Logger
	hosts   []string
	pages   pages
	files   files
	exports chan struct{} // has one for each that is being sent
	drafts  drafts        // lists that wait for a person to keep them
	began   time.Time
	ready   func() error // see SetReady
}

// New makes a Console. The error is that of a template that cannot be parsed.
func New(o Options) (*Console, error) {
	c := &Console{o: o, log: o.Log, hosts: append([]string{"localhost"}, o.Hosts...), began: time.Now(),
		exports: make(chan struct{}, mostExports), ready: func() error { return nil }}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if name, err := os.Hostname(); err == nil {
		c.hosts = append(c.hosts, strings.ToLower(name))
	}
	var err error
	if c.files, err = readFiles(); err != nil {
		return nil, err
	}
	c.pages, err = readPages(c.files)
	return c, err
}

// Release ends what goes on for as long as somebody reads it, so that a server can stop.
func (c *Console) Release() { c.Feed.Close() }

// SetReady tells the console what says why the server cannot do its work; nil is returned while it can. Call it before
// the first request.
func (c *Console) SetReady(ready func() error) { c.ready = ready }

// Route is a handler with the pattern of http.ServeMux. It looks after log-in itself.
type Route struct {
	Pattern string
	Stream  bool // the answer goes on for as long as the client reads it
	Handler http.HandlerFunc
}

// screen is a handler of the pages: what it needs, and what it answers.
type screen struct {
	pattern string
	role    accounts.Role // "" is for everybody
	stream  bool
	handle  func(*visit) (*view, error)
}

// screens are all of them.
func (c *Console) screens() []screen {
	return slices.Concat(c.loginScreens(), c.decideScreens(), c.liveScreens(), c.historyScreens(), c.nameScreens(),
		c.findingScreens(), c.listScreens(), c.modelScreens(), c.accountScreens(), []screen{
			{"GET /console/{$}", accounts.Viewer, false, c.overview},
			{"GET /console/vet", accounts.Viewer, false, c.vet},
			{"GET /console/health", accounts.Viewer, false, c.health},
		})
}

// Routes are all that a server has to answer for the console.
func (c *Console) Routes() []Route {
	to := func(path string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, path, http.StatusSeeOther) }
	}
	all := []Route{
		{"GET /{$}", false, to("/console/")},
		{"GET /console", false, to("/console/")},
		{"GET /favicon.ico", false, c.files.serveIcon},
		{"GET /console/static/{file...}", false, c.files.serve},
		{"GET /console/", false, c.handler(screen{role: accounts.Viewer, handle: func(*visit) (*view, error) {
			return nil, notFound("There is no such page")
		}})},
	}
	for _, s := range c.screens() {
		all = append(all, Route{s.pattern, s.stream, c.handler(s)})
	}
	return all
}

// visit is a request for a page.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	q       url.Values // the query of a GET, the form of a POST
	session accounts.Session
	cookie  string
	from    netip.Addr
	proxied bool // it came through one of Options.Proxies
}

// ctx is the request's.
func (v *visit) ctx() context.Context { return v.r.Context() }

// by is who does it, for the ledger.
func (v *visit) by() string { return v.session.Person.Name }

// partial reports whether a script asked, for a part of a page.
func (v *visit) partial() bool { return v.r.Header.Get("HX-Request") == "true" }

// may reports whether the person has a role.
func (v *visit) may(role accounts.Role) bool { return v.session.Person.Role.May(role) }

// Bounds of what a page is asked for, in bytes. Screens with files read them themselves.
const (
	mostForm  = 1 << 20  // the body of a form
	mostQuery = 16 << 10 // the address behind the "?". A name has at most 1,020 bytes, each escaped as three
)

// handler answers with a screen: guards, then the screen, then its view.
func (c *Console) handler(s screen) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{w: w, r: r}
		v.from, v.proxied = c.caller(r)
		guardHeaders(w.Header())
		out, err := c.answer(s, v)
		if err != nil {
			c.failed(v, err)
			return
		}
		if out != nil {
			c.write(v, out)
		}
	}
}

func (c *Console) answer(s screen, v *visit) (*view, error) {
	if !c.knows(v.r.Host) {
		return nil, &reply.Failure{Status: http.StatusMisdirectedRequest,
			Text: "The Host header names another server. Try: --host NAME for each name that people use"}
	}
	if len(c.o.Proxies) > 0 && !v.proxied && !v.from.IsLoopback() {
		return nil, &reply.Failure{Status: http.StatusForbidden, Text: "The console is behind a proxy with TLS: ask that one"}
	}
	if err := c.logIn(v); err != nil && s.role != "" {
		return c.toLogin(v, err)
	}
	if s.role != "" && !v.may(s.role) {
		return nil, &reply.Failure{Status: http.StatusForbidden, Text: "This is for the role " + string(s.role) + ", and " +
			v.by() + " is a " + string(v.session.Person.Role)}
	}
	var err error
	if v.q, err = form(v); err != nil {
		return nil, err
	}
	return s.handle(v)
}

// caller is where a request comes from. If a proxy brought it, the last address in X-Forwarded-For is what the proxy
// saw; those before it are what its client wrote.
func (c *Console) caller(r *http.Request) (from netip.Addr, proxied bool) {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	from = at.Addr().Unmap()
	if !slices.ContainsFunc(c.o.Proxies, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return from, false
	}
	all := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	if client, err := netip.ParseAddr(strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])); err == nil {
		return client.Unmap().WithZone(""), true
	}
	return from, all != ""
}

// form reads a query or a form.
func form(v *visit) (url.Values, error) {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		q, err := url.ParseQuery(v.r.URL.RawQuery)
		if err != nil || len(v.r.URL.RawQuery) > mostQuery {
			return nil, reply.BadRequest("The address of the page cannot be read")
		}
		return q, nil
	}
	if kind, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		return url.Values{}, nil // a screen with files reads them itself
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, mostForm)
	if err := v.r.ParseForm(); err != nil {
		return nil, reply.BodyFailure(err, "The form cannot be read")
	}
	return v.r.PostForm, nil
}

// knows reports whether a Host header may be ours. An address is no name that somebody could have bound to it.
func (c *Console) knows(header string) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.Contains(c.hosts, host)
}

// guardHeaders are those of every page. The prefetch of names is off, because a page is full of bad ones.
func guardHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: without TLS, a browser that sends no referrer sends no Origin with a form either, and the guard
	// against other origins refuses the form.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// notFound is a Failure with status 404.
func notFound(text string) error { return &reply.Failure{Status: http.StatusNotFound, Text: text} }

// asFailure maps errors of the rooms below to what a person is told.
func asFailure(err error) *reply.Failure {
	var f *reply.Failure
	var tooMany *accounts.TooMany
	switch {
	case errors.As(err, &tooMany):
		return &reply.Failure{Status: http.StatusTooManyRequests, Text: err.Error(), Retry: tooMany.Retry}
	case errors.As(err, &f):
		return f
	case errors.Is(err, ledger.ErrInput), errors.Is(err, accounts.ErrInput), errors.Is(err, store.ErrFilter),
		errors.Is(err, store.ErrCursor):
		return &reply.Failure{Status: http.StatusBadRequest, Text: err.Error()}
	case errors.Is(err, ledger.ErrNotFound):
		return &reply.Failure{Status: http.StatusNotFound, Text: "There is no such entry", Cause: err}
	case errors.Is(err, ledger.ErrOver), errors.Is(err, ledger.ErrFull), errors.Is(err, ledger.ErrLastAdmin):
		return &reply.Failure{Status: http.StatusConflict, Text: err.Error()}
	case errors.Is(err, context.Canceled):
		return &reply.Failure{Status: reply.StatusClientClosed, Text: "The client went away", Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &reply.Failure{Status: http.StatusServiceUnavailable, Text: "This took too long. Try: a shorter time",
			Cause: err}
	}
	return &reply.Failure{Status: http.StatusInternalServerError, Text: "Something failed here; the log says what",
		Cause: err}
}

// failed answers with an error: a page, or a line for a script.
func (c *Console) failed(v *visit, err error) {
	f := asFailure(err)
	if f.Cause != nil && f.Status != reply.StatusClientClosed {
		c.log.Error("console", "path", v.r.URL.Path, "error", cmp.Or(f.Cause, err))
	}
	if f.Retry > 0 {
		v.w.Header().Set("Retry-After", seconds(f.Retry))
	}
	if v.partial() {
		v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		v.w.WriteHeader(f.Status)
		_, _ = v.w.Write([]byte(f.Text))
		return
	}
	c.write(v, &view{page: "error", status: f.Status, title: http.StatusText(f.Status), data: f.Text})
}
