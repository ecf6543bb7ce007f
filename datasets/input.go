package datasets

import (
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/degas-dns/degas/internal/linkwalk"
)

const headSize = 16 << 10

// diskFile is a file in the input folder. A zip is one file and many inputs.
type diskFile struct {
	path string // where it is
	rel  string // relative to the input folder, with slashes
	size int64

	zip *zip.ReadCloser // nil when it is no zip; open until close

	once sync.Once
	sum  string
	err  error
}

func (f *diskFile) close() {
	if f.zip != nil {
		f.zip.Close()
	}
}

// sha256 is the file's checksum in hexadecimal, computed once.
func (f *diskFile) sha256(ctx context.Context) (string, error) {
	f.once.Do(func() { f.sum, f.err = fileSHA256(ctx, f.path) })
	return f.sum, f.err
}

// input is one stream of rows: a file, or a member of a zip.
type input struct {
	file    *diskFile
	member  *zip.File // nil when the file is no zip
	path    string    // FileInfo.Path
	weight  int64     // bytes on disk, for progress
	reader  Reader
	sidecar sidecar
}

// label is how errors and dataset.json name the input.
func (in *input) label() string {
	if in.member != nil {
		return in.file.rel + "!" + in.member.Name
	}
	return in.file.rel
}

// source is the data set of rows that do not name theirs.
func (in *input) source() string {
	if in.sidecar.Source != "" {
		return cleanSource(in.sidecar.Source)
	}
	return cleanSource(defaultSource(in.reader, in.path))
}

func (in *input) info(tempDir string) FileInfo {
	return FileInfo{Path: in.path, Class: in.sidecar.class, Family: in.sidecar.Family, TempDir: tempDir}
}

// discover finds the inputs below root, which may also be a file, in order of their paths, and what it skipped.
func discover(ctx context.Context, root string) (inputs []*input, skipped []Skipped, err error) {
	files, skipped, err := listFiles(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		found, skips, err := f.inputs(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		inputs, skipped = append(inputs, found...), append(skipped, skips...)
	}
	inputs, dropped := supersede(inputs)
	return inputs, append(skipped, dropped...), nil
}

// listFiles walks root, through links. Hidden files are the downloader's business.
func listFiles(ctx context.Context, root string) (files []*diskFile, skipped []Skipped, err error) {
	again, err := linkwalk.Visible(root, func(rel string, info fs.FileInfo, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f := &diskFile{path: filepath.Join(root, filepath.FromSlash(rel)), rel: rel, size: info.Size()}
		if rel == "." {
			f.rel = filepath.Base(root)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list inputs: %w", err)
	}
	for _, rel := range again {
		skipped = append(skipped, Skipped{rel, "a folder that is read under another name"})
	}
	slices.SortFunc(files, func(a, b *diskFile) int { return strings.Compare(a.rel, b.rel) })
	return files, skipped, nil
}

// aside are files that come with data sets and hold no rows.
func aside(rel string) bool {
	base := strings.ToUpper(path.Base(rel))
	for _, p := range []string{"LICENSE", "LICENCE", "README", "COPYING", "NOTICE", "CITATION", "SHA256SUMS", "CHANGELOG"} {
		if strings.HasPrefix(base, p) {
			return true
		}
	}
	switch path.Ext(base) {
	case ".MD", ".JSON", ".SHA256", ".LOCK", ".PART", ".PARTIAL", ".TMP", ".BAK", ".PDF", ".PNG", ".PY", ".IPYNB":
		return true
	}
	return false
}

func (f *diskFile) inputs(ctx context.Context) ([]*input, []Skipped, error) {
	if aside(f.rel) {
		return nil, nil, nil
	}
	side, err := readSidecar(f.path)
	if err != nil {
		return nil, nil, err
	}
	if side.Skip {
		return nil, []Skipped{{f.rel, "its sidecar says skip"}}, nil
	}
	if isZip(f.path) {
		return f.members(ctx, side)
	}
	in := &input{file: f, path: trimCompression(f.rel), weight: f.size, sidecar: side}
	skip, err := in.recognize(ctx)
	if err != nil || skip != "" {
		return nil, []Skipped{{in.label(), skip}}, err
	}
	return []*input{in}, nil, nil
}

// members makes an input of each file in a zip. A zip of one file goes by the zip's own name, because publishers call
// the member top-1m.csv.
func (f *diskFile) members(ctx context.Context, side sidecar) (inputs []*input, skipped []Skipped, err error) {
	if f.zip, err = zip.OpenReader(f.path); err != nil {
		return nil, nil, err
	}
	var files []*zip.File
	for _, m := range f.zip.File {
		if m.Mode().IsRegular() && !aside(m.Name) && !strings.HasPrefix(path.Base(m.Name), ".") &&
			!strings.HasPrefix(m.Name, "__MACOSX/") {
			files = append(files, m)
		}
	}
	slices.SortFunc(files, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	stem := trimCompression(f.rel)
	for _, m := range files {
		p := stem + "/" + strings.TrimLeft(trimCompression(m.Name), "/")
		if len(files) == 1 {
			p = stem
			if path.Ext(p) == "" {
				p += path.Ext(trimCompression(m.Name))
			}
		}
		in := &input{file: f, member: m, path: p, weight: int64(m.CompressedSize64), sidecar: side}
		skip, err := in.recognize(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		if skip != "" {
			skipped = append(skipped, Skipped{in.label(), skip})
			continue
		}
		inputs = append(inputs, in)
	}
	return inputs, skipped, nil
}

// recognize chooses the reader. It returns why the input is skipped, or "".
func (in *input) recognize(ctx context.Context) (skip string, err error) {
	if in.sidecar.Format != "" {
		in.reader, err = ReaderByName(in.sidecar.Format)
		return "", err
	}
	head, err := in.head(ctx)
	if err != nil {
		return "", err
	}
	if len(head) == 0 {
		return "empty", nil
	}
	in.reader = Recognize(in.path, head)
	if in.reader == nil && in.sidecar.class != nil {
		// A declared class is as good as the folder that would have told it.
		in.reader = Recognize(in.sidecar.class.String()+"/"+in.path, head)
	}
	if in.reader != nil {
		return "", nil
	}
	if _, column, _ := rankedShape(head); column < 0 {
		return "not recognised", nil
	}
	if in.sidecar.class == nil {
		return "the numbers beside the names are no ranking: if they are classes, add a header, such as domain,class", nil
	}
	in.reader = rankedReader{} // whatever the numbers are, the sidecar's class counts
	return "", nil
}

func (in *input) head(ctx context.Context) ([]byte, error) {
	s, err := in.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(s, head)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
		err = nil
	}
	return head[:n], err
}

// supersede drops inputs that their readers say another one contains.
func supersede(inputs []*input) (kept []*input, dropped []Skipped) {
	by := map[Reader][]int{}
	for i, in := range inputs {
		if _, ok := in.reader.(Chooser); ok {
			by[in.reader] = append(by[in.reader], i)
		}
	}
	gone := map[int]string{}
	for r, list := range by {
		paths := make([]string, len(list))
		for j, i := range list {
			paths[j] = inputs[i].path
		}
		for j, better := range r.(Chooser).Superseded(paths) {
			if better != "" {
				gone[list[j]] = better
			}
		}
	}
	for i, in := range inputs {
		if better, ok := gone[i]; ok {
			dropped = append(dropped, Skipped{in.label(), "contained in " + path.Base(better)})
			continue
		}
		kept = append(kept, in)
	}
	return kept, dropped
}

var compressions = map[string]bool{".gz": true, ".zip": true, ".zst": true, ".bz2": true}

// trimCompression drops compression suffixes: "a.csv.gz" -> "a.csv".
func trimCompression(p string) string {
	for compressions[strings.ToLower(path.Ext(p))] {
		p = p[:len(p)-len(path.Ext(p))]
	}
	return p
}

func isZip(p string) bool {
	f, err := os.Open(p)
	if err != nil {
		return false // opening it again reports why
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "PK\x03\x04"
}

// stream is an opened input: the decompressed rows, and random access where the file is not compressed.
type stream struct {
	io.Reader
	closers []func() error
}

// plainFile is a stream's Reader when the file is not compressed: Parquet needs its size and random access.
type plainFile struct {
	io.Reader
	io.ReaderAt
	size int64
}

func (s *stream) Close() (err error) {
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	return err
}

// open opens the input; progress, when not nil, is told the bytes read from disk as they are read. Reading stops with
// ctx's error once ctx is done.
func (in *input) open(ctx context.Context, progress func(int64)) (_ *stream, err error) {
	s := &stream{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if m := in.member; m != nil {
		r, err := m.Open()
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, r.Close)
		scale := float64(m.CompressedSize64) / float64(max(m.UncompressedSize64, 1))
		return s, s.decompress(&countingReader{ctx: ctx, r: r, progress: progress, scale: scale}, nil)
	}
	f, err := os.Open(in.file.path)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, f.Close)
	counted := &countingReader{ctx: ctx, r: f, progress: progress}
	return s, s.decompress(counted, &plainFile{Reader: counted, ReaderAt: f, size: in.file.size})
}

// decompress looks at the first bytes, not at the name: names lie, and a member of a zip may be compressed again.
func (s *stream) decompress(r io.Reader, plain *plainFile) error {
	b := bufio.NewReaderSize(r, 256<<10)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case len(magic) >= 2 && string(magic[:2]) == "\x1f\x8b":
		z, err := gzip.NewReader(b)
		if err != nil {
			return err
		}
		s.Reader, s.closers = z, append(s.closers, z.Close)
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return err
		}
		s.Reader, s.closers = z, append(s.closers, func() error { z.Close(); return nil })
	case len(magic) >= 3 && string(magic[:3]) == "BZh":
		s.Reader = bzip2.NewReader(b)
	case plain != nil:
		plain.Reader = b
		s.Reader = plain
	default:
		s.Reader = b
	}
	return nil
}

// countingReader reports what is read and ends with ctx.
type countingReader struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
	scale    float64 // bytes on disk per byte read, 0 means 1
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if c.progress != nil {
		if c.scale > 0 {
			c.progress(int64(float64(n) * c.scale))
		} else {
			c.progress(int64(n))
		}
	}
	return n, err
}

// fileSHA256 is a file's checksum in hexadecimal.
func fileSHA256(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if err := copyHash(ctx, h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func copyHash(ctx context.Context, h hash.Hash, r io.Reader) error {
	_, err := io.CopyBuffer(h, &countingReader{ctx: ctx, r: r}, make([]byte, 1<<20))
	return err
}
