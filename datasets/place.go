package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// finish moves what waits in dir's readyName to its place, dataset.json last. Two processes may do it at once.
func finish(dir string) error {
	ready := filepath.Join(dir, readyName)
	if _, err := os.Lstat(ready); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var err error
	for _, name := range FileNames() {
		moved := atomicfile.Rename(filepath.Join(ready, name), filepath.Join(dir, name))
		if moved != nil && !errors.Is(moved, fs.ErrNotExist) { // else it was moved before
			err = errors.Join(err, moved)
		}
	}
	if err != nil {
		return err
	}
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MayReplace is an error if dir holds a file of a data set's name that is of none: a person may have put it there. What
// is left of a damaged data set may be replaced.
func MayReplace(dir string) error {
	data, err := userfile.Read(filepath.Join(dir, ManifestName), userfile.Text)
	var m Manifest
	switch {
	case err == nil && (json.Unmarshal(data, &m) != nil || m.Format > 0):
		return nil
	case err == nil:
		return fmt.Errorf("%s in %s is of no data set. Try: move it away, or another folder", ManifestName, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, readyName)); err == nil {
		return nil // a process was killed before it put dataset.json in its place
	}
	for _, name := range FileNames() {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s holds %s without %s: no data set. Try: move it away, or another folder", dir, name,
				ManifestName)
		}
	}
	return nil
}
