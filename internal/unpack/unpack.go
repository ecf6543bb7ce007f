// Package unpack opens files that may be compressed. It looks at the first bytes, not at the name: names lie, and a
// member of a zip may be compressed again.
package unpack

import (
	"bufio"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/userfile"
)

// Stream is an opened file: its bytes after decompression, text in UTF-16 as UTF-8. Its Reader is a *Plain if the file
// was not compressed.
type Stream struct {
	io.Reader
	closers []func() error
}

// Plain is the Reader of a file that is not compressed, for formats that need its size and random access.
type Plain struct {
	io.Reader
	io.ReaderAt
	Size int64
}

// Close closes the file.
func (s *Stream) Close() (err error) {
	for _, closer := range slices.Backward(s.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// File opens the file at path. progress, if not nil, is told the bytes read from disk. Reading stops with ctx's error
// once ctx is done.
func File(ctx context.Context, path string, progress func(int64)) (*Stream, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Stream{closers: []func() error{f.Close}}
	info, err := f.Stat()
	if err == nil {
		err = s.decompress(path, Watch(ctx, f, progress), info.Size(), &Plain{ReaderAt: f, Size: info.Size()})
	}
	return s.orClosed(err)
}

// orClosed is s, or err after closing s.
func (s *Stream) orClosed(err error) (*Stream, error) {
	if err != nil {
		s.Close() // which has the same error, or none that matters
		return nil, err
	}
	return s, nil
}

// decompress sets the stream's Reader. plain, if not nil, becomes it for a file that is not compressed. size is about
// what there is to read: archives may have many small members.
func (s *Stream) decompress(name string, r io.Reader, size int64, plain *Plain) error {
	b := bufio.NewReaderSize(r, int(min(max(size, 4<<10), 256<<10)))
	head, err := b.Peek(magicBytes)
	if err != nil && err != io.EOF {
		return err
	}
	z, packed, err := Decompress(name, b, head)
	if err != nil {
		return err
	}
	if packed {
		s.closers = append(s.closers, z.Close)
	}
	if s.Reader, err = asutf8.Reader(z); err == nil && !packed && plain != nil {
		plain.Reader = s.Reader
		s.Reader = plain
	}
	return err
}

const (
	magicBytes = 6         // of a file are enough for Decompress
	maxBuffer  = 256 << 10 // bytes read at once
	maxWindow  = 64 << 20  // bytes that zstd may look back: what its usual levels need
)

// KindError is about a file of a kind that degas does not read, but that other programs can unpack.
type KindError struct {
	Kind    string // "xz" or "7z"
	Command string // what unpacks the file
}

func (e *KindError) Error() string {
	return fmt.Sprintf("degas does not read %s files. Unpack it first: %s", e.Kind, e.Command)
}

// Decompress returns what r unpacks to, going by head, its first bytes, which r still has. packed is false if r is not
// compressed. name is the file's, for the *KindError of an .xz or .7z file.
func Decompress(name string, r io.Reader, head []byte) (stream io.ReadCloser, packed bool, err error) {
	switch magic := string(head[:min(len(head), magicBytes)]); {
	case strings.HasPrefix(magic, "\x1f\x8b"):
		stream, err = gzip.NewReader(r)
	case strings.HasPrefix(magic, "BZh"):
		stream = io.NopCloser(bzip2.NewReader(r))
	case strings.HasPrefix(magic, "\x28\xb5\x2f\xfd"):
		var d *zstd.Decoder
		d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			stream = d.IOReadCloser()
		}
	case magic == "7z\xbc\xaf\x27\x1c":
		return nil, false, &KindError{"7z", fmt.Sprintf("7z x -o%s %s", quote(filepath.Dir(name)), quote(name))}
	case magic == "\xfd7zXZ\x00":
		command := "xz -d " + quote(name)
		if lower := strings.ToLower(name); strings.HasSuffix(lower, ".txz") || strings.HasSuffix(lower, ".tar.xz") {
			command = fmt.Sprintf("tar -C %s -xJf %s", quote(filepath.Dir(name)), quote(name))
		}
		return nil, false, &KindError{"xz", command}
	default:
		return io.NopCloser(r), false, nil
	}
	return stream, true, err
}

// quote quotes a path for a shell: names of files come from strangers, and users paste commands.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

var suffixes = map[string]bool{".gz": true, ".zip": true, ".zst": true, ".bz2": true, ".tar": true, ".tgz": true,
	".tbz": true, ".tbz2": true, ".tzst": true}

// TrimSuffix drops the suffixes of compressed files and archives: "a.csv.gz" -> "a.csv".
func TrimSuffix(name string) string {
	for suffixes[strings.ToLower(path.Ext(name))] {
		name = name[:len(name)-len(path.Ext(name))]
	}
	return name
}

// SHA256 is the checksum of the file at path as it lies on disk, in hexadecimal, and the file's size in bytes.
func SHA256(ctx context.Context, path string) (sum string, size int64, err error) {
	f, err := userfile.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.CopyBuffer(h, Watch(ctx, f, nil), make([]byte, 1<<20))
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// Watch reads from r until ctx is done. progress, if not nil, is told the bytes read.
func Watch(ctx context.Context, r io.Reader, progress func(int64)) io.Reader {
	return &countingReader{ctx, r, progress, 1}
}

// countingReader is Watch's Reader.
type countingReader struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
	scale    float64 // bytes on disk for each byte read
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if c.progress != nil {
		c.progress(int64(float64(n) * c.scale))
	}
	return n, err
}
