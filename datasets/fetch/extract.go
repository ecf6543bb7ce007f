package fetch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/internal/unpack"
)

// Extraction says what becomes of a downloaded archive: zip, tar, or gzip, bzip2 or zstd over a tar or over a single
// file, which then is called like the archive without its last extension. The content decides about the kind, not the
// name. Directories and modes are not kept: every file is 0644, and empty directories do not appear. The archive is
// removed once its members are in place; checksums.json remembers both, so that it is not fetched again.
type Extraction struct {
	// Into is the directory that members land in, relative to the directory given to Fetch, slash-separated; "" is that
	// directory itself.
	Into string
	// Select says where a member goes, given its cleaned slash path: a relative slash path of its own, and whether it is
	// wanted at all. nil takes every regular file under its own name.
	Select func(name string) (dest string, ok bool)
	// LeadingSlash tolerates "/" before member names, by taking it off. Older Mendeley Data zips have it; everywhere
	// else an absolute path is a reason to refuse the archive.
	LeadingSlash bool
}

// bounds limit what an archive may put on the disk.
type bounds struct {
	bytes   int64 // unpacked in all, and those that a compressed tar holds besides the members selected
	entries int   // members, selected or not
}

var usualBounds = bounds{bytes: 32 << 30, entries: 100_000}

const (
	maxRatio   = 250      // unpacked bytes a byte of the archive; lists with many repetitions stay below
	ratioGrace = 16 << 20 // unpacked bytes to which maxRatio does not apply
)

// unpackInto unpacks the archive called name into the empty folder stage and returns the members by slash path.
//
// A name that would leave the folder, a link or device among the selected members, and two members of one name are
// ErrUnsafe; more than b allows is ErrBomb; anything damaged, encrypted or of no known kind is ErrFormat.
func unpackInto(ctx context.Context, name, stage string, e *Extraction, b bounds) (map[string]Record, error) {
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
	u := &unpacker{ctx: ctx, root: root, e: e, bounds: b, packed: info.Size(), members: map[string]Record{}}
	return u.members, u.archive(f)
}

// unpacker writes the members of one archive below root and counts them.
type unpacker struct {
	ctx     context.Context
	root    *os.Root
	e       *Extraction
	bounds  bounds
	packed  int64 // length of the archive in bytes
	written int64 // bytes of members
	entries int
	members map[string]Record
}

// archive unpacks f, whatever kind it is.
func (u *unpacker) archive(f *os.File) error {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return u.zip(f)
	}
	stream, packed, err := unpack.Decompress(f.Name(), f, head)
	if _, ok := errors.AsType[*unpack.KindError](err); ok {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer stream.Close()
	body := bufio.NewReaderSize(stream, 1<<16)
	if head, err = body.Peek(512); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	name := filepath.Base(f.Name())
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
	name = strings.ToLower(name)
	ext := path.Ext(name)
	return ext == ".tgz" || ext == ".tbz2" || ext == ".tar" || strings.HasSuffix(strings.TrimSuffix(name, ext), ".tar")
}

// single unpacks a stream that holds one file.
func (u *unpacker) single(body io.Reader, name string) error {
	dest, ok, err := u.choose(strings.TrimSuffix(name, path.Ext(name)))
	if err != nil || !ok {
		return err
	}
	return u.write(dest, body)
}

// choose cleans a member's name and asks the caller where it goes. An error refuses the whole archive.
func (u *unpacker) choose(name string) (dest string, ok bool, err error) {
	if u.entries++; u.entries > u.bounds.entries {
		return "", false, fmt.Errorf("%w: more than %d members", ErrBomb, u.bounds.entries)
	}
	if u.e.LeadingSlash {
		name = strings.TrimLeft(name, "/")
	}
	for strings.HasPrefix(name, "./") {
		name = name[2:]
	}
	name = strings.TrimRight(name, "/")
	if name == "" || name == "." {
		return "", false, nil // the root itself
	}
	if err := checkRelative(name); err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	if u.e.Select == nil {
		return name, true, nil
	}
	if dest, ok = u.e.Select(name); !ok {
		return "", false, nil
	}
	if err := checkRelative(dest); err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	return dest, true, nil
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
	sum, n, err := fill(out, &boundedReader{u: u, r: r, total: &u.written})
	if err != nil {
		return fmt.Errorf("member %q: %w", dest, err)
	}
	u.members[dest] = Record{SHA256: sum, Size: n}
	return nil
}

// boundedReader reads unpacked bytes, adds them to total, and fails with ErrBomb when that exceeds the bounds. What
// else r says is ErrFormat.
type boundedReader struct {
	u     *unpacker
	r     io.Reader
	total *int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	*b.total += int64(n)
	switch total := *b.total; {
	case total > b.u.bounds.bytes:
		return 0, fmt.Errorf("%w: more than %d bytes unpacked", ErrBomb, b.u.bounds.bytes)
	case total > ratioGrace && total/maxRatio > b.u.packed:
		return 0, fmt.Errorf("%w: unpacks to more than %d times its size", ErrBomb, maxRatio)
	case err == io.EOF: // as it is: callers compare
		return n, err
	}
	return n, archiveError(err)
}

// archiveError marks what a decoder said as ErrFormat, unless it is one of this package's own reasons.
func archiveError(err error) error {
	for _, known := range []error{nil, ErrBomb, ErrUnsafe, ErrFormat, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}
