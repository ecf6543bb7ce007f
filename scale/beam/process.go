package beam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/internal/atomicfile"
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

// Process does what prepare.Run does, on a runner, and gives the same files and errors. The folder in is listed and the
// data set put in place by the process that calls Process. What was in out stays as it is until the new files are
// complete.
func Process(ctx context.Context, in, out string, o Options) (_ *datasets.Manifest, err error) {
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
	finished := filepath.Join(temp, "finished")
	if err := os.Mkdir(finished, 0o755); err != nil {
		return nil, err
	}
	if finished, err = filepath.Abs(finished); err != nil { // a worker may be in another folder
		return nil, err
	}
	if err := run(ctx, in, temp, finished, o); err != nil {
		return nil, err
	}
	m, err := datasets.ReadManifest(ctx, finished)
	if err != nil {
		return nil, fmt.Errorf("the runner came to an end without a data set: %w", err)
	}
	if err := datasets.Place(finished, out); err != nil {
		return nil, err
	}
	return m, nil
}

// run runs the pipeline. temp is a folder for temporary files here, finished the one for the workers' files.
func run(ctx context.Context, in, temp, finished string, o Options) error {
	job, files, skipped, err := prepare.NewJob(ctx, in, temp, o.Options, o.Partitions)
	if err != nil {
		return err
	}
	for i := range files {
		if files[i].Root, err = filepath.Abs(files[i].Root); err != nil {
			return err
		}
	}
	p, s := beam.NewPipelineWithRoot()
	if err := build(s, job, files, skipped, finished); err != nil {
		return err
	}
	err = o.Run(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A runner that says that all is well may be wrong: Prism loses an error if a step fails while it asks for progress.
	note, noteErr := os.ReadFile((&step{Dir: finished}).noteFile())
	_, doneErr := os.Stat(filepath.Join(finished, datasets.ManifestName))
	if noteErr == nil && (err != nil || doneErr != nil) {
		return errors.New(string(note))
	}
	return err
}
