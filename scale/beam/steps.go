package beam

import (
	"context"
	"errors"
	"os"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
)

// step is what all steps know.
type step struct {
	Job *prepare.Job
	Out shelf
}

// failed notes why a step fails: runners bury that, and Prism may lose it.
func (s *step) failed(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return errors.Join(err, s.Out.note(ctx, noteFailed, []byte(err.Error())))
}

// readFn reads one file and gives each row to its partition.
type readFn struct {
	step
	reader *prepare.Reader // of a bundle, because small files fill no blocks
}

// StartBundle implements Beam's DoFn.
func (f *readFn) StartBundle(_ context.Context, _ func(int64, []byte), _ func([]byte)) {
	f.reader = f.Job.Reader()
}

// ProcessElement implements Beam's DoFn.
func (f *readFn) ProcessElement(ctx context.Context, file []byte, emit func(int64, []byte), found func([]byte)) error {
	from, err := decode(file)
	if err != nil {
		return f.failed(ctx, err)
	}
	result, err := f.reader.Read(ctx, from, os.TempDir(), byKey(emit))
	if err != nil {
		return f.failed(ctx, err)
	}
	found(result)
	return nil
}

// FinishBundle implements Beam's DoFn.
func (f *readFn) FinishBundle(ctx context.Context, emit func(int64, []byte), _ func([]byte)) error {
	err := f.reader.Flush(byKey(emit))
	f.reader = nil
	return f.failed(ctx, err)
}

// byKey is emit for prepare.
func byKey(emit func(int64, []byte)) func(int, []byte) {
	return func(key int, block []byte) { emit(int64(key), block) }
}

// concludeFn makes the plan when all files are read.
type concludeFn struct {
	step
	Skipped []datasets.Skipped
}

// ProcessElement implements Beam's DoFn.
func (f *concludeFn) ProcessElement(ctx context.Context, _ int, found func(*[]byte) bool,
	plans, manifests func([]byte),
) error {
	plan, manifest, err := f.Job.Conclude(f.Skipped, all(found))
	if err != nil {
		return f.failed(ctx, err)
	}
	plans(plan)
	manifests(manifest)
	return nil
}

// all collects the elements of an iterator.
func all(next func(*[]byte) bool) (list [][]byte) {
	var b []byte
	for next(&b) {
		list = append(list, b)
		b = nil
	}
	return list
}

// mergeFn cleans one partition and gives each row that stays to its shard.
type mergeFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *mergeFn) ProcessElement(ctx context.Context, _ int64, blocks, plans func(*[]byte) bool,
	emit func(int64, []byte), sums func([]byte),
) error {
	var plan []byte
	if !plans(&plan) {
		return nil // an earlier step failed, and the runner has not stopped yet
	}
	sum, err := f.Job.Merge(plan, os.TempDir(), blocks, byKey(emit))
	if err != nil {
		return f.failed(ctx, err)
	}
	sums(sum)
	return nil
}

// sumFn adds up what mergeFn counts.
type sumFn struct{}

// CreateAccumulator implements Beam's CombineFn.
func (f *sumFn) CreateAccumulator() *prepare.Sums { return &prepare.Sums{} }

// AddInput implements Beam's CombineFn.
func (f *sumFn) AddInput(sum *prepare.Sums, more []byte) *prepare.Sums {
	sum.Add(more)
	return sum
}

// MergeAccumulators implements Beam's CombineFn.
func (f *sumFn) MergeAccumulators(a, b *prepare.Sums) *prepare.Sums {
	a.Merge(b)
	return a
}

// ExtractOutput implements Beam's CombineFn.
func (f *sumFn) ExtractOutput(sum *prepare.Sums) []byte {
	data, _ := sum.Encode()
	return data
}

// outlineFn decides what the shards need to know of all partitions.
type outlineFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *outlineFn) ProcessElement(ctx context.Context, manifest []byte, sums func(*[]byte) bool,
	outlines, manifests func([]byte),
) error {
	outline, manifest, err := f.Job.Outline(manifest, all(sums))
	if err == nil {
		err = f.Out.remove(ctx, datasets.ManifestName) // the shards are about to replace others
	}
	if err != nil {
		return f.failed(ctx, err)
	}
	outlines(outline)
	manifests(manifest)
	return nil
}

// shardsFn gives every shard an empty block, so that one without rows is written too.
type shardsFn struct{ Shards int64 }

// ProcessElement implements Beam's DoFn.
func (f *shardsFn) ProcessElement(_ []byte, emit func(int64, []byte)) {
	for k := range f.Shards {
		emit(k, nil)
	}
}

// writeFn writes one shard.
type writeFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *writeFn) ProcessElement(ctx context.Context, shard int64, blocks, outlines func(*[]byte) bool,
	keys func(int64, []byte), reports func([]byte),
) (err error) {
	var outline []byte
	if !outlines(&outline) {
		return nil // as for mergeFn
	}
	defer func() { err = f.failed(ctx, err) }()
	work, err := f.Out.work()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	name, report, err := f.Job.Write(ctx, outline, int(shard), work, blocks, byKey(keys))
	if err != nil {
		return err
	}
	if err := f.Out.put(ctx, work, name); err != nil {
		return err
	}
	reports(report)
	return nil
}

// keysFn looks for keys that are in two splits.
type keysFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *keysFn) ProcessElement(ctx context.Context, _ int64, keys func(*[]byte) bool, emit func([]byte)) error {
	counts, err := f.Job.Keys(all(keys))
	if err != nil {
		return f.failed(ctx, err)
	}
	emit(counts)
	return nil
}

// finishFn makes dataset.json.
type finishFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *finishFn) ProcessElement(ctx context.Context, manifest []byte, reports, counts func(*[]byte) bool) error {
	data, err := f.Job.Finish(ctx, manifest, f.Out.local(), all(reports), all(counts))
	if err == nil {
		err = f.Out.note(ctx, noteDone, data)
	}
	return f.failed(ctx, err)
}
