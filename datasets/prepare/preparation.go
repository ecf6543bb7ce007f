package prepare

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/unpack"
)

// preparation is one call of Run: passes over rows that live on disk.
//
//  1. read (read.go): inputs are read, names normalised, and rows spread over partitions by registered domain.
//  2. conclude (conclude.go): labels are checked, and whole families, sources and days get a split, now that their
//     sizes are known (plan.go, dates.go).
//  3. clean (clean.go): each partition is cleaned by itself: duplicates and label conflicts are settled (merge.go), and
//     the rows kept are spread over buckets by split and place in the final order.
//  4. write (sort.go): each bucket is sorted and written. Buckets are in order, so the file is.
//  5. checkLeaks (leak.go): the finished files are read again.
//
// The final order is that of a seeded hash of the name: a random permutation that depends on nothing but the rows.
type preparation struct {
	o        Options
	plan     *Plan
	temp     string // folder for rows and unfinished outputs
	skipped  []datasets.Skipped
	manifest *datasets.Manifest
	progress *meter
	bytes    int64 // of the inputs, unpacked

	families, sources *interner
	rows              *readPass
	spilled           *spill // rows as they were read
	kept              *spill // part = split * buckets + bucket
	buckets           int
	chunks            chunkPool      // of all spills
	syncs             errgroup.Group // files on their way to the disk
	selected          *Selection     // nil if training keeps all its rows

	mu  sync.Mutex // guards sum
	sum cleaned
}

// mostSyncs is how many files may be on their way to the disk.
const mostSyncs = 8

func newPreparation(o Options, plan *Plan, temp string, in []*formats.Input, skipped []datasets.Skipped) *preparation {
	p := &preparation{o: o, plan: plan, temp: temp, skipped: skipped, families: newInterner("families"),
		sources: newInterner("sources")}
	p.syncs.SetLimit(mostSyncs)
	var bytes int64
	p.rows = &readPass{families: p.families, sources: p.sources, plan: plan, maxBad: o.MaxBad,
		tempDir: temp}
	for _, input := range in {
		bytes += input.Bytes()
		p.rows.inputs = append(p.rows.inputs, newInputRead(input, p.rows))
	}
	p.bytes = unpackedBytes(in)
	p.progress = &meter{report: o.Progress, total: max(bytes, 1)}
	p.manifest = newManifest(o)
	return p
}

// newManifest has what is known before anything is read.
func newManifest(o Options) *datasets.Manifest {
	return &datasets.Manifest{
		Format: datasets.FormatVersion, Version: o.Version,
		Options: datasets.ManifestOptions{
			Seed: o.Seed, Validation: o.Validation, Test: o.Test, Split: o.Split,
			HoldoutFamilies: o.HoldoutFamilies, Exclude: o.Exclude, TrainOnly: o.TrainOnly, MaxBad: o.MaxBad,
			Balance: o.Balance, CapFamily: o.CapFamily,
		},
	}
}

func (p *preparation) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.syncs.Wait()) }()
	found, err := p.read(ctx)
	if err != nil {
		return err
	}
	if err := found.conclude(p.manifest, p.plan, p.skipped, p.o.Strict); err != nil {
		return errors.Join(err, p.spilled.close())
	}
	if err := p.clean(ctx); err != nil {
		return err
	}
	if err := p.spilled.close(); err != nil {
		return err
	}
	if err := p.write(ctx); err != nil {
		return err
	}
	if err := checkRows(p.manifest); err != nil {
		return err
	}
	return p.checkLeaks(ctx)
}

// partitionsOf is how many parts the rows of so many bytes are spread over: about 1 MiB of rows in each, so that a part
// and its hash table stay in the processor's cache. A wrong guess of the bytes costs time, not memory, and does not
// change the output.
func partitionsOf(bytes int64) int { return int(min(max(bytes/(1<<20), 16), 1024)) }

// unpackedBytes guesses the inputs' size.
func unpackedBytes(inputs []*formats.Input) (bytes int64) {
	for _, in := range inputs {
		expansion := int64(1)
		if unpack.TrimSuffix(in.File()) != in.File() {
			expansion = 4
		}
		bytes += in.Bytes() * expansion
	}
	return bytes
}

func (p *preparation) read(ctx context.Context) (_ readResult, err error) {
	parts := partitionsOf(p.bytes)
	p.rows.parts, p.rows.progress = parts, p.progress.stage(0, 0.6)
	p.spilled, err = newSpill(filepath.Join(p.temp, "rows"), parts, spillMemory(p.o.Memory), &p.chunks)
	if err != nil {
		return readResult{}, err
	}
	writers := make([]*spillWriter, p.o.Workers)
	for i := range writers {
		writers[i] = p.spilled.writer(spillBuffer(p.o.Memory, p.o.Workers, parts))
	}
	err = p.rows.run(ctx, writers)
	for _, w := range writers {
		err = cmp.Or(err, w.flush())
	}
	if err != nil {
		return readResult{}, errors.Join(err, p.spilled.close())
	}
	return p.rows.result(), nil
}

// clean cleans all partitions, by all workers.
func (p *preparation) clean(ctx context.Context) (err error) {
	in := p.spilled
	var rows int64
	for _, part := range in.parts {
		rows += part.rows
	}
	p.buckets = bucketsFor(rows)
	p.kept, err = newSpill(filepath.Join(p.temp, "kept"), datasets.NumSplits*p.buckets, spillMemory(p.o.Memory), &p.chunks)
	if err != nil {
		return err
	}
	step := p.progress.stage(0.6, 0.8)
	parts := dealt(len(in.parts))
	var train *trainCounts
	if p.o.thins() {
		train = &trainCounts{}
	}
	all, ctx := errgroup.WithContext(ctx)
	for range p.o.Workers {
		all.Go(func() error {
			w := p.cleaner(train)
			for part := range parts {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.partition(part); err != nil {
					return err
				}
				step(p.progress.total / int64(len(in.parts)))
			}
			p.mu.Lock()
			p.sum.add(&w.sum)
			p.mu.Unlock()
			return w.finish()
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	p.selected, err = reportCleaned(p.manifest, p.sum.tally(p.families, p.sources, train))
	return err
}

func (p *preparation) cleaner(train *trainCounts) *cleaner {
	w := newCleaner(p.plan, p.families.list, p.sources.list, p.spilled,
		p.kept.writer(spillBuffer(p.o.Memory, p.o.Workers, len(p.kept.parts))), train)
	w.place = func(split datasets.SplitID, order uint64) int { return int(split)*p.buckets + bucket(order, p.buckets) }
	// A quarter of memory, because the garbage collector may let as much again pile up.
	w.budget = p.o.Memory / 4 / int64(p.o.Workers)
	return w
}

// dealt gives the numbers below n, each to one of the goroutines that range over it.
func dealt(n int) iter.Seq[int] {
	var next atomic.Int64
	return func(yield func(int) bool) {
		for i := int(next.Add(1)) - 1; i < n && yield(i); i = int(next.Add(1)) - 1 {
		}
	}
}

// finished is the folder that has the finished files until they are put in place.
func (p *preparation) finished() string { return filepath.Join(p.temp, "finished") }

// publish puts the finished files in place.
func (p *preparation) publish(out string) error {
	data, err := p.manifest.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(p.finished(), datasets.ManifestName), data); err != nil {
		return err
	}
	return datasets.Place(p.finished(), out)
}

// meter turns the passes' progress into one number.
type meter struct {
	mu     sync.Mutex
	report func(done, total int64)
	total  int64
	done   float64
}

// stage gives a function that is told of steps which sum up to total, for the part from..to of the whole.
func (m *meter) stage(from, to float64) func(int64) {
	return func(n int64) {
		if m.report == nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		at := max(m.done, from*float64(m.total))
		m.done = min(at+float64(n)*(to-from), to*float64(m.total))
		m.report(int64(m.done), m.total)
	}
}
