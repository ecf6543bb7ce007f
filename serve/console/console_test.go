package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/store/sqlite"
)

// site is a server with a console, and somebody who is logged in.
type site struct {
	t      testing.TB
	store  *sqlite.Store
	ledger *ledger.Ledger
	pages  *console.Console
	server *serve.Server
	people *accounts.Accounts
	cookie string
}

// newSite makes one with an admin who is logged in.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	var err error
	if s.store, err = sqlite.Open(t.TempDir(), sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	if s.ledger, err = ledger.Open(t.Context(), t.TempDir(), ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.ledger.Close() })
	set, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "degas",
		Policy: detect.Options{Action: detect.Report}, Decided: s.ledger})
	if err != nil {
		t.Fatal(err)
	}
	people, err := accounts.New(t.Context(), s.ledger, accounts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.people = people
	pages, err := console.New(console.Options{Version: "test", Engine: engine, Models: set, Store: s.store,
		Ledger: s.ledger, Accounts: people, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.pages = pages
	s.server, err = serve.New(serve.Options{Version: "test", Models: set, Engine: engine, Store: s.store,
		Ledger: s.ledger, Console: pages, Limits: serve.Limits{Body: time.Second, Shutdown: 5 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	s.people, s.cookie = people, login(t, people)
	return s
}

// login makes the first account and logs in.
func login(t testing.TB, people *accounts.Accounts) (cookie string) {
	t.Helper()
	ctx, from := context.Background(), netip.MustParseAddr("127.0.0.1")
	token, _, err := people.FirstRun(ctx)
	if err == nil {
		_, err = people.Accept(ctx, token, "ann", "correct horse battery", from)
	}
	if err == nil {
		cookie, _, err = people.LogIn(ctx, "ann", "correct horse battery", from, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

// hostile are names and clients that want to be more than text on a page.
var hostile = []string{`<script>alert(1)</script>.example`, `"onmouseover=alert(1).example`, `\027[2j.example`,
	`{{.}}.example`, `a&b'c.example`, strings.Repeat("a.", 125) + "com"}

// seed keeps events of the last hour: names that are hostile, malicious ones and benign ones.
func (s *site) seed() {
	now := time.Now().UTC()
	var all []store.Event
	add := func(name, client string, v detect.Verdict, score float64) {
		e := store.Event{Time: now.Add(-time.Duration(len(all)) * time.Second), Name: name, Domain: detect.Domain(name),
			Client: client, Type: 1, Verdict: v, Rule: detect.Score, Score: score, Class: v.String(), Reason: "score",
			Model: "degas/1", Transport: events.UDP}
		all = append(all, e)
	}
	for i, name := range hostile {
		add(name, "192.0.2.1", detect.Malicious, 0.9)
		add(name, hostile[(i+1)%len(hostile)], detect.Benign, 0.1)
	}
	for _, name := range []string{"xjpakmdcfuqe.biz", "kqwjexhzvbma.info"} {
		add(name, "192.0.2.7", detect.Malicious, 0.99)
	}
	add("www.google.com", "192.0.2.7", detect.Benign, 0.01)
	s.store.Append(all)
	s.flush()
}

// flush waits until the store can be asked for what was appended.
func (s *site) flush() { time.Sleep(1200 * time.Millisecond) }

// do sends a request. header has pairs.
func (s *site) do(method, target string, form url.Values, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	r.Host = "localhost"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "degas", Value: s.cookie})
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.server.Handler().ServeHTTP(w, r)
	return w
}

// page gets a page.
func (s *site) page(target string) string {
	s.t.Helper()
	w := s.do("GET", target, nil)
	if w.Code != http.StatusOK {
		s.t.Fatalf("GET %s: %d\n%s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPages(t *testing.T) {
	s := newSite(t)
	s.seed()
	for _, target := range append([]string{"/console/", "/console/?flagged=1&range=7d", "/console/live",
		"/console/live?q=a", "/console/history", "/console/history?group=1&not=google.com",
		"/console/history?client=" + url.QueryEscape(hostile[0]),
		"/console/history?name=" + url.QueryEscape(hostile[1])}, decidingPages...) {
		t.Run(target, func(t *testing.T) {
			body := s.page(target)
			for _, bad := range []string{"<script>alert", `"onmouseover`, "\x1b", "<no value>", "ZgotmplZ"} {
				if strings.Contains(body, bad) {
					t.Errorf("%q is on the page", bad)
				}
			}
			if len(body) > 100<<10 {
				t.Errorf("the page has %d bytes", len(body))
			}
		})
	}
}
