package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
)

// content returns n bytes that do not compress and depend on seed alone.
func content(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// quick is a client that does not wait long for anything.
func quick(o Options) *Client {
	o.MinBackoff, o.MaxBackoff = time.Millisecond, 5*time.Millisecond
	if o.StallTimeout == 0 {
		o.StallTimeout = 5 * time.Second
	}
	return New(o)
}

// server serves files by path and remembers the requests.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	etags    map[string]string
	noRanges bool
	requests []*http.Request
	before   func(w http.ResponseWriter, r *http.Request, n int) bool // true: answered; n counts requests from 1
}

func newServer(t *testing.T, files map[string][]byte) *server {
	s := &server{files: files, etags: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	n, data, etag := len(s.requests), s.files[r.URL.Path], s.etags[r.URL.Path]
	before, noRanges := s.before, s.noRanges
	s.mu.Unlock()
	if before != nil && before(w, r, n) {
		return
	}
	if data == nil {
		http.NotFound(w, r)
		return
	}
	if etag == "" {
		etag = `"` + sum(data)[:8] + `"`
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if noRanges {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data)
		return
	}
	if etag != "none" {
		w.Header().Set("ETag", etag)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// cut sends the head of data with the length of all of it, then drops the connection.
func cut(w http.ResponseWriter, data []byte, at int, etag string) {
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data[:at])
	panic(http.ErrAbortHandler)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *server) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[len(s.requests)-1]
}

func fetchOne(t *testing.T, c *Client, dir string, f File) (FileResult, error) {
	t.Helper()
	report, err := c.Fetch(context.Background(), dir, []File{f})
	if len(report.Files) == 0 {
		return FileResult{}, err
	}
	return report.Files[0], err
}

// wantFile fails unless dir/name holds exactly data and no debris lies beside it.
func wantFile(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%s: %d bytes, sum %.8s, want %d bytes, sum %.8s", name, len(got), sum(got), len(data), sum(data))
	}
	wantNoPart(t, dir, name)
}

func wantNoPart(t *testing.T, dir, name string) {
	t.Helper()
	for _, suffix := range []string{partSuffix, metaSuffix} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)) + suffix); err == nil {
			t.Errorf("%s%s is left behind", name, suffix)
		}
	}
}

// listing returns the slash paths of all regular files below dir, without the package's own.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if rel = filepath.ToSlash(rel); rel != ChecksumsName && rel != dirlock.Inside {
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}
