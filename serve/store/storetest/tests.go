package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
)

func malicious() *detect.Verdict { v := detect.Malicious; return &v }
func benign() *detect.Verdict    { v := detect.Benign; return &v }

// hours are hours 12 to 15 of yesterday; middle is the one in the middle.
func hours() store.Range {
	return store.Range{From: Yesterday().Add(12 * time.Hour), To: Yesterday().Add(15 * time.Hour)}
}
func middle() store.Range {
	return store.Range{From: Yesterday().Add(13 * time.Hour), To: Yesterday().Add(14 * time.Hour)}
}

// appendAll appends in batches of uneven length.
func appendAll(s store.Store, all []store.Event) {
	for n := 1; len(all) > 0; n = n*2%1000 + 1 {
		n = min(n, len(all))
		s.Append(all[:n])
		all = all[n:]
	}
}

func testAnswers(t *testing.T, b *Backend) {
	s := b.Open(t, "a")
	defer closeStore(t, s)
	all := Truth(Fixture(4000))
	appendAll(s, all)
	b.refresh(t, s)
	t.Run("Counts", func(t *testing.T) { checkCounts(t, s, all) })
	t.Run("Top", func(t *testing.T) { checkTops(t, s, all) })
	t.Run("Distinct", func(t *testing.T) { checkDistinct(t, s, all) })
	t.Run("Events", func(t *testing.T) { checkEvents(t, s, all) })
	t.Run("Refusals", func(t *testing.T) { checkRefusals(t, s) })
	if got := s.Stats(); got.Appended != int64(len(all)) || got.Dropped != 0 || got.Failed != 0 || got.Error != nil {
		t.Errorf("stats %+v after %d events", got, len(all))
	}
}

func checkCounts(t *testing.T, s store.Store, all Truth) {
	day := store.Range{From: Yesterday(), To: Yesterday().AddDate(0, 0, 1)}
	for _, test := range []struct {
		name string
		r    store.Range
		step store.Step
		f    store.Filter
	}{
		{"minutes", hours(), store.Minute, store.Filter{}},
		{"hours", hours(), store.Hour, store.Filter{}},
		{"day", day, store.Day, store.Filter{}},
		{"middle", middle(), store.Hour, store.Filter{}},
		{"flagged", hours(), store.Minute, store.Filter{Flagged: true}},
		{"malicious", hours(), store.Hour, store.Filter{Verdict: malicious()}},
		{"neither", hours(), store.Hour, store.Filter{Verdict: benign(), Flagged: true}},
		{"before", store.Range{From: time.Unix(0, 0), To: day.From}, store.Day, store.Filter{}},
	} {
		got, err := s.Counts(t.Context(), test.r, test.step, test.f)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if !slices.IsSortedFunc(got, func(a, b store.Count) int { return a.Slot.Compare(b.Slot) }) {
			t.Errorf("%s: not oldest first", test.name)
		}
		sortCounts(got)
		want := all.Counts(test.r, test.step, test.f)
		if !slices.EqualFunc(got, want, equalCount) {
			t.Errorf("%s: %d counts, want %d: %v", test.name, len(got), len(want), firstOf(got, want))
		}
	}
}

func equalCount(a, b store.Count) bool {
	near := math.Abs(a.ScoreSum-b.ScoreSum) < 1e-6
	same := a.Slot.Equal(b.Slot)
	a.ScoreSum, b.ScoreSum, a.Slot, b.Slot = 0, 0, time.Time{}, time.Time{}
	return near && same && a == b
}

// firstOf are the first two that differ.
func firstOf[E any](got, want []E) string {
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Sprintf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
	return "one is the beginning of the other"
}

func checkTops(t *testing.T, s store.Store, all Truth) {
	for _, r := range []store.Range{hours(), middle()} {
		for _, f := range []store.Filter{{}, {Flagged: true}} {
			for kind := store.Names; kind <= store.Clients; kind++ {
				got, err := s.Top(t.Context(), r, kind, 5, f)
				if err != nil {
					t.Fatal(err)
				}
				CheckTop(t, fmt.Sprintf("%v %v %v", r.From.Hour(), kind, f.Flagged), got, all.Tops(r, kind, f), 5)
			}
		}
	}
}

// CheckTop holds the first n of a top list to its promises: sorted, every true count between N-Error and N, and no key
// missing that has surely more events than the last one in the list may have.
func CheckTop(t *testing.T, name string, got, want []store.Top, n int) {
	t.Helper()
	if len(got) != min(n, len(want)) {
		t.Errorf("%s: %d keys, want %d of %d", name, len(got), n, len(want))
		return
	}
	truth := map[string]int64{}
	for _, k := range want {
		truth[k.Key] = k.N
	}
	seen := map[string]bool{}
	for i, k := range got {
		if n := truth[k.Key]; n > k.N || n < k.N-k.Error || k.Error < 0 {
			t.Errorf("%s: %q has %d, not %d to %d", name, k.Key, n, k.N-k.Error, k.N)
		}
		if i > 0 && k.N > got[i-1].N {
			t.Errorf("%s: %q is behind a smaller one", name, k.Key)
		}
		if seen[k.Key] {
			t.Errorf("%s: %q is there twice", name, k.Key)
		}
		seen[k.Key] = true
	}
	for _, k := range want {
		if len(got) > 0 && !seen[k.Key] && k.N > got[len(got)-1].N {
			t.Errorf("%s: %q is missing, which has %d; the last has at most %d", name, k.Key, k.N, got[len(got)-1].N)
		}
	}
}

func checkDistinct(t *testing.T, s store.Store, all Truth) {
	for kind := store.Names; kind <= store.Clients; kind++ {
		got, err := s.Distinct(t.Context(), hours(), kind)
		want := len(all.Tops(hours(), kind, store.Filter{}))
		if err != nil || math.Abs(float64(got)-float64(want)) > 0.05*float64(want)+1 {
			t.Errorf("%d different keys of kind %d, want %d; %v", got, kind, want, err)
		}
	}
}

func checkEvents(t *testing.T, s store.Store, all Truth) {
	tests := map[string]store.Filter{
		"all": {}, "flagged": {Flagged: true}, "malicious": {Verdict: malicious()}, "benign": {Verdict: benign()},
		"name": {Name: "h1.d3.example"}, "domain": {Domain: "d1.example"}, "client": {Client: "192.0.2.7"},
		"two":     {Client: "192.0.2.7", Domain: "d1.example"},
		"nobody":  {Client: "192.0.2.200"},
		"printer": {Client: "printer <b>", Verdict: func() *detect.Verdict { v := detect.Unscored; return &v }()},
	}
	for i, name := range Hostile {
		tests[fmt.Sprintf("hostile %d", i)] = store.Filter{Name: name}
	}
	for name, f := range tests {
		for _, r := range []store.Range{hours(), middle()} {
			checkPages(t, name, s, r, f, all.Events(r, f))
		}
	}
}

// checkPages reads all pages, and compares them with want, of which events at one time may stand in any order.
func checkPages(t *testing.T, name string, s store.Store, r store.Range, f store.Filter, want []store.Event) {
	t.Helper()
	var got []store.Event
	var cursor store.Cursor
	const n = 333
	for pages := 0; ; pages++ {
		page, err := s.Events(t.Context(), r, f, cursor, n)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		got = append(got, page.Events...)
		if len(page.Events) > n || pages > len(want)/n+2 {
			t.Errorf("%s: %d events on page %d of %d events", name, len(page.Events), pages, len(want))
			return
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for i := range got {
		got[i].Time, got[i].Sample = got[i].Time.UTC(), max(got[i].Sample, 1)
	}
	if !slices.EqualFunc(got, want, func(a, b store.Event) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("%s: %d events, want %d: %s", name, len(got), len(want), firstOf(got, want))
	}
}

func checkRefusals(t *testing.T, s store.Store) {
	for _, f := range []store.Filter{{Name: "a.example"}, {Domain: "a.example"}, {Client: "192.0.2.1"}} {
		if _, err := s.Counts(t.Context(), hours(), store.Hour, f); !errors.Is(err, store.ErrFilter) {
			t.Errorf("counts by %+v: %v", f, err)
		}
		if _, err := s.Top(t.Context(), hours(), store.Names, 3, f); !errors.Is(err, store.ErrFilter) {
			t.Errorf("top names by %+v: %v", f, err)
		}
	}
	if _, err := s.Top(t.Context(), hours(), store.Names, 3, store.Filter{Verdict: malicious()}); !errors.Is(err,
		store.ErrFilter) {
		t.Errorf("top names by verdict: %v", err)
	}
	for _, cursor := range []store.Cursor{"nonsense", "-1", "9.9.9.9.9.9"} {
		if _, err := s.Events(t.Context(), hours(), store.Filter{}, cursor, 3); err == nil {
			t.Errorf("cursor %q gives no error", cursor)
		}
	}
}

func testEmpty(t *testing.T, b *Backend) {
	s := b.Open(t, "a")
	defer closeStore(t, s)
	s.Append(nil)
	b.refresh(t, s)
	backwards := store.Range{From: hours().To, To: hours().From}
	for _, r := range []store.Range{hours(), {}, backwards} {
		counts, err1 := s.Counts(t.Context(), r, store.Minute, store.Filter{})
		tops, err2 := s.Top(t.Context(), r, store.Names, 5, store.Filter{})
		n, err3 := s.Distinct(t.Context(), r, store.Clients)
		page, err4 := s.Events(t.Context(), r, store.Filter{}, "", 5)
		if err := errors.Join(err1, err2, err3, err4); err != nil || len(counts)+len(tops)+int(n)+len(page.Events) > 0 {
			t.Errorf("an empty store has %v, %v, %d, %v; %v", counts, tops, n, page, err)
		}
		if page.Next != "" {
			t.Errorf("there is a page after nothing: %q", page.Next)
		}
	}
}

// Many append and ask at once; nothing is lost.
func testConcurrent(t *testing.T, b *Backend) {
	s := b.Open(t, "a")
	defer closeStore(t, s)
	all := Truth(Fixture(2000))
	var work sync.WaitGroup
	for part := range slices.Chunk(all, 250) {
		work.Go(func() { appendAll(s, part) })
		work.Go(func() {
			if _, err := s.Counts(t.Context(), hours(), store.Hour, store.Filter{}); err != nil {
				t.Error(err)
			}
			if _, err := s.Events(t.Context(), hours(), store.Filter{}, "", 10); err != nil {
				t.Error(err)
			}
			s.Stats()
		})
	}
	work.Wait()
	b.refresh(t, s)
	checkCounts(t, s, all)
	checkTops(t, s, all)
}

func testReopen(t *testing.T, b *Backend) {
	b.need(t, Survives)
	all := Truth(Fixture(1000))
	s := b.Open(t, "a")
	appendAll(s, all[:600])
	if b.Cannot&CloseWrites != 0 {
		b.refresh(t, s)
	}
	closeStore(t, s)
	s = b.Open(t, "a")
	defer closeStore(t, s)
	appendAll(s, all[600:])
	b.refresh(t, s)
	checkCounts(t, s, all)
	checkTops(t, s, all)
	checkDistinct(t, s, all)
	checkEvents(t, s, all)
}

// More keys than any list has room for: the error must hold what the lists lost.
func testLongTail(t *testing.T, b *Backend) {
	b.need(t, ErrorBound)
	s := b.Open(t, "a")
	defer closeStore(t, s)
	all := Truth(Fixture(3000))
	for i := range all {
		if i%3 > 0 {
			all[i].Name = fmt.Sprintf("once-%d.example", i)
		}
	}
	appendAll(s, all)
	b.refresh(t, s)
	checkTops(t, s, all)
	for _, n := range []int{1, 50, 500} {
		got, err := s.Top(t.Context(), hours(), store.Names, n, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		CheckTop(t, fmt.Sprintf("first %d", n), got, all.Tops(hours(), store.Names, store.Filter{}), min(n, len(got)))
	}
}

// Events of a minute that was written before count in it as well.
func testLate(t *testing.T, b *Backend) {
	s := b.Open(t, "a")
	defer closeStore(t, s)
	all := Truth(Fixture(900))
	for i := range 3 {
		for at := i; at < len(all); at += 3 {
			s.Append(all[at : at+1])
		}
		b.refresh(t, s)
	}
	checkCounts(t, s, all)
	checkTops(t, s, all)
	checkDistinct(t, s, all)
	checkPages(t, "late", s, hours(), store.Filter{}, all.Events(hours(), store.Filter{}))
}

func testCancelled(t *testing.T, b *Backend) {
	s := b.Open(t, "a")
	defer closeStore(t, s)
	appendAll(s, Fixture(500))
	b.refresh(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Events(ctx, hours(), store.Filter{Client: "x"}, "", 5); !errors.Is(err, context.Canceled) {
		t.Errorf("events after the context ended: %v", err)
	}
	if _, err := s.Counts(ctx, hours(), store.Hour, store.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("counts after the context ended: %v", err)
	}
}

func closeStore(t *testing.T, s store.Store) {
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
