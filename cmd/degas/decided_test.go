package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/model/modeltest"
)

// decided is a server of a list that people change, which holds requests as degas serve does.
type decided struct {
	*httptest.Server
	mu      sync.Mutex
	text    string
	changed chan struct{}
	held    int // requests that wait now
}

func newDecided(t *testing.T, text string) *decided {
	d := &decided{text: text, changed: make(chan struct{})}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		tag := func() string { return fmt.Sprintf("%q", strings.ReplaceAll(d.text, "\n", " ")) }
		if r.FormValue("wait") != "" && r.Header.Get("If-None-Match") == tag() {
			changed := d.changed
			d.held++
			d.mu.Unlock()
			left := 0
			select {
			case <-changed: // decide has counted it out
			case <-r.Context().Done():
				left = 1
			}
			d.mu.Lock()
			d.held -= left
		}
		w.Header().Set("ETag", tag())
		_, _ = io.WriteString(w, d.text)
	}))
	t.Cleanup(d.Close)
	return d
}

// decide changes the list once a reader waits for that.
func (d *decided) decide(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		if d.held > 0 {
			d.text, d.held = text, 0
			close(d.changed)
			d.changed = make(chan struct{})
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		if time.Now().After(end) {
			t.Fatal("nobody waits for the list to change")
		}
	}
}

// What people decide while a scan reads counts in its report: what is allowed is no finding, and what is blocked is one
// from then on.
func TestScanActsOnDecisions(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	allow, block := newDecided(t, "nothing.example\n"), newDecided(t, "early.example\nstays.example\n")
	in, feed := io.Pipe()
	var stdout, stderr bytes.Buffer
	ended := make(chan int, 1)
	args := []string{"degas", "scan", "--format", "csv", "--field", "name=1", "--field", "client=2",
		"--allow", allow.URL + "/?wait=30s", "--block", block.URL + "/?wait=30s", "--json", "-"}
	go func() { ended <- run(t.Context(), args, in, &stdout, &stderr) }()
	write := func(text string) {
		if _, err := io.WriteString(feed, text); err != nil {
			t.Error(err)
		}
	}
	for range 1000 { // more than a batch is decided about before people decide
		write(strings.Repeat("early.example,192.0.2.7\nstays.example,192.0.2.7\nlate.example,192.0.2.7\n", 5))
	}
	block.decide(t, "early.example\nstays.example\nlate.example\n")
	for waits := false; !waits; time.Sleep(10 * time.Millisecond) { // the scan has it
		block.mu.Lock()
		waits = block.held > 0
		block.mu.Unlock()
	}
	allow.decide(t, "early.example\n")
	write("late.example,192.0.2.7\n")
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 {
		t.Fatalf("exit status %d, %s", code, &stderr)
	}
	found := stdout.String()
	for domain, want := range map[string]bool{"early.example": false, "stays.example": true, "late.example": true} {
		if strings.Contains(found, `"domain":"`+domain+`"`) != want {
			t.Errorf("%s is found: %t\n%s", domain, !want, found)
		}
	}
}

// A scan that begins after a decision knows of it, although there is a fresh copy of the list.
func TestScanAsksAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	block := newDecided(t, "a.example\n")
	scan := func() string {
		var out, log bytes.Buffer
		code := run(t.Context(), []string{"degas", "scan", "--format", "csv", "--field", "name=1", "--json",
			"--block", block.URL + "/?wait=30s", "-"}, strings.NewReader("b.example\n"), &out, &log)
		if code != 0 {
			t.Fatalf("exit status %d, %s", code, &log)
		}
		return out.String()
	}
	if found := scan(); found != "" {
		t.Errorf("at first: %s", found)
	}
	block.mu.Lock()
	block.text = "b.example\n"
	block.mu.Unlock()
	if found := scan(); !strings.Contains(found, `"domain":"b.example"`) {
		t.Errorf("after the decision: %q", found)
	}
}

// A watch acts on decisions by URL and on new versions of its model.
func TestWatchFollows(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	store := func(number string) {
		dir := filepath.Join("shop", number)
		if err := errors.Join(os.MkdirAll(dir, 0o755), modeltest.Small(.5, nil).Save(dir)); err != nil {
			t.Fatal(err)
		}
	}
	store("1")
	appendTo(t, "q.csv", "")
	block := newDecided(t, "a.example\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	stop := watching(ctx, "--format", "csv", "--field", "name=1", "--field", "client=2", "--model", "shop", "--block",
		block.URL+"/?wait=30s", "--to", "found.jsonl", "--metrics", address, "q.csv")
	block.decide(t, "a.example\nlate.example\n")
	store("2")
	for range 100 {
		appendTo(t, "q.csv", "late.example,192.0.2.7\n")
		if data, _ := os.ReadFile("found.jsonl"); strings.Contains(string(data), "late.example") {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	holds(t, "found.jsonl", `"kind":"list","domain":"late.example","client":"192.0.2.7"`)
	page := ""
	for range 100 {
		if answer, err := http.Get("http://" + address + "/metrics"); err == nil {
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			page = string(body)
		}
		if strings.Contains(page, `degas_watch_model_version{model="shop"} 2`) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(page, `degas_watch_model_version{model="shop"} 2`) {
		t.Errorf("the metrics: %s", page)
	}
	if code, _, log := stop(); code != 0 {
		t.Errorf("exit status %d, %s", code, log)
	}
}
