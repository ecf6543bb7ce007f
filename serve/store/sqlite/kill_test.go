//go:build unix

package sqlite

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

const killedEnv = "DEGAS_TEST_STORE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		if err := appendForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForever appends about 5,000 events a second, a tenth of them flagged, and says after each batch how many it
// appended, and when.
func appendForever(dir string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	for n := 0; ; {
		batch := make([]store.Event, 0, 100)
		for range cap(batch) {
			e := event(time.Now(), fmt.Sprintf("n%d.example", n%500))
			if n%10 == 0 {
				e = bad(time.Now(), fmt.Sprintf("n%d.example", n%500), "192.0.2.9")
			}
			batch = append(batch, e)
			n++
		}
		s.Append(batch)
		fmt.Println(n, time.Now().UnixNano())
		time.Sleep(20 * time.Millisecond)
	}
}

// kill -9 under load: what was appended a second before is there, and nothing is there twice.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	var appended, promised int64 // in all lives; and those that may not be lost
	for life := range 3 {
		n, safe := runAndKill(t, dir, time.Duration(1200+700*life)*time.Millisecond)
		appended, promised = appended+n, promised+safe
	}
	if promised == 0 {
		t.Skip("no event was old enough when the process was killed")
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, s)
	r := store.Range{From: start.Truncate(24 * time.Hour), To: time.Now().Add(24 * time.Hour).Truncate(24 * time.Hour)}
	within := func(what string, n int64) {
		t.Helper()
		if n < promised || n > appended {
			t.Errorf("%s: %d events, want %d to %d", what, n, promised, appended)
		}
	}
	for step := store.Minute; step <= store.Day; step++ {
		within(fmt.Sprintf("step %d", step), sum(t, s, r, step))
	}
	top, err := s.Top(t.Context(), r, store.Clients, 5, store.Filter{})
	if err != nil || len(top) != 2 {
		t.Fatalf("clients: %v, %v", top, err)
	}
	within("clients", top[0].N+top[1].N)
	var rows int64
	for cursor := store.Cursor(""); ; {
		page, err := s.Events(t.Context(), r, store.Filter{}, cursor, 5000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			rows += int64(e.Sample)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	within("rows", rows)
}

// runAndKill runs appendForever for a while. It gives how many events were appended, and how many of them a second and
// more before the kill.
func runAndKill(t *testing.T, dir string, after time.Duration) (appended, promised int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	type mark struct{ n, at int64 }
	var marks []mark
	var killed int64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, at, _ := strings.Cut(lines.Text(), " ")
		var m mark
		m.n, _ = strconv.ParseInt(n, 10, 64)
		m.at, _ = strconv.ParseInt(at, 10, 64)
		marks = append(marks, m)
		if killed == 0 && m.at-marks[0].at > int64(after) {
			killed = time.Now().UnixNano()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	margin := time.Second
	for i, m := range marks[1:] {
		if gap := time.Duration(m.at - marks[i].at); gap > 200*time.Millisecond {
			margin += 5 * gap // the machine gives the process too little time to keep a promise about time
		}
	}
	for _, m := range marks {
		appended = m.n
		if m.at <= killed-int64(margin) {
			promised = m.n
		}
	}
	return appended + 100, promised // a batch may have been appended and not told
}
