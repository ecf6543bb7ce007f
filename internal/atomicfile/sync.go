//go:build !windows

package atomicfile

import (
	"errors"
	"os"
	"syscall"
)

// syncPath brings a file's bytes, or a directory's entries, to the disk. File systems that cannot do that for
// directories answer EINVAL, which is no error.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
