// Package diskspace tells how much room a disk has, for work that would fail after an hour for want of it.
package diskspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Free is how many bytes the user may still write where path is, or would be made. ok is false if that cannot be found
// out: some file systems, and systems that degas does not ask, do not say.
func Free(path string) (bytes int64, ok bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, false
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return free(path)
		} else if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return 0, false
		}
		path = filepath.Dir(path)
	}
}
