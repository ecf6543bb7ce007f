package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/storetest"
)

func TestStore(t *testing.T) {
	dirs := map[string]string{}
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T, place string) store.Store {
			key := t.Name() + place
			if dirs[key] == "" {
				dirs[key] = filepath.Join(t.TempDir(), "events")
			}
			s, err := Open(dirs[key], Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Refresh: func(t *testing.T, s store.Store) { write(t, s.(*Store)) },
	})
}

// clock is a clock that a test sets.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC))
	return c
}
func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) set(t time.Time)     { c.ns.Store(t.UnixNano()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

// open opens a store that writes only when the test says so.
func open(t testing.TB, dir string, c *clock, more tuning) *Store {
	t.Helper()
	more.pause = -1
	s, err := Open(dir, Options{Now: c.now, Budget: MinBudget, tuning: more})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, s *Store) {
	t.Helper()
	if err := s.flush(false); err != nil {
		t.Error(err)
	}
}

// crash ends a store as a crash does: nothing that waits is written.
func crash(t testing.TB, s *Store) {
	t.Helper()
	close(s.stop)
	<-s.stopped
	if err := s.closeFiles(); err != nil {
		t.Error(err)
	}
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// sum adds up the counts of a range by a step.
func sum(t testing.TB, s *Store, r store.Range, step store.Step) (n int64) {
	t.Helper()
	all, err := s.Counts(t.Context(), r, step, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		n += c.N
	}
	return n
}

func event(at time.Time, name string) store.Event {
	return store.Event{Time: at, Name: name, Domain: name, Client: "192.0.2.1", Type: 1, Class: "benign"}
}

func bad(at time.Time, name, client string) store.Event {
	return store.Event{Time: at, Name: "x." + name, Domain: name, Client: client, Type: 1, Verdict: detect.Malicious,
		Class: "dga"}
}

// about is an hour before and after a time.
func about(at time.Time) store.Range {
	return store.Range{From: at.Add(-time.Hour).Truncate(time.Hour), To: at.Add(time.Hour).Truncate(time.Hour)}
}

// A crash at any moment counts no event twice, in no step, and loses nothing that was written.
func TestCrashCountsNothingTwice(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	start := c.now()
	var truth storetest.Truth
	for round := range 6 {
		s := open(t, dir, c, tuning{})
		for i := range 40 {
			e := event(c.now(), fmt.Sprintf("n%d.example", i%(round+1)))
			truth = append(truth, e)
			s.Append([]store.Event{e})
			c.add(time.Duration(round) * time.Second)
			if i%7 == 0 {
				write(t, s)
			}
		}
		write(t, s)
		s.Append([]store.Event{event(c.now(), "lost.example")})
		crash(t, s)
	}
	s := open(t, dir, c, tuning{})
	defer closed(t, s)
	r := store.Range{From: start.Truncate(24 * time.Hour), To: c.now().Add(24 * time.Hour).Truncate(24 * time.Hour)}
	for step := store.Minute; step <= store.Day; step++ {
		if n := sum(t, s, r, step); n != int64(len(truth)) {
			t.Errorf("%d events by %v, want %d", n, step.Duration(), len(truth))
		}
	}
	for _, r := range []store.Range{r, {From: start.Truncate(time.Minute), To: c.now().Add(time.Minute)}} {
		got, err := s.Top(t.Context(), r, store.Names, 50, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		want := truth.Tops(r, store.Names, store.Filter{})
		storetest.CheckTop(t, "names", got, want, 50)
		for _, k := range got {
			if k.Error != 0 {
				t.Errorf("%v has an error, although no list was full", k)
			}
		}
	}
	page, err := s.Events(t.Context(), r, store.Filter{}, "", 1000)
	if err != nil || len(page.Events) != len(truth) {
		t.Errorf("%d rows, want %d; %v", len(page.Events), len(truth), err)
	}
}

// Times that are long past count where they belong, as far as that is kept; times to come are now.
func TestStrangeTimes(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), c, tuning{})
	defer closed(t, s)
	now := c.now()
	for name, test := range map[string]struct {
		at                time.Time
		counted           time.Time
		minute, hour, day int64
	}{
		"last week":   {now.Add(-5 * oneDay), now.Add(-5 * oneDay), 1, 1, 1},
		"last month":  {now.Add(-30 * oneDay), now.Add(-30 * oneDay), 0, 1, 1},
		"last year":   {now.Add(-400 * oneDay), now.Add(-400 * oneDay), 0, 0, 1},
		"ten years":   {now.Add(-3650 * oneDay), now.Add(-3650 * oneDay), 0, 0, 0},
		"in a minute": {now.Add(time.Minute), now.Add(time.Minute), 1, 1, 1},
		"next year":   {now.AddDate(1, 0, 0), now, 1, 1, 1},
		"unknown":     {time.Time{}, now, 1, 1, 1},
	} {
		slots := func(step store.Step) store.Range {
			at := test.counted.Truncate(step.Duration())
			return store.Range{From: at, To: at.Add(step.Duration())}
		}
		var before [3]int64
		for step := range before {
			before[step] = sum(t, s, slots(store.Step(step)), store.Step(step))
		}
		s.Append([]store.Event{event(test.at, name)})
		write(t, s)
		for step, want := range []int64{test.minute, test.hour, test.day} {
			r := slots(store.Step(step))
			if n := sum(t, s, r, store.Step(step)) - before[step]; n != want {
				t.Errorf("%s: counted %d times in step %d, want %d", name, n, step, want)
			}
		}
		page, err := s.Events(t.Context(), store.Range{From: test.counted, To: test.counted.Add(time.Second)},
			store.Filter{Name: name}, "", 2)
		if err != nil || len(page.Events) != 1 || !page.Events[0].Time.Equal(test.counted) {
			t.Errorf("%s: %v, %v", name, page, err)
		}
		r := store.Range{From: test.counted, To: test.counted.Add(time.Minute)}
		top, err := s.Top(t.Context(), r, store.Names, 100, store.Filter{})
		if found := strings.Contains(fmt.Sprint(top), name); err != nil || found != (test.day > 0) {
			t.Errorf("%s: in a top list: %v; %v", name, found, err)
		}
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, newClock(), tuning{})
	if _, err := Open(dir, Options{}); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	closed(t, s)
	s = open(t, dir, newClock(), tuning{})
	closed(t, s)
}

// What cannot be opened gives an error with a next step, and stays as it is.
func TestRefusedFiles(t *testing.T) {
	newer := func(t *testing.T, dir string) {
		s := open(t, dir, newClock(), tuning{})
		if _, err := s.main.Exec(`UPDATE meta SET value = 2`); err != nil {
			t.Fatal(err)
		}
		closed(t, s)
	}
	foreign := func(t *testing.T, dir string) {
		db, err := connect(filepath.Join(dir, mainFile), true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`CREATE TABLE cats (name TEXT)`); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	text := func(content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, mainFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	broken := func(t *testing.T, dir string) {
		s := open(t, dir, newClock(), tuning{})
		closed(t, s)
		f, err := os.OpenFile(filepath.Join(dir, mainFile), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(strings.Repeat("\xff", 4000)), 110); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		make  func(*testing.T, string)
		wants []string
	}{
		"newer":   {newer, []string{"newer degas", "version 2", "Try:"}},
		"foreign": {foreign, []string{"another program", "Try:"}},
		"text":    {text(strings.Repeat("no database\n", 1000)), []string{"damaged", "Try:", mainFile}},
		"broken":  {broken, []string{"damaged", "Try:", mainFile}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.make(t, dir)
			before, err := os.ReadFile(filepath.Join(dir, mainFile))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, Options{})
			if err == nil {
				t.Fatal("opened")
			}
			for _, want := range test.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if after, err := os.ReadFile(filepath.Join(dir, mainFile)); err != nil || string(after) != string(before) {
				t.Errorf("the file changed; %v", err)
			}
			if _, err := Open(dir, Options{}); errors.Is(err, dirlock.ErrLocked) {
				t.Error("the folder stays locked")
			}
		})
	}
}

// A full disk costs rows, once the queue is full, and no counts.
func TestFullDisk(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), c, tuning{})
	defer closed(t, s)
	s.Append([]store.Event{event(c.now(), "first.example")})
	write(t, s)
	limit := func(pages int) {
		if _, err := s.main.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.segments.active.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	s.Queue = 4000
	failures := 0
	var all []store.Event
	for i := range 8 {
		all = all[:0]
		for j := range 1000 {
			all = append(all, bad(c.now(), fmt.Sprintf("%d-%d.example", i, j), strings.Repeat("c", 200)),
				event(c.now(), fmt.Sprintf("%d-%d.example.com", i, j)))
		}
		s.Append(all)
		c.add(20 * time.Second)
		if s.flush(false) != nil {
			failures++
		}
	}
	stats := s.Stats()
	if failures == 0 || stats.Error == nil || !strings.Contains(stats.Error.Error(), "Try: make room") {
		t.Errorf("%d failures, %v", failures, stats.Error)
	}
	limit(1 << 30)
	write(t, s)
	if err := s.Stats().Error; err != nil {
		t.Errorf("with room again: %v", err)
	}
	write(t, s)
	const want = 1 + 8*2000
	for step := store.Minute; step <= store.Day; step++ {
		if n := sum(t, s, about(c.now()), step); step < store.Day && n != want {
			t.Errorf("%d events in step %d, want %d", n, step, want)
		}
	}
	if stats = s.Stats(); stats.Appended != want || stats.Waiting != 0 || stats.Dropped == 0 ||
		stats.Failed != 0 {
		t.Errorf("stats %+v", stats)
	}
}
