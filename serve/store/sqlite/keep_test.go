package sqlite

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/storetest"
)

// pages are all events that a filter chooses.
func pages(t testing.TB, s *Store, r store.Range, f store.Filter) (out []store.Event) {
	t.Helper()
	for cursor := store.Cursor(""); ; {
		page, err := s.Events(t.Context(), r, f, cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Events...)
		if cursor = page.Next; cursor == "" {
			return out
		}
	}
}

func samples(all []store.Event) (n int) {
	for _, e := range all {
		n += e.Sample
	}
	return n
}

// A flood of flagged events takes bounded rows, which still say how many they were; also after a restart.
func TestFlaggedAreCollapsed(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	small := tuning{hourRows: 10, hourPairs: 20}
	s := open(t, dir, c, small)
	total := 0
	flood := func(n, domains, clients int) {
		for i := range n {
			e := bad(c.now(), fmt.Sprintf("d%d.example", i%domains), fmt.Sprintf("192.0.2.%d", i%clients))
			s.Append([]store.Event{e})
			if i%50 == 49 {
				write(t, s)
			}
		}
		total += n
		write(t, s)
	}
	check := func(what string, rows int) {
		t.Helper()
		all := pages(t, s, about(c.now()), store.Filter{Flagged: true})
		if len(all) != rows || samples(all) != total {
			t.Errorf("%s: %d rows of %d events, want %d of %d", what, len(all), samples(all), rows, total)
		}
	}
	flood(10, 10, 10)
	check("few", 10)
	flood(300, 15, 1)
	check("pairs", 10+15)
	crash(t, s)
	s = open(t, dir, c, small)
	flood(300, 15, 1)
	check("pairs after a crash", 10+15)
	flood(400, 400, 8)
	check("clients", 10+20+8)
	flood(400, 400, 200)
	check("all", 10+20+20+1)
	c.add(time.Hour)
	total = 0
	flood(5, 5, 5)
	s.Append([]store.Event{bad(c.now().Add(-time.Hour), "late.example", "192.0.2.250")})
	total += 10 + 300 + 300 + 400 + 400 + 1
	write(t, s)
	check("the next hour", 10+20+20+1+5)
	closed(t, s)
}

func TestFlaggedHaveACap(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), c, tuning{flaggedRows: 100})
	defer closed(t, s)
	for i := range 20 {
		for j := range 20 {
			s.Append([]store.Event{bad(c.now(), fmt.Sprintf("%d-%d.example", i, j), "192.0.2.1")})
		}
		write(t, s)
		c.add(10 * time.Minute)
	}
	write(t, s)
	all := pages(t, s, store.Range{To: c.now()}, store.Filter{})
	if len(all) < 90 || len(all) > 100 || !strings.HasPrefix(all[0].Domain, "19-") {
		t.Errorf("%d rows, the newest %v", len(all), all[0])
	}
}

// A small budget holds whatever comes: what is oldest goes earlier, and what is kept is still right.
func TestSqueeze(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), c, tuning{hourRows: 200})
	defer closed(t, s)
	s.Budget = 1 << 19
	var truth storetest.Truth
	start := c.now().Truncate(oneDay)
	const days = 7
	for day := range days {
		for hour := range 6 {
			c.set(start.Add(time.Duration(day)*oneDay + time.Duration(hour)*4*time.Hour))
			all := make([]store.Event, 300)
			for i := range all {
				all[i] = bad(c.now(), fmt.Sprintf("%d-%d.example", hour, i), fmt.Sprintf("10.0.%d.%d", day, i%200))
			}
			truth = append(truth, all...)
			s.Append(all)
			write(t, s)
			c.add(2 * time.Minute)
			write(t, s)
		}
	}
	write(t, s)
	var squeezed int
	err := s.main.QueryRow(`SELECT count(*) FROM meta WHERE key LIKE 'lists_since_%'`).Scan(&squeezed)
	if err != nil || squeezed != 3 {
		t.Errorf("%d steps gave room; %v", squeezed, err)
	}
	main, err := os.Stat(s.mainPath())
	if err != nil || main.Size() > 1<<20 {
		t.Errorf("degas.db has %d bytes; %v", main.Size(), err)
	}
	newest := store.Range{From: c.now().Truncate(time.Hour), To: c.now()}
	if rows := pages(t, s, newest, store.Filter{}); samples(rows) != 300 {
		t.Errorf("of the last hour's 300 flagged events there are %d", samples(rows))
	}
	for _, back := range []int{1, 2, 5} {
		end := start.AddDate(0, 0, days)
		r := store.Range{From: end.AddDate(0, 0, -back), To: end}
		top, err := s.Top(t.Context(), r, store.Clients, 10, store.Filter{})
		if err != nil || len(top) == 0 {
			t.Fatal(top, err)
		}
		storetest.CheckTop(t, fmt.Sprint(back, " days"), top, truth.Tops(r, store.Clients, store.Filter{}), 10)
	}
	if n := sum(t, s, store.Range{From: start, To: c.now()}, store.Day); n != int64(len(truth)) {
		t.Errorf("%d events are counted, want %d", n, len(truth))
	}
}

// plain appends rows with names of a length, and writes them.
func plain(t testing.TB, s *Store, c *clock, n int) {
	t.Helper()
	all := make([]store.Event, n)
	for i := range all {
		all[i] = event(c.now(), fmt.Sprintf("%060d.example", rand.Int()))
		all[i].Reason = strings.Repeat("because ", 100)
	}
	s.Append(all)
	write(t, s)
	c.add(time.Minute)
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "events-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The oldest segments go when the budget is spent, the newest stay, and somebody who reads is not disturbed.
func TestBudget(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, c, tuning{segmentBytes: 256 << 10})
	s.Budget = 4 << 20
	start := c.now()
	plain(t, s, c, 1000)
	oldest := s.segments.list()[0]
	_, done, err := s.segments.use(oldest.segment)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		s.w.sampler.tokens = 1e9 // all are kept
		plain(t, s, c, 1000)
		if got := s.Stats(); got.Bytes > 6<<20 {
			t.Fatalf("%d bytes of %d", got.Bytes, got.Budget)
		}
	}
	if _, err := os.Stat(oldest.path); err != nil {
		t.Errorf("a segment that is read: %v", err)
	}
	done()
	if _, err := os.Stat(oldest.path); err == nil {
		t.Error("a segment that nobody reads any more stays")
	}
	all := pages(t, s, store.Range{From: start, To: c.now()}, store.Filter{})
	if len(all) < 1000 || len(all) > 6000 || !all[0].Time.Equal(c.now().Add(-time.Minute)) {
		t.Errorf("%d rows are left, the newest of %v", len(all), all[0].Time)
	}
	if n := sum(t, s, store.Range{From: start, To: c.now()}, store.Minute); n != 9000 {
		t.Errorf("%d events are counted", n)
	}
	before := len(files(t, dir))
	closed(t, s)
	s = open(t, dir, c, tuning{segmentBytes: 256 << 10})
	defer closed(t, s)
	if again := pages(t, s, store.Range{From: start, To: c.now()}, store.Filter{}); len(again) != len(all) {
		t.Errorf("%d rows after opening again, before %d", len(again), len(all))
	}
	plain(t, s, c, 10)
	if n := len(files(t, dir)); n > before+1 {
		t.Errorf("%d segments, before %d", n, before)
	}
}

// What a crash or a bad disk left of segments keeps nobody from opening, and nothing is deleted.
func TestBrokenSegments(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, c, tuning{segmentBytes: 64 << 10})
	for range 4 {
		plain(t, s, c, 1000)
	}
	closed(t, s)
	all := files(t, dir)
	if len(all) != 4 {
		t.Fatalf("%d segments", len(all))
	}
	text := []byte(strings.Repeat("no database", 1000))
	if err := os.WriteFile(all[1], text, 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "events-00000005.db") // a segment that had just been made
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "events-1.db"), nil, 0o600); err != nil { // none of ours
		t.Fatal(err)
	}
	var log strings.Builder
	s, err := Open(dir, Options{Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil)), tuning: tuning{pause: -1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, all[1]) {
		t.Errorf("log: %s", got)
	}
	plain(t, s, c, 100)
	if got := pages(t, s, store.Range{To: c.now()}, store.Filter{}); len(got) != 3100 {
		t.Errorf("%d rows", len(got))
	}
	if info, err := os.Stat(half); err != nil || info.Size() == 0 {
		t.Errorf("the new segment is not used: %v", err)
	}
	// The last one breaks while it is written to.
	number := s.segments.number
	closed(t, s)
	if err := os.WriteFile(half, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, c, tuning{})
	defer closed(t, s)
	plain(t, s, c, 100)
	if n := s.segments.number; n != number+1 {
		t.Errorf("segment %d is written to after %d", n, number)
	}
	if got, err := os.ReadFile(all[1]); err != nil || string(got) != string(text) {
		t.Errorf("the damaged file changed: %v", err)
	}
}

// More than a year stays in bounds, and what is kept of it is right.
func TestYear(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, c, tuning{})
	var largest, exact int64
	start := c.now().Truncate(oneDay)
	days := 400
	if testing.Short() {
		days = 30
	}
	random := rand.New(rand.NewPCG(1, 1))
	minute := func(day int) {
		for i := range 3 {
			e := event(c.now(), fmt.Sprintf("n%d-%d.example", day, random.IntN(1000)))
			if i == 0 {
				e = bad(e.Time, e.Name, "192.0.2.7")
			}
			e.Sample = 600
			exact += 600
			s.Append([]store.Event{e})
		}
	}
	for day := range days {
		for hour := 5; hour < 24; hour += 12 {
			c.set(start.Add(time.Duration(day)*oneDay + time.Duration(hour)*time.Hour))
			minute(day)
			for range 59 {
				if c.add(time.Minute); day == days-1 && hour == 17 {
					minute(day)
				}
			}
		}
		write(t, s)
		largest = max(largest, s.Stats().Bytes)
	}
	c.add(time.Minute)
	write(t, s)
	end := c.now()
	if n := sum(t, s, store.Range{From: start, To: end}, store.Day); n != exact {
		t.Errorf("%d events are counted by day, want %d", n, exact)
	}
	for step, want := range []int{7, 90, days} {
		all, err := s.Counts(t.Context(), store.Range{From: start, To: end}, store.Step(step), store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		want = min(want, days)
		got := int(end.Sub(all[0].Slot)/oneDay) + 1
		if got < want || got > want+2 {
			t.Errorf("step %d is kept for %d days, want %d", step, got, want)
		}
	}
	for name, r := range map[string]store.Range{"year": {From: start, To: end}, "week": {From: end.Add(-7 * oneDay),
		To: end}, "hour": {From: end.Add(-time.Hour), To: end}} {
		top, err := s.Top(t.Context(), r, store.Clients, 3, store.Filter{})
		want := sum(t, s, store.Range{From: r.From.Truncate(time.Minute), To: r.To}, store.Day)
		if err != nil || len(top) != 2 || name == "year" && top[0].N+top[1].N != want {
			t.Errorf("%s: clients %v of %d, %v", name, top, want, err)
		}
		n, err := s.Distinct(t.Context(), r, store.Clients)
		if err != nil || n != 2 {
			t.Errorf("%s: %d clients, %v", name, n, err)
		}
	}
	if largest > MinBudget {
		t.Errorf("%d bytes at most, of a budget of %d", largest, MinBudget)
	}
	t.Logf("%d MiB at most", largest>>20)
	closed(t, s)
}

// More than fits into a day's room is sampled: the rows stand for all events, and the budget holds for a day.
func TestSampling(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), c, tuning{})
	defer closed(t, s)
	start := c.now()
	const seconds, rate = 150, 600
	for range seconds {
		all := make([]store.Event, rate)
		for i := range all {
			all[i] = event(c.now(), "often.example")
		}
		all[7] = bad(c.now(), "bad.example", "192.0.2.1")
		s.Append(all)
		c.add(time.Second)
		write(t, s)
	}
	r := store.Range{From: start, To: c.now()}
	benign := pages(t, s, r, store.Filter{Domain: "often.example"})
	if n := samples(benign); len(benign) > seconds*rate/2 || n > seconds*(rate-1) || n < seconds*(rate-1)*9/10 {
		t.Errorf("%d rows stand for %d events, which were %d", len(benign), n, seconds*(rate-1))
	}
	if n := sum(t, s, r, store.Minute); n != seconds*rate {
		t.Errorf("%d events are counted", n)
	}
	if n := samples(pages(t, s, r, store.Filter{Flagged: true})); n != seconds {
		t.Errorf("%d flagged events are there, want %d", n, seconds)
	}
}

func TestSampler(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := sampler{last: now}
	rows := 0.0
	s.budget(100_000_000, 100) // a million rows: 11.6 a second
	if s.every() != 1 {
		t.Error("sampled before the first event")
	}
	var left int
	for second := range 2 * 86400 {
		now = now.Add(time.Second)
		s.saw(1000, now)
		left += 1000
		n := int(s.every())
		s.spend(left / n)
		rows += float64(left / n)
		left %= n
		if second == 60 && rows < 50_000 {
			t.Errorf("of the first minute's 60,000 events %v are kept", rows)
		}
	}
	if rows < 1.8e6 || rows > 2.3e6 {
		t.Errorf("%v rows in two days, room for a million a day", rows)
	}
}

// Stats says how far rows go back, also after a restart.
func TestOldest(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, c, tuning{})
	if at := s.Stats().Oldest; !at.IsZero() {
		t.Errorf("an empty store goes back to %v", at)
	}
	first := c.now().Truncate(time.Millisecond)
	for range 3 {
		s.Append([]store.Event{event(c.now(), "a.example")})
		c.add(time.Minute)
	}
	write(t, s)
	if at := s.Stats().Oldest; !at.Equal(first) {
		t.Errorf("it goes back to %v, want %v", at, first)
	}
	crash(t, s)
	if at := open(t, dir, c, tuning{}).Stats().Oldest; !at.Equal(first) {
		t.Errorf("after a restart it goes back to %v, want %v", at, first)
	}
}
