package unpack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is not read says how to unpack it.
func TestFormatsThatAreNotRead(t *testing.T) {
	const xz, sevenZip = "\xfd7zXZ\x00\x00\x04", "7z\xbc\xaf\x27\x1c\x00"
	for _, tc := range []struct{ name, head, want string }{
		{"a.xz", xz, "xz files. Unpack it first: xz -d 'DIR/a.xz'"},
		{"a.tar.xz", xz, "xz files. Unpack it first: tar -C 'DIR' -xJf 'DIR/a.tar.xz'"},
		{"a.TXZ", xz, "xz files. Unpack it first: tar -C 'DIR' -xJf 'DIR/a.TXZ'"},
		{"a.csv", xz, "xz files. Unpack it first: xz -d 'DIR/a.csv'"},
		{"a.7z", sevenZip, "7z files. Unpack it first: 7z x -o'DIR' 'DIR/a.7z'"},
		// Whoever pastes the command must not run what is in the name.
		{"a'$(b).xz", xz, `xz files. Unpack it first: xz -d 'DIR/a'\''$(b).xz'`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, tc.name)
		want := "degas does not read " + strings.ReplaceAll(tc.want, "DIR", dir)
		if err := os.WriteFile(path, []byte(tc.head), 0o644); err != nil {
			t.Fatal(err)
		}
		var kind *KindError
		if _, err := File(t.Context(), path, nil); !errors.As(err, &kind) || err.Error() != want {
			t.Errorf("%s: %v, want %s", tc.name, err, want)
		}
	}
}

func TestPlainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(path, []byte("a.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var read int64
	s, err := File(t.Context(), path, func(n int64) { read += n })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if data, err := io.ReadAll(s); string(data) != "a.com\n" || err != nil || read != 6 {
		t.Errorf("%q, %v, %d bytes told", data, err, read)
	}
	if p, ok := s.Reader.(*Plain); !ok || p.Size != 6 {
		t.Errorf("%T is no file with random access", s.Reader)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := File(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

func TestTrimSuffix(t *testing.T) {
	for in, want := range map[string]string{
		"a.csv.gz": "a.csv", "a.csv.ZST.gz": "a.csv", "top-1m.csv.zip": "top-1m.csv", "a.csv": "a.csv", "a.xz": "a.xz",
		"set.tar": "set", "set.tar.gz": "set", "set.TGZ": "set", "set.tar.bz2": "set",
	} {
		if got := TrimSuffix(in); got != want {
			t.Errorf("TrimSuffix(%q) = %q, want %q", in, got, want)
		}
	}
}
