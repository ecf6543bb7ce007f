package console_test

import (
	"encoding/json"
	"fmt"
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
	// Who reads an export is noted, and so are wrong tries, also those of a link.
	read := func(l ledger.Line) bool { return l.What == "export" || strings.HasPrefix(l.What, "wrong ") }
	add(slices.DeleteFunc(lines, read), e)
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
	for host, want := range map[string]int{"localhost": 200, "localhost:8501": 200, "LOCALHOST.": 200,
		"127.0.0.1:8501": 200,
		"[::1]:8501":     200, "192.0.2.1": 200, "evil.example": 421, "localhost.evil.example": 421,
		"127.0.0.1.evil.example": 421,
		"":                       421, "localhost:8501:evil": 421, "evil.example\x00localhost": 421} {
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
