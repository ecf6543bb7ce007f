package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
)

// load reads the versions to serve, as Source says. The name is that of the directory above the numbers.
func load(dir string) (name string, all []*Version, err error) {
	name, paths, err := versions.Find(dir)
	if err != nil {
		return "", nil, err
	}
	var failed []error
	for _, number := range slices.Sorted(maps.Keys(paths)) {
		v, err := loadVersion(paths[number], number)
		if paths[number] == dir && errors.Is(err, model.ErrNoModel) {
			err = fmt.Errorf("%s holds neither a model nor numbered versions of one: %w", dir, err)
			if store := versionsBelow(dir); store != "" {
				err = fmt.Errorf("%w. Try: degas serve %s", err, store)
			}
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return "", nil, errors.Join(failed...)
	}
	return name, all, nil // Watch tells what failed: a server with an older version is better than none
}

// versionsBelow is the first folder in dir that holds numbered versions, or "". Who has published --to DIR has
// DIR/NAME/1 and may serve DIR.
func versionsBelow(dir string) string {
	entries, _ := os.ReadDir(dir) // the error of dir is told already
	for _, e := range entries {
		if !e.IsDir() || e.Name() == versions.Shadow {
			continue
		}
		path := filepath.Join(dir, e.Name())
		below, _ := os.ReadDir(path)
		if slices.ContainsFunc(below, func(v os.DirEntry) bool {
			_, ok := versions.Number(v.Name())
			return ok && v.IsDir()
		}) {
			return path
		}
	}
	return ""
}

func loadVersion(dir string, number int) (*Version, error) {
	c, stamp, err := versions.Load(dir)
	if err != nil {
		return nil, err
	}
	return &Version{Number: number, Classifier: c, stamp: stamp}, nil
}

// Watch looks at intervals whether the models' directories hold other versions than are served, until ctx ends. An old
// version answers until the new one is loaded and has scored a name. One that cannot be loaded is logged and tried
// again; so is a directory without any version, for which the last ones go on.
func (s *Set) Watch(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, m := range s.models {
			s.look(m)
		}
	}
}

// look is refresh, whose error is logged if it is another than the last one.
func (s *Set) look(m *served) {
	before := m.trouble
	m.trouble = ""
	if err := s.refresh(m); err != nil {
		m.trouble = err.Error()
	}
	if m.trouble != "" && m.trouble != before {
		s.log.Warn("not every version is served as it is now", "from", m.Dir, "cause", m.trouble)
	}
}

// find lists what is to be served by number.
func (m *served) find() (paths map[int]string, err error) {
	if !m.Optional {
		_, paths, err = versions.Find(m.Dir)
		return paths, err
	}
	if paths, err = versions.In(m.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return paths, err
}

// refresh serves the versions that a model's directory holds now.
func (s *Set) refresh(m *served) error {
	if m.Dir == "" { // in memory
		return nil
	}
	paths, err := m.find()
	if err != nil {
		return err
	}
	served := map[int]*Version{}
	for _, v := range *m.versions.Load() {
		served[v.Number] = v
	}
	var next []*Version
	var failed error
	fresh := false
	for _, number := range slices.Sorted(maps.Keys(paths)) {
		old, ok := served[number]
		if ok && old.stamp == versions.Stamp(paths[number]) {
			next = append(next, old)
			continue
		}
		if !ok && paths[number] != m.Dir { // which is a store without versions
			m.note(VersionState{Number: number, State: Loading})
		}
		v, err := loadVersion(paths[number], number)
		switch {
		case errors.Is(err, model.ErrNoModel) && paths[number] == m.Dir: // a store without versions
			return fmt.Errorf("%s holds no version of a model, so those that were there go on: %w", m.Dir, err)
		case err == nil:
			next, fresh = append(next, v), true
		case ok:
			next = append(next, old)
			fallthrough
		default:
			failed = errors.Join(failed, fmt.Errorf("version %d: %w", number, err))
			if !ok {
				m.note(VersionState{Number: number, State: End, Err: err})
			}
		}
	}
	m.forget(paths)
	if len(next) == 0 && !m.Optional || !fresh && len(next) == len(served) {
		return failed
	}
	if err := s.put(m, next); err != nil {
		for _, v := range next {
			if served[v.Number] == nil {
				m.note(VersionState{Number: v.Number, State: End, Err: err})
			}
		}
		return errors.Join(failed, err)
	}
	var numbers []int
	for _, v := range next {
		numbers = append(numbers, v.Number)
	}
	s.log.Info("the versions have changed", "model", m.Name, "from", m.Dir, "versions", numbers)
	return failed
}
