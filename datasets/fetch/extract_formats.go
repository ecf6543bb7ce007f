package fetch

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
)

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
