package unpack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/degas-dns/degas/internal/userfile"
)

// Archive is an open zip or tar. Its members can be read at the same time.
type Archive struct {
	Entries []Entry
	// Unpacked says that the tar was compressed and lies unpacked in a temporary file until Close.
	Unpacked bool

	closers []func() error
}

// Entry is a member of an archive that is no folder.
type Entry struct {
	Name string
	Skip string // why it cannot be read; "" if it can

	zip    *zip.File // nil in a tar
	tar    *os.File
	offset int64
	size   int64
	scale  float64 // bytes of the archive for each byte of the member
}

// Limits of an archive, so that a small file does not fill the disk or the memory.
const (
	maxTar   = 32 << 30 // unpacked bytes of a compressed tar
	maxRatio = 250      // unpacked bytes a byte of the archive
)

var ( // smaller in tests
	maxEntries       = 100_000
	ratioGrace int64 = 1 << 30 // unpacked bytes to which maxRatio does not apply
)

// IsArchive reports whether a file that begins with head is a zip or a tar.
func IsArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) || isTar(head)
}

// isTar checks the sum of a tar's first header: the oldest tars have no magic number.
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	sum, field := 0, head[148:156]
	for i, c := range head[:tarBlock] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	want, err := strconv.ParseInt(string(bytes.Trim(field, " \x00")), 8, 32)
	return err == nil && int(want) == sum
}

const tarBlock = 512

// OpenArchive opens the file at path if it is a zip or a tar, which may be compressed. A compressed tar is unpacked
// once into tempDir: members of a stream could only be read one after the other. The archive is nil if the file is
// none, or cannot be read: File says why.
func OpenArchive(ctx context.Context, path, tempDir string) (*Archive, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return nil, nil
	}
	a := &Archive{}
	b := bufio.NewReaderSize(Watch(ctx, f, nil), 64<<10)
	head, _ := b.Peek(tarBlock) // whoever reads the file gets the error
	switch {
	case isTar(head):
		a.closers = append(a.closers, f.Close)
		return a.orClosed(a.index(ctx, f, 1))
	case IsArchive(head):
		a.closers = append(a.closers, f.Close)
		return a.orClosed(a.zip(f))
	}
	z, packed, err := Decompress(path, b, head)
	if err != nil || !packed {
		return nil, f.Close()
	}
	defer z.Close()
	unpacked := bufio.NewReaderSize(z, 64<<10)
	if head, _ = unpacked.Peek(tarBlock); !isTar(head) {
		return nil, f.Close()
	}
	err = a.unpack(ctx, f, unpacked, tempDir)
	return a.orClosed(errors.Join(err, f.Close()))
}

func (a *Archive) orClosed(err error) (*Archive, error) {
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Close closes the archive's files and removes the temporary one.
func (a *Archive) Close() (err error) {
	for _, closer := range a.closers {
		err = errors.Join(err, closer())
	}
	a.closers = nil
	return err
}

func (a *Archive) zip(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return err
	}
	for _, m := range z.File {
		e := Entry{Name: m.Name, zip: m, size: int64(min(m.UncompressedSize64, 1<<62)),
			scale: float64(m.CompressedSize64) / float64(max(m.UncompressedSize64, 1))}
		switch mode := m.Mode(); {
		case mode.IsDir():
			continue
		case !mode.IsRegular():
			e.Skip = notRegular
		}
		if err := a.add(e); err != nil {
			return err
		}
	}
	return nil
}

const notRegular = "a link or device in an archive"

func (a *Archive) add(e Entry) error {
	if len(a.Entries) == maxEntries {
		return fmt.Errorf("it holds more than %d files. Unpack it first", maxEntries)
	}
	a.Entries = append(a.Entries, e)
	return nil
}

// unpack writes a compressed tar's bytes to a file, which it indexes.
func (a *Archive) unpack(ctx context.Context, f *os.File, unpacked io.Reader, tempDir string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(tempDir, "degas-tar-*")
	if err != nil {
		return err
	}
	a.Unpacked = true
	a.closers = append(a.closers, func() error { return errors.Join(temp.Close(), os.Remove(temp.Name())) })
	limit := min(max(ratioGrace, maxRatio*info.Size()), maxTar)
	n, err := io.Copy(temp, io.LimitReader(unpacked, limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("unpack it into %s: %w", temp.Name(), err)
	case n > limit:
		return fmt.Errorf("it unpacks to more than %d bytes. Unpack it first, if you trust it", limit)
	}
	return a.index(ctx, temp, float64(info.Size())/float64(max(n, 1)))
}

// index lists the members of a tar, whose contents it skips.
func (a *Archive) index(ctx context.Context, f *os.File, scale float64) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := tar.NewReader(f) // seeks
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("read the tar's list of files: %w", err)
		}
		e := Entry{Name: h.Name, tar: f, size: h.Size, scale: scale}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		case tar.TypeReg, tar.TypeCont:
			if h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
				e.Skip = "a sparse file in an archive"
			}
		default:
			e.Skip = notRegular
		}
		if e.offset, err = f.Seek(0, io.SeekCurrent); err == nil {
			err = a.add(e)
		}
		if err != nil {
			return err
		}
	}
}

// PackedSize is the entry's share of the archive, in bytes.
func (e *Entry) PackedSize() int64 { return int64(float64(e.size) * e.scale) }

// Open opens the entry as File opens a file. progress is told bytes of the archive.
func (e *Entry) Open(ctx context.Context, progress func(int64)) (*Stream, error) {
	s := &Stream{}
	var r io.Reader
	var plain *Plain
	if e.zip != nil {
		member, err := e.zip.Open()
		if err != nil {
			return nil, err
		}
		r, s.closers = member, []func() error{member.Close}
	} else {
		section := io.NewSectionReader(e.tar, e.offset, e.size)
		r, plain = section, &Plain{ReaderAt: section, Size: e.size}
	}
	s, err := s.orClosed(s.decompress(e.Name, &countingReader{ctx, r, progress, e.scale}, e.size, plain))
	if kind := (&KindError{}); errors.As(err, &kind) {
		return nil, &KindError{kind.Kind, "unpack the archive that it is in, then " + kind.Command}
	}
	return s, err
}
