package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/lines"
)

const (
	badLines     = 10      // maximum number of refused lines quoted in dataset.json
	toleratedBad = 10      // a small file may have this many bad rows whatever their share
	earlyCheck   = 100_000 // rows after which a bad file is abandoned before its end
	maxSpellings = 4096    // bounds the families that an inputRead remembers
)

// inputRead is an input while it is read. It is the formats.Sink of the input's reader.
type inputRead struct {
	*formats.Input
	pass   *readPass
	source string // of records that name none

	// Owned by the goroutine that reads.
	ctx        context.Context
	block      *block
	family     spelling // of the record before
	spellings  map[string]spelling
	lastSource string
	sourceID   uint16
	samples    [datasets.NumClasses]nameSample
	leftOut    map[string]int64

	// Shared with the workers.
	rows, refused atomic.Int64
	usable        atomic.Bool // some row was not refused
	gaveUp        atomic.Pointer[badRows]
	mu            sync.Mutex // guards what follows
	refusedBy     map[string]int64
	first         []badLine // in order of lines

	sum      string // the checksum, once it is read
	evidence *datasets.Evidence
}

// spelling is a family as a file spells it, and its number.
type spelling struct {
	text string
	id   uint16
}

// badRows counts an input's rows.
type badRows struct{ bad, all int64 }

// badLine is a refused line as dataset.json quotes it.
type badLine struct {
	line int64
	text string
}

func newInputRead(in *formats.Input, pass *readPass) *inputRead {
	return &inputRead{Input: in, pass: pass, source: in.Source(), spellings: map[string]spelling{},
		refusedBy: map[string]int64{}}
}

// readAndSum reads the input and computes its checksum in a second goroutine, because one goroutine parses the whole
// file.
func (r *inputRead) readAndSum(ctx context.Context) error {
	both, inner := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		r.sum, err = r.SHA256(inner)
		return err
	})
	both.Go(func() error { return r.read(inner) })
	err := both.Wait()
	if err == nil {
		err = r.Unchanged()
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("read %s: %w", r.Label(), err)
	} else if err != nil {
		return ctx.Err()
	}
	return nil
}

// read runs the input's reader to its end.
func (r *inputRead) read(ctx context.Context) error {
	r.ctx = ctx
	err := r.Read(ctx, r.pass.tempDir, r.pass.progress, r)
	switch n := r.gaveUp.Load(); {
	case errors.Is(err, errGiveUp):
		return r.tooBad(*n)
	case err != nil:
		return err
	}
	return r.send()
}

var errGiveUp = errors.New("too many bad rows")

// Record implements formats.Sink.
func (r *inputRead) Record(line int64, rec datasets.Record) error {
	if r.gaveUp.Load() != nil {
		return errGiveUp
	}
	r.ApplySidecar(&rec, r.source)
	if err := r.setNumbers(&rec); err != nil {
		return err
	}
	if !rec.Weak && rec.Family != datasets.BlocklistFamily { // a blocklist does not say that an algorithm made its names
		r.samples[rec.Class].add(rec.Name, r.family.id)
	}
	b := r.block
	if b == nil {
		b = r.pass.pool.Get().(*block)
		b.from, b.names, b.rows = r, b.names[:0], b.rows[:0]
		r.block = b
	}
	b.names = append(b.names, rec.Name...)
	b.rows = append(b.rows, blockRow{
		uint32(len(b.names)), rec.Class, rec.Weak, r.family.id, r.sourceID, rec.Day, line,
	})
	if len(b.rows) == blockRows || len(b.names) > blockSize-lines.MaxLine/4 {
		return r.send()
	}
	return nil
}

// setNumbers sets the numbers of the record's family and source. They are usually those of the record before.
func (r *inputRead) setNumbers(rec *datasets.Record) (err error) {
	if rec.Family != r.family.text {
		if r.family, err = r.spelled(rec.Family); err != nil {
			return err
		}
	}
	if rec.Source != r.lastSource {
		if r.sourceID, err = r.pass.sources.id(datasets.NormalizeSource(rec.Source)); err != nil {
			return err
		}
		r.lastSource = strings.Clone(rec.Source)
	}
	return nil
}

// spelled numbers a family as the file spells it. Files with a column of families repeat few.
func (r *inputRead) spelled(family string) (spelling, error) {
	if f, ok := r.spellings[family]; ok {
		return f, nil
	}
	id, err := r.pass.families.id(datasets.NormalizeFamily(family))
	f := spelling{strings.Clone(family), id}
	if err == nil && len(r.spellings) < maxSpellings {
		r.spellings[f.text] = f
	}
	return f, err
}

func (r *inputRead) send() error {
	b := r.block
	if b == nil {
		return nil
	}
	r.block = nil
	select {
	case r.pass.blocks <- b:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// Refuse implements formats.Sink.
func (r *inputRead) Refuse(line int64, reason string) error {
	r.rows.Add(1)
	r.refuse(line, reason, reason)
	if r.gaveUp.Load() != nil {
		return errGiveUp
	}
	return nil
}

// Evidence implements formats.Sink.
func (r *inputRead) Evidence(e *datasets.Evidence) { r.evidence = e }

// LeaveOut implements formats.Sink.
func (r *inputRead) LeaveOut(_ int64, reason string) {
	if r.leftOut == nil {
		r.leftOut = map[string]int64{}
	}
	r.leftOut[reason]++
}

// refuse counts a row by reason. text is what to quote.
func (r *inputRead) refuse(line int64, reason, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusedBy[reason]++
	if n := len(r.first); n < badLines || line < r.first[n-1].line {
		r.first = append(r.first, badLine{line, fmt.Sprintf("%s:%d: %s", r.Label(), line, text)})
		slices.SortFunc(r.first, func(a, b badLine) int { return cmp.Compare(a.line, b.line) })
		r.first = r.first[:min(len(r.first), badLines)]
	}
	r.refused.Add(1)
	if n := r.count(); n.all >= earlyCheck && r.usable.Load() &&
		float64(n.bad) > r.pass.maxBad*float64(n.all) {
		r.gaveUp.CompareAndSwap(nil, &n)
	}
}

func (r *inputRead) count() badRows { return badRows{r.refused.Load(), r.rows.Load()} }

// result is what reading the input found.
func (r *inputRead) result() inputResult {
	out := inputResult{
		Report: datasets.InputReport{Path: r.Label(), SHA256: r.sum, Bytes: r.FileBytes(), Reader: r.Format(),
			Source: r.source, Rows: r.rows.Load(), LeftOut: r.leftOut, Evidence: r.evidence},
		Renamed: map[string]string{}, Usable: r.usable.Load(),
	}
	if len(r.refusedBy) > 0 {
		out.Report.Refused = r.refusedBy
	}
	for _, l := range r.first {
		out.Report.BadLines = append(out.Report.BadLines, l.text)
	}
	for spelled := range r.spellings {
		if from, to, ok := datasets.RenamedFamily(spelled); ok {
			out.Renamed[from] = to
		}
	}
	for class := range r.samples {
		out.Samples[class] = r.samples[class].words(r.pass.families)
	}
	if n := r.count(); !tolerable(n, r.pass.maxBad) {
		out.TooBad = fmt.Sprintf("read %s: %v", r.Label(), r.tooBad(n))
	}
	return out
}

// tolerable says whether an input may have so many bad rows.
func tolerable(n badRows, maxBad float64) bool {
	return n.bad == 0 || float64(n.bad) <= maxBad*float64(n.all) || n.bad <= toleratedBad && n.bad < n.all
}

// tooBad is the error of an input with too many bad rows. An abandoned input always fails, even if the rows still
// queued turn out good, because the rest was not read.
func (r *inputRead) tooBad(n badRows) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := ""
	if len(r.first) > 0 {
		first = ", first " + r.first[0].text
	}
	return fmt.Errorf("%d of %d rows are bad, more than the %g %% allowed (read as %s%s). "+
		"Try: --max-bad, or say what the file is in %s%s",
		n.bad, n.all, 100*r.pass.maxBad, r.Format(), first, r.File(), formats.SidecarSuffix)
}
