// Package scan reads captures and logs with package events and judges every name with package detect. [Run] reads the
// files side by side and says what was in them, and what package detect/watch found.
//
//	files.go     the files that paths stand for
//	scan.go      Run: batches of events, decisions
//	rules.go     what the rules of other detectors say
//	report.go    what Run returns
//	eventlog.go  every event with its decision, as CSV, JSON Lines or Parquet
//	compat.go    the files of Simple-DNS-tunneling-detector
package scan

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/axiomhq/hyperloglog"
	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/unpack"
)

// Options of Run.
type Options struct {
	// Policy judges names.
	Policy *detect.Policy
	// Policies takes Policy's place as they come, with other lists for example: it decides about what is read then. nil is
	// none.
	Policies <-chan *detect.Policy
	// Events is how files are read.
	Events events.Options
	// Workers is how many files are read at a time; 0 is one a core.
	Workers int
	// Watch collects evidence over names; nil for one with the tables of the Policy's model.
	Watch *watch.Watch
	// Input is what the path "-" stands for.
	Input io.Reader
	// Each, if not nil, is told of every event and its decision, in the order of a file's events, from one goroutine at a
	// time. Both are valid during the call.
	Each func(file string, e *events.Event, d *detect.Decision) error
	// Rules asks the rules of other detectors, too.
	Rules bool
	// Compat, if not nil, is told of every message, before queries are joined with their responses. One file is read after
	// the other then.
	Compat *Compat
	// Progress, if not nil, is told the bytes read from disk. It may be called from several goroutines.
	Progress func(n int64)
}

// Standard is the path that stands for Options.Input.
const Standard = "-"

// batchSize is how many events are judged together: enough to keep all cores busy where every name is new.
const batchSize = 4096

// Run reads the files at paths and judges their names. A file that cannot be read, or not to its end, is in the report
// with its error; the others are still read. The error is ctx's, or Each's.
func Run(ctx context.Context, paths []string, o Options) (*Report, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Compat != nil {
		o.Workers = 1
	}
	if o.Watch == nil {
		o.Watch = watch.New(watch.Options{Seed: Seed(paths)})
	}
	s := &scanner{Options: o, ruled: ruled{names: map[[3]string]*RuleReport{}}, names: hyperloglog.New(),
		clients: hyperloglog.New()}
	s.use(o.Policy)
	following, stop := context.WithCancel(ctx)
	defer stop()
	go s.follow(following)
	files := make([]FileReport, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	for i, path := range paths {
		group.Go(func() error {
			files[i] = FileReport{Path: path}
			return s.file(ctx, path, &files[i])
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return s.report(files), nil
}

// scanner is one call of Run.
type scanner struct {
	Options
	decider atomic.Pointer[decider]
	before  [2]atomic.Int64 // hits and misses of the caches before

	mu             sync.Mutex // guards what follows, and calls of Each
	ruled          ruled
	names, clients *hyperloglog.Sketch
}

// decider is a policy with what it decided.
type decider struct {
	policy *detect.Policy
	cache  *detect.Cache
}

// use decides by p from now on.
func (s *scanner) use(p *detect.Policy) {
	if old := s.decider.Swap(&decider{p, detect.NewCache(p, 0)}); old != nil {
		hits, misses := old.cache.Stats()
		s.before[0].Add(hits)
		s.before[1].Add(misses)
	}
}

// follow uses the policies that come, until ctx ends.
func (s *scanner) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.Policies:
			s.use(p)
		}
	}
}

// batch is a stretch of a file's events with memory of their own.
type batch struct {
	events    []events.Event
	names     [][]byte
	decisions []detect.Decision
	err       error // after the events; io.EOF at the file's end
}

// file reads and judges one file: a goroutine reads batches, this one decides about those before, and a third counts
// those before that.
func (s *scanner) file(ctx context.Context, path string, f *FileReport) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := s.open(ctx, path)
	if err != nil {
		f.fail(err)
		return ctx.Err()
	}
	f.Format, f.Unit = in.Format.Name, in.Format.Unit
	count := &tally{names: hyperloglog.New(), clients: hyperloglog.New(), windows: rules.NewWindows(0)}
	free, ready, decided := make(chan *batch, 4), make(chan *batch, 1), make(chan *batch, 1)
	for range cap(free) {
		free <- &batch{}
	}
	go func() {
		defer close(ready)
		joined := events.Join(&tapped{in, path, s.Compat, s})
		for b := range free {
			b.fill(joined)
			ended := b.err != nil
			ready <- b
			if ended {
				return
			}
		}
	}()
	defer func() {
		cancel() // the reader may wait for a pipe that nobody writes to
		close(free)
		for range ready { // the reader may hold a batch that nobody wants any more
		}
		f.fail(in.Close())
		f.finish(count, &in.Stats)
		f.fail(f.useless())
	}()
	var counting errgroup.Group
	counting.Go(func() (err error) {
		for b := range decided {
			if err == nil {
				if err = s.count(path, b, count); err != nil {
					cancel() // the reader may wait for a pipe
				}
			}
			if b.err == nil {
				free <- b
			}
		}
		return err
	})
	for b := range ready {
		if err = s.decider.Load().cache.DecideAll(ctx, b.names, b.decisions); err != nil {
			break
		}
		ended := b.err
		decided <- b
		if ended != nil {
			if ended != io.EOF {
				f.fail(fmt.Errorf("read %s after %d %s: %w", path, in.Stats.Units, f.Unit, ended))
			}
			break
		}
	}
	close(decided)
	if counted := counting.Wait(); counted != nil {
		return counted
	}
	if err != nil {
		return err
	}
	f.Names, f.Clients = count.names.Estimate(), count.clients.Estimate()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ruled.end(path, count.windows)
	return cmp.Or(s.names.Merge(count.names), s.clients.Merge(count.clients), ctx.Err())
}

func (s *scanner) open(ctx context.Context, path string) (*events.File, error) {
	if path != Standard {
		return events.Open(ctx, path, s.Events, s.Progress)
	}
	f, err := events.OpenStream(ctx, unpack.Until(ctx, s.Input), "standard input", s.Events, s.Progress)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return f, nil
}

// tapped shows Compat what is read.
type tapped struct {
	events.Reader
	path   string
	compat *Compat
	by     *scanner
}

// Next implements events.Reader.
func (t *tapped) Next(e *events.Event) error {
	err := t.Reader.Next(e)
	if err == nil && t.compat != nil && !t.by.decider.Load().policy.Allows(e.Name) {
		err = t.compat.Observe(t.path, e)
	}
	return err
}

// fill takes events from a reader until the batch is full or the reader ends.
func (b *batch) fill(in events.Reader) {
	if b.events == nil {
		b.events = make([]events.Event, batchSize)
	}
	b.events, b.names = b.events[:batchSize], b.names[:0]
	var e events.Event
	n := 0
	for n < batchSize {
		if b.err = in.Next(&e); b.err != nil {
			break
		}
		e.CopyTo(&b.events[n])
		b.names = append(b.names, b.events[n].Name)
		n++
	}
	b.events = b.events[:n]
	b.decisions = slices.Grow(b.decisions[:0], n)[:n]
}

// count counts a batch's events and adds them to the evidence.
func (s *scanner) count(path string, b *batch, count *tally) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var key []byte
	for i := range b.events {
		e, d := &b.events[i], &b.decisions[i]
		count.kinds[e.Kind]++
		count.verdicts[d.Verdict]++
		widen(&count.first, &count.last, e.Time)
		key = events.AppendLower(key[:0], e.Name)
		count.names.Insert(key)
		client := e.Client.String()
		if client != "" {
			count.clients.Insert([]byte(client))
		}
		s.Watch.Observe(e, d)
		if s.Rules {
			s.ruled.add(e, d, count.windows)
		}
		if s.Each != nil {
			if err := s.Each(path, e, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// fail notes the first error of a file.
func (f *FileReport) fail(err error) {
	if err != nil && f.Error == "" {
		f.Error = err.Error()
	}
}
