// Package dirlock keeps two processes from working on one directory. The lock is a file: beside the directory, so that
// it stays when the directory is replaced, or inside one that is not.
package dirlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/degas-dns/degas/internal/userfile"
)

// ErrLocked is the error of a directory that another process, or another part of this one, works on.
var ErrLocked = errors.New("another degas works on it")

// Inside is the file that LockInside puts into the directory.
const Inside = ".degas.lock"

// Lock takes dir, which need not exist, until unlock is called or the process ends. It makes dir's parent. It does not
// wait: the error wraps ErrLocked if another holder has dir.
func Lock(dir string) (unlock func(), err error) {
	dir = filepath.Clean(dir)
	return lock(dir, filepath.Join(filepath.Dir(dir), ".degas-"+filepath.Base(dir)+".lock"))
}

// LockInside is Lock for a directory that is never replaced, whose parent need not be writable: a disk's mount point.
// It makes dir.
func LockInside(dir string) (unlock func(), err error) { return lock(dir, filepath.Join(dir, Inside)) }

// lock takes dir by the file at path.
func lock(dir, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := userfile.Lockable(path); err != nil {
		return nil, fmt.Errorf("lock %s: %w. Try: remove that", dir, err)
	}
	l := flock.New(path)
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok || !current(l, path) {
		l.Unlock() //nolint:errcheck // nothing was done
		return nil, fmt.Errorf("%s: %w. Try: again when that is done", dir, ErrLocked)
	}
	return func() {
		os.Remove(path) // fails on Windows, where the file stays
		l.Unlock()      //nolint:errcheck // the lock goes with the file in any case
	}, nil
}

// current reports whether the file that was locked is still the one at path: its last holder may have removed it after
// this process had opened it.
func current(l *flock.Flock, path string) bool {
	mine, err := l.Stat()
	there, otherErr := os.Stat(path)
	return err == nil && otherErr == nil && os.SameFile(mine, there)
}
