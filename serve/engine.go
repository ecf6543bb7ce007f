package serve

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Lists are allow lists, block lists and popular names that others keep up to date, such as lists.Set.
type Lists interface {
	Lists() (allow, block *detect.List, popular *detect.Popular)
}

// Decided is what people decided, such as a ledger. A Snapshot is another one as soon as something else is in force.
type Decided interface {
	InForce(now time.Time) *ledger.Snapshot
}

// EngineOptions say what an Engine decides by.
type EngineOptions struct {
	Models *models.Set
	Model  string // the name of the model in Models that is asked
	// Policy has the threshold and the action. Its classifier and lists are not used.
	Policy  detect.Options
	Lists   Lists   // nil for none
	Decided Decided // nil for none
}

// Engine decides about names by the newest version of a model, by lists, and by what people decided. Whatever of these
// changes is in force within refreshTime. It is safe for concurrent use.
type Engine struct {
	o          EngineOptions
	first      *detect.Policy // of NewEngine
	refreshing sync.Mutex     // held while current is made
	current    atomic.Pointer[judge]
}

// judge is what an Engine decides by at a time.
type judge struct {
	version *models.Version
	policy  *detect.Policy
	cache   *detect.Cache
	lists   [3]any // what Lists gave: they are replaced, never changed
	decided *ledger.Snapshot
}

// refreshTime passes between two looks for a change.
const refreshTime = 200 * time.Millisecond

// NewEngine makes an Engine.
func NewEngine(o EngineOptions) (*Engine, error) {
	e := &Engine{o: o}
	_, err := e.refresh(time.Now())
	if err == nil {
		e.first = e.current.Load().policy
	}
	return e, err
}

// Policy is the one in force, and the version of the model that it asks.
func (e *Engine) Policy() (*detect.Policy, *models.Version) {
	j := e.current.Load()
	return j.policy, j.version
}

// model is the name and version of the model in force: "degas/1".
func (j *judge) model() string { return fmt.Sprintf("%s/%d", j.version.Model, j.version.Number) }

// Run looks for changes until ctx ends. changed, if not nil, is told of a new policy. An error goes to failed; what was
// in force goes on.
func (e *Engine) Run(ctx context.Context, changed func(*detect.Policy), failed func(error)) {
	tick := time.NewTicker(refreshTime)
	defer tick.Stop()
	trouble := ""
	told := e.first // Refresh may have put others in force before and between
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			before := trouble
			trouble = ""
			if _, err := e.refresh(now); err != nil {
				if trouble = err.Error(); trouble != before {
					failed(err)
				}
			}
			if p := e.current.Load().policy; p != told {
				if told = p; changed != nil {
					changed(p)
				}
			}
		}
	}
}

// Refresh puts in force at once what has changed, for somebody who waits to see it. The error leaves what was in force.
func (e *Engine) Refresh() error {
	_, err := e.refresh(time.Now())
	return err
}

// refresh puts a new policy in force if there is another version, other lists or other decisions.
func (e *Engine) refresh(now time.Time) (fresh bool, err error) {
	e.refreshing.Lock()
	defer e.refreshing.Unlock()
	old := e.current.Load()
	if old == nil {
		old = &judge{}
	}
	next := &judge{}
	var ok bool
	if next.version, ok = e.o.Models.Find(e.o.Model, ""); !ok {
		return false, fmt.Errorf("no model is called %q", e.o.Model)
	}
	o := e.o.Policy
	o.Classifier = next.version.Classifier
	if e.o.Lists != nil {
		o.AllowList, o.BlockList, o.Popular = e.o.Lists.Lists()
		next.lists = [3]any{o.AllowList, o.BlockList, o.Popular}
	}
	if e.o.Decided != nil {
		next.decided = e.o.Decided.InForce(now)
		o.Allow, o.Block = next.decided.Allow, next.decided.Block
	}
	if next.version == old.version && next.lists == old.lists && next.decided == old.decided {
		return false, nil
	}
	if next.policy, err = detect.New(o); err != nil {
		return false, err
	}
	next.cache = detect.NewCache(next.policy, 0)
	e.current.Store(next)
	return true, nil
}
