package dirlock

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// A lock inside a directory needs no writable parent, excludes others, and leaves nothing.
func TestLockInside(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "mounted")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chmod(parent, 0o555)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(parent, 0o755)
	unlock, err := LockInside(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockInside(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder: %v", err)
	}
	unlock()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "x")
	unlock, err := Lock(dir + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder: %v", err)
	}
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Rename(dir, dir+".old")); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("after the directory was replaced: %v", err)
	}
	unlock()
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".degas-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if unlock, err = Lock(dir); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// However many try at once, one has the lock at a time, although each removes its file.
func TestLockExcludes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	var inside, had atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				unlock, err := Lock(dir)
				if errors.Is(err, ErrLocked) {
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two holders at once")
				}
				had.Add(1)
				inside.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	if had.Load() == 0 {
		t.Error("nobody ever had the lock")
	}
}
