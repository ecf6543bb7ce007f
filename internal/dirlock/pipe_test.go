//go:build unix

package dirlock

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe in the place of the lock must not make anybody wait.
func TestLockIsAPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, ".degas-run.lock"), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Lock(filepath.Join(dir, "run")); err == nil || !strings.Contains(err.Error(), "it is a named pipe") {
		t.Error(err)
	}
}
