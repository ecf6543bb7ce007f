package serve

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/models"
)

// Lists are allow lists, block lists and popular names that others keep up to date, such as lists.Set.
type Lists interface {
	Lists() (allow, block *detect.List, popular *detect.Popular)
}

// Decided are the entries that people decided on and that are in force, such as those of a ledger.
type Decided interface {
	// InForce are entries of an allow list and of a block list, as detect.Options has them.
	InForce(now time.Time) (allow, block []string, err error)
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
	o       EngineOptions
	current atomic.Pointer[judge]
	allow   []string // what people decided, when it was last read
	block   []string
}

// judge is what an Engine decides by at a time.
type judge struct {
	version *models.Version
	policy  *detect.Policy
	cache   *detect.Cache
	lists   [3]any // what Lists gave: they are replaced, never changed
}

// refreshTime passes between two looks for a change.
const refreshTime = 200 * time.Millisecond

// NewEngine makes an Engine.
func NewEngine(o EngineOptions) (*Engine, error) {
	e := &Engine{o: o}
	_, err := e.refresh(time.Now())
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
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			before := trouble
			trouble = ""
			fresh, err := e.refresh(now)
			switch {
			case err != nil:
				if trouble = err.Error(); trouble != before {
					failed(err)
				}
			case fresh && changed != nil:
				changed(e.current.Load().policy)
			}
		}
	}
}

// refresh puts a new policy in force if there is another version, other lists or other decisions.
func (e *Engine) refresh(now time.Time) (fresh bool, err error) {
	old := cmp.Or(e.current.Load(), &judge{})
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
	allow, block := e.allow, e.block
	if e.o.Decided != nil {
		if allow, block, err = e.o.Decided.InForce(now); err != nil {
			return false, fmt.Errorf("read the decisions: %w", err)
		}
	}
	same := equal(allow, e.allow) && equal(block, e.block)
	if same && next.version == old.version && next.lists == old.lists {
		return false, nil
	}
	o.Allow, o.Block = allow, block
	if next.policy, err = detect.New(o); err != nil {
		return false, err
	}
	next.cache = detect.NewCache(next.policy, 0)
	e.allow, e.block = allow, block
	e.current.Store(next)
	return true, nil
}

// equal reports whether two slices have the same entries. One that was not read again is the same slice.
func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 0 || &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
