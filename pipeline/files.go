package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/diskspace"
	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/model"
)

// CheckFiles is an error if what the stages read is not there and no stage before makes it, or if a disk is too full
// for what they write: a late one must not find that out after hours.
func (c *Config) CheckFiles(ctx context.Context) error {
	f := &files{ctx: ctx}
	f.disks(c, diskspace.Free)
	f.data(c)
	f.runs(c)
	f.results(c)
	return errors.Join(f.errs...)
}

// files are what a pipeline's stages need and make, in their order.
type files struct {
	ctx  context.Context
	made []string // files and folders of the stages so far
	errs []error
}

func (f *files) makes(paths ...string) { f.made = append(f.made, paths...) }

// need notes an error if path is not there and will not be. key is what names it in the config, hint what to do.
func (f *files) need(key, path, hint string) {
	for _, m := range f.made {
		if rel, err := filepath.Rel(m, path); err == nil && filepath.IsLocal(rel) {
			return
		}
	}
	if _, err := os.Stat(path); err != nil {
		f.errs = append(f.errs, fieldError{key, fmt.Errorf("%w. %s", err, hint)})
	}
}

// leastRoom is what every stage wants on its disk, in bytes: checkpoint, model and reports take less.
const leastRoom = 64 << 20

// disks notes an error for each disk that is too full for a stage. free is how many bytes a path's disk has, if known.
func (f *files) disks(c *Config, free func(path string) (int64, bool)) {
	room := func(key, path string, need int64) {
		if has, ok := free(path); ok && has < need {
			f.errs = append(f.errs, fieldError{key, fmt.Errorf("%s: its disk has %d MiB free, and at least %d MiB are needed. "+
				"Try: make room, or a folder on another disk", path, has>>20, need>>20)})
		}
	}
	if d := c.Download; d != nil {
		room("download.to", d.To, leastRoom)
	}
	if p := c.Process; p != nil { // names in Arrow take about twice as much as in most lists, which are packed
		room("process.out", p.Out, leastRoom+2*sizeOf(p.In))
	}
	if t := c.Train; t != nil {
		room("train.run", t.Run, leastRoom)
	}
	if e := c.Evaluate; e != nil {
		room("evaluate.out", e.Out, leastRoom)
	}
	if e := c.Export; e != nil {
		room("export.to", e.To, leastRoom)
	}
}

// sizeOf is how many bytes the files at or below path have, as far as they can be read.
func sizeOf(path string) (bytes int64) {
	_, _ = linkwalk.Walk(path, func(_ string, info fs.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// dataset needs the data set in a folder; "" is a run's own.
func (f *files) dataset(key, dir string) {
	if bucket.IsURL(dir) {
		if _, err := datasets.ReadManifest(f.ctx, dir); err != nil {
			f.errs = append(f.errs, fieldError{key, err})
		}
	} else if dir != "" {
		f.need(key, filepath.Join(dir, datasets.ManifestName), "Try: degas process-data, or a process stage")
	}
}

// run needs a run, and its data set.
func (f *files) run(key, dir, data string) {
	if dir != model.BuiltinName {
		f.need(key+".run", dir, "Try: degas train-model, or a train stage")
	}
	f.dataset(key+".data", data)
}

// model needs a model that can be loaded; "" is none.
func (f *files) model(key, dir string) {
	if dir == "" {
		return
	}
	if _, err := model.LoadNamed(dir); err != nil {
		f.errs = append(f.errs, fieldError{key, err})
	}
}

func (f *files) data(c *Config) {
	if d := c.Download; d != nil {
		for _, path := range d.inputs() {
			f.need("download", path, "It is what to take files from")
		}
		f.makes(d.To)
	}
	if p := c.Process; p != nil {
		f.need("process.in", p.In, "Try: degas download-data, or a download stage")
		f.makes(p.Out)
	}
	if t := c.Train; t != nil {
		f.dataset("train.data", t.Data)
		f.model("train.options.teacher", t.Options.Teacher)
		f.model("train.from", t.From)
		f.makes(t.Run)
	}
}

func (f *files) runs(c *Config) {
	if p := c.Protocol; p != nil {
		f.run("protocol", p.Run, p.Data)
		f.makes(filepath.Join(p.Run, rundir.ProtocolDir))
	}
	if k := c.Calibrate; k != nil {
		f.run("calibrate", k.Run, k.Data)
	}
	if t := c.Threshold; t != nil {
		f.run("threshold", t.Run, t.Data)
		f.model("threshold.of", t.Of)
		if t.WorstSource {
			f.need("threshold.worst_source", filepath.Join(t.Run, rundir.ProtocolDir, protocol.LeaveBenignOut+".json"),
				"Try: a protocol stage with kinds: ["+protocol.LeaveBenignOut+"]")
		}
	}
	if e := c.Evaluate; e != nil {
		f.run("evaluate", e.Run, e.Data)
	}
	if k := c.Compare; k != nil {
		f.run("compare", k.Run, k.Data)
		for i, other := range k.With {
			if other != model.BuiltinName {
				f.need(fmt.Sprintf("compare.with[%d]", i), other, "It is what to compare with")
			}
		}
	}
}

func (f *files) results(c *Config) {
	if e := c.Export; e != nil {
		f.run("export", e.Run, "")
		f.makes(e.To)
	}
	if p := c.Publish; p != nil {
		f.need("publish.from", filepath.Join(p.From, export.ManifestFile), "Try: degas export-model, or an export stage")
	}
}
