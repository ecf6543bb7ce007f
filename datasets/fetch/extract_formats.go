package fetch

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decompress returns what r unpacks to, going by the first bytes of it; packed is false when r is not compressed.
func decompress(r *bufio.Reader, head []byte) (stream io.ReadCloser, packed bool, err error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		stream, err = gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("BZh")):
		stream = io.NopCloser(bzip2.NewReader(r))
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		stream, err = newZstd(r)
	case bytes.HasPrefix(head, xzMagic):
		stream = io.NopCloser(newXZReader(r))
	default:
		return io.NopCloser(r), false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return stream, true, nil
}

func newZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func (u *unpacker) zip(r io.ReaderAt, size int64) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(z.File) > u.l.Entries {
		return fmt.Errorf("%w: %d members", ErrBomb, len(z.File))
	}
	for _, f := range z.File {
		dest, ok, err := u.choose(f.Name)
		if err != nil {
			return err
		}
		if !ok || f.Mode().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() {
			return fmt.Errorf("%w: %q is not a regular file", ErrUnsafe, dest)
		}
		if f.Flags&1 != 0 {
			return fmt.Errorf("%w: %q is encrypted", ErrFormat, dest)
		}
		if err := u.zipMember(dest, f); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipMember(dest string, f *zip.File) error {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("member %q: %w: %w", dest, ErrFormat, err)
	}
	defer in.Close()
	return u.write(dest, in)
}

// tar unpacks a tar stream. What is skipped counts against the limits as well: it has to be decompressed all the same.
func (u *unpacker) tar(body io.Reader) error {
	counted := &countedReader{u: u, r: body}
	t := tar.NewReader(counted)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return archiveError(err)
		}
		dest, ok, err := u.choose(h.Name)
		if err != nil {
			return err
		}
		if !ok || h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: %q is a link, a device or another special file", ErrUnsafe, h.Name)
		}
		if err := u.write(dest, t); err != nil {
			return err
		}
	}
}

// countedReader bounds what a compressed tar unpacks to, apart from what is then written: holes of sparse files are in
// the second count alone, skipped members in this one.
type countedReader struct {
	u    *unpacker
	r    io.Reader
	seen int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	if err := c.u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.seen += int64(n)
	if c.seen > c.u.l.Bytes || c.seen > ratioGrace && c.seen/c.u.l.Ratio > c.u.packed {
		return n, fmt.Errorf("%w: a stream of more than %d bytes", ErrBomb, c.seen)
	}
	return n, err
}
