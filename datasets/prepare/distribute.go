package prepare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
)

// Scan hands every row of an input to emit as it enters a partition: the name normalised, the family and the source
// settled. Refused rows are counted by reason instead. If their share is larger than maxBad, 0 to 1, Scan returns Run's
// error. tempDir is where it may put temporary files.
func Scan(ctx context.Context, from formats.Location, tempDir string, maxBad float64,
	emit func(datasets.Record) error) (refused map[string]int64, err error) {
	in, err := from.Open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", from.File, err)
	}
	defer formats.Close([]*formats.Input{in})
	s := &scanSink{Input: in, source: in.Source(), emit: emit, refused: map[string]int64{}}
	if err := in.Read(ctx, tempDir, nil, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", in.Label(), err)
	}
	if !tolerable(s.rows, maxBad) {
		return nil, fmt.Errorf("read %s: %d of %d rows are bad, more than the %g %% allowed", in.Label(),
			s.rows.bad, s.rows.all, 100*maxBad)
	}
	return s.refused, nil
}

// scanSink is Scan's formats.Sink.
type scanSink struct {
	*formats.Input
	source  string
	emit    func(datasets.Record) error
	rows    badRows
	refused map[string]int64
}

// Record implements formats.Sink.
func (s *scanSink) Record(line int64, rec datasets.Record) error {
	s.ApplySidecar(&rec, s.source)
	name, err := normalize(rec.Class, rec.Name)
	if err != nil {
		return s.Refuse(line, reasonOf(err))
	}
	s.rows.all++
	rec.Name = strings.Clone(name)
	rec.Family, rec.Source = datasets.NormalizeFamily(rec.Family), datasets.NormalizeSource(rec.Source)
	return s.emit(rec)
}

// Refuse implements formats.Sink.
func (s *scanSink) Refuse(_ int64, reason string) error {
	s.rows.all++
	s.rows.bad++
	s.refused[reason]++
	return nil
}

// Evidence implements formats.Sink.
func (s *scanSink) Evidence(*datasets.Evidence) {}

// LeaveOut implements formats.Sink. A runner's report has no place for it.
func (s *scanSink) LeaveOut(int64, string) {}

// WriteShard writes rows as an Arrow file of the schema of Run's splits, sorted as those are, with dictionaries of its
// own, and returns what it holds. It reorders rows.
func WriteShard(path string, rows []Placed, m datasets.SplitMeta) (datasets.SplitReport, error) {
	families, sources := newInterner("families"), newInterner("sources")
	order := func(r Placed) uint64 { return orderOf(hash64(saltName, r.Name), m.Seed) }
	slices.SortFunc(rows, func(a, b Placed) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a.Name, b.Name))
	})
	columns := &datasets.Columns{}
	for _, r := range rows {
		family, familyErr := families.id(r.Family)
		source, err := sources.id(r.Source)
		if err = cmp.Or(familyErr, err); err != nil {
			return datasets.SplitReport{}, fmt.Errorf("write %s: %w", path, err)
		}
		columns.Append(r.Name, r.Class, family, source)
	}
	familyWords, familyNumber := families.dictionary(nil)
	sourceWords, sourceNumber := sources.dictionary(nil)
	w, err := datasets.NewSplitWriter(path, familyWords, sourceWords, m, &datasets.Columns{})
	if err != nil {
		return datasets.SplitReport{}, err
	}
	if err = w.Append(columns, familyNumber, sourceNumber); err == nil {
		err = w.Finish()
	}
	if err != nil {
		w.Abandon()
		return datasets.SplitReport{}, err
	}
	if err := w.Close(); err != nil {
		return datasets.SplitReport{}, err
	}
	return w.Report(), nil
}
