// Package shadow lets candidates of a model score what is seen, beside the version in force, and counts where they
// differ. A candidate decides nothing.
//
// Candidates lie in MODELDIR/shadow/N (package model/versions). They are noticed as versions in force are. A name is
// scored once by the version in force and once by each candidate: repeats say nothing new. So one table shows what
// promoting a candidate would change, over the names that this very network asks for.
//
// Counting begins anew whenever a version is loaded: all candidates of a table are compared over the same names.
//
// The work is bounded. A call of Observe costs some nanoseconds an event and waits for nobody. Names wait in a queue of
// 4,096; those beyond are counted and passed over. Scoring takes one goroutine, for a quarter of its time.
package shadow

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store"
)

// Bounds of the work.
const (
	mostWaiting = 4096 // names in the queue
	batchSize   = 32   // names scored together: few enough for one core
	idle        = 3    // times that scoring a batch took, before the next one
	lookTime    = time.Second
)

// Options are what a Shadow is made of. Serving and Policy have to be there.
type Options struct {
	// Serving has the versions in force.
	Serving *models.Set
	// Model is the name of the model in Serving whose candidates these are, Dir its folder. "" are Serving's first model,
	// and the folder that it comes from. The built-in model has none, and so no candidates.
	Model, Dir string
	// Policy is the one in force. Candidates get its lists, and its threshold if somebody chose one; else each has its
	// own.
	Policy func() *detect.Policy
	// Look is the time between two looks for candidates. 0 is a second.
	Look time.Duration
	Log  *slog.Logger // nil discards
}

// Shadow compares candidates with the version in force. It is safe for concurrent use.
type Shadow struct {
	o          Options
	candidates *models.Set // of one model; nil if there is no folder for them
	log        *slog.Logger

	active atomic.Bool // there is a candidate to compare
	wake   chan struct{}
	moving sync.Mutex // held by Promote and Demote
	wait   time.Duration

	mu      sync.Mutex // guards what follows
	most    int        // names in the queue
	waiting []sighting
	seen    *seen
	dropped int64 // since the comparisons began
	serving *models.Version
	compare []*comparison // by number
}

// sighting is a name that waits to be scored, and who asked for it.
type sighting struct {
	name, client string
	at           time.Time
}

// New makes a Shadow and loads the candidates that are there. One that cannot be loaded is logged, and in Reports.
func New(o Options) (*Shadow, error) {
	if o.Serving == nil || o.Policy == nil {
		return nil, errors.New("shadow: Serving and Policy have to be there")
	}
	if o.Model == "" {
		o.Model = o.Serving.Names()[0]
	}
	if o.Dir == "" {
		o.Dir = o.Serving.Dir(o.Model)
	}
	if o.Look == 0 {
		o.Look = lookTime
	}
	s := &Shadow{o: o, log: o.Log, wake: make(chan struct{}, 1), most: mostWaiting, wait: inForceTime,
		seen: newSeen()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if _, err := s.folder(); err != nil {
		return s, nil // Promote says it to whoever asks
	}
	var err error
	s.candidates, err = models.Open(s.log,
		models.Source{Name: o.Model, Dir: filepath.Join(o.Dir, versions.Shadow), Optional: true})
	if err == nil {
		s.refresh()
	}
	return s, err
}

// folder is the model's folder of versions. The error says why there is none.
func (s *Shadow) folder() (string, error) {
	switch s.o.Dir {
	case "":
		return "", errors.New("the model is in memory, and has no folder of versions")
	case model.BuiltinName:
		return "", errors.New("the built-in model has no folder of versions. Try: degas export-model --to models/degas/1, " +
			"and then degas serve models/degas")
	}
	_, paths, err := versions.Find(s.o.Dir)
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		if path == s.o.Dir { // a version or a run
			return "", errors.New(s.o.Dir + " is one model, and no folder of versions. Try: degas serve with the folder above " +
				"the numbers, such as models/degas")
		}
	}
	return s.o.Dir, nil
}

// Run looks for candidates and scores what waits, until ctx ends.
func (s *Shadow) Run(ctx context.Context) {
	if s.candidates == nil {
		return
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.candidates.Watch(ctx, s.o.Look) })
	tick := time.NewTicker(s.o.Look / 4)
	defer tick.Stop()
	var pause <-chan time.Time // after a batch
	for {
		ready := s.wake
		if pause != nil {
			ready = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.refresh()
			continue
		case <-pause:
		case <-ready:
		}
		start := time.Now()
		if pause = nil; s.work() {
			pause = time.After(idle * time.Since(start))
		}
	}
}

// refresh begins new comparisons if another version is there than before.
func (s *Shadow) refresh() {
	serving, _ := s.o.Serving.Find(s.o.Model, "")
	candidates := s.candidates.Versions(s.o.Model)
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept, fresh []*comparison
	for _, v := range candidates {
		known := s.find(v.Number)
		if known != nil && known.version == v {
			kept = append(kept, known)
		}
		fresh = append(fresh, newComparison(v))
	}
	if serving == s.serving && len(kept) == len(fresh) {
		s.compare = kept // without those that have gone; what work holds stays as it is
	} else {
		s.compare, s.serving, s.waiting, s.dropped, s.seen = fresh, serving, nil, 0, newSeen()
		for _, c := range fresh {
			s.log.Info("a candidate is compared with the version in force", "model", s.o.Model, "candidate", c.version.Number,
				"in force", serving.Number)
		}
	}
	s.active.Store(len(s.compare) > 0)
}

// find is the comparison of a candidate, or nil. s.mu is held.
func (s *Shadow) find(number int) *comparison {
	for _, c := range s.compare {
		if c.version.Number == number {
			return c
		}
	}
	return nil
}

// Observe takes events that were decided about. Those that a model scored are queued, each name once; what does not fit
// into the queue is dropped and counted. It never waits for scoring, and keeps none of the slice.
func (s *Shadow) Observe(all []store.Event) {
	if !s.active.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	news := false
	for i := range all {
		e := &all[i]
		if e.Rule != detect.Score {
			continue
		}
		key := s.seen.hash(e.Name)
		switch {
		case s.seen.has(key):
		case len(s.waiting) >= s.most:
			s.dropped++
		default:
			s.seen.add(key)
			s.waiting = append(s.waiting, sighting{e.Name, e.Client, e.Time})
			news = true
		}
	}
	if news {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// work scores a batch of what waits by the version in force and by all candidates, and counts what they say. It reports
// whether there was something.
func (s *Shadow) work() bool {
	s.mu.Lock()
	names := s.waiting[:min(batchSize, len(s.waiting))]
	s.waiting = s.waiting[len(names):]
	serving, compared := s.serving, s.compare
	s.mu.Unlock()
	if len(names) == 0 {
		return false
	}
	p := s.o.Policy()
	before := p.WithModel(serving.Classifier)
	old := make([]detect.Decision, len(names))
	for i, n := range names {
		old[i] = before.Decide(n.name)
	}
	for _, c := range compared {
		after := p.WithModel(c.version.Classifier)
		for i, n := range names {
			c.count(n, &old[i], after.Decide(n.name))
		}
	}
	return true
}
