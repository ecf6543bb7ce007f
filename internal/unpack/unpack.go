// Package unpack opens files that may be compressed. It looks at the first bytes, not at the name: names lie, and a
// member of a zip may be compressed again.
package unpack

import (
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Stream is an opened file: its bytes after decompression. Its Reader is a *Plain if the file was not compressed.
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
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	return err
}

// File opens the file at path. progress, if not nil, is told the bytes read from disk. Reading stops with ctx's error
// once ctx is done.
func File(ctx context.Context, path string, progress func(int64)) (*Stream, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Stream{closers: []func() error{f.Close}}
	info, err := f.Stat()
	if err == nil {
		counted := &countingReader{ctx: ctx, r: f, progress: progress, scale: 1}
		err = s.decompress(counted, &Plain{ReaderAt: f, Size: info.Size()})
	}
	return s.orClosed(err)
}

// Member opens a file in a zip, as File does. progress is told compressed bytes.
func Member(ctx context.Context, m *zip.File, progress func(int64)) (*Stream, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	s := &Stream{closers: []func() error{r.Close}}
	scale := float64(m.CompressedSize64) / float64(max(m.UncompressedSize64, 1))
	return s.orClosed(s.decompress(&countingReader{ctx: ctx, r: r, progress: progress, scale: scale}, nil))
}

// orClosed is s, or err after closing s.
func (s *Stream) orClosed(err error) (*Stream, error) {
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ErrFormat is the error of a file in a compressed format that is not read.
var ErrFormat = errors.New("degas does not read")

// maxWindow bounds a zstd frame's memory in bytes.
const maxWindow = 64 << 20

// decompress sets the stream's Reader. plain, if not nil, becomes it for a file that is not compressed.
func (s *Stream) decompress(r io.Reader, plain *Plain) error {
	b := bufio.NewReaderSize(r, 256<<10)
	magic, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return err
	}
	switch head := string(magic); {
	case strings.HasPrefix(head, "\x1f\x8b"):
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		s.Reader, s.closers = z, append(s.closers, z.Close)
	case strings.HasPrefix(head, "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		s.Reader, s.closers = z, append(s.closers, func() error { z.Close(); return nil })
	case strings.HasPrefix(head, "BZh"):
		s.Reader = bzip2.NewReader(b)
	case head == "\xfd7zXZ\x00":
		return fmt.Errorf("%w xz. Unpack it first: xz -d FILE, or tar -xJf FILE", ErrFormat)
	case head == "7z\xbc\xaf\x27\x1c":
		return fmt.Errorf("%w 7z. Unpack it first: 7z x FILE", ErrFormat)
	case plain != nil:
		plain.Reader = b
		s.Reader = plain
	default:
		s.Reader = b
	}
	return nil
}

var suffixes = map[string]bool{".gz": true, ".zip": true, ".zst": true, ".bz2": true}

// TrimSuffix drops the suffixes of compressed files: "a.csv.gz" -> "a.csv".
func TrimSuffix(name string) string {
	for suffixes[strings.ToLower(path.Ext(name))] {
		name = name[:len(name)-len(path.Ext(name))]
	}
	return name
}

// IsZip reports whether the file at path begins as a zip does; false if it cannot be opened.
func IsZip(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // opening it again reports why
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "PK\x03\x04"
}

// SHA256 is the checksum of the file at path as it lies on disk, in hexadecimal.
func SHA256(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, &countingReader{ctx: ctx, r: f}, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// countingReader reports what is read and ends with ctx.
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
