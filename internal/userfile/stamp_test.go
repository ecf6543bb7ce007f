package userfile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// A file that is written again, at once and with the size and the time of before, has another stamp.
func TestStampOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system does not say when a file has changed")
	}
	path := filepath.Join(t.TempDir(), "file")
	day := time.Unix(1e9, 0)
	write := func(text string) Stamp {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, day, day); err != nil {
			t.Fatal(err)
		}
		s, err := StampOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := write("abc")
	for range 20 {
		if again, err := StampOf(path); err != nil || again != before {
			t.Fatalf("an untouched file: %+v, %v after %+v", again, err, before)
		}
		after := write("abd")
		if after == before || after.Size != before.Size || after.Modified != before.Modified {
			t.Fatalf("%+v after %+v", after, before)
		}
		before = after
	}
	if _, err := StampOf(path + "x"); !os.IsNotExist(err) {
		t.Error(err)
	}
}
