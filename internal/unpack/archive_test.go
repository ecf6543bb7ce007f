package unpack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarOf is a tar of n files of size bytes.
func tarOf(t testing.TB, n, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range n {
		h := &tar.Header{Name: fmt.Sprintf("f%d", i), Size: int64(size), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte{'a'}, size))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range n {
		if f, err := w.Create(fmt.Sprintf("f%d", i)); err != nil {
			t.Fatal(err)
		} else if _, err := f.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// open opens data as an archive, and gives the folder of temporary files too.
func open(t testing.TB, data []byte) (*Archive, string, error) {
	t.Helper()
	dir, temp := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(t.Context(), path, temp)
	return a, temp, err
}

func TestOpenArchive(t *testing.T) {
	for what, tc := range map[string]struct {
		data []byte
		want int // entries; -1 for no archive
	}{
		"tar": {tarOf(t, 3, 3), 3}, "packed tar": {gzipOf(tarOf(t, 3, 3)), 3}, "zip": {zipOf(t, 3), 3},
		"empty zip": {zipOf(t, 0), 0}, "text": {[]byte("a.com\n"), -1}, "packed text": {gzipOf([]byte("a.com\n")), -1},
		"zeros": {make([]byte, 2048), -1}, "nothing": {nil, -1}, "xz": {[]byte("\xfd7zXZ\x00\x00\x04"), -1},
	} {
		a, temp, err := open(t, tc.data)
		switch {
		case err != nil || (a == nil) != (tc.want < 0):
			t.Errorf("%s: %+v, %v", what, a, err)
			continue
		case a == nil:
			continue
		case len(a.Entries) != tc.want:
			t.Errorf("%s: %d entries", what, len(a.Entries))
		}
		for _, e := range a.Entries {
			told := int64(0)
			s, err := e.Open(t.Context(), func(n int64) { told += n })
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(s)
			if len(text) != 3 || err != nil || s.Close() != nil || told > int64(len(tc.data)) {
				t.Errorf("%s: %s holds %q, %v, %d bytes told", what, e.Name, text, err, told)
			}
		}
		if err := a.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
}

// A small file fills neither the memory nor the disk.
func TestArchiveBounds(t *testing.T) {
	defer func(n int, grace int64) { maxEntries, ratioGrace = n, grace }(maxEntries, ratioGrace)
	maxEntries, ratioGrace = 2, 1<<16
	for what, tc := range map[string]struct {
		data []byte
		want string
	}{
		"tar": {tarOf(t, 3, 3), "more than 2 files"}, "zip": {zipOf(t, 3), "more than 2 files"},
		"bomb": {gzipOf(tarOf(t, 1, 1<<22)), "unpacks to more than"},
	} {
		a, temp, err := open(t, tc.data)
		if a != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
}

func FuzzOpenArchive(f *testing.F) {
	f.Add(tarOf(f, 2, 3))
	f.Add(gzipOf(tarOf(f, 2, 3)))
	f.Add(zipOf(f, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, temp, err := open(t, data)
		if err == nil && a != nil {
			for _, e := range a.Entries {
				if s, err := e.Open(t.Context(), nil); err == nil {
					io.Copy(io.Discard, io.LimitReader(s, 1<<20)) //nolint:errcheck // any answer but a panic
					s.Close()
				}
			}
			a.Close()
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Fatalf("left %v", left)
		}
	})
}
