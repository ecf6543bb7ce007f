package unpack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// What is not read says how to unpack it.
func TestFormatsThatAreNotRead(t *testing.T) {
	const xz, sevenZip = "\xfd7zXZ\x00\x00\x04", "7z\xbc\xaf\x27\x1c\x00"
	for _, tc := range []struct{ name, head, want string }{
		{"a.xz", xz, "degas does not read xz files. Unpack it first: xz -d "},
		{"a.tar.xz", xz, "degas does not read xz files. Unpack it first: tar -xJf "},
		{"a.TXZ", xz, "degas does not read xz files. Unpack it first: tar -xJf "},
		{"a.csv", xz, "degas does not read xz files. Unpack it first: xz -d "},
		{"a.7z", sevenZip, "degas does not read 7z files. Unpack it first: 7z x "},
	} {
		path := filepath.Join(t.TempDir(), tc.name)
		if err := os.WriteFile(path, []byte(tc.head), 0o644); err != nil {
			t.Fatal(err)
		}
		var kind *KindError
		if _, err := File(t.Context(), path, nil); !errors.As(err, &kind) || err.Error() != tc.want+strconv.Quote(path) {
			t.Errorf("%s: %v, want %s and the path", tc.name, err, tc.want)
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
	} {
		if got := TrimSuffix(in); got != want {
			t.Errorf("TrimSuffix(%q) = %q, want %q", in, got, want)
		}
	}
}
