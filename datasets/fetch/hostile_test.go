package fetch

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/unpack"
)

// A zstd frame that needs a window of more than 64 MiB is refused; one of just that much is only cut short.
func TestWindowBound(t *testing.T) {
	for descriptor, want := range map[byte]string{16 << 3: "", 17 << 3: "window size exceeded"} { // 2^26 and 2^27 bytes
		frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, descriptor}
		_, _, err := extractBytes(t, "x.zst", frame, Extraction{}, usualBounds)
		if !errors.Is(err, ErrFormat) || strings.Contains(err.Error(), "window size exceeded") != (want != "") {
			t.Errorf("descriptor %#x: %v", descriptor, err)
		}
	}
}

// What is skipped has to be unpacked all the same in a stream, and counts.
func TestSkippedMembersCount(t *testing.T) {
	none := Extraction{Select: func(string) (string, bool) { return "", false }}
	zeros := gzipped(t, tarred(t, member{"zeros", strings.Repeat("\x00", 40<<20)}))
	if _, _, err := extractBytes(t, "x.tar.gz", zeros, none, usualBounds); !errors.Is(err, ErrBomb) {
		t.Error(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, _, err := extractBytes(t, "x.tar", b.Bytes(), Extraction{}, usualBounds); !errors.Is(err, ErrUnsafe) {
		t.Error(err)
	}
}

// An archive may not bring a checksums.json of its own, and changed members are put right.
func TestFetchArchiveAgain(t *testing.T) {
	s := newServer(t, map[string][]byte{"/x.zip": zipped(t, twoFiles...), "/evil": tarred(t, member{ChecksumsName, "{}"})})
	dir := t.TempDir()
	f := File{Path: "set/x.zip", URL: s.URL + "/x.zip", Extract: &Extraction{Into: "set"}}
	if _, err := fetchOne(t, quick(Options{}), dir, f); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "set/a.txt", []byte("changed"))
	res, err := fetchOne(t, quick(Options{}), dir, f)
	if err != nil || res.Status != Downloaded {
		t.Fatal(res, err)
	}
	wantFile(t, dir, "set/a.txt", []byte(twoFiles[0].text))
	evil := File{Path: "x.tar", URL: s.URL + "/evil", Extract: &Extraction{}}
	if _, err := fetchOne(t, quick(Options{}), dir, evil); !errors.Is(err, ErrUnsafe) {
		t.Error(err)
	}
}

// fuzzed unpacks data within narrow bounds; whatever comes, it returns, and writes no more than the bounds allow.
func fuzzed(t *testing.T, name string, data []byte) {
	dir, members, err := extractBytes(t, name, data, Extraction{}, bounds{bytes: 1 << 20, entries: 100})
	known := func(target error) bool { return errors.Is(err, target) }
	var kind *unpack.KindError
	if err != nil && !errors.As(err, &kind) && !slices.ContainsFunc([]error{ErrFormat, ErrBomb, ErrUnsafe}, known) {
		t.Fatalf("an error of no known kind: %v", err)
	}
	total := int64(0)
	for _, m := range members {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(m)))
		if err != nil || !info.Mode().IsRegular() {
			t.Fatalf("member %q: %v, %v", m, info, err)
		}
		total += info.Size()
	}
	if total > 1<<20 {
		t.Fatalf("%d bytes unpacked", total)
	}
}

// FuzzExtractZip, and the targets after it, start from one kind of archive each.
func FuzzExtractZip(f *testing.F) {
	f.Add(zipped(f, twoFiles...))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.zip", data) })
}

func FuzzExtractTar(f *testing.F) {
	f.Add(tarred(f, twoFiles...))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.tar", data) })
}

func FuzzExtractGzip(f *testing.F) {
	f.Add(gzipped(f, []byte("a.org")))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.gz", append([]byte{0x1f, 0x8b, 8}, data...)) })
}

func FuzzExtractBzip2(f *testing.F) {
	f.Add(unbase64(f, tarBz2)[3:])
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.bz2", append([]byte("BZh"), data...)) })
}

func FuzzExtractZstd(f *testing.F) {
	f.Add(zstandard(f, []byte("a.org"))[4:])
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.zst", append([]byte{0x28, 0xb5, 0x2f, 0xfd}, data...)) })
}
