package fetch

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func xzBlocks(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{BlockSize: 1000}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func extractBytes(t testing.TB, name string, data []byte, l Limits) (dir string, members []string, err error) {
	t.Helper()
	work := t.TempDir()
	path := filepath.Join(work, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(work, "out")
	members, err = Extract(context.Background(), path, dir, l)
	return dir, members, err
}

// Several blocks, several streams and the padding between them are one file; no damage gives other bytes.
func TestXZ(t *testing.T) {
	data := bytes.Repeat([]byte("example.org\n"), 150) // 1800 bytes: two blocks
	one := xzBlocks(t, data)
	two := slices.Concat(one, make([]byte, 8), one)
	dir, _, err := extractBytes(t, "f.bin.xz", two, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "f.bin", append(bytes.Clone(data), data...))
	for i := range one {
		bad := bytes.Clone(one)
		bad[i] ^= 1
		if dir, _, err := extractBytes(t, "f.bin.xz", bad, Limits{}); err == nil { // lzma is lax about a chunk's packed size
			wantFile(t, dir, "f.bin", data)
		}
		if i > 20 {
			if _, _, err := extractBytes(t, "f.bin.xz", one[:i], Limits{}); !errors.Is(err, ErrFormat) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

// xzHeader is a stream that begins with a block whose LZMA2 filter has the property byte given.
func xzHeader(prop byte) []byte {
	flags := []byte{0, 1}
	out := append(bytes.Clone(xzMagic), flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(flags))
	block := []byte{2, 0, lzma2Filter, 1, prop, 0, 0, 0}
	return binary.LittleEndian.AppendUint32(append(out, block...), crc32.ChecksumIEEE(block))
}

func TestDictionaryBound(t *testing.T) {
	for prop, want := range map[byte]error{28: ErrFormat, 29: ErrBomb, 40: ErrBomb, 41: ErrFormat} { // 28: 64 MiB
		if _, _, err := extractBytes(t, "x.xz", xzHeader(prop), Limits{}); !errors.Is(err, want) {
			t.Errorf("property %d: %v, want %v", prop, err, want)
		}
	}
}

// sevenZipOf wraps a header, and streams before it, in an archive whose checksums are right.
func sevenZipOf(streams, header []byte) []byte {
	start := binary.LittleEndian.AppendUint64(nil, uint64(len(streams)))
	start = binary.LittleEndian.AppendUint64(start, uint64(len(header)))
	start = binary.LittleEndian.AppendUint32(start, crc32.ChecksumIEEE(header))
	out := append(bytes.Clone(sevenZipMagic), 0, 4)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(start))
	return slices.Concat(out, start, streams, header)
}

// Headers that made the library allocate what they claim, or read out of bounds, before it was kept from them.
func TestSevenZipHeaders(t *testing.T) {
	huge := []byte{0xff, 0, 0, 0, 0, 0, 1, 0, 0} // 2^40
	pack := []byte{szPackInfo, 0, 1, szSize, 5, szEnd}
	folder := func(coder ...byte) []byte {
		return slices.Concat([]byte{szHeader, szMainStreams}, pack, []byte{szUnpackInfo, szFolder, 1, 0}, coder)
	}
	for name, tt := range map[string]struct {
		header []byte
		want   error
	}{
		"no header":        {nil, ErrFormat},
		"files":            {append([]byte{szHeader, szFilesInfo}, huge...), ErrFormat},
		"pack streams":     {slices.Concat([]byte{szHeader, szMainStreams, szPackInfo, 0}, huge, []byte{szSize}), ErrFormat},
		"folders":          {slices.Concat([]byte{szHeader, szMainStreams, szUnpackInfo, szFolder}, huge, []byte{0}), ErrFormat},
		"coders":           {append(folder(), huge...), ErrFormat},
		"properties":       {folder(append([]byte{1, 0x21, 0x21}, huge...)...), ErrFormat},
		"encrypted":        {folder(1, 4, 6, 0xf1, 7, 1), ErrFormat},
		"dictionary":       {folder(1, 0x23, 3, 1, 1, 5, 0x5d, 0xff, 0xff, 0xff, 0xff), ErrBomb},
		"inputs":           {folder(1, 0x11, 0, 9, 1), ErrFormat},
		"unpacked size":    {slices.Concat(folder(1, 1, 0), []byte{szUnpackSizes}, huge, []byte{szEnd}), ErrBomb},
		"streams of files": {slices.Concat(folder(1, 1, 0), []byte{szUnpackSizes, 5, szEnd, szSubStreams, szNumStreams}, huge, []byte{szCRC, 1}), ErrFormat},
		"empty folder":     {slices.Concat(folder(1, 1, 0), []byte{szUnpackSizes, 5, szEnd, szSubStreams, szNumStreams, 0, szSize, szEnd}), ErrFormat},
		"packed header":    {slices.Concat([]byte{szEncodedHeader}, pack, []byte{szUnpackInfo, szFolder, 1, 0, 1, 1, 0, szUnpackSizes, 5, szEnd, szEnd}), ErrFormat},
	} {
		data := sevenZipOf([]byte("12345"), tt.header)
		if _, _, err := extractBytes(t, "x.7z", data, Limits{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	whole := unbase64(t, seven)
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x20
		if _, members, err := extractBytes(t, "x.7z", bad, Limits{}); err == nil && i != 6 && i != 7 && !slices.Equal(members, []string{"a.txt", "b.txt"}) {
			t.Errorf("byte %d flipped: members %q", i, members)
		}
	}
}

// What is skipped has to be unpacked all the same in a stream, and counts.
func TestSkippedMembersCount(t *testing.T) {
	none := Limits{Select: func(string) (string, bool) { return "", false }}
	zeros := gzipped(t, tarred(t, member{"zeros", strings.Repeat("\x00", 40<<20)}))
	if _, _, err := extractBytes(t, "x.tar.gz", zeros, none); !errors.Is(err, ErrBomb) {
		t.Error(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, _, err := extractBytes(t, "x.tar", b.Bytes(), Limits{}); !errors.Is(err, ErrUnsafe) {
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
	if _, err := fetchOne(t, quick(Options{}), dir, File{Path: "x.tar", URL: s.URL + "/evil", Extract: &Extraction{}}); !errors.Is(err, ErrUnsafe) {
		t.Error(err)
	}
}

// fuzzed unpacks data within narrow limits; whatever comes, it returns, and writes no more than the limits allow.
func fuzzed(t *testing.T, name string, data []byte) {
	dir, members, err := extractBytes(t, name, data, Limits{Bytes: 1 << 20, Entries: 100})
	if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrBomb) && !errors.Is(err, ErrUnsafe) {
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

// FuzzExtractXZ gets past the checksum of the stream header; what follows is damaged or made up.
func FuzzExtractXZ(f *testing.F) {
	f.Add(unbase64(f, oneXz)[12:])
	f.Add(xzHeader(0)[12:])
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "x.xz", slices.Concat(unbase64(t, oneXz)[:12], data)) })
}

// plainSevenHeader is the header of the archive seven, unpacked.
const plainSevenHeader = "AQQGAAEJFQAHCwEAASEhAQAMEQAIDQIJCwoBZIswW4LRVnQAAAUCGQQAAAAAERkAYQAuAHQAeAB0AAAAYgAuAHQAeAB0AAAAGQIAABQSAQAGNkkNUHndAQY2SQ1Qed0BFQoBACCApIEggKSBAAA="

// FuzzExtractSevenZip gets past the checksums of the headers.
func FuzzExtractSevenZip(f *testing.F) {
	whole := unbase64(f, seven)
	offset := binary.LittleEndian.Uint64(whole[12:])
	f.Add(whole[32:32+offset], whole[32+offset:])
	f.Add(whole[32:32+offset], unbase64(f, plainSevenHeader))
	f.Fuzz(func(t *testing.T, streams, header []byte) { fuzzed(t, "x.7z", sevenZipOf(streams, header)) })
}
