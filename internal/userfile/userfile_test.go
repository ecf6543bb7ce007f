package userfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if data, err := Read(write("a", "\xef\xbb\xbfabc"), 6); string(data) != "abc" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := Read(write("wide", "\xff\xfea\x00b\x00"), 6); string(data) != "ab" || err != nil {
		t.Errorf("UTF-16: %q, %v", data, err)
	}
	if data, err := Bytes(filepath.Join(dir, "a"), 6); string(data) != "\xef\xbb\xbfabc" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	hole := write("hole", "")
	if err := os.Truncate(hole, 40<<30); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]string{
		write("long", "abcdefg"):     "long: it has more than 6 bytes",
		hole:                         "hole: it has more than 6 bytes",
		dir:                          "it is a directory, not a file",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if _, err := Read(path, 6); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
