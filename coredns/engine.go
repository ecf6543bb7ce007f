package degas

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model/versions"
)

// engine decides about names for one block of a Corefile, and keeps what it takes.
type engine struct {
	settings
	used   atomic.Pointer[usedModel]
	newest *versions.Newest // follows the versions of the model
	set    *lists.Set
	policy atomic.Pointer[decider]
	// swapping is held by whoever makes a policy of the one in use.
	swapping sync.Mutex
	changes  atomic.Uint64 // the last of policy and held
	limits   *limits
	later    chan string // names to score in the background
	held     held
	// everything says that zones has the root, and counters are those of requests.
	everything bool
	counters   counters
	watched    *evidence

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// decider is a policy with what it decided: both are replaced together.
type decider struct {
	policy *detect.Policy
	cache  *detect.Cache
}

// newEngine loads the model and the lists. Nothing runs yet.
func newEngine(ctx context.Context, s settings) (*engine, error) {
	e := &engine{settings: s, limits: newLimits(s.rate, s.burst), later: make(chan string, 1024),
		everything: slices.Contains(s.zones, ".")}
	newest, version, err := versions.Open(s.model, brokenVersion)
	if err != nil {
		return nil, err
	}
	e.newest = newest
	s.lists.Log = slog.New(slog.NewTextHandler(lineLog{}, nil))
	if e.set, err = lists.Open(ctx, s.lists); err != nil {
		return nil, err
	}
	if err := e.emptied(); err != nil {
		return nil, err
	}
	p, tables, err := e.policyFor(version)
	if err != nil {
		return nil, err
	}
	if err := e.callModel(version); err != nil {
		return nil, err
	}
	e.use(p)
	e.watched, err = newEvidence(e, tables)
	return e, err
}

// use replaces the policy. Decisions of the old one are forgotten.
func (e *engine) use(p *detect.Policy) {
	e.policy.Store(&decider{p, detect.NewCache(p, e.cache)})
	e.changed()
}

// lastChange counts the changes of all engines of this process, so that no two of them have the same version.
var lastChange atomic.Uint64

func (e *engine) changed() { e.changes.Store(lastChange.Add(1)) }

// version changes whenever a name could be decided about otherwise than before. No other engine ever has the same.
func (e *engine) version() uint64 { return e.changes.Load() }

// policyFor makes a policy by a version of the model, with the lists as they are, and the tables for its scores.
func (e *engine) policyFor(v *versions.Version) (*detect.Policy, *watch.Tables, error) {
	o := detect.Options{Threshold: e.threshold, Action: detect.Block}
	if e.remote == nil {
		o.Classifier = v.Classifier
	}
	o.AllowList, o.BlockList, o.Popular = e.set.Lists()
	p, err := detect.New(o)
	if err != nil {
		return nil, nil, err
	}
	tables, err := watch.TablesFor(p, v.Classifier.Model())
	if err != nil || e.falseAlarms == 0 {
		return p, tables, err
	}
	if o.Threshold, err = tables.Threshold(e.falseAlarms); err != nil {
		return nil, nil, err
	}
	p, err = detect.New(o)
	return p, tables, err
}

// usedModel is what people and metrics call the version in use.
type usedModel struct {
	called string // the model, and the first digits of its hash
	labels []string
}

// callModel names the version in use.
func (e *engine) callModel(v *versions.Version) error {
	digest, err := v.Classifier.Model().Digest()
	if err != nil {
		return err
	}
	number := ""
	if v.Path != e.model { // one of several versions
		number = "/" + strconv.Itoa(v.Number)
	}
	base := filepath.Base(e.model)
	now := &usedModel{fmt.Sprintf("%s%s@%.8s", baseOf(base), number, digest), []string{base + number, digest}}
	if old := e.used.Swap(now); old != nil {
		modelInfo.DeleteLabelValues(old.labels...)
	}
	modelInfo.WithLabelValues(now.labels...).Set(1)
	return nil
}

// called is the model in use for people.
func (e *engine) called() string { return e.used.Load().called }

// follow looks for newer versions of the model until ctx ends. The one in use goes on until a newer one decides.
func (e *engine) follow(ctx context.Context) {
	e.newest.Run(ctx, versions.Look, func(v *versions.Version) {
		e.swapping.Lock()
		defer e.swapping.Unlock()
		p, tables, err := e.policyFor(v)
		if err == nil {
			err = e.callModel(v)
		}
		if err != nil {
			brokenVersion(err)
			return
		}
		e.use(p)
		e.watched.tables.Store(tables)
		log.Infof("model %s is in use now, threshold %.6f", e.called(), p.Threshold())
	}, brokenVersion)
}

func brokenVersion(err error) {
	log.Warningf("a version of the model cannot be used, and the one before it goes on: %v", err)
}

// start begins to look after lists, the model and evidence, until stop.
func (e *engine) start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.countLists()
	for _, s := range e.set.Stats() {
		log.Infof("%s list %s: %d entries", s.Kind, printable.Terminal(s.Name), s.Entries)
	}
	e.running.Go(func() {
		e.set.Run(ctx, func() {
			e.swapping.Lock()
			e.use(e.policy.Load().policy.With(e.set.Lists()))
			e.swapping.Unlock()
			e.countLists()
		})
	})
	e.running.Go(func() { e.follow(ctx) })
	e.running.Go(func() { e.watched.run(ctx) })
	if e.async {
		e.running.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case text := <-e.later:
					e.policy.Load().cache.Decide([]byte(text))
				}
			}
		})
	}
}

// stop ends what start began, after what waits has been written.
func (e *engine) stop() error {
	e.cancel()
	e.running.Wait()
	return e.watched.close()
}

// inUse has the entries of each list of this process, by its name. A Corefile that is read again opens its lists anew,
// and finds here what was there before.
var inUse sync.Map // of string to int

// emptied is an error if a list has no entry any more. Within an engine such a list leaves its entries: it may be
// written just now, or its URL may fail. An engine that begins has none to leave, so the one before it has to go on.
func (e *engine) emptied() error {
	for _, s := range e.set.Stats() {
		if n, ok := inUse.Load(s.Name); ok && n.(int) > 0 && s.Entries == 0 {
			return fmt.Errorf("the list %s had %d entries, and has none now. Try: a comment in the file if it is empty on "+
				"purpose, and this again after some seconds", s.Name, n)
		}
	}
	return nil
}

func (e *engine) countLists() {
	for _, s := range e.set.Stats() {
		inUse.Store(s.Name, s.Entries)
		listEntries.WithLabelValues(s.Name).Set(float64(s.Entries))
		listFailures.WithLabelValues(s.Name).Set(float64(s.Failures))
		if !s.Loaded.IsZero() {
			listLoaded.WithLabelValues(s.Name).Set(float64(s.Loaded.Unix()))
		}
	}
}

func (e *engine) ready() bool { return e.set.Ready() }

// allowsBelow reports whether an allowed name lies below a question's name.
func (e *engine) allowsBelow(question string) bool {
	return e.policy.Load().policy.AllowsBelow(lines.View(detect.AppendAsked(nil, appendName(nil, question))))
}

// decide says what a query's name means. The error is of a model on another machine.
func (e *engine) decide(ctx context.Context, q *query) (detect.Decision, error) {
	d := e.policy.Load()
	decision, known := d.cache.Known(q.asked)
	switch {
	case known:
		cacheHits.Inc()
	case e.async:
		cacheMisses.Inc()
		if decision, known = d.policy.Listed(q.asked); !known {
			select {
			case e.later <- string(q.asked):
			default: // too many wait: the next query for the name asks again
			}
		}
	default:
		cacheMisses.Inc()
		start := time.Now()
		decision = d.cache.Decide(q.asked)
		scoreDuration.Observe(time.Since(start).Seconds())
	}
	return e.refine(ctx, q, decision)
}

// refine changes a decision about a name by what is known besides: a list stands, a tunnel in its domain does not wait
// for a score, and dnstun's model is on another machine.
func (e *engine) refine(ctx context.Context, q *query, decision detect.Decision) (detect.Decision, error) {
	if decision.Rule == detect.AllowList || decision.Rule == detect.BlockList {
		return decision, nil
	}
	if e.held.has(q.asked, q.time) {
		return detect.Decision{Verdict: detect.Malicious, Action: detect.Block, Rule: detect.Evidence,
			Class: kindNames[tunnel], Reason: "a tunnel was found in the domain"}, nil
	}
	if e.remote != nil && decision.Rule == detect.NoRule {
		return e.remote.decide(ctx, q.name)
	}
	return decision, nil
}

// observe counts a query with what came of it, and hands it to the evidence and the log.
func (e *engine) observe(q *query, d *detect.Decision, a action) {
	e.counters.of(q.server, q.view, d.Verdict, a.does).Inc()
	e.watched.add(q, d, a)
}

// lineLog writes what package lists logs to CoreDNS' log, which adds the time and the level itself.
type lineLog struct{}

func (lineLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	_, text, _ = strings.Cut(text, " level=")
	level, text, _ := strings.Cut(text, " ")
	if level == slog.LevelInfo.String() {
		log.Info(text)
	} else {
		log.Warning(text)
	}
	return len(line), nil
}
