package console_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
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
)

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
		ctx, cancel := context.WithCancel(o.t.Context()) // as a client that goes away
		defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
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
	if w.Code >= 500 {
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
	values := []string{strings.Repeat("a", 12<<10), strings.Repeat("<", 3<<10), "\x00\xff\xfe", "-1",
		"99999999999999999999",
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
