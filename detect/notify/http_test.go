package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/watch"
)

// hook is a web server for findings.
func hook(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s
}

// posted reads the findings of a request.
func posted(t *testing.T, r *http.Request) (found []watch.Finding) {
	t.Helper()
	if err := json.NewDecoder(r.Body).Decode(&found); err != nil || r.Method != http.MethodPost ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v: %v", r.Method, r.Header, err)
	}
	return found
}

// Findings arrive once each and in order, whatever the server answers before it takes them.
func TestHTTPRetries(t *testing.T) {
	log := logged(t)
	var requests atomic.Int64
	var got []int64
	s := hook(t, func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1)) - 1
		if codes := []int{500, 503, 408, 425, 429}; n < len(codes) {
			w.WriteHeader(codes[n])
			return
		}
		for _, f := range posted(t, r) {
			got = append(got, f.Events)
		}
	})
	m := metrics.New("")
	sink := open(t, s.URL+"/secret-path", Options{Metrics: m})
	for i := range 120 {
		send(t, sink, numbered(i))
	}
	until(t, "all sent", func() bool { return m.SinkSent.With(s.URL).Load() == 120 })
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	for i, n := range got {
		if int64(i) != n {
			t.Fatal(got)
		}
	}
	if n := m.SinkErrors.With(s.URL).Load(); len(got) != 120 || n != 5 || requests.Load() > 12 {
		t.Errorf("%d findings, %d errors, %d requests", len(got), n, requests.Load())
	}
	if text := log(); strings.Count(text, "trying again") != 1 || strings.Contains(text, "secret-path") {
		t.Error(text)
	}
	if err := sink.Send(t.Context(), tunnel); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// What is refused is not sent again, and logged once.
func TestHTTPRefused(t *testing.T) {
	log := logged(t)
	var requests atomic.Int64
	s := hook(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusForbidden)
	})
	m := metrics.New("")
	sink := open(t, s.URL, Options{Metrics: m})
	for i := range 3 {
		send(t, sink, tunnel)
		until(t, "given up", func() bool { return m.SinkDropped.With(s.URL).Load() == int64(i+1) })
	}
	if err := sink.Close(); err != nil || requests.Load() != 3 {
		t.Error(err, requests.Load())
	}
	if text := log(); strings.Count(text, "the server answered 403 Forbidden") != 1 {
		t.Error(text)
	}
}

// Neither the token nor the findings go to another host. The same host may lead to another path.
func TestHTTPRedirects(t *testing.T) {
	log := logged(t)
	var elsewhere atomic.Int64
	other := hook(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	var code atomic.Int64
	var to atomic.Value
	var moved atomic.Int64
	s := hook(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			moved.Add(int64(len(posted(t, r))))
			if r.Header.Get("Authorization") != "Bearer sesame" {
				t.Errorf("%v", r.Header)
			}
			return
		}
		http.Redirect(w, r, to.Load().(string), int(code.Load()))
	})
	t.Setenv(TokenVariable, "sesame")
	for _, test := range []struct {
		code int64
		to   string
		ok   bool
	}{
		{307, other.URL + "/x", false}, {308, other.URL, false}, {302, other.URL, false}, {301, "/moved", false},
		{307, "/moved", true}, {308, "/moved", true}, {307, "/loop", false},
	} {
		code.Store(test.code)
		to.Store(test.to)
		m := metrics.New("")
		sink := open(t, s.URL, Options{Metrics: m})
		send(t, sink, tunnel)
		sent, dropped := m.SinkSent.With(s.URL), m.SinkDropped.With(s.URL)
		until(t, "a verdict", func() bool { return sent.Load()+dropped.Load() == 1 })
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
		if ok := sent.Load() == 1; ok != test.ok {
			t.Errorf("%d to %s: delivered is %t", test.code, test.to, ok)
		}
	}
	if elsewhere.Load() != 0 || moved.Load() != 2 {
		t.Errorf("%d requests at another host, %d at the new path", elsewhere.Load(), moved.Load())
	}
	if text := log(); !strings.Contains(text, "leads to "+other.URL) || strings.Contains(text, "sesame") {
		t.Error(text)
	}
}

// The token is the file's of the moment, and no error shows it.
func TestHTTPToken(t *testing.T) {
	log := logged(t)
	var seen atomic.Value
	s := hook(t, func(_ http.ResponseWriter, r *http.Request) { seen.Store(r.Header.Get("Authorization")) })
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(TokenVariable, "not this one")
	write("first\n")
	sink := open(t, s.URL, Options{TokenFile: path})
	for _, token := range []string{"first", "second"} {
		write(token + "\n")
		send(t, sink, tunnel)
		until(t, token, func() bool { return seen.Load() == "Bearer "+token })
	}
	write("two\nlines")
	send(t, sink, tunnel)
	until(t, "a log line", func() bool { return strings.Contains(log(), "no bearer token") })
	if err := sink.Close(); err == nil || !strings.Contains(err.Error(), "1 findings were not delivered") {
		t.Error(err)
	}
	if strings.Contains(log(), "lines") {
		t.Error(log())
	}
	for _, o := range []Options{{}, {TokenFile: path}, {TokenFile: path + "x"}} {
		if _, err := Open(s.URL, o); err == nil || strings.Contains(err.Error(), "this one") {
			t.Error(err)
		}
	}
}

// A server that hangs makes nobody wait. The oldest findings are given up, and Close ends in time.
func TestHTTPHangs(t *testing.T) {
	log := logged(t)
	release := make(chan struct{})
	defer close(release)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.CloseClientConnections()
	m := metrics.New("")
	sink := open(t, s.URL, Options{Metrics: m})
	const findings = 3 * mostWaiting
	start := time.Now()
	for range findings {
		send(t, sink, tunnel)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("sending took %s", took)
	}
	dropped := m.SinkDropped.With(s.URL).Load()
	if dropped > findings-mostWaiting || dropped < findings-mostWaiting-mostBatch {
		t.Errorf("%d are given up", dropped)
	}
	start = time.Now()
	err := sink.Close()
	want := fmt.Sprintf("%d findings were not delivered", findings-dropped)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if took := time.Since(start); took > 10*quick.drain {
		t.Errorf("closing took %s", took)
	}
	if n := m.SinkDropped.With(s.URL).Load(); n != findings || strings.Count(log(), "too many findings wait") != 1 {
		t.Errorf("%d are counted: %s", n, log())
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

// Close sends what waits although the server asked to wait longer.
func TestCloseDrains(t *testing.T) {
	logged(t)
	var requests, arrived atomic.Int64
	s := hook(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		arrived.Add(int64(len(posted(t, r))))
	})
	sink := open(t, s.URL, Options{})
	send(t, sink, tunnel)
	until(t, "a request", func() bool { return requests.Load() == 1 })
	time.Sleep(30 * time.Millisecond)
	for i := range 99 {
		send(t, sink, numbered(i))
	}
	if requests.Load() != 1 {
		t.Error("Retry-After is not heeded")
	}
	if err := sink.Close(); err != nil || arrived.Load() != 100 {
		t.Error(err, arrived.Load())
	}
}

func TestWait(t *testing.T) {
	q := &queue{pace: usual}
	waits := map[int]time.Duration{1: time.Second, 3: 4 * time.Second, 9: time.Minute, 1000: time.Minute}
	for failures, longest := range waits {
		for range 100 {
			if got := q.wait(io.EOF, failures); got < longest/2 || got > longest {
				t.Errorf("%d failures: %s", failures, got)
			}
		}
	}
	for asked, want := range map[time.Duration]time.Duration{90 * time.Second: 90 * time.Second, time.Hour: longestWait} {
		if got := q.wait(&later{io.EOF, asked}, 1); got != want {
			t.Errorf("%s: %s", asked, got)
		}
	}
}
