package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/capture"
	_ "github.com/degas-dns/degas/events/logs"
)

const testPoll = 2 * time.Millisecond

// numbered is a line of a log, which the format degas reads.
func numbered(i int) string {
	return fmt.Sprintf(`{"time":"2026-11-29T08:00:00Z","client":"192.0.2.7","name":"n%d.example","kind":"query"}`+"\n", i)
}

// number is the number of an event of numbered.
func number(t *testing.T, e *events.Event) (i int) {
	t.Helper()
	if _, err := fmt.Sscanf(string(e.Name), "n%d.example", &i); err != nil {
		t.Fatalf("%q: %v", e.Name, err)
	}
	return i
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func follow(t *testing.T, path string, o events.Options, from *State) *File {
	t.Helper()
	f, err := open(t.Context(), path, o, from, testPoll)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// writer writes numbered lines, and rotates the log.
type writer struct {
	t    *testing.T
	path string
	file *os.File
	read *atomic.Int64 // lines that the reader has
}

func (w *writer) open(flag int) {
	var err error
	w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
	check(w.t, err)
}

// shift renames path.1 to path.2 and so on.
func (w *writer) shift() {
	n := 1
	for ; ; n++ {
		if _, err := os.Stat(fmt.Sprint(w.path, ".", n)); err != nil {
			break
		}
	}
	for n--; n > 0; n-- {
		check(w.t, os.Rename(fmt.Sprint(w.path, ".", n), fmt.Sprint(w.path, ".", n+1)))
	}
}

// caughtUp waits until the reader has n lines: what is deleted unread is lost.
func (w *writer) caughtUp(n int) {
	for i := 0; w.read.Load() < int64(n) && i < 20_000; i++ {
		time.Sleep(time.Millisecond)
	}
}

// rotations are the ways to rotate after n lines were written.
var rotations = map[string]func(w *writer, n int){
	"none": func(*writer, int) {},
	"rename and create": func(w *writer, _ int) {
		check(w.t, w.file.Close())
		w.shift()
		check(w.t, os.Rename(w.path, w.path+".1"))
		w.open(os.O_APPEND)
	},
	"rename, write on, create": func(w *writer, n int) {
		w.shift()
		check(w.t, os.Rename(w.path, w.path+".1"))
		_, err := w.file.WriteString(numbered(n))
		check(w.t, err)
		check(w.t, w.file.Close())
		w.open(os.O_APPEND)
	},
	"copy and truncate": func(w *writer, n int) {
		w.caughtUp(1) // an empty file that grows and shrinks between two polls was never there
		w.shift()
		text, err := os.ReadFile(w.path)
		check(w.t, err)
		check(w.t, os.WriteFile(w.path+".1", text, 0o600))
		check(w.t, w.file.Truncate(0))
	},
	"truncate": func(w *writer, n int) {
		w.caughtUp(n)
		check(w.t, w.file.Truncate(0))
	},
	"truncate, and write on behind a hole": func(w *writer, n int) {
		w.caughtUp(n)
		at, err := w.file.Seek(0, io.SeekCurrent)
		check(w.t, err)
		check(w.t, w.file.Truncate(0))
		check(w.t, w.file.Close())
		w.open(0)
		_, err = w.file.Seek(at, io.SeekStart)
		check(w.t, err)
	},
	"delete and create": func(w *writer, n int) {
		w.caughtUp(n - 100) // the last ones are in the file that is open
		check(w.t, w.file.Close())
		w.caughtUp(n)
		check(w.t, os.Remove(w.path))
		time.Sleep(2 * testPoll)
		w.open(os.O_APPEND)
	},
	"rename by date": func(w *writer, n int) {
		w.caughtUp(n - 300) // it is in the file that is renamed
		check(w.t, w.file.Close())
		check(w.t, os.Rename(w.path, fmt.Sprint(w.path, "-", n)))
		w.open(os.O_APPEND)
	},
}

// A writer rotates every 500 lines; each of 20,000 lines, 4,000 in short tests, comes once, in order.
func TestRotations(t *testing.T) {
	total, every := 20_000, 500
	if testing.Short() {
		total = 4000
	}
	for name, rotate := range rotations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var read atomic.Int64
			w := &writer{t: t, path: filepath.Join(t.TempDir(), "dns.log"), read: &read}
			f := follow(t, w.path, events.Options{}, nil) // waits for the log
			w.open(os.O_APPEND)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := 0; i < total; i++ {
					line := numbered(i)
					cut := i % len(line) // lines come in two pieces
					w.file.WriteString(line[:cut])
					if i%97 == 0 {
						time.Sleep(testPoll)
					}
					w.file.WriteString(line[cut:])
					if i%every == every-1 {
						rotate(w, i+1)
						if strings.Contains(name, "write on, create") {
							i++
						}
					}
				}
			}()
			var e events.Event
			for i := range total {
				check(t, f.Next(&e))
				if got := number(t, &e); got != i {
					t.Fatalf("line %d where %d should be", got, i)
				}
				read.Add(1)
			}
			<-done
			w.file.Close()
			if s := f.Stats; s.Events != int64(total) || s.Units != s.Events || len(s.Refused) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A reader that ends again and again, and goes on from its State, misses nothing, however the log was rotated
// meanwhile.
func TestRestart(t *testing.T) {
	for _, name := range []string{"none", "rename and create", "copy and truncate"} {
		t.Run(name, func(t *testing.T) {
			var read atomic.Int64
			w := &writer{t: t, path: filepath.Join(t.TempDir(), "dns.log"), read: &read}
			w.open(os.O_APPEND)
			written, seen := 0, 0
			state := &State{}
			var e events.Event
			for round := range 60 {
				for range round % 7 * 10 {
					w.file.WriteString(numbered(written))
					written++
				}
				read.Store(1) // nobody has to catch up
				if round%3 == 2 {
					rotations[name](w, written)
				}
				f := follow(t, w.path, events.Options{}, state)
				for range min(written-seen, round%5*13) {
					check(t, f.Next(&e))
					if got := number(t, &e); got != seen {
						t.Fatalf("round %d: line %d where %d should be", round, got, seen)
					}
					seen++
				}
				s := f.State()
				f.Close()
				if f.State() != s {
					t.Errorf("round %d: State is %+v, and %+v after Close", round, s, f.State())
				}
				state = &s
			}
			w.file.Close()
			if seen < 1000 {
				t.Errorf("only %d lines", seen)
			}
		})
	}
}

// Without a State, a log that is there is read from its end on: from the last line, if that has no end yet.
func TestBegin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns.log")
	zeek := "#separator \\x09\n#fields\tts\tid.orig_h\tquery\n1764403200.5\t192.0.2.7\tn%d.example\n"
	const titles, one, two = "query,client\n", "n1.example,192.0.2.7\n", "n2.example,192.0.2.7\n"
	for name, test := range map[string]struct {
		before, after, format string
		from                  *State
		want                  []int
	}{
		"end":           {before: numbered(1), after: numbered(2), format: "degas", want: []int{2}},
		"within a line": {before: numbered(1) + numbered(2)[:20], after: numbered(2)[20:], format: "degas", want: []int{2}},
		"start":         {before: numbered(1), after: numbered(2), from: &State{}, format: "degas", want: []int{1, 2}},
		"empty":         {after: numbered(1) + numbered(2), format: "degas", want: []int{1, 2}},
		"another log":   {before: numbered(1), from: &State{Offset: 5, Sum: "x"}, format: "degas", want: []int{1}},
		"columns": {before: fmt.Sprintf(zeek, 1), after: "1764403200.5\t192.0.2.7\tn2.example\n", format: "zeek",
			want: []int{2}},
		"columns, start": {before: fmt.Sprintf(zeek, 1), from: &State{}, format: "zeek", want: []int{1}},
		"titles":         {before: titles + one, after: strings.Repeat(two, 9), format: "csv", want: []int{2, 2, 2}},
		"titles, start": {before: titles + strings.Repeat(one, 9), from: &State{}, format: "csv",
			want: []int{1, 1}},
		"titles repeated": {before: titles + strings.Repeat(one, 9), after: titles + two, format: "csv", want: []int{2}},
		"mark":            {before: "\xef\xbb\xbf" + numbered(1), from: &State{}, format: "degas", want: []int{1}},
	} {
		check(t, os.WriteFile(path, []byte(test.before), 0o600))
		f := follow(t, path, events.Options{}, test.from)
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
		check(t, err)
		file.WriteString(test.after)
		file.Close()
		var got []int
		var e events.Event
		late := time.AfterFunc(10*time.Second, func() { f.Close() })
		for range test.want {
			if err := f.Next(&e); err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			got = append(got, number(t, &e))
		}
		late.Stop()
		if !slices.Equal(got, test.want) || f.Format() == nil || f.Format().Name != test.format {
			t.Errorf("%s: %v, want %v; %+v", name, got, test.want, f.Format())
		}
		f.Close()
	}
}

func TestRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, text := range map[string]string{
		"packed":     "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"a capture":  "\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + strings.Repeat("\x00", 12) + "\x01\x00\x00\x00",
		"UTF-16":     "\xff\xfea\x00b\x00\n\x00",
		"no format":  strings.Repeat("what? is this\n", 60),
		"many lines": "{\n\"name\":\n\"a.example\"}\n",
	} {
		check(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := Open(t.Context(), path, events.Options{}, nil)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "Try: ") &&
			!strings.Contains(err.Error(), "degas scan") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, open := range map[string]func() (*File, error){
		"format": func() (*File, error) { return Open(t.Context(), path, events.Options{Format: "none"}, nil) },
		"state":  func() (*File, error) { return Open(t.Context(), path, events.Options{}, &State{Path: "other"}) },
		"folder": func() (*File, error) { return Open(t.Context(), filepath.Dir(path), events.Options{}, nil) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A context and Close end a Next that waits.
func TestEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns.log")
	for range 2 { // the log is not there, and it is
		ctx, cancel := context.WithCancel(t.Context())
		f, err := Open(ctx, path, events.Options{}, nil)
		check(t, err)
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := f.Next(&events.Event{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		check(t, f.Close())
		f, err = Open(t.Context(), path, events.Options{}, nil)
		check(t, err)
		time.AfterFunc(20*time.Millisecond, func() { f.Close() })
		if err := f.Next(&events.Event{}); err != io.EOF {
			t.Error(err)
		}
		check(t, os.WriteFile(path, []byte(numbered(1)), 0o600))
	}
}

// Lines that are too long are counted, and not held in memory.
func TestLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dns.log")
	long := string(bytes.Repeat([]byte("x"), 3*maxLine)) + "\n"
	check(t, os.WriteFile(path, []byte(numbered(0)+long+numbered(1)+"\n"+long+numbered(2)), 0o600))
	f := follow(t, path, events.Options{}, &State{})
	var e events.Event
	for i := range 3 {
		check(t, f.Next(&e))
		if got := number(t, &e); got != i {
			t.Errorf("%d, want %d", got, i)
		}
	}
	if f.Stats.Units != 6 || f.Stats.Refused["line longer than 64 KiB"] != 2 || e.Line != 6 {
		t.Errorf("%+v, line %d", f.Stats, e.Line)
	}
}
