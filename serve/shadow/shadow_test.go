package shadow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store"
)

func save(t testing.TB, dir string, threshold float64, change func(*model.Spec)) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o755), modeltest.Small(threshold, change).Save(dir)); err != nil {
		t.Fatal(err)
	}
}

const allFlagged, noneFlagged = .01, .99 // thresholds

// place is a store with version 1 in force, which flags nothing, and what looks at it.
type place struct {
	*Shadow
	t   testing.TB
	dir string
	n   int // events seen
}

// open opens the store of a test, in which fill has put candidates.
func open(t testing.TB, fill func(dir string)) *place {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	save(t, filepath.Join(dir, "1"), noneFlagged, nil)
	if fill != nil {
		fill(dir)
	}
	set, err := models.Open(nil, models.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	policy := func() *detect.Policy {
		v, _ := set.Find("shop", "")
		p, err := detect.New(detect.Options{Classifier: v.Classifier, Block: []string{"listed.example"}})
		if err != nil {
			t.Error(err)
		}
		return p
	}
	s, err := New(Options{Serving: set, Policy: policy, Look: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	running.Go(func() { set.Watch(ctx, 20*time.Millisecond) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	return &place{Shadow: s, t: t, dir: dir}
}

func (p *place) candidate(number string) string { return filepath.Join(p.dir, versions.Shadow, number) }

// until waits until the reports are as wanted.
func (p *place) until(what string, want func([]Report) bool) []Report {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r := p.Reports()
		if want(r) {
			return r
		}
		if time.Now().After(end) {
			for i := range r {
				r[i].Last = nil
			}
			p.t.Fatalf("%s: there is %+v", what, r)
		}
	}
}

func numbers(r []Report) (all []int) {
	for _, x := range r {
		all = append(all, x.Number)
	}
	return all
}

// only waits until there is just one candidate, that can be scored.
func (p *place) only(number int) {
	p.t.Helper()
	p.until(fmt.Sprintf("candidate %d", number), func(r []Report) bool {
		return slices.Equal(numbers(r), []int{number}) && r[0].Err == nil
	})
}

// see lets names pass, each twice.
func (p *place) see(n int, change func(*store.Event)) {
	for range n {
		p.n++
		e := store.Event{Name: fmt.Sprintf("name-%d.example", p.n), Client: "192.0.2.7", Rule: detect.Score,
			Time: time.Unix(int64(p.n), 0)}
		if change != nil {
			change(&e)
		}
		p.Observe([]store.Event{e, e})
	}
}

// A candidate that flags everything, beside a version that flags nothing: every name is counted once, and lists and
// names that no model was asked about are not.
func TestCounts(t *testing.T) {
	p := open(t, nil)
	p.see(3, nil) // nobody is there to compare
	save(t, p.candidate("2"), allFlagged, nil)
	p.only(2)
	p.see(150, nil)
	p.see(1, func(e *store.Event) { e.Rule = detect.AllowList })
	p.see(1, func(e *store.Event) { e.Name = "listed.example" }) // listed since it was scored
	p.see(1, func(e *store.Event) { e.Name = "the-last.example" })
	r := p.until("names", func(r []Report) bool { return r[0].Names == 151 })[0]
	if r.OnlyNew != 151 || r.Both+r.OnlyOld+r.Neither+r.Dropped != 0 || r.Difference != 0 || r.InForce != 1 ||
		r.Threshold != allFlagged || r.OldThreshold != noneFlagged || r.Since.IsZero() || r.Loaded.After(r.Since) {
		last := r.Last
		r.Last = nil
		t.Fatalf("%+v, and %d differences", r, len(last))
	}
	first := r.Last[0]
	if len(r.Last) != mostDifferences || first.Name != "the-last.example" || first.Client != "192.0.2.7" ||
		!first.OnlyNew || first.Old != first.New || first.Class == "" || first.Time.IsZero() {
		t.Errorf("%d differences, the last %+v", len(r.Last), first)
	}
	if r.Last[1].Name != "name-153.example" || r.Last[99].Name != "name-55.example" {
		t.Errorf("%s, %s", r.Last[1].Name, r.Last[99].Name)
	}
}

// The other three outcomes.
func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		old, new float64
		of       func(Report) int64
	}{
		{noneFlagged, noneFlagged, func(r Report) int64 { return r.Neither }},
		{allFlagged, allFlagged, func(r Report) int64 { return r.Both }},
		{allFlagged, noneFlagged, func(r Report) int64 { return r.OnlyOld }},
	} {
		p := open(t, func(dir string) {
			save(t, filepath.Join(dir, "1"), tc.old, nil)
			save(t, filepath.Join(dir, versions.Shadow, "2"), tc.new, nil)
		})
		p.see(5, nil)
		r := p.until("names", func(r []Report) bool { return r[0].Names == 5 })[0]
		if tc.of(r) != 5 || (len(r.Last) == 5) != (tc.old != tc.new) {
			t.Errorf("%v, %v: %+v", tc.old, tc.new, r)
		}
	}
}

// Other labels and another window are no obstacle: each version reads and judges names in its own way.
func TestOtherLabelsAndWindow(t *testing.T) {
	p := open(t, func(dir string) {
		save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, func(s *model.Spec) {
			s.Encoder.Window += 16
			s.Labels = []string{"benign", "banjori", "necurs", "qakbot"}
			s.Layers[len(s.Layers)-1].Units, s.Layers[len(s.Layers)-1].Activation = 4, model.Softmax
		})
	})
	p.see(4, nil)
	r := p.until("names", func(r []Report) bool { return r[0].Names == 4 })[0]
	if class := r.Last[0].Class; r.OnlyNew != 4 || !slices.Contains([]string{"banjori", "necurs", "qakbot"}, class) ||
		r.Difference <= 0 || r.Difference > 1 {
		t.Errorf("%+v", r)
	}
}

// A candidate that cannot be loaded is reported with the reason, and works once it can.
func TestBroken(t *testing.T) {
	var weights string
	p := open(t, func(dir string) {
		save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil)
		weights = filepath.Join(dir, versions.Shadow, "2", model.WeightsFile)
		if err := os.Truncate(weights, 100); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, versions.Shadow, "3"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	p.see(1, nil)
	r := p.until("two broken ones", func(r []Report) bool { return slices.Equal(numbers(r), []int{2, 3}) })
	if r[0].Err == nil || !strings.Contains(r[0].Err.Error(), weights) || !errors.Is(r[1].Err, model.ErrNoModel) {
		t.Errorf("%+v", r)
	}
	if err := p.Promote(context.Background(), 2); err == nil || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("a broken one is promoted: %v", err)
	}
	save(t, p.candidate("2"), allFlagged, nil)
	p.until("repaired", func(r []Report) bool { return len(r) == 2 && r[0].Err == nil })
	p.see(2, nil)
	p.until("names", func(r []Report) bool { return r[0].Names == 2 })
}

// A candidate may go, come back and be replaced while names pass. One that is removed leaves the others' counts, and
// one that is loaded lets all begin anew.
func TestComeAndGo(t *testing.T) {
	p := open(t, func(dir string) {
		save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil)
		save(t, filepath.Join(dir, versions.Shadow, "3"), noneFlagged, nil)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var flood sync.WaitGroup
	flood.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p.Observe([]store.Event{{Name: fmt.Sprintf("%d.flood.example", i), Rule: detect.Score}})
			time.Sleep(100 * time.Microsecond)
		}
	})
	defer flood.Wait()
	defer cancel()
	r := p.until("both score", func(r []Report) bool { return len(r) == 2 && r[0].Names > 0 && r[1].Names > 0 })
	since := r[0].Since
	if err := os.Rename(p.candidate("3"), filepath.Join(p.dir, "away")); err != nil {
		t.Fatal(err)
	}
	p.only(2)
	if r = p.Reports(); r[0].Since != since {
		t.Errorf("counting began anew, because another candidate went")
	}
	if err := os.Rename(filepath.Join(p.dir, "away"), p.candidate("3")); err != nil {
		t.Fatal(err)
	}
	r = p.until("it is back", func(r []Report) bool { return len(r) == 2 && r[0].Names > 0 })
	if r[0].Since == since || r[0].OnlyNew != r[0].Names {
		t.Errorf("%+v", r[0])
	}
	save(t, p.candidate("2"), noneFlagged, nil) // another model under the same number
	p.until("it is replaced", func(r []Report) bool {
		return len(r) == 2 && r[0].Names > 0 && r[0].Neither == r[0].Names
	})
	if err := os.RemoveAll(filepath.Join(p.dir, versions.Shadow)); err != nil {
		t.Fatal(err)
	}
	p.until("all are gone", func(r []Report) bool { return len(r) == 0 })
}

// Names that do not fit into the queue are counted, and scored when they come again.
func TestDropped(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	const most = 150
	p.mu.Lock()
	p.most = most
	p.mu.Unlock()
	all := make([]store.Event, most+50)
	for i := range all {
		all[i] = store.Event{Name: fmt.Sprintf("%d.example", i), Rule: detect.Score}
	}
	p.Observe(all)
	r := p.until("a queue of names", func(r []Report) bool { return r[0].Names == most })
	if r[0].Dropped != 50 {
		t.Errorf("%d are dropped", r[0].Dropped)
	}
	p.Observe(all)
	p.until("the rest", func(r []Report) bool { return r[0].Names == int64(len(all)) })
}

// Who promotes a candidate sees it in force when that returns, and can take it back.
func TestPromoteAndDemote(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	ctx := context.Background()
	newest := func() int {
		v, _ := p.o.Serving.Find("shop", "")
		return v.Number
	}
	pairs, err := p.Compare(ctx, []string{"a.example", "listed.example"})
	if err != nil || len(pairs) != 2 || len(pairs[1].Answers) != 2 {
		t.Fatalf("%+v, %v", pairs, err)
	}
	for i, a := range pairs[1].Answers {
		if a.Number != i+1 || a.Candidate != (i == 1) || a.Decision.Rule != detect.Score ||
			(a.Decision.Verdict == detect.Malicious) != (i == 1) {
			t.Errorf("%+v", a)
		}
	}
	if _, err := p.Compare(ctx, make([]string, MostNames+1)); err == nil {
		t.Error("any number of names is compared")
	}
	for range 2 {
		if err := p.Promote(ctx, 2); err != nil || newest() != 2 {
			t.Fatalf("version %d is in force, %v", newest(), err)
		}
		p.until("no candidate", func(r []Report) bool { return len(r) == 0 })
		if err := p.Demote(ctx, 2); err != nil || newest() != 1 {
			t.Fatalf("version %d is in force, %v", newest(), err)
		}
		p.only(2)
	}
	if got := p.names(p.dir); !slices.Equal(got, []string{"1", "shadow"}) {
		t.Errorf("the store has %v", got)
	}
}

// names are those of the files in a folder.
func (p *place) names(dir string) (names []string) {
	p.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	p := open(t, func(dir string) {
		save(t, filepath.Join(dir, "5"), noneFlagged, nil)
		save(t, filepath.Join(dir, versions.Shadow, "4"), allFlagged, nil)
		save(t, filepath.Join(dir, versions.Shadow, "6"), allFlagged, nil)
		if err := os.Symlink("4", filepath.Join(dir, versions.Shadow, "7")); err != nil {
			t.Fatal(err)
		}
	})
	lock := func(dir string) {
		unlock, err := dirlock.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unlock)
	}
	builtin, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		t.Fatal(err)
	}
	none, err := New(Options{Serving: builtin, Policy: p.o.Policy})
	if err != nil || none.Reports() != nil {
		t.Fatal(err)
	}
	single, err := New(Options{Serving: p.o.Serving, Dir: filepath.Join(p.dir, "1"), Policy: p.o.Policy})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what   string
		before func()
		err    func() error
		want   string
	}{
		{"not there", nil, func() error { return p.Promote(ctx, 9) }, "no version 9 that can be loaded. Try: "},
		{"below", nil, func() error { return p.Promote(ctx, 4) }, "version 5 is in force, and the highest number"},
		{"a link", nil, func() error { return p.Promote(ctx, 7) }, "is a link"},
		{"not the newest", nil, func() error { return p.Demote(ctx, 1) }, "version 5 is in force. Try: "},
		{"built in", nil, func() error { return none.Promote(ctx, 2) }, "degas export-model --to models/degas/1"},
		{"a version", nil, func() error { return single.Demote(ctx, 1) }, "with the folder above the numbers"},
		{"published just now", func() { lock(p.candidate("6")) }, func() error { return p.Promote(ctx, 6) },
			dirlock.ErrLocked.Error()},
		{"another server moves", func() { lock(filepath.Join(p.dir, versions.Shadow)) },
			func() error { return p.Promote(ctx, 6) }, dirlock.ErrLocked.Error()},
	} {
		if tc.before != nil {
			tc.before()
		}
		if err := tc.err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
	v, _ := p.o.Serving.Find("shop", "")
	if got := p.names(filepath.Join(p.dir, versions.Shadow)); v.Number != 5 || !slices.Contains(got, "6") {
		t.Errorf("version %d is in force, the shadow has %v", v.Number, got)
	}
	last := open(t, nil)
	if err := last.Demote(ctx, 1); err == nil || !strings.Contains(err.Error(), "last version") {
		t.Errorf("the last one goes: %v", err)
	}
}

// Two people who promote and take back at once do not mix: each move happens once, and the others say so.
func TestRaces(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	q, err := New(p.o) // another server on the same folder
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			s := []*Shadow{p.Shadow, q}[i%2]
			errs[i] = s.Promote(context.Background(), 2)
		})
	}
	all.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !strings.Contains(err.Error(), "Try: ") {
			t.Error(err)
		}
	}
	if v, _ := p.o.Serving.Find("shop", ""); done != 1 || v.Number != 2 {
		t.Errorf("%d promoted it, version %d is in force", done, v.Number)
	}
}

// A folder that may not be written to leaves everything as it is.
func TestReadOnly(t *testing.T) {
	err := unwritable(fmt.Errorf("x: %w", fs.ErrPermission), "models/degas")
	if !strings.Contains(err.Error(), "Try: let") {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	if err := os.Chmod(p.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(p.dir, 0o755) })
	if err := p.Promote(context.Background(), 2); err == nil || !strings.Contains(err.Error(), "Try: let") {
		t.Error(err)
	}
}
