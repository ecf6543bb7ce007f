package versions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/degas-dns/degas/model"
)

// Find is what a name of a model on a command line stands for: a folder of numbered versions, a version, or a run,
// which becomes version 1. model.BuiltinName is version 1 of "degas". name is that of the folder above the numbers.
func Find(dir string) (name string, paths map[int]string, err error) {
	if dir == model.BuiltinName {
		return "degas", map[int]string{1: dir}, nil
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if paths, err = In(full); err != nil {
		return "", nil, fmt.Errorf("%w. Try: a version directory of export-model, or the one above it", err)
	}
	if len(paths) > 0 {
		return filepath.Base(full), paths, nil
	}
	name = filepath.Base(full)
	number, ok := Number(name)
	if ok {
		name = filepath.Base(filepath.Dir(full))
	} else {
		number = 1
	}
	return name, map[int]string{number: dir}, nil
}

// Load reads the model in dir and lets it score a name: a model whose weights are no numbers must not take the place of
// one that works. stamp is Stamp's before: what changes while it is read is read again.
func Load(dir string) (c *model.Classifier, stamp string, err error) {
	stamp = Stamp(dir)
	m, err := model.LoadNamed(dir)
	if err != nil {
		return nil, stamp, err
	}
	if c, err = model.NewClassifier(m); err != nil {
		return nil, stamp, fmt.Errorf("%s: %w", dir, err)
	}
	if score := c.Score("example.com"); !(score >= 0 && score <= 1) {
		return nil, stamp, fmt.Errorf("%s: it scores example.com as %v", dir, score)
	}
	return c, stamp, nil
}

// Look is the usual time between two looks for newer versions.
const Look = time.Second

// Version is a version that has been loaded.
type Version struct {
	Model      string // its name
	Number     int
	Path       string
	Classifier *model.Classifier

	stamp string
}

// Newest follows the newest version of a model. Its methods are for one goroutine.
type Newest struct {
	dir     string
	current *Version
	broken  map[int]string // stamps of versions that could not be loaded
}

// Open loads the newest version that can be loaded of what Find finds. The error is of all of them, if there is none;
// older ones that take the place of a broken one are told to failed.
func Open(dir string, failed func(error)) (*Newest, *Version, error) {
	n := &Newest{dir: dir}
	v, err := n.Look()
	if v != nil && err != nil && failed != nil {
		failed(fmt.Errorf("version %d of %s answers for a newer one: %w", v.Number, dir, err))
	}
	if v == nil {
		return nil, nil, err
	}
	return n, v, nil
}

// Look gives the newest version if it is another than the last time, else nil. The error is of newer ones that cannot
// be loaded, each until its files change; what was there goes on.
func (n *Newest) Look() (v *Version, err error) {
	name, paths, err := Find(n.dir)
	if err != nil {
		return nil, err
	}
	broken := map[int]string{}
	defer func() { n.broken = broken }()
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(paths))) {
		path := paths[number]
		stamp := Stamp(path)
		mine := n.current != nil && n.current.Number == number
		if mine && n.current.stamp == stamp {
			return nil, err
		}
		if known, ok := n.broken[number]; ok && known == stamp {
			broken[number] = stamp
		} else {
			v := &Version{Model: name, Number: number, Path: path}
			var failed error
			if v.Classifier, v.stamp, failed = Load(path); failed == nil {
				n.current = v
				return v, err
			}
			broken[number] = v.stamp
			err = errors.Join(err, failed)
		}
		if mine { // it is broken now: what was read of it goes on
			return nil, err
		}
	}
	return nil, err
}

// Run looks at intervals until ctx ends, and tells changed of each version that takes the place of the one before. What
// cannot be loaded is told to failed, once.
func (n *Newest) Run(ctx context.Context, every time.Duration, changed func(*Version), failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	trouble := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		v, err := n.Look()
		switch {
		case err == nil:
			trouble = ""
		case err.Error() != trouble:
			trouble = err.Error()
			failed(err)
		}
		if v != nil {
			changed(v)
		}
	}
}
