package beam

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/dirlock"
)

// Options are the options of Process.
type Options struct {
	// Options are those of degas process-data. Shards must be at least 1. Memory and Workers are of each worker. Progress
	// is not called.
	prepare.Options
	// Partitions is the number of groups that rows are merged in, 0 as many as the size of the input needs. It does not
	// change the output.
	Partitions int
	// Run runs a pipeline to its end, such as beamx.Run.
	Run func(context.Context, *beam.Pipeline) error
}

// Process does what prepare.Run does, on a runner, and gives the same files and errors. The folder in is listed by the
// process that calls Process. out is a folder, or the URL of one in object storage. A folder keeps what was in it until
// the new files are complete. In object storage, a data set that was there is gone when the first shard is written.
func Process(ctx context.Context, in, out string, o Options) (m *datasets.Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("process %s: %w", in, err)
		}
	}()
	if _, err := o.Plan(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(in); err != nil {
		return nil, fmt.Errorf("%w. Try: degas download-data", err)
	}
	if bucket.IsURL(out) {
		folder, err := bucket.Open(ctx, out)
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		if out = folder.Local(); out == "" {
			return processToStorage(ctx, in, folder, o)
		}
	}
	return processToFolder(ctx, in, out, o)
}

func processToFolder(ctx context.Context, in, out string, o Options) (_ *datasets.Manifest, err error) {
	unlock, err := dirlock.LockInside(out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := datasets.MayReplace(out); err != nil {
		return nil, err
	}
	temp, err := atomicfile.StageFor(out, "process")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	finished, err := filepath.Abs(filepath.Join(temp, "finished")) // a worker may be in another folder
	if err == nil {
		err = os.Mkdir(finished, 0o755)
	}
	if err != nil {
		return nil, err
	}
	data, err := run(ctx, in, temp, newShelf(finished), o)
	if err == nil {
		err = atomicfile.Write(filepath.Join(finished, datasets.ManifestName), data)
	}
	if err == nil {
		err = datasets.Place(finished, out)
	}
	if err != nil {
		return nil, err
	}
	return datasets.ReadManifest(ctx, out)
}

func processToStorage(ctx context.Context, in string, out *bucket.Folder, o Options) (m *datasets.Manifest, err error) {
	old, err := datasets.Uploaded(ctx, out)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "degas-process-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	place := newShelf(out.String())
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, out.Remove(ctx, place.noteName(noteFailed)), out.Remove(ctx, place.noteName(noteDone)))
	}()
	data, err := run(ctx, in, temp, place, o)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if err := m.RemoveOthers(ctx, out, old); err != nil {
		return nil, err
	}
	return m, out.Write(ctx, datasets.ManifestName, func(w io.Writer) error { _, err := w.Write(data); return err })
}

func newShelf(place string) shelf { return shelf{place, rand.Text()} }

// run runs the pipeline and gives dataset.json. temp is a folder for temporary files here.
func run(ctx context.Context, in, temp string, out shelf, o Options) ([]byte, error) {
	job, files, skipped, err := prepare.NewJob(ctx, in, temp, o.Options, o.Partitions)
	if err != nil {
		return nil, err
	}
	for i := range files {
		if files[i].Root, err = filepath.Abs(files[i].Root); err != nil {
			return nil, err
		}
	}
	p, s := beam.NewPipelineWithRoot()
	if err := build(s, job, files, skipped, out); err != nil {
		return nil, err
	}
	err = o.Run(ctx, p)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// A runner that says that all is well may be wrong: Prism loses an error if a step fails while it asks for progress.
	data, doneErr := out.noted(ctx, noteDone)
	if err == nil && doneErr == nil {
		return data, nil
	}
	if why, noteErr := out.noted(ctx, noteFailed); noteErr == nil {
		return nil, errors.New(string(why))
	}
	if err == nil {
		err = fmt.Errorf("the runner came to an end without a data set: %w", doneErr)
	}
	return nil, err
}
