package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// KindError is about a file of a kind that degas does not read, but that other programs can unpack.
type KindError struct {
	Kind    string // "xz" or "7z"
	Command string // what unpacks the file
}

func (e *KindError) Error() string {
	return fmt.Sprintf("degas does not read %s files. Unpack it first: %s", e.Kind, e.Command)
}

// CheckUnpacked returns a *KindError if head, the first bytes of the file called name, is that of an .xz or .7z file.
func CheckUnpacked(name string, head []byte) error {
	switch lower := strings.ToLower(name); {
	case bytes.HasPrefix(head, []byte("7z\xbc\xaf\x27\x1c")):
		return &KindError{"7z", fmt.Sprintf("7z x %q", name)}
	case !bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return nil
	case strings.HasSuffix(lower, ".txz"), strings.HasSuffix(lower, ".tar.xz"):
		return &KindError{"xz", fmt.Sprintf("tar -xJf %q", name)}
	default:
		return &KindError{"xz", fmt.Sprintf("xz -d %q", name)}
	}
}

// decompress returns what r unpacks to, going by its first bytes; packed is false if r is not compressed.
func decompress(r io.Reader, head []byte) (stream io.ReadCloser, packed bool, err error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		stream, err = gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("BZh")):
		stream = io.NopCloser(bzip2.NewReader(r))
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var d *zstd.Decoder
		d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecoderLowmem(true))
		if err == nil {
			stream = d.IOReadCloser()
		}
	default:
		return io.NopCloser(r), false, nil
	}
	return stream, true, err
}

func (u *unpacker) zip(f *os.File) error {
	z, err := zip.NewReader(f, u.packed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, f := range z.File {
		dest, ok, err := u.choose(f.Name)
		switch {
		case err != nil:
			return err
		case !ok || f.Mode().IsDir():
			continue
		case !f.Mode().IsRegular():
			return fmt.Errorf("%w: %q is not a regular file", ErrUnsafe, dest)
		case f.Flags&1 != 0:
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

// tar unpacks a tar stream. Members that are skipped count against the bounds as well, because they have to be
// decompressed all the same; holes of sparse files count in write alone.
func (u *unpacker) tar(body io.Reader) error {
	var streamed int64
	t := tar.NewReader(&boundedReader{u: u, r: body, total: &streamed})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return archiveError(err)
		}
		dest, ok, err := u.choose(h.Name)
		switch {
		case err != nil:
			return err
		case !ok || h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag != tar.TypeReg:
			return fmt.Errorf("%w: %q is a link, a device or another special file", ErrUnsafe, h.Name)
		}
		if err := u.write(dest, t); err != nil {
			return err
		}
	}
}
