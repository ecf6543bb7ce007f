package datasets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
)

// Split streams one split of a processed data set, from one file or from shards.
type Split struct {
	parts             []*part // the files, in order
	report            SplitReport
	families, sources []string

	mu   sync.Mutex // guards warm
	warm []*part    // those with an Arrow reader, the latest used first
}

// mostWarm is how many files of a split have an Arrow reader at a time. Each reader holds its own dictionaries.
const mostWarm = 16

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

// Open opens a split of the data set in dir, a folder's path or URL, see Manifest.Open. Who reads more than one split,
// or the manifest too, calls ReadManifest once and opens them by it.
func Open(ctx context.Context, dir, split string) (*Split, error) {
	m, err := ReadManifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	return m.Open(ctx, split)
}

// Open opens a split ("train", "validation" or "test") of the data set that m was read from. Before anything parses the
// split's files, Open reads all of them and compares their SHA-256 with m: one flipped byte in an Arrow file can end
// the process. Errors name the file and the reason, and say to run degas process-data where that helps. The error wraps
// ErrReplaced if the data set is another one by now. A split that is open stays what it is. Files in object storage are
// fetched into a cache first, see CacheDir.
func (m *Manifest) Open(ctx context.Context, split string) (*Split, error) {
	dir, report := m.dir, m.Split(split)
	if report == nil {
		return nil, fmt.Errorf("open data set %s: no split %q, there are: %s", dir, split, strings.Join(splitNames[:], ", "))
	}
	for _, f := range report.Files() {
		if f.File != filepath.Base(f.File) {
			return nil, fmt.Errorf("open data set %s: %s names a file outside it: %q", dir, ManifestName, f.File)
		}
	}
	s, err := m.openVerified(ctx, *report)
	if err == nil {
		return s, nil
	}
	if now, nowErr := ReadManifest(ctx, dir); nowErr == nil && ctx.Err() == nil {
		if r := now.Split(split); r == nil || r.SHA256 != report.SHA256 {
			return nil, fmt.Errorf("open %s of %s: %w. Try: the same command again", split, dir, ErrReplaced)
		}
	}
	err = fmt.Errorf("open split: %w", err)
	if !strings.Contains(err.Error(), "Try: ") { // an error of the network says what to do
		err = fmt.Errorf("%w. Try: degas process-data", err)
	}
	return nil, err
}

func (m *Manifest) openVerified(ctx context.Context, report SplitReport) (*Split, error) {
	if err := report.check(); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", bucket.Join(m.dir, ManifestName), report.Name, err)
	}
	parts, err := m.verified(ctx, report.Files())
	if err != nil {
		return nil, err
	}
	return newSplit(parts, report)
}

// verified opens files of the data set and verifies them.
func (m *Manifest) verified(ctx context.Context, files []SplitFile) ([]*part, error) {
	if bucket.IsURL(m.dir) {
		return fetched(ctx, m.dir, files)
	}
	parts, err := openFiles(m.dir, files)
	if err == nil {
		err = verifyAll(ctx, parts)
	}
	if err != nil {
		closeAll(parts)
		return nil, err
	}
	return parts, nil
}

// OpenWritten opens a split whose files this process wrote into dir a moment ago, without verifying them.
func OpenWritten(dir string, report SplitReport) (*Split, error) {
	parts, err := openFiles(dir, report.Files())
	if err != nil {
		return nil, err
	}
	return newSplit(parts, report)
}

// openFiles opens the files of a split in dir.
func openFiles(dir string, files []SplitFile) (parts []*part, err error) {
	for _, file := range files {
		f, err := userfile.Open(filepath.Join(dir, file.File))
		if err != nil {
			closeAll(parts)
			return nil, err
		}
		parts = append(parts, &part{f: f, file: file})
	}
	return parts, nil
}

// newSplit reads what all files of a split say of it. They are open since before they were verified: what is verified
// is what is read, whatever comes to be at their paths. If it fails, it closes them.
func newSplit(parts []*part, report SplitReport) (*Split, error) {
	s := &Split{report: report, parts: parts}
	first := 0
	for _, p := range s.parts {
		p.first = first
		first += p.batches()
		if err := s.readWords(p); err != nil {
			closeAll(parts)
			return nil, fmt.Errorf("%s: %w", p.f.Name(), err)
		}
	}
	return s, nil
}

// readWords checks that p is a file of a split, and that its dictionaries are those of the files before it.
func (s *Split) readWords(p *part) error {
	s.warmUp(p)
	families, sources, err := p.words()
	if err != nil {
		return err
	}
	if p == s.parts[0] {
		s.families, s.sources = families, sources
	}
	if !slices.Equal(families, s.families) || !slices.Equal(sources, s.sources) {
		return fmt.Errorf("its families or sources are not those of %s", s.parts[0].file.File)
	}
	return nil
}

// warmUp notes that p's reader is about to be used, and lets go of the reader that was not used for longest.
func (s *Split) warmUp(p *part) {
	s.mu.Lock()
	if len(s.warm) == 0 || s.warm[0] != p {
		s.warm = slices.Insert(slices.DeleteFunc(s.warm, func(q *part) bool { return q == p }), 0, p)
	}
	var old *part
	if len(s.warm) > mostWarm {
		old, s.warm = s.warm[mostWarm], s.warm[:mostWarm]
	}
	s.mu.Unlock()
	if old != nil {
		old.cool() // which waits for whoever reads there
	}
}

// Rows is the number of rows.
func (s *Split) Rows() int64 { return s.report.Rows }

// Report is the split's entry in dataset.json.
func (s *Split) Report() SplitReport { return s.report }

// Fingerprint identifies the data set; dataset.json has the same.
func (s *Split) Fingerprint() string {
	v, _ := s.parts[0].schema.Metadata().GetValue("degas.fingerprint")
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
func (s *Split) NumBatches() int {
	last := s.parts[len(s.parts)-1]
	return last.first + last.batches()
}

// Read reads batch i, from 0, into b, whose slices it fills again if they are long enough. Several goroutines may call
// it at once.
func (s *Split) Read(ctx context.Context, i int, b *Batch) error {
	at := sort.Search(len(s.parts), func(k int) bool { return s.parts[k].first > i }) - 1
	p := s.parts[at]
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", p.f.Name(), err)
	}
	s.warmUp(p)
	if err := p.read(i-p.first, b, len(s.families), len(s.sources)); err != nil {
		return fmt.Errorf("read %s: %w", p.f.Name(), err)
	}
	return nil
}

// Close closes the files. Batches that were handed out stay valid.
func (s *Split) Close() error {
	var failed error
	for _, p := range s.parts {
		if err := p.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			failed = errors.Join(failed, fmt.Errorf("close %s: %w", p.f.Name(), err))
		}
	}
	return failed
}
