package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Until a file is complete, its name holds what it held before, and a failed attempt leaves nothing.
func TestWriteFuncFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, write := range map[string]func(w io.Writer) error{
		"at once":   func(io.Writer) error { return broken },
		"half-done": func(w io.Writer) error { _, err := io.WriteString(w, "new"); return errors.Join(err, broken) },
	} {
		err := WriteFunc(path, func(w io.Writer) error {
			err := write(w)
			if data, readErr := os.ReadFile(path); readErr != nil || string(data) != "old" {
				t.Errorf("%s: %q, %v while it is written", name, data, readErr)
			}
			return err
		})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		entries, listErr := os.ReadDir(dir)
		data, readErr := os.ReadFile(path)
		if err := errors.Join(listErr, readErr); err != nil || string(data) != "old" || len(entries) != 1 {
			t.Errorf("%s: %q beside %v, %v", name, data, entries, err)
		}
	}
	if err := WriteFunc(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(path); string(data) != "new" {
		t.Errorf("%q, %v", data, err)
	}
}
