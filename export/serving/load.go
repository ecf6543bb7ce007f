package serving

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/model"
)

// Load reads the versions to serve. dir is a directory of numbered versions, a version directory, or a run, which
// becomes version 1. The name is that of the directory above the numbers. model.BuiltinName stands for the built-in
// model, which is version 1 of "degas".
func Load(dir string) (name string, versions []Version, err error) {
	if dir == model.BuiltinName {
		v, err := load(dir, 1)
		return "degas", []Version{v}, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		number, ok := tfserving.VersionNumber(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil { // not the entry's type: a version may be a link
			return "", nil, err
		} else if !info.IsDir() {
			continue
		}
		v, err := load(path, number)
		if err != nil {
			return "", nil, err
		}
		versions = append(versions, v)
	}
	if len(versions) > 0 {
		return filepath.Base(dir), versions, nil
	}
	name = filepath.Base(dir)
	number, ok := tfserving.VersionNumber(name)
	if ok {
		name = filepath.Base(filepath.Dir(dir))
	} else {
		number = 1
	}
	v, err := load(dir, number)
	if errors.Is(err, model.ErrNoModel) {
		return "", nil, fmt.Errorf("%s holds neither a model nor numbered versions of one: %w", dir, err)
	}
	return name, []Version{v}, err
}

func load(dir string, number int) (Version, error) {
	m, err := model.LoadNamed(dir)
	if err != nil {
		return Version{}, err
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		return Version{}, fmt.Errorf("%s: %w", dir, err)
	}
	return Version{number, c}, nil
}
