package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/serve/store"
)

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to that: %s", what)
		}
	}
}

func TestSends(t *testing.T) {
	for _, streams := range []bool{true, false} {
		stub := newStub(t, streams)
		s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true})
		s.Append(numbered(500))
		closeStore(t, s)
		stub.all(t, 500, 500)
		want := stream + "/"
		if !streams {
			want = datedPrefix + time.Now().UTC().Format(dayLayout) + "/"
		}
		for key := range stub.docs {
			if !strings.HasPrefix(key, want) && !strings.HasPrefix(key, countsPrefix) {
				t.Fatalf("a document went to %s, not %s", key, want)
			}
		}
		if got := s.Stats(); got.Appended != 500 || got.Dropped+got.Failed+got.Waiting != 0 || got.Error != nil {
			t.Errorf("%+v", got)
		}
	}
}

// A cluster that is busy gets the documents again that it did not take, and no others.
func TestBusy(t *testing.T) {
	stub := newStub(t, true)
	var requests, documents atomic.Int64
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "_bulk") || requests.Add(1) > 3 {
			return false
		}
		failure(w, http.StatusTooManyRequests, "es_rejected_execution_exception", "busy")
		return true
	}
	stub.refuse = func(_, doc []byte) int {
		if bytes.Contains(doc, []byte(`"n7.example"`)) && documents.Add(1) < 5 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true})
	s.Append(numbered(100))
	eventually(t, "an error shows", func() bool { return s.Stats().Error != nil })
	closeStore(t, s)
	stub.all(t, 100, 100)
	if got := s.Stats(); got.Failed != 0 || got.Error != nil {
		t.Errorf("%+v", got)
	}
}

// The cluster says how long to wait.
func TestRetryAfter(t *testing.T) {
	stub := newStub(t, true)
	var first, second atomic.Int64
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case !strings.HasSuffix(r.URL.Path, "_bulk"):
			return false
		case first.CompareAndSwap(0, time.Now().UnixNano()):
			w.Header().Set("Retry-After", "1")
			failure(w, http.StatusTooManyRequests, "busy", "busy")
			return true
		}
		second.CompareAndSwap(0, time.Now().UnixNano())
		return false
	}
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true})
	s.Append(numbered(1))
	eventually(t, "a second request", func() bool { return second.Load() != 0 })
	if waited := time.Duration(second.Load() - first.Load()); waited < time.Second {
		t.Errorf("waited %v, not 1s", waited)
	}
	closeStore(t, s)
}

// Documents that the cluster refuses are counted, and one of them is logged, without a byte that a terminal obeys.
func TestRefused(t *testing.T) {
	stub := newStub(t, true)
	stub.refuse = func(action, doc []byte) int {
		if bytes.HasPrefix(action, []byte(`{"create"`)) && bytes.Contains(doc, []byte(`alert`)) {
			return http.StatusBadRequest
		}
		return 0
	}
	var log bytes.Buffer
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	all := numbered(100)
	all[10].Entry = "\x1b[31mred\nlevel=INFO msg=forged"
	s.Append(all)
	closeStore(t, s)
	stub.all(t, 90, 100)
	if got := s.Stats(); got.Failed != 10 || got.Dropped != 0 || got.Error != nil {
		t.Errorf("%+v", got)
	}
	text := log.String()
	if strings.Count(text, "refused a document") != 1 || strings.Contains(text, "\x1b") ||
		strings.Contains(text, "\nlevel=INFO msg=forged") {
		t.Errorf("log: %q", text)
	}
}

// A proxy takes small requests only, and one document is too large for it.
func TestTooLarge(t *testing.T) {
	stub := newStub(t, true)
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength <= 5000 {
			return false
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return true
	}
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true})
	all := numbered(50)
	for _, text := range []*string{&all[0].Reason, &all[0].Class, &all[0].Model, &all[0].Entry, &all[0].Client,
		&all[0].Domain} {
		*text = strings.Repeat("x", store.MaxName)
	}
	s.Append(all)
	eventually(t, "the rest is there", func() bool { return len(stub.rows(t)) == 49 })
	closeStore(t, s)
	if got := s.Stats(); got.Failed != 1 {
		t.Errorf("%+v", got)
	}
}

// The answer to a request is lost, although the cluster took the documents.
func TestAnswerLost(t *testing.T) {
	stub := newStub(t, true)
	var lost atomic.Int64
	stub.after = func(w http.ResponseWriter) bool {
		if lost.Add(1) > 3 {
			return false
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return false
		}
		return c.Close() == nil
	}
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true})
	s.Append(numbered(500))
	eventually(t, "answers were lost", func() bool { return lost.Load() > 3 })
	s.Append(numbered(1000)[500:])
	closeStore(t, s)
	stub.all(t, 1000, 1000)
}

// The cluster is away while degas starts and is killed twice; then it comes back.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	stub := newStub(t, true)
	stub.before = func(w http.ResponseWriter, r *http.Request) bool { // it takes documents, and never says so
		if strings.HasSuffix(r.URL.Path, "_bulk") {
			stub.bulk(httptest.NewRecorder(), r)
			failure(w, http.StatusBadGateway, "", "away")
			return true
		}
		return false
	}
	for i, url := range []string{"http://127.0.0.1:1", stub.start()} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), "DEGAS_CHILD="+dir, "DEGAS_CHILD_URL="+url, fmt.Sprint("DEGAS_CHILD_PART=", i))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // appended
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	f, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"create":{"_id":"half"}}` + "\n" + `{"@timestamp":"20`) // killed within a write
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	stub.locked(func() { stub.before = nil })
	s := open(t, Options{URL: stub.start(), Dir: dir, All: true})
	closeStore(t, s)
	stub.all(t, 400, 400)
}

func TestKilledChild(t *testing.T) {
	dir := os.Getenv("DEGAS_CHILD")
	if dir == "" {
		t.Skip("TestKilled runs it")
	}
	s, err := Open(Options{URL: os.Getenv("DEGAS_CHILD_URL"), Dir: dir, All: true})
	if err != nil {
		t.Fatal(err)
	}
	all := numbered(400)[:200]
	if os.Getenv("DEGAS_CHILD_PART") == "1" {
		all = numbered(400)[200:]
	}
	s.Append(all[:100])
	eventually(t, "counts are in the spool", func() bool { return s.look(func() bool { return !s.counted.IsZero() }) })
	s.Append(all[100:])
	eventually(t, "counts are in the journal", func() bool { return s.look(func() bool { return s.journaled > 0 }) })
	fmt.Print("!")
	time.Sleep(time.Minute)
}

// look asks for what the flushing goroutine changes.
func (s *Store) look(f func() bool) bool {
	s.counting.Lock()
	defer s.counting.Unlock()
	return f()
}

// The files reach their limit while the cluster is away: flagged events are kept longest, and everything counts.
func TestSpoolIsBounded(t *testing.T) {
	stub := newStub(t, true)
	var away atomic.Bool
	away.Store(true)
	stub.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if away.Load() {
			failure(w, http.StatusServiceUnavailable, "", "away")
		}
		return away.Load()
	}
	dir := t.TempDir()
	const limit = 3 << 20
	s := open(t, Options{URL: stub.start(), Dir: dir, All: true, Spool: limit})
	n := 6000
	all := numbered(n)
	for part := 0; part < n; part += 500 {
		s.Append(all[part : part+500])
		s.flush(time.Now(), false)
	}
	bytes, _ := s.spool.waiting()
	got := s.Stats()
	if bytes > limit || got.Dropped < int64(n/4) || got.Error == nil {
		t.Errorf("%d bytes, %+v", bytes, got)
	}
	away.Store(false)
	closeStore(t, s)
	rows := stub.rows(t)
	for i, e := range all {
		if e.Flagged() && rows[e.Name] != 1 {
			t.Fatalf("flagged event %d is lost", i)
		}
	}
	stub.all(t, n-int(got.Dropped), int64(n))
	if left, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A full disk costs events, which are counted, and no counts.
func TestDiskFull(t *testing.T) {
	stub := newStub(t, true)
	dir := t.TempDir()
	s := open(t, Options{URL: stub.start(), Dir: dir, All: true})
	s.counting.Lock()
	s.spool.dir = filepath.Join(dir, "missing") // segments cannot be made
	s.counting.Unlock()
	s.Append(numbered(100))
	eventually(t, "an error shows", func() bool { return s.Stats().Error != nil })
	s.counting.Lock()
	s.spool.dir = dir
	s.counting.Unlock()
	closeStore(t, s)
	if got := s.Stats(); got.Dropped != 100 {
		t.Errorf("%+v", got)
	}
	stub.all(t, 0, 100)
}

// Append does not wait for a cluster that never answers, nor for room in the queue.
func TestAppendNeverWaits(t *testing.T) {
	stub := newStub(t, true)
	release := make(chan struct{})
	stub.before = func(http.ResponseWriter, *http.Request) bool { <-release; return true }
	p := quick
	p.flush, p.drain = time.Hour, time.Millisecond
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), All: true, Queue: 1000, pace: p})
	all := numbered(1000)
	var longest time.Duration
	for range 20 {
		begin := time.Now()
		s.Append(all)
		longest = max(longest, time.Since(begin))
	}
	if longest > 2*time.Second {
		t.Errorf("Append took %v", longest)
	}
	if got := s.Stats(); got.Appended != 20_000 || got.Dropped != 19_000 || got.Waiting != 1000 {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := s.Counts(t.Context(), store.Range{To: time.Now()}, store.Minute, store.Filter{}); err == nil {
		t.Error("counts of a cluster that never answered")
	}
	close(release)
	closeStore(t, s)
}

func TestDirectoryIsTaken(t *testing.T) {
	stub := newStub(t, true)
	dir := t.TempDir()
	s := open(t, Options{URL: stub.start(), Dir: dir})
	if _, err := Open(Options{URL: stub.start(), Dir: dir}); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("a second store: %v", err)
	}
	closeStore(t, s)
	s = open(t, Options{URL: stub.start(), Dir: dir})
	closeStore(t, s)
}

// Beyond its rate, one event of n becomes a row, and its Sample makes up for the others.
func TestSampler(t *testing.T) {
	s := newSampler(100)
	now := time.Unix(1000, 0)
	for i := range 30_000 { // half of the burst
		if n := s.take(now); n != 1 {
			t.Fatalf("event %d of a burst stands for %d", i, n)
		}
	}
	now = now.Add(time.Second)
	for s.left > 29_999 {
		s.take(now)
	}
	now = now.Add(time.Second)
	for second := range 10 {
		rows, stood := 0, 0
		for range 5000 {
			if n := s.take(now); n > 0 {
				rows++
				stood += n
			}
		}
		if rows > 1000 || second > 1 && (rows < 90 || rows > 220 || stood < 4500 || stood > 5500) {
			t.Errorf("second %d: %d rows stand for %d events of 5000", second, rows, stood)
		}
		now = now.Add(time.Second)
	}
	if n := s.take(now.Add(time.Hour)); n == 0 {
		t.Error("the first event of a quiet hour is left out")
	}
}

func TestSampledRows(t *testing.T) {
	stub := newStub(t, true)
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), Rows: 1})
	s.Append(numbered(5000))
	closeStore(t, s)
	flagged := 0
	rows := stub.rows(t)
	for name := range rows {
		if strings.HasSuffix(strings.TrimSuffix(name, ".example"), "0") {
			flagged++
		}
	}
	if flagged < 500 || len(rows) < 800 || len(rows) > 900 {
		t.Errorf("%d rows, %d of them flagged", len(rows), flagged)
	}
	if got := stub.counted(t); got != [3]int64{5000, 5000, 5000} {
		t.Errorf("counted %v", got)
	}
}
