package traffic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/zeebo/xxh3"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/scan"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/bucket"
)

// Files that Watch writes: the findings as degas scan --json prints them, and last the Report.
const (
	FindingsFile = "findings.jsonl"
	WatchFile    = "watch.json"
)

// DefaultLanes is how many lanes Watch has.
const DefaultLanes = 16

// Watch adds a pipeline to s that finds what degas scan finds. It lists the input, so that is done on the machine that
// starts the pipeline.
//
// A worker gathers the evidence of a piece in a watch.Watch and gives it away in shares, by lane and half day. Shares
// that are equal merge. Then each lane goes through its half days in order. So no worker holds more than a lane's
// evidence of two half days, and all that was written down of the lane. Lanes change no finding, unless a Watch of
// everything would be full: each has room for watch.DefaultZones and watch.DefaultClients in a stretch of time. 0 lanes
// are DefaultLanes. Names of lists have no client and no time: their domains count all the same.
func Watch(ctx context.Context, s beam.Scope, o Options, lanes int, falseAlarms float64) error {
	if lanes == 0 {
		lanes = DefaultLanes
	}
	if lanes < 1 || !(falseAlarms >= 0 && falseAlarms <= 1e6) {
		return fmt.Errorf("%d lanes, %v false alarms a day: there must be at least 1 lane, and at most 1e6 alarms", lanes,
			falseAlarms)
	}
	j, err := newJudge(o.Model)
	if err != nil {
		return err
	}
	pieces, files, err := o.start(ctx, s)
	if err != nil {
		return err
	}
	w := watcher{Judge: j, Seed: seedOf(files), FalseAlarms: falseAlarms}
	tallies, gathered := beam.ParDo2(s.Scope("Gather"), &gatherFn{watcher: w, Lanes: lanes, Events: o.Events}, pieces)
	shares := beam.ParDo(s.Scope("Merge"), &mergeFn{w}, beam.GroupByKey(s, gathered))
	ended := beam.ParDo(s.Scope("Lane"), &laneFn{w}, beam.GroupByKey(s, shares))
	counts := beam.ParDo(s.Scope("Count"), &fileFn{}, beam.GroupByKey(s, tallies))
	beam.ParDo0(s.Scope("Conclude"), &concludeFn{watcher: w, Output: o.Output}, beam.CoGroupByKey(s, counts, ended))
	return nil
}

// seedOf is the seed that degas scan takes for the files: who chose the names in them does not know it.
func seedOf(files []File) uint64 {
	var paths []string
	remote := xxh3.New()
	for _, f := range files {
		if bucket.IsURL(f.Folder) {
			fmt.Fprintln(remote, f.Path, f.Size)
			continue
		}
		paths = append(paths, f.Path)
	}
	if len(paths) == len(files) {
		return scan.Seed(paths)
	}
	return max(remote.Sum64()^scan.Seed(paths), 1)
}

// watcher makes Watches that can be merged.
type watcher struct {
	Judge       judge
	Seed        uint64
	FalseAlarms float64

	tables *watch.Tables
}

// Setup implements Beam's DoFn.
func (w *watcher) Setup(context.Context) (err error) {
	if err := w.Judge.setUp(); err != nil {
		return err
	}
	w.tables, err = watch.TablesFor(w.Judge.policy, w.Judge.classifier.Model())
	return err
}

func (w *watcher) watch() *watch.Watch {
	return watch.New(watch.Options{Tables: w.tables, Seed: w.Seed, FalseAlarms: w.FalseAlarms, Part: true})
}

// restored is a Watch that was saved.
func (w *watcher) restored(state []byte) (*watch.Watch, error) {
	r := w.watch()
	return r, r.Restore(bytes.NewReader(state))
}

// merged adds a Watch that was saved to another one.
func (w *watcher) merge(to *watch.Watch, state []byte) error {
	one, err := w.restored(state)
	if err != nil {
		return err
	}
	return to.Merge(one)
}

// gatherFn gathers the evidence of a piece.
type gatherFn struct {
	watcher
	Lanes  int
	Events events.Options
}

// mostGathered is how many clients and domains a worker gathers before it gives them away, each stretch of time for
// itself: some hundred MB.
const mostGathered = 1 << 18

// ProcessElement implements Beam's DoFn.
func (f *gatherFn) ProcessElement(ctx context.Context, p Piece, count func(int64, []byte),
	emit func(string, []byte)) error {
	t, w, n := newTally(&p), f.watch(), 0
	in, err := p.open(ctx, f.Events, false)
	if err != nil {
		t.fail(err)
		err = nil
	} else {
		err = in.eachEvent(ctx, &f.Judge, t, true, func(e *events.Event, d *detect.Decision, mine bool) error {
			if !mine {
				w.Warm(e, d)
				return nil
			}
			w.Observe(e, d)
			if n++; n%batchSize == 0 {
				if clients, domains := w.Size(); clients+domains > mostGathered {
					return f.give(w, emit)
				}
			}
			return nil
		})
		t.of(in)
		t.fail(in.Close())
	}
	if err == nil {
		err = f.give(w, emit)
	}
	return tell(ctx, err, t, count, p.File)
}

// give gives away what a Watch saw.
func (f *gatherFn) give(w *watch.Watch, emit func(string, []byte)) error {
	for share, part := range w.Parts(f.Lanes) {
		var b bytes.Buffer
		if err := part.Save(&b); err != nil {
			return err
		}
		emit(fmt.Sprintf("%d %d", share.Lane, share.Half), b.Bytes())
	}
	return nil
}

// mergeFn merges the shares of a lane's half day.
type mergeFn struct{ watcher }

// ProcessElement implements Beam's DoFn.
func (f *mergeFn) ProcessElement(share string, states func(*[]byte) bool, emit func(int64, []byte)) error {
	var lane, half int64
	if _, err := fmt.Sscanf(share, "%d %d", &lane, &half); err != nil {
		return fmt.Errorf("share %q: %w", share, err)
	}
	w := f.watch()
	var state []byte
	for states(&state) {
		if err := f.merge(w, state); err != nil {
			return err
		}
	}
	out := bytes.NewBuffer(binary.BigEndian.AppendUint64(nil, uint64(half)^signBit))
	if err := w.Save(out); err != nil {
		return err
	}
	emit(lane, out.Bytes())
	return nil
}

// signBit puts half days in order as unsigned numbers.
const signBit = 1 << 63

// laneFn goes through the half days of a lane.
type laneFn struct{ watcher }

// ProcessElement implements Beam's DoFn.
func (f *laneFn) ProcessElement(lane int64, states func(*[]byte) bool, emit func(string, []byte)) error {
	var halves [][]byte
	var state []byte
	for states(&state) {
		halves = append(halves, bytes.Clone(state))
	}
	slices.SortFunc(halves, bytes.Compare) // each begins with its number
	w := f.watch()
	for i, state := range halves {
		if err := f.merge(w, state[8:]); err != nil {
			return fmt.Errorf("lane %d: %w", lane, err)
		}
		halves[i] = nil
		half := int64(binary.BigEndian.Uint64(state) ^ signBit)
		w.EndBefore(watch.Share{Half: half}.EndOf())
	}
	w.EndBefore(math.MaxInt64)
	var b bytes.Buffer
	if err := w.Save(&b); err != nil {
		return err
	}
	emit("", b.Bytes())
	return nil
}

// concludeFn merges the lanes, and writes what was found.
type concludeFn struct {
	watcher
	Output string
}

// ProcessElement implements Beam's DoFn.
func (f *concludeFn) ProcessElement(ctx context.Context, _ string, files, lanes func(*[]byte) bool) error {
	w := f.watch()
	var state []byte
	for lanes(&state) {
		if err := f.merge(w, state); err != nil {
			return err
		}
	}
	r, err := sum(files)
	if err != nil {
		return err
	}
	found := w.Findings()
	folder, err := bucket.Open(ctx, f.Output)
	if err != nil {
		return err
	}
	defer folder.Close()
	err = folder.Write(ctx, FindingsFile, func(out io.Writer) error { return scan.WriteFindings(out, found) })
	if err != nil {
		return err
	}
	r.Model, r.Findings, r.Written = f.Judge.Digest, int64(len(found)), 1
	return writeJSON(ctx, f.Output, WatchFile, r)
}
