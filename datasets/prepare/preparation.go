package prepare

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
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

	families, sources *interner
	rows              *readPass
	spilled           *spill // rows as they were read
	kept              *spill // part = split * buckets + bucket
	buckets           int
	chunks            chunkPool      // of all spills
	syncs             errgroup.Group // files on their way to the disk
	selected          *Selection     // nil if training keeps all its rows

	mu    sync.Mutex // guards sum and train
	sum   cleaned
	train sectionCounts // of the training rows, if some are to be left out
}

// mostSyncs is how many files may be on their way to the disk.
const mostSyncs = 8

// cleaned is what the workers of clean sum up.
type cleaned struct {
	merge   MergeStats
	content [2]uint64  // hash of the rows kept, whatever their order
	used    [2][]int64 // rows kept by number of family and of source
}

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
	p.progress = &meter{report: o.Progress, total: max(bytes, 1)}
	p.manifest = &datasets.Manifest{
		Format: datasets.FormatVersion, Version: o.Version,
		Options: datasets.ManifestOptions{
			Seed: o.Seed, Validation: o.Validation, Test: o.Test, Split: o.Split,
			HoldoutFamilies: o.HoldoutFamilies, Exclude: o.Exclude, TrainOnly: o.TrainOnly, MaxBad: o.MaxBad,
			Balance: o.Balance, CapFamily: o.CapFamily,
		},
	}
	return p
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
	if p.manifest.Kept == 0 {
		return fmt.Errorf("no rows are left of %d (%d refused, %d in conflict)", p.manifest.RowsIn,
			p.manifest.Refused, p.manifest.Conflicts.Rows)
	}
	if err := p.write(ctx); err != nil {
		return err
	}
	if err := p.checkRows(); err != nil {
		return err
	}
	return p.checkLeaks(ctx)
}

// partitions is how many parts read makes: about 1 MiB of rows in each, so that a part and its hash table stay in the
// processor's cache. It is a guess from the inputs' sizes. A wrong guess costs time, not memory, and does not change
// the output.
func (p *preparation) partitions() int {
	var bytes int64
	for _, in := range p.rows.inputs {
		expansion := int64(1)
		if unpack.TrimSuffix(in.File()) != in.File() {
			expansion = 4
		}
		bytes += in.Bytes() * expansion
	}
	return int(min(max(bytes/(1<<20), 16), 1024))
}

func (p *preparation) read(ctx context.Context) (_ readResult, err error) {
	parts := p.partitions()
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
	all, ctx := errgroup.WithContext(ctx)
	for range p.o.Workers {
		all.Go(func() error {
			w := newCleaner(p)
			for part := range parts {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.partition(part); err != nil {
					return err
				}
				step(p.progress.total / int64(len(in.parts)))
			}
			return w.finish()
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return p.reportCleaned()
}

// dealt gives the numbers below n, each to one of the goroutines that range over it.
func dealt(n int) iter.Seq[int] {
	var next atomic.Int64
	return func(yield func(int) bool) {
		for i := int(next.Add(1)) - 1; i < n && yield(i); i = int(next.Add(1)) - 1 {
		}
	}
}

// reportCleaned fills the manifest with what clean counted, plans which training rows to leave out, and makes sure that
// no row got lost.
func (p *preparation) reportCleaned() (err error) {
	m, st := p.manifest, &p.sum.merge
	slices.Sort(st.Conflicts)
	names := append([]string{}, st.Conflicts[:min(len(st.Conflicts), datasets.MaxConflictNames)]...)
	m.Duplicates, m.Overridden, m.FamilyMerges = st.Duplicates, st.Overridden, st.FamilyMerges
	m.MovedToTrain = st.MovedToTrain
	m.Conflicts = datasets.Conflicts{
		Names: st.ConflictNames, Rows: st.ConflictRows, Benign: st.ConflictBenign, List: names,
	}
	for _, part := range p.kept.parts {
		m.Kept += part.rows
	}
	if m.Kept > 0 {
		if p.selected, err = NewSelection(p.o, p.train.list(p.families.list)); err != nil {
			return err
		}
	}
	if s := p.selected; s != nil {
		m.Capped, m.Balanced = s.Capped, s.Balanced
		m.Kept -= s.Capped + s.Balanced
	}
	sum := m.Refused + m.Duplicates + m.Overridden + m.Conflicts.Rows + m.Capped + m.Balanced + m.Kept
	if sum != m.RowsIn {
		return fmt.Errorf("rows got lost: %d came in, %d are accounted for", m.RowsIn, sum)
	}
	return p.fingerprint()
}

// checkRows compares what was written with what was to be.
func (p *preparation) checkRows() error {
	var rows int64
	for _, s := range p.manifest.Splits {
		rows += s.Rows
	}
	if rows != p.manifest.Kept {
		return fmt.Errorf("rows got lost: %d are kept, %d were written", p.manifest.Kept, rows)
	}
	return nil
}

// fingerprint identifies the data set by its inputs, options and rows.
func (p *preparation) fingerprint() error {
	type in struct{ Path, SHA256, Reader string }
	id := struct {
		Format  int
		Options datasets.ManifestOptions
		Inputs  []in
		Rows    int64
		Content [2]uint64
	}{Format: datasets.FormatVersion, Options: p.manifest.Options, Rows: p.manifest.Kept, Content: p.sum.content}
	for _, r := range p.manifest.Inputs {
		id.Inputs = append(id.Inputs, in{r.Path, r.SHA256, r.Reader})
	}
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("fingerprint: %w", err)
	}
	p.manifest.Fingerprint = fmt.Sprintf("%x", sha256.Sum256(data))
	return nil
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
