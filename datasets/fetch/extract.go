package fetch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Limits says what an archive may put on the disk. The zero value is safe for archives of any origin.
type Limits struct {
	// Bytes bounds everything unpacked, and everything a solid archive or a compressed tar unpacks to on the way to the
	// members selected; 0 means 32 GiB.
	Bytes int64
	// Ratio bounds unpacked bytes for each byte of the archive; it counts past the first 16 MiB. 0 means 250, which
	// lists of names with many repetitions stay under.
	Ratio int64
	// Entries bounds the members, selected or not; 0 means 100,000.
	Entries int
	// Select says where a member goes, given its cleaned slash path: a relative slash path of its own, and whether it is
	// wanted at all. nil takes every regular file under its own name.
	Select func(name string) (dest string, ok bool)
	// LeadingSlash tolerates "/" before member names, by taking it off. Older Mendeley Data zips have it; everywhere
	// else an absolute path is a reason to refuse the archive.
	LeadingSlash bool
}

const (
	defaultBytes   = 32 << 30
	defaultRatio   = 250
	defaultEntries = 100_000
	ratioGrace     = 16 << 20
	maxDictionary  = 64 << 20 // of LZMA and zstd, in bytes: what their highest usual presets need
	stagePrefix    = ".degas-extract-"
)

// Extract unpacks archive into dir, which need not exist, and returns the members as slash paths relative to dir,
// sorted. The kind is told by content, not by name: zip, tar, 7z, and gzip, bzip2, zstd or xz over a tar or a single
// file, which then is called like the archive without its last extension. Directories and modes are not kept: every
// file is 0644, and empty directories do not appear.
//
// Members are unpacked into a folder beside dir and renamed into place when all of them are whole, so that a failure
// leaves dir as it was. Names that would leave dir, links and devices among the selected members, and two members of one
// name are ErrUnsafe; more than l allows is ErrBomb; anything damaged, encrypted or of no known kind is ErrFormat.
func Extract(ctx context.Context, archive, dir string, l Limits) ([]string, error) {
	members, err := extract(ctx, archive, dir, l)
	if err != nil {
		return nil, err
	}
	return sortedKeys(members), nil
}

// extract is Extract, with checksums.
func extract(ctx context.Context, archive, dir string, l Limits) (map[string]Record, error) {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	stage, err := os.MkdirTemp(parent, stagePrefix)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	defer os.RemoveAll(stage)
	members, err := unpackInto(ctx, archive, stage, l)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	if err := moveIn(stage, dir, sortedKeys(members)); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	return members, nil
}

// unpackInto unpacks the archive called name into the empty folder stage.
func unpackInto(ctx context.Context, name, stage string, l Limits) (map[string]Record, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(stage)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	u := newUnpacker(ctx, root, l, info.Size())
	if err := u.archive(f, info.Size(), filepath.Base(name)); err != nil {
		return nil, err
	}
	return u.members, nil
}

// moveIn renames the members from stage to dir: at once when dir does not exist, else one after the other.
func moveIn(stage, dir string, members []string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.Chmod(stage, 0o755); err != nil {
			return err
		}
		return os.Rename(stage, dir)
	}
	for _, m := range members {
		to := filepath.Join(dir, filepath.FromSlash(m))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(stage, filepath.FromSlash(m)), to); err != nil {
			return err
		}
	}
	return nil
}

// unpacker writes the members of one archive below root and counts against the limits.
type unpacker struct {
	ctx     context.Context
	root    *os.Root
	l       Limits
	packed  int64 // length of the archive in bytes
	written int64
	entries int
	members map[string]Record
}

func newUnpacker(ctx context.Context, root *os.Root, l Limits, packed int64) *unpacker {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Ratio <= 0 {
		l.Ratio = defaultRatio
	}
	if l.Entries <= 0 {
		l.Entries = defaultEntries
	}
	return &unpacker{ctx: ctx, root: root, l: l, packed: packed, members: map[string]Record{}}
}

// archive unpacks r, size bytes long and called name, whatever kind it is.
func (u *unpacker) archive(r io.ReaderAt, size int64, name string) error {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return u.zip(r, size)
	case bytes.HasPrefix(head, sevenZipMagic):
		return u.sevenZip(r, size)
	}
	stream, packed, err := decompress(bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16), head)
	if err != nil {
		return err
	}
	defer stream.Close()
	if packed {
		head, err = io.ReadAll(io.LimitReader(stream, 512))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	body := io.Reader(stream)
	if packed {
		body = io.MultiReader(bytes.NewReader(head), stream)
	}
	switch {
	case isTar(head, name):
		return u.tar(body)
	case packed:
		return u.single(body, name)
	}
	return fmt.Errorf("%w: of no known kind", ErrFormat)
}

// isTar looks for the magic of POSIX and GNU archives; older ones have none and are known by name.
func isTar(head []byte, name string) bool {
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return true
	}
	name = lower(name)
	if strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tbz2") || strings.HasSuffix(name, ".txz") {
		return true
	}
	base := strings.TrimSuffix(name, path.Ext(name))
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(base, ".tar")
}

// single unpacks a stream that holds one file.
func (u *unpacker) single(body io.Reader, name string) error {
	name = strings.TrimSuffix(name, path.Ext(name))
	dest, ok, err := u.choose(name)
	if err != nil || !ok {
		return err
	}
	return u.write(dest, body)
}

// choose cleans a member's name and asks the caller where it goes. An error refuses the whole archive.
func (u *unpacker) choose(name string) (dest string, ok bool, err error) {
	if u.entries++; u.entries > u.l.Entries {
		return "", false, fmt.Errorf("%w: more than %d members", ErrBomb, u.l.Entries)
	}
	clean := name
	if u.l.LeadingSlash {
		clean = strings.TrimLeft(clean, "/")
	}
	for strings.HasPrefix(clean, "./") {
		clean = clean[2:]
	}
	clean = strings.TrimRight(clean, "/")
	if clean == "" || clean == "." {
		return "", false, nil // the root itself
	}
	if err := checkRelative(clean); err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	if u.l.Select == nil {
		return clean, true, nil
	}
	dest, ok = u.l.Select(clean)
	if !ok {
		return "", false, nil
	}
	if err := checkRelative(dest); err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	return dest, true, nil
}

// count adds n unpacked bytes and fails when that is more than allowed.
func (u *unpacker) count(n int64) error {
	if n < 0 || n > u.l.Bytes-u.written {
		return fmt.Errorf("%w: more than %d bytes unpacked", ErrBomb, u.l.Bytes)
	}
	u.written += n
	if u.written > ratioGrace && u.written/u.l.Ratio > u.packed {
		return fmt.Errorf("%w: unpacks to more than %d times its size", ErrBomb, u.l.Ratio)
	}
	return nil
}

// write puts the member's bytes at dest. Errors of r are the archive's fault, others the disk's.
func (u *unpacker) write(dest string, r io.Reader) error {
	local := filepath.FromSlash(dest)
	if err := u.root.MkdirAll(filepath.Dir(local), 0o755); err != nil {
		return fmt.Errorf("%w: member %q: %w", ErrUnsafe, dest, err)
	}
	out, err := u.root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: two members are called %q", ErrUnsafe, dest)
	}
	if err != nil {
		return fmt.Errorf("member %q: %w", dest, err)
	}
	digest := sha256.New()
	n, err := u.pour(out, digest, r)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("member %q: %w", dest, err)
	}
	u.members[dest] = Record{SHA256: hexSum(digest), Size: n}
	return nil
}

func (u *unpacker) pour(out, digest io.Writer, r io.Reader) (int64, error) {
	buf := make([]byte, 64<<10)
	var total int64
	for {
		if err := u.ctx.Err(); err != nil {
			return total, err
		}
		n, err := r.Read(buf)
		if n > 0 {
			total += int64(n)
			if err := u.count(int64(n)); err != nil {
				return total, err
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return total, err
			}
			_, _ = digest.Write(buf[:n])
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, archiveError(err)
		}
	}
}

// archiveError marks what a decoder said as ErrFormat, unless it is one of this package's own reasons.
func archiveError(err error) error {
	if err == nil || errors.Is(err, ErrBomb) || errors.Is(err, ErrUnsafe) || errors.Is(err, ErrFormat) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

func lower(s string) string { return strings.ToLower(s) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
