package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// job is one run of Process: three passes over rows that live on disk.
//
//  1. Inputs are read and their rows spread over partitions by registered domain (pass1.go).
//  2. Each partition is cleaned and split, independently (partition.go), and what is kept is spread over buckets by
//     split and place in the final order.
//  3. Each bucket is sorted and written; buckets are in order, so that the file is (here and arrowfile.go).
//
// The final order is that of a seeded hash of the name: a random permutation that depends on nothing but the rows.
type job struct {
	o        ProcessOptions
	plan     *Plan
	temp     string
	inputs   []*reading
	manifest *Manifest

	families, sources *interner
	first             *firstPass
	kept              *spill // part = split * buckets + bucket
	buckets           int
	chunks            chunkPool      // of all spills
	syncs             errgroup.Group // files on their way to the disk

	mu       sync.Mutex // guards what workers of the second pass sum up
	stats    PartitionStats
	content  [2]uint64
	used     [2][]int64 // kept rows by family and source number
	train    [classCount][]int64
	selected *selection // nil when training keeps all its rows
	progress *meter
}

func newJob(o ProcessOptions, plan *Plan, temp string, inputs []*input, skipped []Skipped) *job {
	j := &job{o: o, plan: plan, temp: temp, families: newInterner("families"), sources: newInterner("sources")}
	var bytes int64
	for _, in := range inputs {
		bytes += in.weight
		j.inputs = append(j.inputs, &reading{input: in, source: in.source(), familyIDs: map[string]spelling{},
			refusedBy: map[string]int64{}})
	}
	j.progress = &meter{report: o.Progress, total: max(bytes, 1)}
	if skipped == nil {
		skipped = []Skipped{}
	}
	j.manifest = &Manifest{
		Format: FormatVersion, Version: o.Version, Skipped: skipped,
		Options: ManifestOptions{
			Seed: o.Seed, Validation: o.Validation, Test: o.Test, Split: o.Split,
			HoldoutFamilies: o.HoldoutFamilies, MaxBad: o.MaxBad, Balance: o.Balance, CapFamily: o.CapFamily,
		},
	}
	return j
}

func (j *job) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, j.syncs.Wait()) }()
	if err := j.readInputs(ctx); err != nil {
		return err
	}
	if err := j.finishPlan(); err != nil {
		return err
	}
	if err := j.clean(ctx); err != nil {
		return err
	}
	if err := j.first.spill.close(); err != nil {
		return err
	}
	if j.manifest.Kept == 0 {
		return fmt.Errorf("no rows are left of %d (%d refused, %d in conflict)", j.manifest.RowsIn,
			j.manifest.Refused, j.manifest.Conflicts.Rows)
	}
	if err := j.write(ctx); err != nil {
		return err
	}
	if err := j.checkRows(); err != nil {
		return err
	}
	return j.checkLeaks(ctx)
}

// partitions is how many parts the first pass makes: about 1 MiB of rows in each, so that a part and its hash table stay
// in the processor's cache. It is a guess from the inputs' sizes; wrong ones cost time, not memory, and do not change the
// output.
func (j *job) partitions() int {
	var rows int64
	for _, r := range j.inputs {
		expansion := int64(1)
		if trimCompression(r.file.rel) != r.file.rel {
			expansion = 4
		}
		rows += r.weight * expansion
	}
	return int(min(max(rows/(1<<20), 16), 1024))
}

func (j *job) readInputs(ctx context.Context) (err error) {
	p := &firstPass{
		inputs: j.inputs, families: j.families, sources: j.sources, plan: j.plan,
		maxBad: j.o.MaxBad, tempDir: j.temp, progress: j.progress.stage(0, 0.6),
	}
	if p.spill, err = newSpill(filepath.Join(j.temp, "rows"), j.partitions(), spillMemory(j.o.Memory), &j.chunks); err != nil {
		return err
	}
	for _, r := range j.inputs {
		r.run = p
	}
	j.first = p
	if err := p.run(ctx, j.o.Workers, spillBuffer(j.o.Memory, j.o.Workers, len(p.spill.parts))); err != nil {
		return errors.Join(err, p.spill.close())
	}
	j.reportInputs()
	return nil
}

// reportInputs fills the manifest with what the first pass counted.
func (j *job) reportInputs() {
	m := j.manifest
	m.RefusedBy = map[string]int64{}
	for _, r := range j.inputs {
		rep := InputReport{Path: r.label(), SHA256: r.sum, Bytes: r.file.size, Reader: r.reader.Name(), Source: r.source,
			Rows: r.rows.Load()}
		if len(r.refusedBy) > 0 {
			rep.Refused = r.refusedBy
		}
		for reason, n := range r.refusedBy {
			m.RefusedBy[reason] += n
			m.Refused += n
		}
		for _, s := range r.samples {
			rep.Samples = append(rep.Samples, s.text)
		}
		m.RowsIn += rep.Rows
		m.Inputs = append(m.Inputs, rep)
	}
}

// finishPlan decides about whole families, sources and days, whose sizes are known now.
func (j *job) finishPlan() error {
	named := func(in *interner, counts []int64) map[string]int64 {
		out := map[string]int64{}
		for id, n := range counts {
			if s := in.name(uint16(id)); s != "" && n > 0 {
				out[s] = n
			}
		}
		return out
	}
	families := named(j.families, j.first.byFamily)
	var names []string
	for f := range families {
		names = append(names, f)
	}
	slices.Sort(names)
	switch j.plan.By {
	case SplitByFamily:
		j.plan.Families = j.plan.assign(families)
	case SplitBySource:
		j.plan.Sources = j.plan.assign(named(j.sources, j.first.bySource))
	case SplitByDate:
		var err error
		if j.manifest.Dates, err = j.plan.cutDays(j.first.byDay); err != nil {
			return err
		}
	}
	return j.plan.checkHoldout(names)
}

// clean is the second pass.
func (j *job) clean(ctx context.Context) (err error) {
	in := j.first.spill
	var rows int64
	for _, p := range in.parts {
		rows += p.rows
	}
	j.buckets = int(min(max(rows/bucketRows, 1), 512))
	if j.kept, err = newSpill(filepath.Join(j.temp, "kept"), splitCount*j.buckets, spillMemory(j.o.Memory), &j.chunks); err != nil {
		return err
	}
	var next int
	step := j.progress.stage(0.6, 0.8)
	take := func() (part int, ok bool) {
		j.mu.Lock()
		defer j.mu.Unlock()
		next++
		return next - 1, next <= len(in.parts)
	}
	all, ctx := errgroup.WithContext(ctx)
	for range j.o.Workers {
		all.Go(func() error {
			w := newCleaner(j)
			for part, ok := take(); ok; part, ok = take() {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.partition(part); err != nil {
					return err
				}
				step(j.progress.total / int64(len(in.parts)))
			}
			return w.finish()
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return j.reportClean()
}

func (j *job) reportClean() error {
	m, st := j.manifest, &j.stats
	slices.Sort(st.Conflicts)
	st.Conflicts = st.Conflicts[:min(len(st.Conflicts), MaxConflictNames)]
	if st.Conflicts == nil {
		st.Conflicts = []string{}
	}
	m.Duplicates, m.Overridden, m.FamilyMerges = st.Duplicates, st.Overridden, st.FamilyMerges
	m.Conflicts = Conflicts{Names: st.ConflictNames, Rows: st.ConflictRows, Benign: st.ConflictBenign, List: st.Conflicts}
	for _, p := range j.kept.parts {
		m.Kept += p.rows
	}
	if m.Kept > 0 {
		var err error
		if j.selected, err = newSelection(j.o, j.train, j.families.list); err != nil {
			return err
		}
	}
	if s := j.selected; s != nil {
		m.Capped, m.Balanced = s.capped, s.dropped
		m.Kept -= s.capped + s.dropped
	}
	if sum := m.Refused + m.Duplicates + m.Overridden + m.Conflicts.Rows + m.Capped + m.Balanced + m.Kept; sum != m.RowsIn {
		return fmt.Errorf("rows got lost: %d came in, %d are accounted for", m.RowsIn, sum)
	}
	return j.fingerprint()
}

// checkRows compares what was written with what was to be.
func (j *job) checkRows() error {
	var rows int64
	for _, s := range j.manifest.Splits {
		rows += s.Rows
	}
	if rows != j.manifest.Kept {
		return fmt.Errorf("rows got lost: %d are kept, %d were written", j.manifest.Kept, rows)
	}
	return nil
}

// fingerprint identifies the data set by its inputs, options and rows.
func (j *job) fingerprint() error {
	type in struct{ Path, SHA256, Reader string }
	id := struct {
		Format  int
		Options ManifestOptions
		Inputs  []in
		Rows    int64
		Content [2]uint64
	}{Format: FormatVersion, Options: j.manifest.Options, Rows: j.manifest.Kept, Content: j.content}
	for _, r := range j.manifest.Inputs {
		id.Inputs = append(id.Inputs, in{r.Path, r.SHA256, r.Reader})
	}
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(data)
	j.manifest.Fingerprint = hex.EncodeToString(sum[:])
	return nil
}

// publish puts the finished files in place, dataset.json last.
func (j *job) publish(out string) error {
	data, err := j.manifest.encode()
	if err != nil {
		return err
	}
	name := filepath.Join(j.temp, ManifestName)
	if err := writeSynced(name, data); err != nil {
		return err
	}
	for _, f := range []string{"train.arrow", "validation.arrow", "test.arrow", ManifestName} {
		if err := os.Rename(filepath.Join(j.temp, f), filepath.Join(out, f)); err != nil {
			return fmt.Errorf("put %s in place: %w", f, err)
		}
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// meter turns the stages' progress into one number.
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
