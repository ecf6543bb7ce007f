package unpack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is not read says how to unpack it.
func TestFormatsThatAreNotRead(t *testing.T) {
	for head, want := range map[string]string{
		"\xfd7zXZ\x00\x00\x04":   "degas does not read xz. Unpack it first: xz -d FILE, or tar -xJf FILE",
		"7z\xbc\xaf\x27\x1c\x00": "degas does not read 7z. Unpack it first: 7z x FILE",
	} {
		path := filepath.Join(t.TempDir(), "a.txt")
		if err := os.WriteFile(path, []byte(head), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := File(t.Context(), path, nil); !errors.Is(err, ErrFormat) || err.Error() != want {
			t.Errorf("%q: %v, want %s", head, err, want)
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
