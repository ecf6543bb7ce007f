package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/atomicfile"
)

func TestFetchAndLeaveAlone(t *testing.T) {
	a, b := content(100_000, 1), content(3, 2)
	s := newServer(t, map[string][]byte{"/a": a, "/b": b})
	dir := t.TempDir()
	files := []File{
		{Path: "x/a.bin", URL: s.URL + "/a", SHA256: strings.ToUpper(sum(a)), Size: int64(len(a))},
		{Path: "b.bin", URL: s.URL + "/b", Size: -1},
	}
	var events []Event
	c := quick(Options{Progress: func(e Event) { events = append(events, e) }})
	report, err := c.Fetch(context.Background(), dir, files)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "x/a.bin", a)
	wantFile(t, dir, "b.bin", b)
	if report.Fetched != 100_003 || report.Files[0].Status != Downloaded || report.Files[1].SHA256 != sum(b) {
		t.Errorf("report %+v", report)
	}
	if got := s.last().UserAgent(); !strings.HasPrefix(got, "degas/") {
		t.Errorf("user agent %q", got)
	}
	last := events[len(events)-1]
	if last.Kind != EventDone || last.Done != 2 || last.TotalBytes != 100_003 || last.TotalSize != 100_003 {
		t.Errorf("last event %+v", last)
	}
	n := s.count()
	report, err = c.Fetch(context.Background(), dir, files)
	if err != nil || report.Files[0].Status != Present || report.Files[1].Status != Present || s.count() != n {
		t.Errorf("again: %+v, %v, %d requests more", report, err, s.count()-n)
	}
}

func TestResume(t *testing.T) {
	data := content(300_000, 3)
	for _, tt := range []struct {
		name        string
		setup       func(s *server)
		sha         string
		wantResumed int64
		wantRange   bool
	}{
		{name: "range", wantResumed: 100_000, wantRange: true},
		{name: "range and checksum", sha: sum(data), wantResumed: 100_000, wantRange: true},
		{name: "server without ranges", setup: func(s *server) { s.noRanges = true }, wantRange: true},
		{name: "etag changed", setup: func(s *server) { s.etags["/f"] = `"new"` }, wantRange: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, map[string][]byte{"/f": data})
			s.etags["/f"] = `"old"`
			dir := t.TempDir()
			f := File{Path: "f", URL: s.URL + "/f", SHA256: tt.sha}
			s.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
				cut(w, data, 100_000, `"old"`)
				return true
			}
			if _, err := fetchOne(t, quick(Options{Retries: -1}), dir, f); err == nil {
				t.Fatal("truncated download did not fail")
			}
			s.before = nil
			if tt.setup != nil {
				tt.setup(s)
			}
			res, err := fetchOne(t, quick(Options{}), dir, f)
			if err != nil {
				t.Fatal(err)
			}
			wantFile(t, dir, "f", data)
			if res.Resumed != tt.wantResumed || (s.last().Header.Get("Range") == "bytes=100000-") != tt.wantRange {
				t.Errorf("resumed %d, range %q", res.Resumed, s.last().Header.Get("Range"))
			}
			if got := s.last().Header.Get("If-Range"); got != `"old"` {
				t.Errorf("If-Range %q", got)
			}
		})
	}
}

// A server that has other bytes now, and says so only through the checksum, must not leave a mixture.
func TestResumeWithoutValidator(t *testing.T) {
	old, now := content(50_000, 4), content(50_000, 5)
	s := newServer(t, map[string][]byte{"/f": old})
	s.etags["/f"] = "none"
	dir := t.TempDir()
	s.before = func(w http.ResponseWriter, _ *http.Request, n int) bool { cut(w, old, 20_000, ""); return true }
	f := File{Path: "f", URL: s.URL + "/f", SHA256: sum(now)}
	_, _ = fetchOne(t, quick(Options{Retries: -1}), dir, f)
	s.before, s.files = nil, map[string][]byte{"/f": now}
	if _, err := fetchOne(t, quick(Options{}), dir, f); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f", now)
	f.SHA256, f.Path = "", "g" // nothing known at all: no ranges asked for
	s.before = func(w http.ResponseWriter, _ *http.Request, n int) bool { cut(w, old, 20_000, ""); return true }
	_, _ = fetchOne(t, quick(Options{Retries: -1}), dir, f)
	s.before = nil
	if res, err := fetchOne(t, quick(Options{}), dir, f); err != nil || res.Resumed != 0 {
		t.Fatal(res, err)
	}
	if got := s.last().Header.Get("Range"); got != "" {
		t.Errorf("range %q", got)
	}
	wantFile(t, dir, "g", now)
}

func TestCompletePartIsNotFetchedAgain(t *testing.T) {
	data := content(40_000, 6)
	s := newServer(t, map[string][]byte{"/f": data})
	s.etags["/f"] = `"e"`
	dir := t.TempDir()
	write(t, dir, "f.part", data)
	if err := writeMeta(filepath.Join(dir, "f"), partMeta{URL: s.URL + "/f", ETag: `"e"`, Size: 40_000}); err != nil {
		t.Fatal(err)
	}
	res, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"})
	if err != nil || res.Fetched != 0 || res.Resumed != 40_000 {
		t.Fatal(res, err)
	}
	wantFile(t, dir, "f", data)
}

func TestWrongChecksum(t *testing.T) {
	data := content(1000, 7)
	s := newServer(t, map[string][]byte{"/f": data})
	dir := t.TempDir()
	other := sum([]byte("other"))
	_, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f", SHA256: other})
	var ce *checksumError
	if !errors.As(err, &ce) || ce.Want != other || ce.Got != sum(data) || !errors.Is(err, ErrChecksum) {
		t.Fatalf("error %v", err)
	}
	wantError(t, err, "f", s.URL, other, sum(data))
	if s.count() != 1 {
		t.Errorf("%d requests for bytes that are wrong", s.count())
	}
	if got := listing(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
	_, err = fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f", Size: 999})
	wantError(t, err, "expected 999 bytes, got 1000 bytes")
}

func TestRecordedOnFirstUse(t *testing.T) {
	one, two := []byte("one"), []byte("two")
	s := newServer(t, map[string][]byte{"/f": one})
	dir := t.TempDir()
	f := File{Path: "f", URL: s.URL + "/f"}
	if _, err := fetchOne(t, quick(Options{}), dir, f); err != nil {
		t.Fatal(err)
	}
	s.files["/f"] = two
	os.Remove(filepath.Join(dir, "f"))
	_, err := fetchOne(t, quick(Options{}), dir, f)
	wantError(t, err, "wrong checksum", sum(one), sum(two))

	update := quick(Options{UpdateChecksums: true})
	if _, err := fetchOne(t, update, dir, f); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f", two)
	// The new one counts even over a pin, as long as the pin stays the same.
	f.SHA256 = sum(one)
	if _, err := fetchOne(t, update, dir, f); err != nil {
		t.Fatal(err)
	}
	if res, err := fetchOne(t, quick(Options{}), dir, f); err != nil || res.Status != Present {
		t.Fatal(res, err)
	}
	f.SHA256 = sum([]byte("three"))
	_, err = fetchOne(t, quick(Options{}), dir, f)
	wantError(t, err, "wrong checksum", f.SHA256)
	wantFile(t, dir, "f", two) // and the file that was there stays
}

func TestRetries(t *testing.T) {
	data := content(200_000, 8)
	for _, tt := range []struct {
		name     string
		before   func(w http.ResponseWriter, r *http.Request, n int) bool
		requests int
		fails    string
	}{
		{name: "429 then fine", requests: 3, before: func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n < 3 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
			return n < 3
		}},
		{name: "503 then fine", requests: 2, before: func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n < 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n < 2
		}},
		{name: "500 for ever", requests: 6, fails: "500 Internal Server Error (gave up after 6 tries",
			before: func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(500); return true }},
		{name: "404", requests: 1, fails: "404 Not Found",
			before: func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(404); return true }},
		{name: "403", requests: 1, fails: "403 Forbidden",
			before: func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(403); return true }},
		{name: "web page", requests: 1, fails: "web page", before: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<html>this domain is for sale")
			return true
		}},
		{name: "truncated twice", requests: 3, before: func(w http.ResponseWriter, r *http.Request, n int) bool {
			switch {
			case n == 1:
				cut(w, data, 70_000, `"`+sum(data)[:8]+`"`)
			case n == 2:
				w.Header().Set("Content-Range", "bytes 70000-199999/200000")
				w.Header().Set("Content-Length", "130000")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(data[70_000:120_000])
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "wrong range", requests: 3, before: func(w http.ResponseWriter, r *http.Request, n int) bool {
			switch {
			case n == 1:
				cut(w, data, 70_000, `"`+sum(data)[:8]+`"`)
			case n == 2:
				w.Header().Set("Content-Range", "bytes 60000-199999/200000")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(data[60_000:])
				return true
			}
			return false
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, map[string][]byte{"/f": data})
			s.before = tt.before
			dir := t.TempDir()
			_, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f", SHA256: sum(data)})
			if tt.fails != "" {
				wantError(t, err, tt.fails, s.URL+"/f")
			} else if err != nil {
				t.Fatal(err)
			} else {
				wantFile(t, dir, "f", data)
			}
			if s.count() != tt.requests {
				t.Errorf("%d requests, want %d", s.count(), tt.requests)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	s := newServer(t, map[string][]byte{"/f": []byte("x")})
	after := "1"
	s.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 1 {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n == 1
	}
	begin := time.Now()
	if _, err := fetchOne(t, quick(Options{}), t.TempDir(), File{Path: "f", URL: s.URL + "/f"}); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d < time.Second {
		t.Errorf("came back after %s", d)
	}
	s.requests, after = nil, "86400"
	_, err := fetchOne(t, quick(Options{}), t.TempDir(), File{Path: "f", URL: s.URL + "/f"})
	wantError(t, err, "429", "come back in 24h0m0s")
}

func TestRedirectsAndAlternates(t *testing.T) {
	data := content(5000, 9)
	s := newServer(t, map[string][]byte{"/real": data})
	s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == "/f" {
			http.Redirect(w, r, "/real", http.StatusFound)
		}
		return r.URL.Path == "/f"
	}
	dir := t.TempDir()
	if _, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f", data)
	gone := File{Path: "g", URL: s.URL + "/gone", Alternates: []string{s.URL + "/real"}}
	res, err := fetchOne(t, quick(Options{}), dir, gone)
	if err != nil || res.URL != s.URL+"/real" {
		t.Fatal(res, err)
	}
	tls := httptest.NewTLSServer(http.RedirectHandler(s.URL+"/real", http.StatusFound))
	defer tls.Close()
	c := quick(Options{})
	c.http = tls.Client()
	c.http.CheckRedirect = checkRedirect
	_, err = fetchOne(t, c, dir, File{Path: "h", URL: tls.URL})
	wantError(t, err, "redirect refused: from https to http")
	_, err = fetchOne(t, quick(Options{}), dir, File{Path: "h", URL: tls.URL})
	wantError(t, err, "certificate")
}

func TestStall(t *testing.T) {
	data := content(100_000, 10)
	s := newServer(t, map[string][]byte{"/f": data})
	s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			w.Header().Set("ETag", `"`+sum(data)[:8]+`"`)
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(data[:60_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		return n == 1
	}
	dir := t.TempDir()
	var retry error
	c := quick(Options{StallTimeout: 100 * time.Millisecond, Progress: func(e Event) {
		if e.Kind == EventRetry {
			retry = e.Err
		}
	}})
	if _, err := fetchOne(t, c, dir, File{Path: "f", URL: s.URL + "/f"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f", data)
	if !errors.Is(retry, errStalled) || s.last().Header.Get("Range") != "bytes=60000-" {
		t.Errorf("retry because of %v from %q", retry, s.last().Header.Get("Range"))
	}
}

func TestCancelThenResume(t *testing.T) {
	data := content(2_000_000, 11)
	s := newServer(t, map[string][]byte{"/f": data})
	release := make(chan struct{})
	s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			w.Header().Set("ETag", `"`+sum(data)[:8]+`"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:1_000_000])
			w.(http.Flusher).Flush()
			<-release
		}
		return n == 1
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		waitFor(t, func() bool {
			info, err := os.Stat(filepath.Join(dir, "f.part"))
			return err == nil && info.Size() > 500_000
		})
		cancel()
	}()
	_, err := quick(Options{}).Fetch(ctx, dir, []File{{Path: "f", URL: s.URL + "/f"}})
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	res, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"})
	if err != nil || res.Resumed < 500_000 {
		t.Fatal(res, err)
	}
	wantFile(t, dir, "f", data)
}

func TestMirror(t *testing.T) {
	data := []byte("mirrored")
	s := newServer(t, map[string][]byte{"/copy/a dir/f.txt": data})
	dir := t.TempDir()
	c := quick(Options{Mirror: s.URL + "/copy/"})
	if !c.Offline() {
		t.Error("a client with a mirror must not ask publishers")
	}
	f := File{Path: "a dir/f.txt", URL: "https://example.org/x?y=z", SHA256: sum(data)}
	if _, err := fetchOne(t, c, dir, f); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "a dir/f.txt", data)
}

func TestOptionalAndPartialFailure(t *testing.T) {
	s := newServer(t, map[string][]byte{"/a": []byte("a")})
	dir := t.TempDir()
	report, err := quick(Options{}).Fetch(context.Background(), dir, []File{
		{Path: "none", URL: s.URL + "/none", Optional: true},
		{Path: "bad", URL: s.URL + "/bad"},
		{Path: "a", URL: s.URL + "/a"},
	})
	wantError(t, err, "/bad: 404 Not Found")
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	got := []Status{report.Files[0].Status, report.Files[1].Status, report.Files[2].Status}
	if got[0] != Missing || got[1] != Failed || got[2] != Downloaded || listing(t, dir) != "a" {
		t.Errorf("%v, on disk %q", got, listing(t, dir))
	}
}

func TestBadRequests(t *testing.T) {
	for _, f := range []File{
		{Path: "../up", URL: "http://127.0.0.1:1/"}, {Path: "/abs", URL: "http://127.0.0.1:1/"},
		{Path: "", URL: "http://127.0.0.1:1/"}, {Path: "a\\b", URL: "http://127.0.0.1:1/"},
		{Path: "c:x", URL: "http://127.0.0.1:1/"}, {Path: "a\nb", URL: "http://127.0.0.1:1/"},
		{Path: "f", URL: "ftp://127.0.0.1/f"}, {Path: "f", URL: "://"}, {Path: "f"},
		{Path: "f", URL: "http://127.0.0.1:1/", SHA256: "123"},
		{Path: "f", URL: "http://127.0.0.1:1/", Extract: &Extraction{Into: "../x"}},
	} {
		dir := t.TempDir()
		_, err := fetchOne(t, quick(Options{Retries: -1}), dir, f)
		if err == nil || strings.Contains(err.Error(), "refused") {
			t.Errorf("%+v: %v", f, err)
		}
	}
	f := File{Path: "f", URL: "http://127.0.0.1:1/"}
	_, err := quick(Options{}).Fetch(context.Background(), t.TempDir(), []File{f, f})
	wantError(t, err, "listed twice")
}

// fullDisk is a part on a disk that has room for a few bytes more.
type fullDisk struct {
	partFile
	room int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, &os.PathError{Op: "write", Path: "f.part", Err: syscall.ENOSPC}
	}
	return d.partFile.Write(p)
}

func TestDiskFull(t *testing.T) {
	data := content(500_000, 12)
	s := newServer(t, map[string][]byte{"/f": data, "/g": data})
	dir := t.TempDir()
	if _, err := fetchOne(t, quick(Options{}), dir, File{Path: "earlier", URL: s.URL + "/f"}); err != nil {
		t.Fatal(err)
	}
	c := quick(Options{Parallel: 1})
	c.create = func(name string, flag int) (partFile, error) {
		f, err := openPart(name, flag)
		return &fullDisk{f, 200_000}, err
	}
	files := []File{{Path: "f", URL: s.URL + "/f"}, {Path: "g", URL: s.URL + "/g"}}
	report, err := c.Fetch(context.Background(), dir, files)
	wantError(t, err, "f.part", "no space left on device")
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(report.Files[1].Err, syscall.ENOSPC) {
		t.Errorf("error %v, second file %v", err, report.Files[1].Err)
	}
	if got := listing(t, dir); got != "earlier" {
		t.Errorf("on disk: %s", got)
	}
	wantFile(t, dir, "earlier", data)
}

func TestDamagedState(t *testing.T) {
	data := content(1000, 13)
	s := newServer(t, map[string][]byte{"/f": data})
	dir := t.TempDir()
	write(t, dir, "f.part", []byte("half"))
	write(t, dir, "f.part.json", []byte("{"))
	stage, err := atomicfile.Stage(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, stage, "x/half", []byte("half"))
	write(t, dir, ".degas-123.tmp", []byte("half"))
	if _, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f", data)
	for _, left := range []string{stage, filepath.Join(dir, ".degas-123.tmp")} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s of a killed run is still there", left)
		}
	}
	write(t, dir, ChecksumsName, []byte("{"))
	_, err = fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"})
	wantError(t, err, ChecksumsName)
}
