//go:build unix

package sqlite

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
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
// appended, how many of them were written, and when.
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
		fmt.Println(n, s.written.Load(), time.Now().UnixNano())
		time.Sleep(20 * time.Millisecond)
	}
}

// kill -9 under load: what was written is there, and nothing is there twice. Within a second all is written.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	var appended, promised int64 // in all lives; and those that may not be lost
	for life := range 3 {
		n, safe := runAndKill(t, dir, time.Duration(1200+700*life)*time.Millisecond)
		appended, promised = appended+n, promised+safe
	}
	if promised == 0 {
		t.Skip("nothing was written when the process was killed: this machine is too busy")
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

// mark is a line of appendForever.
type mark struct{ appended, written, at int64 }

// runAndKill runs appendForever for a while. It gives how many events were appended, and how many were written.
func runAndKill(t *testing.T, dir string, after time.Duration) (appended, written int64) {
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
	var marks []mark
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var m mark
		if _, err := fmt.Sscan(lines.Text(), &m.appended, &m.written, &m.at); err != nil {
			break // the kill cut the line
		}
		marks = append(marks, m)
		if !killed && m.at-marks[0].at > int64(after) {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	if len(marks) == 0 {
		t.Fatal("the process appended nothing")
	}
	checkLag(t, marks)
	last := marks[len(marks)-1]
	return last.appended + 100, last.written // a batch may have been appended and not told
}

// checkLag fails if an event was not written a second after it was appended, unless the process had so little CPU time
// that it could not keep a promise about time.
func checkLag(t *testing.T, marks []mark) {
	t.Helper()
	var lag, gap int64
	first := 0 // the first mark with events that were not written
	for i, m := range marks {
		for first < i && marks[first].appended <= m.written {
			first++
		}
		lag = max(lag, m.at-marks[first].at)
		if i > 0 {
			gap = max(gap, m.at-marks[i-1].at)
		}
	}
	t.Logf("written after %v at most, batches %v apart at most", time.Duration(lag), time.Duration(gap))
	if lag > int64(3*time.Second) && gap < int64(35*time.Millisecond) {
		t.Errorf("an event waited %v to be written", time.Duration(lag))
	}
}
