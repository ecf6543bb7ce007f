package search

import (
	"slices"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

func TestTooOld(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	list := []index{{"a", day(-9), day(-5), 10}, {"b", day(-5), day(-3), 10}, {"c", day(-3), day(-1), 10},
		{"d", day(-1), time.Time{}, 10}}
	for _, test := range []struct {
		keep   time.Duration
		budget int64
		want   []string
	}{
		{24 * time.Hour * 30, 0, nil},
		{24 * time.Hour * 4, 0, []string{"a"}},
		{24 * time.Hour * 2, 0, []string{"a", "b"}},
		{time.Hour, 0, []string{"a", "b", "c"}},
		{24 * time.Hour * 30, 40, nil},
		{24 * time.Hour * 30, 39, []string{"a"}},
		{24 * time.Hour * 30, 15, []string{"a", "b", "c"}},
		{24 * time.Hour * 30, 1, []string{"a", "b", "c"}},
		{24 * time.Hour * 4, 20, []string{"a", "b"}},
	} {
		if got := tooOld(list, 40, test.keep, test.budget, now); !slices.Equal(got, test.want) {
			t.Errorf("%v, %d bytes: %v, want %v", test.keep, test.budget, got, test.want)
		}
	}
}

func TestCountsTooOld(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]bool{
		"degas-counts-minutes-2026.12.01": false, "degas-counts-minutes-2026.11.23": false,
		"degas-counts-minutes-2026.11.22": true, "degas-counts-hours-2026.09": false, "degas-counts-hours-2026.07": true,
		"degas-counts-days-2022": false, "degas-counts-days-2020": true, "degas-counts-minutes-2020": false,
		"degas-counts-weeks-2020": false, "x-degas-counts-days-2020": false, "degas-counts-days-2020*": false,
		"degas-counts-days-2020,_all": false, "other": false, "": false,
	} {
		if got := countsTooOld(name, now); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// A cluster cannot talk degas into deleting what is not its own.
func TestOnlyOwnIndices(t *testing.T) {
	for _, streams := range []bool{true, false} {
		stub := newStub(t, streams)
		old := time.Now().AddDate(-3, 0, 0)
		for _, name := range []string{"customers", "*", "_all", ".ds-logs-degas.dns-default-000001",
			".ds-logs-degas.dns-default-2023.01.01-000002", ".ds-logs-other-default-000001", "degas-dns-2023.01.01",
			"degas-dns-2023.01.01,customers", "degas-dns-2023.1.1", "degas-counts-minutes-2023.01.01", "degas-counts-x"} {
			stub.sizes[name], stub.created[name] = 1, old
		}
		now := time.Now().UTC()
		stub.created[".ds-logs-degas.dns-default-000003"] = now
		today := datedPrefix + now.Format(dayLayout)
		stub.sizes[today] = 1
		p := quick
		p.retain = time.Millisecond
		s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), Keep: time.Hour, pace: p})
		eventually(t, "an index is deleted", func() (ok bool) {
			stub.locked(func() { ok = slices.Contains(stub.deleted, "degas-counts-minutes-2023.01.01") })
			return ok
		})
		closeStore(t, s)
		want := []string{"degas-counts-minutes-2023.01.01", "degas-dns-2023.01.01"}
		if streams {
			want = []string{".ds-logs-degas.dns-default-000001", want[0]}
		}
		got := slices.Sorted(slices.Values(stub.deleted))
		if !slices.Equal(got, want) {
			t.Errorf("streams %v: deleted %v, want %v", streams, got, want)
		}
	}
}

func TestStepsCoverTheirTime(t *testing.T) {
	for step, about := range steps {
		if about.kept < 2*store.Step(step).Duration() || about.idle <= store.Minute.Duration() {
			t.Errorf("%s: %+v", about.name, about)
		}
	}
}
