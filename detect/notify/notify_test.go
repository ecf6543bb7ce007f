package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/watch"
)

var tunnel = watch.Finding{Kind: watch.Tunnel, Domain: "t.example.com", Client: "192.0.2.7",
	Clients: []string{"192.0.2.7"}, Names: 512, Events: 600, Evidence: 14.2, FalseAlarms: 0.01,
	Reason: "512 different names", Next: "Ask who runs it.", Examples: []string{"abc.t.example.com"}}

// hostile is a finding whose every text is an attacker's.
var hostile = func() watch.Finding {
	const evil = "a\" b]\\\n<10>1 - - root - - - x\r\x00\x1b[31m\u202e\u0085\u2028\xff"
	return watch.Finding{Kind: watch.Tunnel, Domain: evil, Client: evil, Clients: []string{evil}, Reason: evil, Next: evil,
		Server: evil, Examples: []string{evil}, Evidence: math.Inf(1), FalseAlarms: math.NaN()}
}()

// quick is a pace for tests.
var quick = pace{time.Millisecond, 4 * time.Millisecond, time.Second}

func open(t *testing.T, target string, o Options) Sink {
	t.Helper()
	o.pace = quick
	s, err := Open(target, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, s Sink, findings ...watch.Finding) {
	t.Helper()
	for _, f := range findings {
		if err := s.Send(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
}

// numbered is a tunnel that can be told from others by its Events.
func numbered(i int) watch.Finding {
	f := tunnel
	f.Events = int64(i)
	return f
}

// logged collects what is logged during a test.
func logged(t *testing.T) func() string {
	t.Helper()
	var b lockedBuffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return b.String
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// until waits for what must come soon.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still not: " + what)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for target, want := range map[string]string{
		"":                        "Try: - or file:PATH",
		"htps://user:pw@hook/":    "Try: - or file:PATH",
		"file:":                   "Try: file:/var/log",
		"file:///var/log/x":       "Try: file:/var/log",
		dir:                       "is a directory",
		filepath.Join(dir, "a/b"): "no such file",
		"syslog:tls://h":          "Try: syslog:udp://",
		"syslog:udp://":           "Try: syslog:udp://",
		"syslog:host":             "Try: syslog:udp://",
		"syslog:udp://h/path":     "Try: syslog:udp://",
		"https:///path":           "Try: https://HOST",
		"https://u:secret@h:x/":   "Try: https://HOST",
	} {
		_, err := Open(target, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") ||
			strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v, want %q", target, err, want)
		}
	}
}

func TestStdout(t *testing.T) {
	var out bytes.Buffer
	m := metrics.New("")
	s := open(t, "-", Options{Stdout: &out, Metrics: m})
	send(t, s, tunnel, hostile)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	if len(lines) != 3 || lines[2] != "" || m.SinkSent.With("stdout").Load() != 2 {
		t.Fatalf("%q", lines)
	}
	if strings.ContainsAny(lines[1], "\x1b\x00\r\u202e\u0085\u2028") || !utf8.ValidString(lines[1]) {
		t.Errorf("%q reaches the terminal", lines[1])
	}
	var f watch.Finding
	if err := json.Unmarshal([]byte(lines[0]), &f); err != nil || f.Domain != tunnel.Domain {
		t.Error(f, err)
	}
	if err := json.Unmarshal([]byte(lines[1]), &f); err != nil || f.Evidence != math.MaxFloat64 || f.FalseAlarms != 0 {
		t.Error(f, err)
	}
}

// short takes some bytes of its first write only.
type short struct {
	bytes.Buffer
	again bool
}

func (s *short) Write(p []byte) (int, error) {
	if !s.again {
		s.again = true
		n, _ := s.Buffer.Write(p[:7])
		return n, io.ErrShortWrite
	}
	return s.Buffer.Write(p)
}

// After a line that is only half there, the next one begins a line.
func TestTornLine(t *testing.T) {
	var w short
	m := metrics.New("")
	s := open(t, "-", Options{Stdout: &w, Metrics: m})
	if err := s.Send(t.Context(), tunnel); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
	send(t, s, tunnel, tunnel)
	lines := strings.Split(w.String(), "\n")
	if len(lines) != 4 || !json.Valid([]byte(lines[1])) || !json.Valid([]byte(lines[2])) {
		t.Errorf("%q", lines)
	}
	if m.SinkErrors.With("stdout").Load() != 1 || m.SinkDropped.With("stdout").Load() != 1 {
		t.Error("the lost finding is not counted")
	}
}

func TestFileRotates(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be renamed")
	}
	path := filepath.Join(t.TempDir(), "degas.jsonl")
	s := open(t, "file:"+path, Options{})
	same := open(t, path, Options{}) // a second process
	send(t, s, numbered(1))
	send(t, same, numbered(2))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(t, s, numbered(3))
	if err := os.Truncate(path, 0); err != nil { // logrotate's copytruncate
		t.Fatal(err)
	}
	send(t, s, numbered(4))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	send(t, s, numbered(5))
	for name, want := range map[string]string{path: `"events":5`, path + ".1": `"events":2`} {
		data, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(data), want) || strings.Contains(string(data), "\x00") {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("everybody may read findings: %v, %v", info.Mode(), err)
	}
	if err := errors.Join(s.Close(), same.Close()); err != nil {
		t.Error(err)
	}
	if err := s.Send(t.Context(), tunnel); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

type stub struct {
	err error
	n   int
}

func (s *stub) Send(context.Context, watch.Finding) error { s.n++; return s.err }
func (s *stub) Close() error                              { return s.err }

func TestAll(t *testing.T) {
	bad, good := &stub{err: io.ErrClosedPipe}, &stub{}
	s := All(bad, good)
	if err := s.Send(t.Context(), tunnel); !errors.Is(err, io.ErrClosedPipe) || good.n != 1 {
		t.Error(err, good.n)
	}
	if err := s.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
