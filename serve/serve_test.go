package serve_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// builtin is a server of the built-in model; change changes its options.
func builtin(t testing.TB, change func(*serve.Options)) *serve.Server {
	t.Helper()
	set, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "degas",
		Policy: detect.Options{Action: detect.Report, Block: []string{"*.listed.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	o := serve.Options{Version: "test", Models: set, Engine: engine}
	if change != nil {
		change(&o)
	}
	s, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request without a network.
func ask(t testing.TB, s *serve.Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNames(t *testing.T) {
	s := builtin(t, nil)
	var answer struct {
		Model   string
		Version int
		Names   []map[string]any
	}
	const body = `{"names": ["xjpakmdcfuqe.biz", "www.google.com", "a.listed.example", "192.0.2.1"]}`
	for what, w := range map[string]*httptest.ResponseRecorder{
		"post": ask(t, s, "POST", "/v1/names", body),
		"gzip": ask(t, s, "POST", "/v1/names", packed(t, body), "Content-Encoding", "gzip"),
		"get": ask(t, s, "GET", "/v1/names?name=xjpakmdcfuqe.biz&name=www.google.com&name=a.listed.example"+
			"&name=192.0.2.1", ""),
	} {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != 200 || err != nil || len(answer.Names) != 4 {
			t.Fatalf("%s: %d %s, %v", what, w.Code, w.Body, err)
		}
		var got []string
		for _, n := range answer.Names {
			got = append(got, fmt.Sprint(n["verdict"], " ", n["class"], " ", n["rule"], " ", n["entry"], " ", n["score"] != nil))
		}
		want := []string{"malicious dga score <nil> true", "benign benign score <nil> true",
			"blocked blocked block list *.listed.example false", "invalid invalid no name <nil> false"}
		if answer.Model != "degas" || answer.Version != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: %q\nwant %q\n%s", what, got, want, w.Body)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := builtin(t, func(o *serve.Options) { o.Hosts = []string{"127.0.0.1", "degas.example"} })
	for _, tc := range []struct {
		what, method, target, body string
		header                     []string
		status                     int
		says                       string
	}{
		{"no names", "POST", "/v1/names", `{"names": []}`, nil, 400, "No names"},
		{"empty", "POST", "/v1/names", ``, nil, 400, "JSON Parse error"},
		{"half", "POST", "/v1/names", `{"names": ["a`, nil, 400, "JSON Parse error"},
		{"no text", "POST", "/v1/names", `{"names": [1]}`, nil, 400, "JSON Parse error"},
		{"unknown field", "POST", "/v1/names", `{"name": "a"}`, nil, 400, "unknown field"},
		{"two", "POST", "/v1/names", `{"names": ["a"]} {}`, nil, 400, "more than one value"},
		{"too many", "POST", "/v1/names", `{"names": ["a"` + strings.Repeat(`,"a"`, 100_000) + `]}`, nil, 400,
			"100000 names"},
		{"large", "POST", "/v1/names", `{"names": ["a"` + strings.Repeat(" ", 64<<20), nil, 413, "more than 67108864 bytes"},
		{"a bomb", "POST", "/v1/names", packed(t, `{"names": ["a"`+strings.Repeat(" ", 65<<20)),
			[]string{"Content-Encoding", "gzip"}, 413, "more than 67108864 bytes"},
		{"no gzip", "POST", "/v1/names", `{}`, []string{"Content-Encoding", "gzip"}, 400, "not good gzip"},
		{"brotli", "POST", "/v1/names", `{}`, []string{"Content-Encoding", "br"}, 415, "Content-Encoding is not known"},
		{"rebound", "GET", "/v1/names?name=a", "", []string{"Host", "evil.example:8501"}, 421, "Host header"},
		{"rebound to health", "GET", "/livez", "", []string{"Host", "evil.example"}, 421, "Host header"},
		{"another site", "POST", "/v1/names", "{}", []string{"Origin", "https://evil.example"}, 403, "another origin"},
		{"another site, told by the browser", "POST", "/v1/names", "{}", []string{"Sec-Fetch-Site", "cross-site"}, 403,
			"another origin"},
		{"up", "GET", "/v1/../../etc/passwd", "", nil, 0, ""},
		{"up, hidden", "GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc", "", nil, 0, ""},
		{"events without a place", "POST", "/v1/events", "{}", nil, 404, "Try: degas serve --data DIR"},
		{"half a query", "GET", "/v1/names?name=a;b.com&name=c.com", "", nil, 400, "query cannot be read"},
	} {
		if len(tc.body) > 1<<20 && testing.Short() {
			continue // long under the race detector
		}
		header := tc.header
		if !slices.Contains(header, "Host") {
			header = append([]string{"Host", "DEGAS.example.:8501"}, header...)
		}
		w := ask(t, s, tc.method, tc.target, tc.body, header...)
		if tc.status != 0 && w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) || w.Code == 200 ||
			w.Body.Len() > 2000 {
			t.Errorf("%s: %d %.300s, want %d %q", tc.what, w.Code, w.Body, tc.status, tc.says)
		}
	}
	if w := ask(t, s, "GET", "/livez", "", "Host", "[::1]:80"); w.Code != 421 {
		t.Errorf("an address that is not allowed: %d", w.Code)
	}
	if w := ask(t, s, "GET", "/readyz", "", "Host", "127.0.0.1:1"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
}

// kept is a store of tests.
type kept struct {
	store.Store
	mu    sync.Mutex
	all   []store.Event
	stats store.Stats
}

func (k *kept) Append(all []store.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, all...)
}

func (k *kept) Stats() store.Stats { return k.stats }

// Events become what the stream reads; lines that are none are counted. All are accepted, or none, and the answer comes
// once they are kept.
func TestEvents(t *testing.T) {
	intake := serve.NewIntake()
	s := builtin(t, func(o *serve.Options) { o.Intake = intake })
	names, keeping := map[string]int{}, make(chan bool)
	go func() { // as a stream does
		defer close(keeping)
		for {
			var e events.Event
			if err := intake.Next(&e); err != nil {
				return
			}
			names[string(e.Name)]++
			if <-keeping {
				intake.Kept(1)
			}
		}
	}()
	line := func(name string) string {
		return fmt.Sprintf(`{"name":%q,"kind":"query","client":"192.0.2.7"}`, name) + "\n"
	}
	for _, body := range []string{"nonsense\n", "{}\n", "\x00\x01", packed(t, line("a.example")), ""} {
		if w := ask(t, s, "POST", "/v1/events", body); w.Code != 400 {
			t.Errorf("%.40q: %d %s", body, w.Code, w.Body)
		}
	}
	answers := make(chan *httptest.ResponseRecorder)
	send := func(body string, header ...string) {
		go func() { answers <- ask(t, s, "POST", "/v1/events", body, header...) }()
	}
	send(line("a.example") + "nonsense\n\n" + line("b.example"))
	keeping <- true
	select {
	case w := <-answers:
		t.Errorf("an answer before all events are kept: %d %s", w.Code, w.Body)
	case <-time.After(50 * time.Millisecond):
	}
	keeping <- true
	if w := <-answers; w.Code != 200 || !strings.Contains(w.Body.String(), `"accepted":2`) ||
		!strings.Contains(w.Body.String(), `"refused":{`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	send(packed(t, line("c.example")), "Content-Encoding", "gzip")
	keeping <- true
	if w := <-answers; w.Code != 200 {
		t.Errorf("gzip: %d %s", w.Code, w.Body)
	}
	if testing.Short() {
		return // the queue is large
	}
	most := strings.Repeat(line("d.example"), 50_000)
	for range 3 {
		send(most)
	}
	if w := <-answers; w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a full queue: %d %s", w.Code, w.Body)
	}
	for range 100_000 {
		keeping <- true
	}
	for range 2 {
		if w := <-answers; w.Code != 200 {
			t.Errorf("what fitted: %d %s", w.Code, w.Body)
		}
	}
	if err := intake.Close(); err != nil {
		t.Fatal(err)
	}
	if w := ask(t, s, "POST", "/v1/events", line("late.example")); w.Code != 503 {
		t.Errorf("after the end: %d %s", w.Code, w.Body)
	}
	<-keeping
	want := map[string]int{"a.example": 1, "b.example": 1, "c.example": 1, "d.example": 100_000}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// What a resolver recorded is kept as it was; about other events the engine's decision is.
func TestKeep(t *testing.T) {
	k := &kept{}
	s := builtin(t, func(o *serve.Options) { o.Store = k })
	recorded := detect.Decision{Verdict: detect.Blocked, Action: detect.Block, Rule: detect.Evidence, Class: "tunnel",
		Score: 0.5}
	all := []events.Event{{Name: []byte("A\x01b.Example.com"), RCode: events.NXDomain},
		{Name: []byte("t.example.org"), Columns: []events.Column{{Name: "verdict", Value: "blocked"},
			{Name: "action", Value: "block"}, {Name: "rule", Value: "evidence"}, {Name: "label", Value: "tunnel"},
			{Name: "score", Value: "0.5"}}}}
	s.Keep("log", all, []detect.Decision{{Verdict: detect.Malicious, Action: detect.Report, Rule: detect.Score,
		Score: 0.75, Class: "dga"}, {}})
	if len(k.all) != 2 {
		t.Fatalf("%+v", k.all)
	}
	a, b := k.all[0], k.all[1]
	if a.Name != `a\001b.example.com` || a.Domain != "example.com" || a.Score != 0.75 || a.Model != "degas/1" ||
		a.RCode != events.NXDomain || !a.Flagged() {
		t.Errorf("%+v", a)
	}
	if b.Verdict != recorded.Verdict || b.Rule != recorded.Rule || b.Class != recorded.Class || b.Score != 0.5 ||
		b.Model != "" {
		t.Errorf("%+v", b)
	}
}

func TestMetrics(t *testing.T) {
	k := &kept{stats: store.Stats{Appended: 7, Dropped: 1, Bytes: 10, Budget: 20}}
	s := builtin(t, func(o *serve.Options) { o.Store = k })
	ask(t, s, "POST", "/v1/models/degas:predict", `{"instances": ["google.com", "xjpakmdcfuqe.biz"]}`)
	ask(t, s, "GET", "/v1/names?name=google.com", "")
	ask(t, s, "GET", "/nothing/here/at/all", "")
	page := ask(t, s, "GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`degas_http_requests_total{code="200",path="/v1/names"} 1`,
		`degas_scores_total{model="degas",verdict="malicious",version="1"} 1`,
		`degas_scores_total{model="degas",verdict="benign",version="1"} 2`,
		`degas_batch_size_sum 2`, `degas_store_appended_total 7`, `degas_store_budget_bytes 20`,
		`degas_model_loaded_timestamp_seconds{model="degas",version="1"} 1.`, `degas_build_info{`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if strings.Contains(page, "nothing/here") {
		t.Error("a label is what a client chose")
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	k.stats.Unwritable = true
	if w := ask(t, s, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "store") {
		t.Errorf("a store that cannot be written to: %d %s", w.Code, w.Body)
	}
}

// running starts a server on a port.
func running(t *testing.T, limits serve.Limits) (address string, stop func() error) {
	t.Helper()
	s := builtin(t, func(o *serve.Options) { o.Limits = limits })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	t.Cleanup(cancel)
	return l.Addr().String(), func() error { cancel(); return <-ended }
}

// Idle connections, and such that send half a header, keep nobody out.
func TestIdleConnections(t *testing.T) {
	address, stop := running(t, serve.Limits{Connections: 50, Shutdown: time.Second})
	for i := range 300 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ")
		}
	}
	client := &http.Client{Timeout: 30 * time.Second}
	for range 3 {
		resp, err := client.Get("http://" + address + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A body that does not come gives 408, and takes no place from others meanwhile.
func TestBusy(t *testing.T) {
	address, stop := running(t, serve.Limits{Requests: 2, Body: 600 * time.Millisecond})
	var slow []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "POST /v1/names HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
		slow = append(slow, c)
	}
	time.Sleep(200 * time.Millisecond)
	resp, err := http.Get("http://" + address + "/v1/names?name=a.example")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("beside slow bodies: %v", resp)
	}
	if resp, err = http.Get("http://" + address + "/livez"); err != nil || resp.StatusCode != 200 {
		t.Errorf("health while busy: %v, %v", resp, err)
	}
	for _, c := range slow {
		head := make([]byte, 20)
		if _, err := io.ReadFull(c, head); err != nil || !strings.Contains(string(head), "408") {
			t.Errorf("a slow body: %q, %v", head, err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Every route of the document is answered with a status that it has there, and every route is in the document.
func TestOpenAPI(t *testing.T) {
	l, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := builtin(t, func(o *serve.Options) { o.Intake, o.Ledger, o.Store = serve.NewIntake(), l, &kept{} })
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]any
		}
	}
	if err := yaml.Unmarshal(ask(t, s, "GET", "/openapi.yaml", "").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			w := ask(t, s, strings.ToUpper(method), strings.Replace(path, "{id}", "7", 1), "")
			if _, ok := operation.Responses[fmt.Sprint(w.Code)]; !ok {
				t.Errorf("%s %s: status %d is not in the document: %s", method, path, w.Code, w.Body)
			}
		}
	}
	for _, pattern := range s.Routes() {
		method, path, _ := strings.Cut(pattern, " ")
		if _, ok := document.Paths[path][strings.ToLower(method)]; !ok {
			t.Errorf("%s is not in the document", pattern)
		}
	}
}

func (*kept) Counts(context.Context, store.Range, store.Step, store.Filter) ([]store.Count, error) {
	return nil, nil
}
func (*kept) Top(context.Context, store.Range, store.Kind, int, store.Filter) ([]store.Top, error) {
	return nil, nil
}
func (*kept) Distinct(context.Context, store.Range, store.Kind) (int64, error) { return 0, nil }
func (*kept) Events(context.Context, store.Range, store.Filter, store.Cursor, int) (store.Page, error) {
	return store.Page{}, nil
}
