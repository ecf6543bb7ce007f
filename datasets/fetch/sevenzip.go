package fetch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/bodgit/sevenzip"
)

var sevenZipMagic = []byte{'7', 'z', 0xbc, 0xaf, 0x27, 0x1c}

// sevenZip unpacks a 7z archive. The library trusts the counts in an archive's header, so checkSevenZip looks at them
// first; should the library panic over what is left, that is the archive's fault.
func (u *unpacker) sevenZip(r io.ReaderAt, size int64) (err error) {
	if err := checkSevenZip(r, size, u.l); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: 7z: %v", ErrFormat, p)
		}
	}()
	z, err := sevenzip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, f := range z.File {
		dest, ok, err := u.choose(f.Name)
		if err != nil {
			return err
		}
		if !ok || f.Mode().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() || f.Attributes&reparsePoint != 0 {
			return fmt.Errorf("%w: %q is not a regular file", ErrUnsafe, dest)
		}
		if err := u.sevenZipMember(dest, f); err != nil {
			return err
		}
	}
	return nil
}

// reparsePoint is the Windows attribute of links.
const reparsePoint = 0x400

func (u *unpacker) sevenZipMember(dest string, f *sevenzip.File) error {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("member %q: %w: %w", dest, ErrFormat, err)
	}
	defer in.Close()
	sum := crc32.NewIEEE()
	if err := u.write(dest, io.TeeReader(in, sum)); err != nil {
		return err
	}
	if n := u.members[dest].Size; uint64(n) != f.UncompressedSize || f.CRC32 != 0 && sum.Sum32() != f.CRC32 {
		return fmt.Errorf("member %q: %w: does not match its checksum", dest, ErrFormat)
	}
	return nil
}

// checkSevenZip reads the archive's header as far as it holds counts, and refuses those that no honest archive of this
// size has. Format: 7zFormat.txt of the LZMA SDK.
func checkSevenZip(r io.ReaderAt, size int64, l Limits) error {
	var start [32]byte
	if _, err := r.ReadAt(start[:], 0); err != nil {
		return fmt.Errorf("%w: 7z: too short", ErrFormat)
	}
	offset := binary.LittleEndian.Uint64(start[12:])
	length := binary.LittleEndian.Uint64(start[20:])
	room := uint64(max(size-32, 0))
	if !bytes.HasPrefix(start[:], sevenZipMagic) || crc32.ChecksumIEEE(start[12:]) != binary.LittleEndian.Uint32(start[8:]) ||
		offset > room || length > room-offset || length > maxSevenZipHeader {
		return fmt.Errorf("%w: 7z: wrong start header", ErrFormat)
	}
	head := make([]byte, length)
	if _, err := r.ReadAt(head, 32+int64(offset)); err != nil {
		return fmt.Errorf("%w: 7z: %w", ErrFormat, err)
	}
	h := &sevenZipHeader{rest: head, limits: l}
	id := h.byte()
	if id == szEncodedHeader {
		h.limits.Bytes = maxSevenZipHeader
		h.streams()
		plain, err := h.decode(io.NewSectionReader(r, 32, int64(offset)))
		if err != nil {
			return err
		}
		h = &sevenZipHeader{rest: plain, limits: l}
		id = h.byte()
	}
	if id != szHeader {
		return fmt.Errorf("%w: 7z: no header", ErrFormat)
	}
	h.header()
	return h.err
}
