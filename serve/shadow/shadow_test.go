package shadow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
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
