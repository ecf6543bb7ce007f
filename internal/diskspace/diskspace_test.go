package diskspace

import (
	"path/filepath"
	"testing"
)

// The room of a folder that does not exist yet is that of the nearest one above it.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	here, ok := Free(dir)
	if !ok {
		t.Skip("this system does not say")
	}
	if here <= 0 {
		t.Errorf("%d bytes are free", here)
	}
	if _, ok := Free(filepath.Join(dir, "a", "b")); !ok {
		t.Error("nothing is known of a folder that is to be made")
	}
	if _, ok := Free("a\x00b"); ok {
		t.Error("a path that cannot be has room")
	}
}
