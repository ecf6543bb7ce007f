package decisions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/token"
)

// server is an API that is mounted behind tokens, as a real one is.
type server struct {
	*httptest.Server
	api    *API
	ledger *ledger.Ledger
	secret string // good for everything
}

func start(t testing.TB) *server {
	t.Helper()
	l, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, line, err := token.New("ann", []token.Scope{token.Admin}, time.Time{})
	path := filepath.Join(t.TempDir(), "tokens")
	if err == nil {
		err = os.WriteFile(path, []byte(line), 0o600)
	}
	var tokens *token.Set
	if err == nil {
		tokens, err = token.Load(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &server{api: New(l, nil), ledger: l, secret: secret}
	mux := http.NewServeMux()
	for _, route := range s.api.Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			from, _ := netip.ParseAddrPort(r.RemoteAddr)
			who, err := tokens.Check(r.Header.Get("Authorization"), from.Addr())
			if err != nil || !who.Has(route.Scope) {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			route.Handler(w, r.WithContext(WithWho(r.Context(), who.Name)))
		})
	}
	s.Server = httptest.NewUnstartedServer(mux)
	s.Config.WriteTimeout = time.Second // shorter than requests wait
	s.Start()
	t.Cleanup(func() {
		s.api.Release()
		s.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// do makes a request, and returns the status and the body. A body is sent as JSON.
func (s *server) do(t testing.TB, method, path, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.secret)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// times are what differs in each run.
func withoutTimes(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "at")
			delete(v, "revoked_at")
			for _, e := range v {
				strip(e)
			}
		case []any:
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAPI(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/v1/decisions", `{"pattern":"www.Evil.example","scope":"domain","verdict":"block","label":"dga",` +
			`"note":"<b>` + "\u202e" + `","score":0.5,"model":"builtin","version":"3","expires":"2999-01-01T00:00:00Z"}`, 200,
			`{"decisions":[{"by":"ann","expires":"2999-01-01T00:00:00Z","id":1,"label":"dga","model":"builtin",` +
				`"note":"\u003cb\u003e` + "\u202e" + `","pattern":"*.evil.example","scope":"domain","score":0.5,` +
				`"state":"in force","verdict":"block","version":"3"}]}`},
		{"POST", "/v1/decisions", `[{"pattern":"a.evil.example","verdict":"allow"},
			{"pattern":"a.evil.example","verdict":"block"},
			{"pattern":"*.good.example","verdict":"allow"},{"pattern":"x.good.example","verdict":"block"}]`, 200,
			`{"decisions":[{"by":"ann","id":2,"pattern":"a.evil.example","scope":"name","state":"in force","verdict":"allow"},` +
				`{"by":"ann","id":3,"pattern":"a.evil.example","scope":"name","state":"in force","verdict":"block"},` +
				`{"by":"ann","id":4,"pattern":"*.good.example","scope":"domain","state":"in force","verdict":"allow"},` +
				`{"allowed_by":"*.good.example","by":"ann","id":5,"pattern":"x.good.example","scope":"name",` +
				`"state":"in force","verdict":"block"}]}`},
		{"GET", "/v1/decisions?about=a.evil.example&verdict=block&limit=1", "", 200,
			`{"decisions":[{"by":"ann","id":3,"pattern":"a.evil.example","scope":"name","state":"in force",` +
				`"verdict":"block"}],"next":3}`},
		{"GET", "/v1/decisions?state=superseded&before=3", "", 200,
			`{"decisions":[{"by":"ann","id":2,"pattern":"a.evil.example","scope":"name","state":"superseded",` +
				`"verdict":"allow"}]}`},
		{"DELETE", "/v1/decisions/3", "", 200,
			`{"in_force_again":{"by":"ann","id":2,"pattern":"a.evil.example","scope":"name","state":"in force",` +
				`"verdict":"allow"},"revoked":{"by":"ann","id":3,"pattern":"a.evil.example","revoked_by":"ann",` +
				`"scope":"name","state":"revoked","verdict":"block"}}`},
		{"DELETE", "/v1/decisions/3", "", 409, `{"error":"revoke decision 3: it is over already"}`},
		{"DELETE", "/v1/decisions/99", "", 404, `{"error":"revoke decision 99: there is no such entry"}`},
		{"DELETE", "/v1/decisions/x", "", 404, `{"error":"\"x\" is no decision's number"}`},
		{"GET", "/v1/decisions?nope=1", "", 400, `is no parameter`},
		{"GET", "/v1/decisions?by=a&by=b", "", 400, `comes twice`},
		{"GET", "/v1/decisions?limit=-1", "", 400, `is no number from 1 on`},
		{"GET", "/v1/decisions?before=9999999999999999999", "", 400, `is no number from 1 on`},
		{"GET", "/v1/decisions?verdict=x", "", 400, `none of allow, block and unsure`},
		{"GET", "/v1/decisions?a=%zz", "", 400, `the query cannot be read`},
		{"GET", "/v1/lists/allow?wait=1h", "", 400, `is no time up to`},
		{"POST", "/v1/decisions", ``, 400, `is no decision`},
		{"POST", "/v1/decisions", `[]`, 400, `0 decisions`},
		{"POST", "/v1/decisions", `null`, 400, `is no name`},
		{"POST", "/v1/decisions", `{"pattern":"a.example","verdict":"block"} {}`, 400, `behind the body's JSON value`},
		{"POST", "/v1/decisions", `{"pattern":"a.example","verdict":"block","by":"root"}`, 400, `unknown field`},
		{"POST", "/v1/decisions", `{"pattern":"a.example","verdict":"block","id":7}`, 400, `unknown field`},
		{"POST", "/v1/decisions", `{"pattern":"*.co.uk","verdict":"block"}`, 400, `public suffix`},
		{"POST", "/v1/decisions", `[{"pattern":"ok.example","verdict":"block"},{"pattern":"b.example","verdict":"no"}]`, 400,
			`decision 2: `},
		{"POST", "/v1/decisions", `{"pattern":"a.example","verdict":"block","score":"1"}`, 400, `is no decision`},
		{"POST", "/v1/decisions", `{"pattern":"` + strings.Repeat("a", mostBody) + `"}`, 413, `more than 1048576 bytes`},
		{"POST", "/v1/decisions", "[" + strings.Repeat(`{},`, mostDecisions) + "{}]", 400, `1001 decisions`},
	} {
		code, body, h := s.do(t, test.method, test.path, test.body)
		what := fmt.Sprintf("%s %s %.60s", test.method, test.path, test.body)
		got := withoutTimes(t, body)
		if code != test.code || got != test.want && (code < 400 || !strings.Contains(got, test.want)) {
			t.Errorf("%s\n%d %s\nwant %d %s", what, code, got, test.code, test.want)
		}
		if strings.ContainsRune(body, '\u202e') || h.Get("Content-Type") != "application/json" ||
			h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %q %v", what, body, h)
		}
	}
	code, body, h := s.do(t, "GET", "/v1/decisions.csv?all=true", "")
	if lines := strings.Count(body, "\n"); code != 200 || lines != 6 || !strings.HasPrefix(body, "domain,label,source,") ||
		!strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
		t.Errorf("%d, %d lines, %v", code, lines, h)
	}
	if page, err := s.ledger.Decisions(t.Context(), ledger.Filter{}, 0, 0); err != nil || len(page.Decisions) != 5 {
		t.Errorf("a refused request left something: %+v, %v", page, err)
	}
}

// A handler that is mounted wrongly decides nothing for nobody.
func TestNobody(t *testing.T) {
	s := start(t)
	r := httptest.NewRequest("POST", "/v1/decisions", strings.NewReader(`{"pattern":"a.example","verdict":"block"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.api.decide(w, r)
	if w.Code != 500 || strings.Contains(w.Body.String(), "WithWho") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestList(t *testing.T) {
	s := start(t)
	code, body, h := s.do(t, "GET", "/v1/lists/block", "")
	empty := h.Get("ETag")
	if code != 200 || !strings.HasSuffix(body, "\n"+Nothing+"\n") || len(empty) != 66 {
		t.Errorf("%d %q %q", code, body, empty)
	}
	if code, body, _ := s.do(t, "GET", "/v1/lists/block", "", "If-None-Match", empty); code != 304 || body != "" {
		t.Errorf("%d %q", code, body)
	}
	s.do(t, "POST", "/v1/decisions", `[{"pattern":"*.evil.example","verdict":"block"},
		{"pattern":"wpad","verdict":"block"}]`)
	code, body, h = s.do(t, "GET", "/v1/lists/block", "", "If-None-Match", empty)
	if code != 200 || !strings.HasSuffix(body, "\n*.evil.example\nwpad.\n") || h.Get("ETag") == empty {
		t.Errorf("%d %q %v", code, body, h)
	}
	etag := h.Get("ETag")
	begin := time.Now()
	if code, _, _ := s.do(t, "GET", "/v1/lists/block?wait=1200ms", "", "If-None-Match", "W/"+etag); code != 304 ||
		time.Since(begin) < 1200*time.Millisecond { // longer than WriteTimeout
		t.Errorf("%d after %v", code, time.Since(begin))
	}
	for _, other := range []string{"", empty} { // nothing to wait for
		if code, _, _ := s.do(t, "GET", "/v1/lists/block?wait=30s", "", "If-None-Match", other); code != 200 {
			t.Error(code)
		}
	}
	go func() {
		for range 2 { // the first is of the other list
			time.Sleep(50 * time.Millisecond)
			verdict := ledger.Allow
			if page, _ := s.ledger.Decisions(context.Background(), ledger.Filter{}, 0, 0); len(page.Decisions) == 3 {
				verdict = ledger.Block
			}
			_, _ = s.ledger.Decide(context.Background(), ledger.Decision{Pattern: "new.example", Verdict: verdict, By: "bob"})
		}
	}()
	begin = time.Now()
	code, body, _ = s.do(t, "GET", "/v1/lists/block?wait=30s", "", "If-None-Match", etag)
	if code != 200 || !strings.Contains(body, "\nnew.example\n") || time.Since(begin) > 20*time.Second {
		t.Errorf("%d %q after %v", code, body, time.Since(begin))
	}
	_, _, h = s.do(t, "GET", "/v1/lists/allow", "")
	time.AfterFunc(50*time.Millisecond, s.api.Release)
	begin = time.Now()
	if code, _, _ := s.do(t, "GET", "/v1/lists/allow?wait=30s", "", "If-None-Match", h.Get("ETag")); code != 304 ||
		time.Since(begin) > 20*time.Second {
		t.Errorf("%d after %v", code, time.Since(begin))
	}
}

// onNoList stands for any verdict but those of lists.
const onNoList detect.Verdict = 255

// A decision is in force in a program that reads the lists by their URLs within a second, and so is its end.
func TestReader(t *testing.T) {
	s := start(t)
	url := func(list string) []string {
		return []string{strings.Replace(s.URL, "://", "://resolver:"+s.secret+"@", 1) + "/v1/lists/" + list + "?wait=20s"}
	}
	set, err := lists.Open(t.Context(), lists.Options{Allow: url("allow"), Block: url("block"), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		set.Run(ctx, func() { changed <- struct{}{} })
	}()
	defer func() { cancel(); <-ended }()
	policy, err := detect.New(detect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var delays []time.Duration
	expect := func(what string, want map[string]detect.Verdict) {
		t.Helper()
		begin := time.Now()
		for {
			allow, block, popular := set.Lists()
			p := policy.With(allow, block, popular)
			good := true
			for name, verdict := range want {
				got := p.Decide(name).Verdict
				good = good && (got == verdict || verdict == onNoList && got != detect.Allowed && got != detect.Blocked)
			}
			if good {
				delays = append(delays, time.Since(begin))
				return
			}
			select {
			case <-changed:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s is not in force after %v", what, time.Since(begin))
			}
		}
	}
	s.do(t, "POST", "/v1/decisions", `{"pattern":"www.evil.example","scope":"domain","verdict":"block"}`)
	expect("the block", map[string]detect.Verdict{"x.evil.example": detect.Blocked, "evil.example": detect.Blocked})
	s.do(t, "POST", "/v1/decisions", `[{"pattern":"münchen.example","verdict":"block"},
		{"pattern":"wpad","verdict":"block"}]`)
	expect("the second block", map[string]detect.Verdict{"x.evil.example": detect.Blocked, "wpad": detect.Blocked,
		"xn--mnchen-3ya.example": detect.Blocked, "x.xn--mnchen-3ya.example": onNoList})
	s.do(t, "POST", "/v1/decisions", `{"pattern":"good.evil.example","verdict":"allow"}`)
	expect("the allow", map[string]detect.Verdict{"x.evil.example": detect.Blocked, "good.evil.example": detect.Allowed})
	for _, id := range []string{"1", "2", "3", "4"} {
		s.do(t, "DELETE", "/v1/decisions/"+id, "")
	}
	expect("the end of all", map[string]detect.Verdict{"x.evil.example": onNoList, "good.evil.example": onNoList,
		"wpad": onNoList, "xn--mnchen-3ya.example": onNoList})
	t.Logf("in force after %v", delays)
	for _, stat := range set.Stats() {
		if strings.Contains(stat.Name, s.secret) {
			t.Errorf("%s shows a token", stat.Name)
		}
		if stat.Entries != 1 || stat.Error != "" || stat.Format != "domains" {
			t.Errorf("%+v", stat)
		}
	}
}

// Whatever a body is, the answer is JSON, and what it says was decided can be read again.
func FuzzDecide(f *testing.F) {
	for _, body := range []string{`{"pattern":"a.example","verdict":"block"}`,
		`[{"pattern":"*.b.example","verdict":"allow"}]`, `null`, `[null]`, `{"Pattern":"a"}`, `[`,
		`{"pattern":"ü.example","verdict":"unsure","expires":"2999-01-01T00:00:00Z"}`} {
		f.Add([]byte(body))
	}
	s := start(f)
	mux := http.NewServeMux()
	for _, route := range s.api.Routes() {
		mux.HandleFunc(route.Pattern, route.Handler)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(WithWho(t.Context(), "ann"), "POST", "/v1/decisions",
			strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var answer struct {
			Error     string
			Decisions []ledger.Decision
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || (w.Code == 200) == (answer.Error != "") ||
			w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		for _, d := range answer.Decisions {
			page, err := s.ledger.Decisions(t.Context(), ledger.Filter{Pattern: d.Pattern}, 0, 1000)
			if err != nil || !slices.ContainsFunc(page.Decisions, func(o ledger.Decision) bool { return o.ID == d.ID }) {
				t.Errorf("%+v is not there: %v", d, err)
			}
			if _, err := detect.NewList([]string{d.Pattern}); err != nil {
				t.Error(err)
			}
			if _, _, err := s.ledger.Revoke(t.Context(), d.ID, "ann"); err != nil {
				t.Error(err)
			}
		}
	})
}
