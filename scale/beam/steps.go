package beam

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/atomicfile"
)

// step is what all steps know.
type step struct {
	Job *prepare.Job
	// Dir is the folder for finished files. Beside it is room for others.
	Dir string
}

// failed notes why a step fails: runners bury that, and Prism may lose it.
func (s *step) failed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	f, noteErr := os.OpenFile(s.noteFile(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(noteErr, fs.ErrExist) {
		return err // only the first
	}
	if noteErr == nil {
		_, noteErr = f.WriteString(err.Error())
		noteErr = errors.Join(noteErr, f.Close())
	}
	return errors.Join(err, noteErr)
}

func (s *step) noteFile() string { return filepath.Join(filepath.Dir(s.Dir), "failed") }

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
		return f.failed(err)
	}
	result, err := f.reader.Read(ctx, from, os.TempDir(), byKey(emit))
	if err != nil {
		return f.failed(err)
	}
	found(result)
	return nil
}

// FinishBundle implements Beam's DoFn.
func (f *readFn) FinishBundle(_ context.Context, emit func(int64, []byte), _ func([]byte)) error {
	err := f.reader.Flush(byKey(emit))
	f.reader = nil
	return f.failed(err)
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
func (f *concludeFn) ProcessElement(_ int, found func(*[]byte) bool, plans, manifests func([]byte)) error {
	plan, manifest, err := f.Job.Conclude(f.Skipped, all(found))
	if err != nil {
		return f.failed(err)
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
func (f *mergeFn) ProcessElement(_ int64, blocks, plans func(*[]byte) bool, emit func(int64, []byte),
	sums func([]byte),
) error {
	var plan []byte
	if !plans(&plan) {
		return nil // an earlier step failed, and the runner has not stopped yet
	}
	sum, err := f.Job.Merge(plan, os.TempDir(), blocks, byKey(emit))
	if err != nil {
		return f.failed(err)
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
func (f *outlineFn) ProcessElement(manifest []byte, sums func(*[]byte) bool, outlines, manifests func([]byte)) error {
	outline, manifest, err := f.Job.Outline(manifest, all(sums))
	if err != nil {
		return f.failed(err)
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

// writeFn writes one shard. A file appears whole or not at all: runners try a bundle again after a failure, and may run
// it twice at once.
type writeFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *writeFn) ProcessElement(ctx context.Context, shard int64, blocks, outlines func(*[]byte) bool,
	keys func(int64, []byte), reports func([]byte),
) (err error) {
	var outline []byte
	if !outlines(&outline) {
		return nil // as for mergeFn
	}
	defer func() { err = f.failed(err) }()
	work, err := os.MkdirTemp(filepath.Dir(f.Dir), "shard-") // on the same disk
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	name, report, err := f.Job.Write(ctx, outline, int(shard), work, blocks, byKey(keys))
	if err != nil {
		return err
	}
	if err := atomicfile.Rename(filepath.Join(work, name), filepath.Join(f.Dir, name)); err != nil {
		return err
	}
	reports(report)
	return nil
}

// keysFn looks for keys that are in two splits.
type keysFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *keysFn) ProcessElement(_ int64, keys func(*[]byte) bool, emit func([]byte)) error {
	counts, err := f.Job.Keys(all(keys))
	if err != nil {
		return f.failed(err)
	}
	emit(counts)
	return nil
}

// finishFn writes dataset.json.
type finishFn struct{ step }

// ProcessElement implements Beam's DoFn.
func (f *finishFn) ProcessElement(ctx context.Context, manifest []byte, reports, counts func(*[]byte) bool) error {
	data, err := f.Job.Finish(ctx, manifest, f.Dir, all(reports), all(counts))
	if err == nil {
		err = atomicfile.Write(filepath.Join(f.Dir, datasets.ManifestName), data)
	}
	return f.failed(err)
}
