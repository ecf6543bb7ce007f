package datasets

import (
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Input is one stream of rows that Process would read: a file, or a file in a zip. It is plain data, so that a runner
// can send it to another machine that sees the same folder.
type Input struct {
	// Root is the input folder, File the file's path in it with slashes, Member a path in the zip that the file is.
	Root, File, Member string
	// Path is FileInfo.Path.
	Path string
	// Reader is the format's name.
	Reader string
}

// Inputs lists what Process would read below root, which may be one file, and what it would skip.
func Inputs(ctx context.Context, root string) ([]Input, []Skipped, error) {
	found, skipped, err := discover(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	defer closeInputs(found)
	out := make([]Input, len(found))
	for i, in := range found {
		out[i] = Input{Root: root, File: in.file.rel, Path: in.path, Reader: in.reader.Name()}
		if info, err := os.Stat(root); err == nil && !info.IsDir() {
			out[i].Root = filepath.Dir(root)
		}
		if in.member != nil {
			out[i].Member = in.member.Name
		}
	}
	return out, skipped, nil
}

// Read hands every row to emit as Process sees it when it enters a partition: the name normalised, the family and the
// source settled. Rows that are refused are counted by reason instead. The error of an input with a larger share of them
// than maxBad, 0 to 1, is Process's. tempDir is where it may put temporary files.
func (in Input) Read(ctx context.Context, tempDir string, maxBad float64, emit func(Record) error) (refused map[string]int64, err error) {
	opened, err := in.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.File, err)
	}
	defer opened.file.close()
	s, err := opened.open(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", opened.label(), err)
	}
	defer s.Close()
	sink := &scanSink{input: opened, source: opened.source(), emit: emit, refused: map[string]int64{}}
	if err := opened.reader.Read(ctx, s.Reader, opened.info(tempDir), sink); err != nil {
		return nil, fmt.Errorf("read %s: %w", opened.label(), err)
	}
	if !tolerable(sink.bad, sink.rows, maxBad) {
		return nil, fmt.Errorf("read %s: %d of %d rows are bad, more than the %g %% allowed", opened.label(), sink.bad, sink.rows, 100*maxBad)
	}
	return sink.refused, nil
}

// open finds the input again.
func (in Input) open() (*input, error) {
	f := &diskFile{path: filepath.Join(in.Root, filepath.FromSlash(in.File)), rel: in.File}
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	f.size = info.Size()
	out := &input{file: f, path: in.Path}
	if out.reader, err = ReaderByName(in.Reader); err != nil {
		return nil, err
	}
	if out.sidecar, err = readSidecar(f.path); err != nil || in.Member == "" {
		return out, err
	}
	if f.zip, err = zip.OpenReader(f.path); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(f.zip.File, func(m *zip.File) bool { return m.Name == in.Member })
	if i < 0 {
		f.close()
		return nil, fmt.Errorf("there is no %s in it any more", in.Member)
	}
	out.member = f.zip.File[i]
	return out, nil
}

// scanSink is Input.Read's Sink.
type scanSink struct {
	*input
	source    string
	emit      func(Record) error
	rows, bad int64
	refused   map[string]int64
}

func (s *scanSink) Record(_ int64, rec Record) error {
	s.rows++
	s.declare(&rec, s.source)
	name, err := normalizeFor(rec.Class, rec.Name)
	if err != nil {
		s.bad++
		s.refused[reasonOf(err)]++
		return nil
	}
	rec.Name, rec.Family, rec.Source = strings.Clone(name), NormalizeFamily(rec.Family), cleanSource(rec.Source)
	return s.emit(rec)
}

func (s *scanSink) Refuse(_ int64, reason string) error {
	s.rows++
	s.bad++
	s.refused[reason]++
	return nil
}

// Shard says what WriteShard puts into a file's metadata.
type Shard struct {
	Version, Fingerprint string
	Split                SplitID
	Seed                 uint64
	Compression          string // as in ProcessOptions
}

// WriteShard writes rows as an Arrow file of the schema of Process's splits, sorted as those are, with dictionaries of
// its own, and returns what it holds. It reorders rows.
func WriteShard(path string, rows []Resolved, s Shard) (SplitReport, error) {
	families, sources := newInterner("families"), newInterner("sources")
	compact := make([]row, len(rows))
	for i, r := range rows {
		family, err := families.id(r.Family)
		if err != nil {
			return SplitReport{}, fmt.Errorf("write %s: %w", path, err)
		}
		source, err := sources.id(r.Source)
		if err != nil {
			return SplitReport{}, fmt.Errorf("write %s: %w", path, err)
		}
		compact[i] = row{name: r.Name, class: r.Class, family: family, source: source}
	}
	familyList, familyNumber := families.sorted()
	sourceList, sourceNumber := sources.sorted()
	order := func(r row) uint64 { return orderOf(hash64(saltName, r.name), s.Seed) }
	slices.SortFunc(compact, func(a, b row) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a.name, b.name))
	})
	w, err := newSplitWriter(path, familyList, sourceList, splitMeta{version: s.Version, fingerprint: s.Fingerprint,
		split: s.Split.String(), seed: s.Seed, compression: s.Compression}, &rowBuffers{})
	if err != nil {
		return SplitReport{}, err
	}
	for _, r := range compact {
		r.family, r.source = familyNumber[r.family], sourceNumber[r.source]
		if err := w.add(r); err != nil {
			w.abandon()
			return SplitReport{}, err
		}
	}
	if err := w.finish(); err != nil {
		w.abandon()
		return SplitReport{}, err
	}
	if err := w.close(); err != nil {
		return SplitReport{}, err
	}
	return w.report(s.Split, filepath.Base(path), familyList, sourceList), nil
}
