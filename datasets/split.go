package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// Split streams one split of a processed data set.
type Split struct {
	f                 *os.File
	mu                sync.Mutex // the Arrow reader keeps state
	r                 *ipc.FileReader
	memory            boundedAllocator // r's
	path              string
	report            SplitReport
	families, sources []string
}

// Batch is up to BatchRows rows; index i of every slice is one row. The slices belong to the caller. The names share
// one piece of memory that lives as long as any of them: clone what is kept for longer than the others.
type Batch struct {
	Names  []string
	Class  []Class
	Family []int16 // index into Split.Families
	Source []int16 // index into Split.Sources
}

// ErrReplaced is the error of a split whose data set another process has replaced since its manifest was read.
var ErrReplaced = errors.New("another process has replaced the data set since this one began to read it")

// Open opens a split of the data set in dir, see Manifest.Open. Who reads more than one split, or the manifest too,
// calls ReadManifest once and opens them by it.
func Open(ctx context.Context, dir, split string) (*Split, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	return m.Open(ctx, split)
}

// Open opens a split ("train", "validation" or "test") of the data set that m was read from. Before anything parses the
// file, Open reads all of it and compares its SHA-256 with m: one flipped byte in an Arrow file can end the process.
// Errors name the file and the reason, and say to run degas process-data where that helps. The error wraps ErrReplaced
// if the data set is another one by now. A split that is open stays what it is.
func (m *Manifest) Open(ctx context.Context, split string) (*Split, error) {
	dir, report := m.dir, m.Split(split)
	if report == nil {
		return nil, fmt.Errorf("open data set %s: no split %q, there are: %s", dir, split, strings.Join(splitNames[:], ", "))
	}
	if report.File != filepath.Base(report.File) {
		return nil, fmt.Errorf("open data set %s: %s names a file outside it: %q", dir, ManifestName, report.File)
	}
	path := filepath.Join(dir, report.File)
	s, err := openVerified(ctx, path, *report)
	if err == nil {
		return s, nil
	}
	if now, nowErr := ReadManifest(dir); nowErr == nil && ctx.Err() == nil {
		if r := now.Split(split); r == nil || r.SHA256 != report.SHA256 {
			return nil, fmt.Errorf("open %s: %w. Try: the same command again", path, ErrReplaced)
		}
	}
	return nil, fmt.Errorf("open split: %w. Try: degas process-data", err)
}

func openVerified(ctx context.Context, path string, report SplitReport) (*Split, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return nil, err
	}
	if err := verify(ctx, f, report); err != nil { // what is verified is what is read, whatever comes to be at path
		f.Close()
		return nil, err
	}
	return newSplit(f, report)
}

// verify compares a file with its entry in dataset.json.
func verify(ctx context.Context, f *os.File, report SplitReport) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := report.check(); err != nil {
		return fmt.Errorf("%s: %s: %w", ManifestName, report.Name, err)
	}
	if info.Size() != report.Bytes {
		return fmt.Errorf("%s has %d bytes, %s says %d", f.Name(), info.Size(), ManifestName, report.Bytes)
	}
	h := sha256.New()
	if _, err := io.Copy(h, unpack.Watch(ctx, f, nil)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != report.SHA256 {
		return fmt.Errorf("%s is damaged: its SHA-256 is %s, %s says %s", f.Name(), sum, ManifestName, report.SHA256)
	}
	return nil
}

// OpenWritten opens a file that this process wrote a moment ago, without verifying it. report is its SplitWriter's.
func OpenWritten(path string, report SplitReport) (*Split, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newSplit(f, report)
}

// newSplit reads the schema of f, which it closes if that fails.
func newSplit(f *os.File, report SplitReport) (*Split, error) {
	path := f.Name()
	s := &Split{f: f, path: path, report: report}
	if err := s.readSchema(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// readSchema opens the Arrow reader and checks that the file is one of ours.
func (s *Split) readSchema() (err error) {
	defer recovered(&err)
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	want := splitSchema(nil)
	batches := max((s.report.Rows+BatchRows-1)/BatchRows, 1) // an empty split has an empty batch
	if err := checkFooter(s.f, info.Size(), want.NumFields(), batches); err != nil {
		return err
	}
	s.memory.left = maxArrow
	if s.r, err = ipc.NewFileReader(s.f, ipc.WithAllocator(&s.memory)); err != nil {
		return err
	}
	for i, f := range want.Fields() {
		if got := s.r.Schema(); i >= got.NumFields() || got.Field(i).Name != f.Name ||
			!arrow.TypeEqual(got.Field(i).Type, f.Type) {
			return fmt.Errorf("not a split: column %d is not %q of type %s", i+1, f.Name, f.Type)
		}
	}
	s.families, s.sources = []string{""}, []string{""}
	if s.r.NumRecords() == 0 {
		return nil
	}
	rec, err := s.r.RecordAt(0)
	if err != nil {
		return err
	}
	defer rec.Release()
	s.families = dictionaryOf(rec.Column(2))
	s.sources = dictionaryOf(rec.Column(3))
	return nil
}

// dictionaryOf copies a column's dictionary.
func dictionaryOf(column arrow.Array) []string {
	d := column.(*array.Dictionary).Dictionary().(*array.String)
	out := make([]string, d.Len())
	for i := range out {
		out[i] = strings.Clone(d.Value(i))
	}
	return out
}

// recovered turns a panic of the Arrow library into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("arrow: %v", p)
	}
}

// Rows is the number of rows.
func (s *Split) Rows() int64 { return s.report.Rows }

// Report is the split's entry in dataset.json.
func (s *Split) Report() SplitReport { return s.report }

// Fingerprint identifies the data set; dataset.json has the same.
func (s *Split) Fingerprint() string {
	v, _ := s.r.Schema().Metadata().GetValue("degas.fingerprint")
	return v
}

// Families lists the families; Batch.Family indexes it. Families()[0] is always "": benign names, and names of the
// other classes whose family is not known. All splits of a data set have the same list, in alphabetical order. It
// belongs to the split: do not change it.
func (s *Split) Families() []string { return s.families }

// Sources lists the data sets that rows come from; Batch.Source indexes it. Sources()[0] is always "", which no row
// has. All splits of a data set have the same list. It belongs to the split: do not change it.
func (s *Split) Sources() []string { return s.sources }

// Batches gives the rows in file order, which is a random order fixed by the seed. It may be called again and from
// several goroutines; each call starts at the first row. It ends with ctx's error once ctx is done.
func (s *Split) Batches(ctx context.Context) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for i := range s.NumBatches() {
			var b Batch
			err := s.Read(ctx, i, &b)
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// NumBatches is the number of batches.
func (s *Split) NumBatches() int { return s.r.NumRecords() }

// Read reads batch i, from 0, into b, whose slices it fills again if they are long enough. Several goroutines may call
// it at once.
func (s *Split) Read(ctx context.Context, i int, b *Batch) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read %s: %w", s.path, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	defer recovered(&err)
	rec, err := s.record(i)
	if err != nil {
		return err
	}
	// The record is not released: its memory is Go's, and the names go on pointing into it.
	n := int(rec.NumRows())
	if want := min(BatchRows, s.report.Rows-int64(i)*BatchRows); int64(n) != want {
		return fmt.Errorf("batch %d has %d rows, but %s has %d for it", i, n, ManifestName, want)
	}
	b.Names, b.Class = slices.Grow(b.Names[:0], n)[:n], slices.Grow(b.Class[:0], n)[:n]
	domains := rec.Column(0).(*array.String)
	for i := range b.Names {
		b.Names[i] = domains.Value(i)
	}
	for i, c := range rec.Column(1).(*array.Dictionary).Indices().(*array.Int8).Int8Values() {
		if c < 0 || c >= NumClasses {
			return errors.New("class outside the dictionary")
		}
		b.Class[i] = Class(c)
	}
	if b.Family, err = indices(b.Family, rec.Column(2), len(s.families)); err != nil {
		return err
	}
	b.Source, err = indices(b.Source, rec.Column(3), len(s.sources))
	return err
}

// record reads the i-th batch.
func (s *Split) record(i int) (arrow.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock() // also if the Arrow library panics
	s.memory.left = maxArrow
	return s.r.RecordAt(i)
}

// indices copies a dictionary column's indices into out, checked against the dictionary's length.
func indices(out []int16, column arrow.Array, limit int) ([]int16, error) {
	out = append(out[:0], column.(*array.Dictionary).Indices().(*array.Int16).Int16Values()...)
	for _, v := range out {
		if v < 0 || int(v) >= limit {
			return nil, errors.New("index outside the dictionary")
		}
	}
	return out, nil
}

// Close closes the file. Batches that were handed out stay valid.
func (s *Split) Close() error {
	if err := s.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}
