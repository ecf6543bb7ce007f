package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/degas-dns/degas/internal/dirlock"
)

// A failed run leaves nothing behind, unless the directory has something in it or is another process's.
func TestRemoveIfEmpty(t *testing.T) {
	for name, tc := range map[string]struct {
		file   string
		locked bool
		stays  bool
	}{
		"empty":             {},
		"locked by another": {locked: true, stays: true},
		"a run":             {file: "config.yaml", stays: true},
	} {
		dir := filepath.Join(t.TempDir(), "runs", "x")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if tc.file != "" {
			if err := os.WriteFile(filepath.Join(dir, tc.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		unlock := func() {}
		if tc.locked {
			var err error
			if unlock, err = dirlock.Lock(dir); err != nil {
				t.Fatal(err)
			}
		}
		removeIfEmpty(dir)
		unlock()
		if _, err := os.Stat(filepath.Join(dir, tc.file)); (err == nil) != tc.stays {
			t.Errorf("%s: stays %v, want %v", name, err == nil, tc.stays)
		}
		if _, err := os.Stat(filepath.Dir(dir)); (err == nil) != tc.stays {
			t.Errorf("%s: the directory of runs stays %v, want %v", name, err == nil, tc.stays)
		}
	}
}

func TestRunDir(t *testing.T) {
	runs := t.TempDir()
	if err := os.Mkdir(filepath.Join(runs, "cnn-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, arch, want, refused string }{
		{"", "cnn", "cnn-2", ""},
		{"", "my own", "my own-1", ""},
		{"", "..", "..-1", ""},
		{"mine", "../x", "mine", ""},
		{"", "../x", "", `"../x", is a path`},
		{"", "a/b", "", "Try: --run NAME"},
		{"", "/x", "", "Try: --run NAME"},
		{"../x", "cnn", "", "give a name, not a path"},
		{"builtin", "cnn", "", "Try: another --run"},
	} {
		dir, err := runDir(runs, tc.name, tc.arch, false)
		if tc.refused != "" {
			if !errors.As(err, &usageError{}) || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%q, %q: %q, error %v, want %q", tc.name, tc.arch, dir, err, tc.refused)
			}
		} else if err != nil || dir != filepath.Join(runs, tc.want) {
			t.Errorf("%q, %q: %q, error %v, want %q", tc.name, tc.arch, dir, err, tc.want)
		}
	}
}

// An error's line keeps its beginning and its end, where the advice is.
func TestShortened(t *testing.T) {
	long := shortened("begin" + strings.Repeat("é", 5000) + "end")
	if len(long) > 1100 || !strings.HasPrefix(long, "begin") || !strings.HasSuffix(long, "end") ||
		!utf8.ValidString(long) {
		t.Errorf("%q", long)
	}
	if got := shortened("short"); got != "short" {
		t.Errorf("%q", got)
	}
}
