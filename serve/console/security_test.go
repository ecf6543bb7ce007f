package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/token"
)

// Each test attacks. Where that is possible it first attacks without the guard, to show that the attack is real.

// bare is the console without the guards of package serve.
func (o *office) bare() http.Handler {
	mux := http.NewServeMux()
	for _, r := range o.pages.Routes() {
		mux.HandleFunc(r.Pattern, r.Handler)
	}
	return mux
}

// send answers a request for h, with the office's cookie.
func (o *office) send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	if o.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "degas", Value: o.cookie})
	}
	if r.Host == "example.com" { // httptest's
		r.Host = "localhost"
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post is a request with a form, and with headers in pairs.
func post(target string, form url.Values, header ...string) *http.Request {
	r := httptest.NewRequest("POST", target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// state is all that people can change, as text.
func (o *office) state() string {
	o.t.Helper()
	ctx := o.t.Context()
	decisions, err := o.ledger.Decisions(ctx, ledger.Filter{}, 0, ledger.MostPage)
	var all []any
	add := func(v any, e error) {
		if all = append(all, v); err == nil {
			err = e
		}
	}
	add(decisions, nil)
	lines, e := o.ledger.Audits(ctx, "", 0, ledger.MostPage)
	// Wrong tries are noted, also those of a link, and what was exported.
	add(slices.DeleteFunc(lines, func(l ledger.Line) bool {
		return strings.HasPrefix(l.What, "wrong ") || l.What == "export"
	}), e)
	mutes, e := o.ledger.AllMutes(ctx, 0, ledger.MostPage)
	add(mutes, e)
	findings, e := o.ledger.Findings(ctx, ledger.FindingFilter{}, 0, ledger.MostPage)
	add(findings, e)
	people, e := o.people.People(ctx)
	for i := range people {
		people[i].Seen = time.Time{}
	}
	add(people, e)
	sessions, e := o.people.Sessions(ctx)
	for i := range sessions {
		sessions[i].Used, sessions[i].Person.Seen = time.Time{}, time.Time{}
	}
	add(sessions, e)
	text, e := json.Marshal(all)
	if err != nil || e != nil {
		o.t.Fatal(err, e)
	}
	return string(text)
}

// unchanged fails if do changes something.
func (o *office) unchanged(what string, do func()) {
	o.t.Helper()
	before := o.state()
	do()
	if after := o.state(); after != before {
		o.t.Errorf("%s changed something:\n%s\n%s", what, before, after)
	}
}

// block is a form that blocks a name.
func block(name string) url.Values { return url.Values{"pattern": {name}, "verdict": {"block"}} }

// blocked reports whether a name is blocked by people.
func (o *office) blocked(name string) bool {
	return slices.Contains(o.ledger.InForce(time.Now()).Block, name)
}

// A page of another origin makes the browser of somebody who is logged in send a form.
func TestCrossSiteForm(t *testing.T) {
	o := newOffice(t, nil)
	for i, from := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "same-site", "Origin", "http://other.localhost"},
		{"Origin", "https://evil.example"}, // an old browser
		{"Origin", "null"},                 // from a sandboxed frame
		{"Origin", "http://localhost:9999", "Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "cross-site", "HX-Request", "true"},
	} {
		name := fmt.Sprintf("csrf%d.example", i)
		if w := o.send(o.bare(), post("/console/decide", block(name), from...)); w.Code >= 400 || !o.blocked(name) {
			t.Errorf("%v without the guard: %d, and the attack fails", from, w.Code)
		}
		o.unchanged("a form of another site", func() {
			w := o.send(o.server.Handler(), post("/console/decide", block("guarded-"+name), from...))
			if w.Code != http.StatusForbidden {
				t.Errorf("%v: %d, want 403", from, w.Code)
			}
			w = o.send(o.server.Handler(), post("/console/logout", nil, from...))
			if w.Code != http.StatusForbidden {
				t.Errorf("log-out, %v: %d, want 403", from, w.Code)
			}
		})
	}
	for _, own := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://localhost"}, {}} {
		if w := o.send(o.server.Handler(), post("/console/decide", block("own.example"), own...)); w.Code >= 400 {
			t.Errorf("an own form, %v: %d", own, w.Code)
		}
	}
	// Without TLS a browser sends no Sec-Fetch-Site, and no Origin with forms either if it may send no referrer.
	if w := o.do("GET", "/console/login", nil); w.Header().Get("Referrer-Policy") != "same-origin" {
		t.Error("forms on a page without TLS come with Origin: null, and are refused")
	}
}

// The session's cookie is not sent along by other sites, and not seen by scripts.
func TestCookieAttributes(t *testing.T) {
	form := url.Values{"name": {"ann"}, "password": {password}}
	for _, tls := range []bool{false, true} {
		o := newOffice(t, func(c *console.Options, _ *serve.Options) { c.TLS = tls })
		all := o.with("").do("POST", "/console/login", form).Result().Cookies()
		if len(all) != 1 {
			t.Fatalf("%d cookies", len(all))
		}
		k := all[0]
		if !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Secure != tls || k.Path != "/" || k.Domain != "" ||
			len(k.Value) < 43 || strings.HasPrefix(k.Name, "__Host-") != tls {
			t.Errorf("TLS %v: %+v", tls, k)
		}
	}
}

// A name of an attacker is bound to this server's address: then the attacker's page has the server's origin.
func TestDNSRebinding(t *testing.T) {
	rebound := func(o *office, name string) int {
		r := post("/console/decide", block(name), "Origin", "http://evil.example:8501", "Sec-Fetch-Site", "same-origin")
		r.Host = "evil.example:8501"
		return o.send(o.server.Handler(), r).Code
	}
	open := newOffice(t, func(c *console.Options, _ *serve.Options) { c.Hosts = []string{"evil.example"} })
	if code := rebound(open, "rebound.example"); code >= 400 || !open.blocked("rebound.example") {
		t.Errorf("with the guard told to let it through: %d, and the attack fails", code)
	}
	o := newOffice(t, nil)
	o.unchanged("a page of another name", func() {
		if code := rebound(o, "rebound.example"); code != http.StatusMisdirectedRequest {
			t.Errorf("%d, want 421", code)
		}
	})
	for host, want := range map[string]int{"localhost": 200, "localhost:8501": 200, "LOCALHOST.": 200, "127.0.0.1:8501": 200,
		"[::1]:8501": 200, "192.0.2.1": 200, "evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"": 421, "localhost:8501:evil": 421, "evil.example\x00localhost": 421} {
		r := httptest.NewRequest("GET", "/console/health", nil)
		r.Host = host
		if r.Host == "" {
			r.Host = " "
		}
		if w := o.send(o.server.Handler(), r); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// tryLogIn answers a log-in from an address.
func (o *office) tryLogIn(from, name, password string) int {
	r := post("/console/login", url.Values{"name": {name}, "password": {password}})
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 999).String()
	return o.with("").send(o.server.Handler(), r).Code
}

// Somebody guesses passwords. Package accounts tests the bounds for many thousand addresses.
func TestGuessing(t *testing.T) {
	o := newOffice(t, nil)
	if code := o.tryLogIn("192.0.2.10", "ann", password); code != http.StatusSeeOther {
		t.Fatalf("the owner logs in: %d", code)
	}
	codes := map[int]int{}
	for i := range 20 {
		codes[o.tryLogIn("198.51.100.1", "ann", fmt.Sprint("guess number ", i))]++
	}
	if codes[http.StatusForbidden] != 10 || codes[http.StatusTooManyRequests] != 10 {
		t.Errorf("20 guesses from one address: %v, want ten of 403 and ten of 429", codes)
	}
	if code := o.tryLogIn("198.51.100.1", "ann", password); code != http.StatusTooManyRequests {
		t.Errorf("the right guess after that: %d, want 429", code)
	}
	if code := o.tryLogIn("198.51.100.1", "nobody", "guess"); code != http.StatusTooManyRequests {
		t.Errorf("another name from there: %d, want 429", code)
	}
	for i := range 4 { // many addresses
		if code := o.tryLogIn(fmt.Sprintf("203.0.113.%d", i), "ann", "a guess"); code != http.StatusForbidden {
			t.Errorf("a guess from another address: %d, want 403", code)
		}
	}
	for _, from := range []string{"192.0.2.10", "192.0.2.77", "127.0.0.1"} {
		if code := o.tryLogIn(from, "ann", password); code != http.StatusSeeOther {
			t.Errorf("the owner's right password from %s, meanwhile: %d", from, code)
		}
	}
	// Who guesses does not learn which names there are.
	texts := map[string]bool{}
	for _, name := range []string{"ann", "nobody", "two words", strings.Repeat("n", 5000)} {
		r := post("/console/login", url.Values{"name": {name}, "password": {"a guess"}})
		r.RemoteAddr = "203.0.113.99:1"
		w := o.with("").send(o.server.Handler(), r)
		texts[fmt.Sprint(w.Code, strings.ReplaceAll(w.Body.String(), name, "NAME"))] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different answers for a wrong password, want one", len(texts))
	}
	// Links are guessed just as little.
	for range 12 {
		r := httptest.NewRequest("GET", "/console/welcome?token=guess", nil)
		r.RemoteAddr = "198.51.100.7:1"
		codes[o.with("").send(o.server.Handler(), r).Code+1000]++
	}
	if codes[1403] != 10 || codes[1429] != 2 {
		t.Errorf("guesses of links: %v", codes)
	}
}

// withTokens is the office with an API that takes tokens, and a token for everything.
func (o *office) withTokens() (guarded *office, secret string) {
	o.t.Helper()
	secret, line, err := token.New("grafana", []token.Scope{token.Admin}, time.Time{})
	if err != nil {
		o.t.Fatal(err)
	}
	path := filepath.Join(o.t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	g := *o
	if g.options.Tokens, err = token.Load(path); err != nil {
		o.t.Fatal(err)
	}
	s := *o.site
	if s.server, err = serve.New(g.options); err != nil {
		o.t.Fatal(err)
	}
	g.site = &s
	return &g, secret
}

// A cookie is for pages, a token is for the API, and neither does the other's work.
func TestCookieAndToken(t *testing.T) {
	open := newOffice(t, nil)
	o, secret := open.withTokens()
	api := []string{"/v1/events", "/v1/decisions", "/v1/decisions.csv", "/v1/names?name=a.example", "/v1/findings",
		"/v1/lists/block", "/v1/models/degas", "/v2", "/metrics"}
	for _, target := range api {
		if w := o.do("GET", target, nil); w.Code != http.StatusUnauthorized {
			t.Errorf("GET %s with a cookie: %d, want 401", target, w.Code)
		}
		if w := o.with("").do("GET", target, nil, "Authorization", "Bearer "+secret); w.Code != http.StatusOK {
			t.Errorf("GET %s with a token: %d", target, w.Code)
		}
	}
	decision := func() *http.Request {
		return httptest.NewRequest("POST", "/v1/decisions", strings.NewReader(`{"pattern":"a.example","verdict":"block"}`))
	}
	if w := open.send(open.server.Handler(), decision()); w.Code >= 400 {
		t.Errorf("an API without tokens: %d", w.Code)
	}
	o.unchanged("a cookie", func() {
		if w := o.send(o.server.Handler(), decision()); w.Code != http.StatusUnauthorized {
			t.Errorf("a decision with a cookie: %d, want 401", w.Code)
		}
	})
	o.unchanged("a token", func() {
		for _, header := range [][]string{{"Authorization", "Bearer " + secret}, {"Cookie", "degas=" + secret},
			{"Cookie", "degas="}, {"Authorization", "Basic " + secret}} {
			for _, target := range []string{"/console/", "/console/health", "/console/account"} {
				if w := o.with("").do("GET", target, nil, header...); w.Code != http.StatusSeeOther {
					t.Errorf("GET %s with %v: %d, want 303", target, header, w.Code)
				}
			}
			if w := o.with("").do("POST", "/console/decide", block("a.example"), header...); w.Code != http.StatusSeeOther ||
				w.Header().Get("Location") != "/console/login" {
				t.Errorf("a decision with %v: %d, want 303", header, w.Code)
			}
		}
	})
}

// A link to the log-in page names another server to go to afterwards.
func TestOpenRedirect(t *testing.T) {
	o := newOffice(t, nil)
	here, _ := url.Parse("http://localhost/console/login")
	for _, next := range []string{"https://evil.example/console/", "//evil.example/console/", `/\evil.example/console/`,
		`\\evil.example/console/`, "/console/../..//evil.example", "/console/..//evil.example", "http:/console/",
		"http:evil.example", "///evil.example/console/", "javascript:alert(1)", "/console/\r\nSet-Cookie: degas=x",
		"/console/\t//evil.example", "/console/@evil.example", "https://evil.example\\@localhost/console/",
		"/v1/decisions", "/console/%2f%2fevil.example", "/console/..%2f..%2f/evil.example", "/console/;//evil.example",
		"https:///console/", "/console/\\..\\..\\\\evil.example", "//localhost@evil.example/console/", "\x00/console/",
		strings.Repeat("/console/", 1000)} {
		check := func(what string, w *httptest.ResponseRecorder) {
			t.Helper()
			for _, at := range []string{w.Header().Get("Location"), w.Header().Get("HX-Redirect")} {
				// Browsers take \ for /, and leave out tabs and line ends.
				to, err := here.Parse(strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(at))
				if err != nil || to.Host != "localhost" || to.Scheme != "http" {
					t.Errorf("%s, next %q: goes to %q", what, next, at)
				}
			}
			if strings.Contains(w.Header().Get("Set-Cookie"), "degas=x") {
				t.Errorf("%s, next %q sets a cookie", what, next)
			}
		}
		q := url.Values{"next": {next}}
		w := o.do("GET", "/console/login?"+q.Encode(), nil)
		if w.Code != http.StatusSeeOther {
			t.Errorf("the log-in page for somebody who is logged in: %d", w.Code)
		}
		check("log-in page", w)
		form := block("a.example")
		form.Set("back", next)
		check("decision", o.do("POST", "/console/decide", form))
		check("decision by a script", o.do("POST", "/console/decide", form, "HX-Request", "true"))
	}
	for next, want := range map[string]string{"/console/health?who=a&before=3": "/console/health?who=a&before=3",
		"https://evil.example/console/": "/console/", "": "/console/"} {
		w := o.with("").do("POST", "/console/login", url.Values{"name": {"ann"}, "password": {password}, "next": {next}})
		if got := w.Header().Get("Location"); got != want || w.Code != http.StatusSeeOther {
			t.Errorf("log-in with next %q: %d to %q", next, w.Code, got)
		}
	}
	w := o.with("").do("GET", "/console/health?who=a", nil)
	if got := w.Header().Get("Location"); got != "/console/login?next=%2Fconsole%2Fhealth%3Fwho%3Da" {
		t.Errorf("to the log-in page: %q", got)
	}
}

// No other page can put ours into a frame, and ours run no script and load nothing of others.
func TestHeaders(t *testing.T) {
	o := newOffice(t, nil)
	icon := regexp.MustCompile(`/console/static/[^"]+\.css`).FindString(o.page("/console/"))
	for target, want := range map[string]int{"/console/": 200, "/console/health": 200, "/console/nope": 404,
		"/console/health?before=x": 400, icon: 200, "/console/static/nope.js": 404} {
		w := o.do("GET", target, nil)
		if w.Code != want {
			t.Errorf("%s: %d", target, w.Code)
		}
		h := w.Header()
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
			"script-src 'self';", "style-src 'self';"} {
			if !strings.Contains(h.Get("Content-Security-Policy"), part) {
				t.Errorf("%s: the policy lacks %s", target, part)
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: the policy allows something unsafe", target)
		}
		for key, value := range map[string]string{"X-Content-Type-Options": "nosniff", "X-DNS-Prefetch-Control": "off",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(key) != value {
				t.Errorf("%s: %s is %q", target, key, h.Get(key))
			}
		}
		if want := target != icon; want != (h.Get("Cache-Control") == "no-store") {
			t.Errorf("%s: Cache-Control is %q", target, h.Get("Cache-Control"))
		}
	}
}

// An attacker gives a victim a cookie before the victim logs in.
func TestSessionFixation(t *testing.T) {
	o := newOffice(t, nil)
	attacker := o.as("eve", accounts.Viewer)
	for _, planted := range []string{"planted", attacker.cookie} {
		w := o.with(planted).do("POST", "/console/login", url.Values{"name": {"ann"}, "password": {password}})
		all := w.Result().Cookies()
		if len(all) != 1 || all[0].Value == planted {
			t.Fatalf("the cookie after log-in: %v", all)
		}
		if body := o.with(all[0].Value).page("/console/account"); !strings.Contains(body, "<bdi>ann</bdi>") {
			t.Error("the new cookie is not ann's")
		}
		w = o.with(planted).do("GET", "/console/account", nil)
		if strings.Contains(w.Body.String(), "You are <strong><bdi>ann") {
			t.Error("the planted cookie has become ann's")
		}
	}
}

// Somebody copied a cookie. Logging out ends the session on the server, and for the copy too.
func TestLogOut(t *testing.T) {
	o := newOffice(t, nil)
	other := o.with(o.enter("ann", password))
	o.page("/console/")
	w := o.do("POST", "/console/logout", nil)
	if k := w.Result().Cookies(); len(k) != 1 || k[0].MaxAge >= 0 || k[0].Value != "" {
		t.Errorf("log-out leaves the cookie: %v", k)
	}
	if w := o.do("GET", "/console/", nil); w.Code != http.StatusSeeOther {
		t.Errorf("the copy after log-out: %d, want 303", w.Code)
	}
	o.unchanged("the copy", func() { o.do("POST", "/console/decide", block("a.example")) })
	other.page("/console/") // another session goes on
}

// routes are the patterns of the console as method and path, and whether they go on.
func (o *office) routes() (all []struct {
	method, path string
	stream       bool
}) {
	for _, r := range o.pages.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		path = strings.NewReplacer("{$}", "", "{file...}", "console.css").Replace(path)
		all = append(all, struct {
			method, path string
			stream       bool
		}{method, path, r.Stream})
	}
	return all
}

// parameters are names of fields and of parts of queries, of all templates and handlers.
func parameters(t *testing.T) (all []string) {
	t.Helper()
	found := map[string]bool{}
	for pattern, r := range map[string]*regexp.Regexp{"templates/*.html": regexp.MustCompile(`name="([a-z_]+)"`),
		"*.go": regexp.MustCompile(`\bq(?:\.(?:Get|Has)\(|\[)"([a-z_]+)"`)} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range r.FindAllSubmatch(text, -1) {
				found[string(m[1])] = true
			}
		}
	}
	for name := range found {
		all = append(all, name)
	}
	slices.Sort(all)
	if len(all) < 15 {
		t.Fatalf("parameters: %v", all)
	}
	return all
}

// walk sends a request that ends by itself after a moment, as streams have to.
func (o *office) walk(method, target string, body io.Reader, stream bool, header ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	r := httptest.NewRequest(method, target, body)
	if stream {
		ctx, cancel := context.WithTimeout(o.t.Context(), 50*time.Millisecond)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := o.send(o.server.Handler(), r)
	if w.Code >= 500 && r.Context().Err() == nil { // on a busy machine, a stream may not even begin
		o.t.Errorf("%s %.200s: %d\n%.500s", method, target, w.Code, w.Body)
	}
	return w
}

// full is a query with something for every parameter.
func full(t *testing.T) string {
	q := url.Values{}
	for _, name := range parameters(t) {
		q.Set(name, "1")
	}
	for name, value := range map[string]string{"pattern": "got.example", "name": "got.example", "verdict": "block",
		"role": "admin", "token": "", "to": "", "from": ""} {
		q.Set(name, value)
	}
	return q.Encode()
}

// Nothing changes by GET or HEAD, whatever is in the address: neither at pages nor at what takes forms.
func TestGetChangesNothing(t *testing.T) {
	b := &besides{}
	o := newOffice(t, func(c *console.Options, _ *serve.Options) { c.Shadow = b })
	o.send(o.server.Handler(), post("/console/decide", block("before.example")))
	query := full(t)
	o.unchanged("GET", func() {
		for _, r := range o.routes() {
			if r.path == "/console/logout" && r.method == "GET" {
				t.Error("a link can log somebody out")
			}
			for _, method := range []string{"GET", "HEAD"} {
				o.walk(method, r.path, nil, r.stream)
				o.walk(method, r.path+"?"+query, nil, r.stream)
				w := o.walk(method, r.path+"?"+query, nil, r.stream, "HX-Request", "true")
				if r.method == "POST" && w.Code < 400 && w.Code != http.StatusSeeOther && !slices.ContainsFunc(o.routes(),
					func(x struct {
						method, path string
						stream       bool
					}) bool {
						return x.method == "GET" && x.path == r.path
					}) {
					t.Errorf("%s %s: %d", method, r.path, w.Code)
				}
			}
		}
	})
	if len(b.moved) > 0 {
		t.Errorf("GET moved models: %v", b.moved)
	}
}

// Other methods do nothing, and unknown paths show nothing to strangers.
func TestUnknown(t *testing.T) {
	o := newOffice(t, nil)
	query := full(t)
	o.unchanged("an unknown method or path", func() {
		for _, r := range o.routes() {
			for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "GOT"} {
				if w := o.walk(method, r.path+"?"+query, nil, false); w.Code < 400 {
					t.Errorf("%s %s: %d", method, r.path, w.Code)
				}
			}
		}
		for _, path := range []string{"/console/nope", "/console/nope/nope?a=b", "/console/%00", "/console/static/",
			"/console/static/..%2f..%2fconsole.go", "/console/static/console.css", "/console/<script>alert(1)</script>",
			"/console/decide/x", "/console/templates/layout.html"} {
			w := o.walk("GET", strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path), nil, false)
			if w.Code != http.StatusNotFound && w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(),
				"<script>alert") {
				t.Errorf("%s: %d", path, w.Code)
			}
			if w := o.walk("POST", strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path), strings.NewReader("a=b"),
				false); w.Code < 400 {
				t.Errorf("POST %s: %d", path, w.Code)
			}
		}
	})
	nobody := o.with("")
	there, not := nobody.do("GET", "/console/health", nil), nobody.do("GET", "/console/nope", nil)
	if there.Code != not.Code || not.Code != http.StatusSeeOther {
		t.Errorf("a stranger learns which pages there are: %d and %d", there.Code, not.Code)
	}
}

// Who is nobody, only reads or only decides does no more than that.
func TestRoles(t *testing.T) {
	b := &besides{}
	o := newOffice(t, func(c *console.Options, _ *serve.Options) { c.Shadow = b })
	viewer, vetter := o.as("val", accounts.Viewer), o.as("vic", accounts.Vetter)
	own := []string{"/console/login", "/console/logout", "/console/welcome", "/console/account/password",
		"/console/account/revoke"}
	body := full(t)
	refused := 0
	for _, r := range o.routes() {
		if r.method != "POST" || slices.Contains(own, r.path) {
			continue
		}
		o.unchanged("a viewer at "+r.path, func() {
			for _, header := range [][]string{{}, {"HX-Request", "true"}} {
				if w := viewer.walk("POST", r.path, strings.NewReader(body), false, header...); w.Code != http.StatusForbidden {
					t.Errorf("a viewer's POST %s: %d, want 403", r.path, w.Code)
				}
			}
		})
		o.unchanged("nobody at "+r.path, func() {
			if w := o.with("").walk("POST", r.path, strings.NewReader(body), false); w.Code != http.StatusSeeOther ||
				w.Header().Get("Location") != "/console/login" {
				t.Errorf("nobody's POST %s: %d, want 303 to log in", r.path, w.Code)
			}
		})
		if strings.HasPrefix(r.path, "/console/account/") || strings.HasPrefix(r.path, "/console/models/") {
			o.unchanged("a vetter at "+r.path, func() {
				if w := vetter.walk("POST", r.path, strings.NewReader(body), false); w.Code != http.StatusForbidden {
					t.Errorf("a vetter's POST %s: %d, want 403", r.path, w.Code)
				}
			})
			refused++
		}
	}
	if refused < 5 || len(b.moved) > 0 {
		t.Errorf("%d routes for an admin; moved %v", refused, b.moved)
	}
	for _, r := range o.routes() { // pages and exports
		if r.method == "GET" && strings.HasPrefix(r.path, "/console/") && !slices.Contains([]string{"/console/login",
			"/console/welcome"}, r.path) && !strings.HasPrefix(r.path, "/console/static/") {
			if w := o.with("").walk("GET", r.path, nil, r.stream); w.Code != http.StatusSeeOther &&
				w.Code != http.StatusUnauthorized {
				t.Errorf("nobody's GET %s: %d", r.path, w.Code)
			}
		}
	}
	// A role that is taken away is gone at once, also in a session.
	if err := o.people.SetRole(t.Context(), "ann", "vic", accounts.Viewer); err != nil {
		t.Fatal(err)
	}
	if w := vetter.do("POST", "/console/decide", block("late.example")); w.Code != http.StatusForbidden {
		t.Errorf("a former vetter: %d, want 403", w.Code)
	}
}

// Input that is far too long, or no text at all, is refused or cut, at every field of every page.
func TestLongInput(t *testing.T) {
	o := newOffice(t, func(c *console.Options, _ *serve.Options) { c.Shadow = &besides{} })
	values := []string{strings.Repeat("a", 12<<10), strings.Repeat("<", 3<<10), "\x00\xff\xfe", "-1", "99999999999999999999",
		"2026-13-45T99:99:99Z", "%", strings.Repeat("a.", 5000), "\u202e\u0000'; DROP TABLE decision; --", "NaN", "1e309"}
	names := parameters(t)
	for i, r := range o.routes() {
		for _, value := range values {
			q := url.Values{}
			for _, name := range names {
				if r.path != "/console/welcome" || name != "token" { // guesses are limited
					q.Set(name, value)
				}
			}
			if r.method == "POST" {
				if strings.HasPrefix(r.path, "/console/account/") || r.path == "/console/logout" || r.path == "/console/login" {
					continue // below
				}
				o.walk("POST", r.path, strings.NewReader(q.Encode()), false)
				continue
			}
			o.walk("GET", r.path+"?"+q.Encode(), nil, r.stream)
		}
		if r.method == "POST" || r.stream {
			continue
		}
		for j, name := range names { // one at a time gets further than all together
			one := url.Values{name: {values[(i+j)%len(values)]}}.Encode()
			if w := o.walk("GET", r.path+"?"+one, nil, false); w.Body.Len() > 400<<10 {
				t.Errorf("GET %s?%s=…: an answer of %d bytes", r.path, name, w.Body.Len())
			}
		}
	}
	for _, path := range []string{"/console/login", "/console/account/password", "/console/account/invite",
		"/console/account/role", "/console/account/remove", "/console/account/revoke"} {
		q := url.Values{}
		for _, name := range names {
			q.Set(name, values[0])
		}
		if w := o.walk("POST", path, strings.NewReader(q.Encode()), false); w.Code < 400 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	for _, r := range o.routes() {
		if r.method != "POST" {
			continue
		}
		huge := append([]byte("note="), bytes.Repeat([]byte("a"), 3<<20)...)
		if w := o.walk("POST", r.path, bytes.NewReader(huge), false); w.Code < 400 && r.path != "/console/logout" {
			t.Errorf("POST %s with 3 MB: %d", r.path, w.Code)
		}
		if r.path == "/console/logout" {
			o = o.with(o.enter("ann", password))
		}
	}
}
