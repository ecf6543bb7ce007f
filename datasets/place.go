package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// readyName is the folder in a data set's folder that holds a finished version, until its files are in their places.
const readyName = ".degas-process-ready"

// Place puts the files of a finished data set in their places in dir. stage, on the same file system, holds them and
// nothing else. A process that is killed on the way leaves the old version whole or, from the first step on, a new one
// that ReadManifest finishes.
func Place(stage, dir string) error {
	err := finish(dir) // an earlier version may still wait
	if err == nil {
		err = atomicfile.Rename(stage, filepath.Join(dir, readyName))
	}
	if err == nil {
		err = finish(dir)
	}
	if err != nil {
		return fmt.Errorf("put the data set in place: %w", err)
	}
	return nil
}

// finish moves what waits in dir's readyName to its place, dataset.json last. Just before that it removes the files of
// the old version that the new one does not have, such as shards. Two processes may do it at once.
func finish(dir string) error {
	ready := filepath.Join(dir, readyName)
	entries, err := os.ReadDir(ready)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var names []string
	for _, e := range entries {
		if isSplit(e.Name()) {
			names = append(names, e.Name())
		}
	}
	err = errors.Join(err, atomicfile.MoveFiles(ready, dir, names...))
	if err == nil {
		err = removeOld(ready, dir)
	}
	if err == nil {
		err = atomicfile.MoveFiles(ready, dir, ManifestName)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeOld removes the files that the manifest in dir lists and the one that waits in ready does not list. It removes
// nothing that has no split's name, and nothing if another process has put the new manifest in place.
func removeOld(ready, dir string) error {
	now, nowErr := readManifest(ready)
	old, oldErr := readManifest(dir)
	if nowErr != nil || oldErr != nil {
		return nil
	}
	keep := now.files()
	for name := range old.files() {
		if keep[name] || !isSplit(name) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(ready, ManifestName)); err != nil {
			return nil
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isSplit reports whether name is what the file or a shard of a split may be called.
func isSplit(name string) bool {
	return isShard(name) || slices.Contains(FileNames(0)[:NumSplits], name)
}

// MayReplace is an error if dir holds a file of a data set's name that is of none: a person may have put it there. What
// is left of a damaged data set may be replaced, but for shards that no dataset.json lists.
func MayReplace(dir string) error {
	data, err := userfile.Read(filepath.Join(dir, ManifestName), userfile.Text)
	var m Manifest
	described := err == nil
	switch {
	case described && json.Unmarshal(data, &m) == nil && m.Format <= 0:
		return fmt.Errorf("%s in %s is of no data set. Try: move it away, or another folder", ManifestName, dir)
	case !described && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, readyName)); err == nil {
		return nil // a process was killed before it put dataset.json in its place
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listed := m.files()
	for _, e := range entries {
		switch name := e.Name(); {
		case !described && isSplit(name):
			return fmt.Errorf("%s holds %s without %s: no data set. Try: move it away, or another folder", dir, name,
				ManifestName)
		case isShard(name) && !listed[name]:
			return fmt.Errorf("%s holds %s, which its %s does not list. Try: move it away, or another folder", dir, name,
				ManifestName)
		}
	}
	return nil
}
