package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/dirlock"
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

// An update keeps what it does not write, and if it fails, all.
func TestUpdateDir(t *testing.T) {
	to := filepath.Join(t.TempDir(), "to")
	put := func(name string, failed error) error {
		return UpdateDir(to, func(stage string) error {
			return errors.Join(os.WriteFile(filepath.Join(stage, name), []byte(name), 0o644), failed)
		})
	}
	if err := errors.Join(put("a", nil), put("b", nil)); err != nil {
		t.Fatal(err)
	}
	if err := put("c", errKept); !errors.Is(err, errKept) {
		t.Errorf("error %v", err)
	}
	in, err := os.ReadDir(to)
	if err != nil || len(in) != 2 || in[0].Name() != "a" || in[1].Name() != "b" {
		t.Errorf("in place: %v, %v", in, err)
	}
}

// Who claims a file, or tidies where a directory is replaced, removes what killed processes left of it, and nothing of
// what others write beside it.
func TestClaimsRemoveWhatWasLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".degas-a.json-123.tmp", ".degas-b.json-123.tmp", ".degas-model-12.partial"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := ClaimFile(filepath.Join(dir, "a.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ClaimFile(filepath.Join(dir, "a.json")); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("a second claim: %v", err)
	}
	unlock()
	if err := Tidy(filepath.Join(dir, "model")); err != nil {
		t.Fatal(err)
	}
	in, err := os.ReadDir(dir)
	if err != nil || len(in) != 1 || in[0].Name() != ".degas-b.json-123.tmp" {
		t.Errorf("left: %v, %v", in, err)
	}
}

// What stands in the way is named, with what to do.
func TestHoldsOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "theirs")
	if err := Write(file, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "it holds theirs, ", file: "it is a file, not a directory"} {
		if err := HoldsOnly(path, "ours"); err == nil || !strings.HasPrefix(err.Error(), want) ||
			!strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	if err := HoldsOnly(dir, "theirs"); err != nil {
		t.Error(err)
	}
}
