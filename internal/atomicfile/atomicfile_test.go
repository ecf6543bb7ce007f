package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A directory takes another's place, or a free one, and nothing else stays behind.
func TestPlaceDir(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "to")
	for _, text := range []string{"first", "second", "third"} {
		stage, err := os.MkdirTemp(dir, "stage")
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(filepath.Join(stage, text), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := PlaceDir(stage, to+map[string]string{"third": "/"}[text]); err != nil {
			t.Fatal(err)
		}
		in, err := os.ReadDir(to)
		if err != nil || len(in) != 1 || in[0].Name() != text {
			t.Errorf("in place: %v, %v; want %s", in, err, text)
		}
		if beside, err := os.ReadDir(dir); err != nil || len(beside) != 1 {
			t.Errorf("beside: %v, %v; want nothing", beside, err)
		}
	}
	if err := PlaceDir(filepath.Join(dir, "none"), to); err == nil {
		t.Error("a stage that is not there: no error")
	}
	if _, err := os.Stat(filepath.Join(to, "third")); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

// A directory that cannot be filled leaves the earlier version, and nothing beside it.
func TestReplaceDirFails(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "parent", "to")
	if err := ReplaceDir(to, version("old")); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceDir(to, func(stage string) error {
		return errors.Join(version("new")(stage), errKept)
	}); !errors.Is(err, errKept) {
		t.Errorf("error %v", err)
	}
	in, err := os.ReadDir(filepath.Dir(to))
	if got := wholeVersion(t, to); got != "old" || len(in) != 1 {
		t.Errorf("version %q among %v, %v", got, in, err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info, err)
	}
}
