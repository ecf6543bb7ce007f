package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

const (
	blockRows = 4096
	blockSize = 128 << 10

	badLines     = 10      // maximum number of refused lines quoted in dataset.json
	toleratedBad = 10      // a small file may have this many bad rows whatever their share
	earlyCheck   = 100_000 // rows after which a bad file is abandoned before its end
	maxSpellings = 4096    // bounds the families that an inputRead remembers
)

// readPass reads all inputs and spreads their rows over partitions by registered domain. Inputs are read side by side,
// and the rows of one input are normalised by all workers: the data set may be many files or one.
type readPass struct {
	inputs            []*inputRead
	families, sources *interner
	spill             *spill
	plan              *Plan
	maxBad            float64
	strict            bool // an input without a usable name is an error
	useless           []datasets.Skipped
	tempDir           string
	progress          func(int64)

	blocks chan *block
	pool   sync.Pool // of blocks

	mu                        sync.Mutex // guards what the workers sum up
	byFamily, bySource, byDay []int64    // rows accepted, by number; byDay for SplitByDate
}

// block is a run of rows on its way from a reader to a worker.
type block struct {
	from  *inputRead
	names []byte
	rows  []blockRow
}

type blockRow struct {
	end            uint32 // of the name in names
	class          datasets.Class
	weak           bool
	family, source uint16
	day            datasets.Day
	line           int64
}

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

// run reads every input. bufferSize is the spill buffers' bytes.
func (p *readPass) run(ctx context.Context, workers, bufferSize int) error {
	p.blocks = make(chan *block, 2*workers)
	p.pool.New = func() any {
		return &block{names: make([]byte, 0, blockSize), rows: make([]blockRow, 0, blockRows)}
	}
	order := slices.Clone(p.inputs)
	slices.SortStableFunc(order, func(a, b *inputRead) int { return cmp.Compare(b.Bytes(), a.Bytes()) })
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(p.blocks)
		readers, ctx := errgroup.WithContext(ctx)
		readers.SetLimit(workers)
		for _, r := range order {
			if ctx.Err() != nil {
				break
			}
			readers.Go(func() error { return r.readAndSum(ctx) })
		}
		return readers.Wait()
	})
	for range workers {
		all.Go(func() error { return p.work(ctx, bufferSize) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return p.settle()
}

// settle moves inputs without a usable name from inputs to useless. It is an error if an input has too many bad rows
// besides, or if no input is left.
func (p *readPass) settle() error {
	var useful []*inputRead
	var bad error
	for _, r := range p.inputs {
		n := r.count()
		if tolerable(n, p.maxBad) {
			useful = append(useful, r)
			continue
		}
		err := fmt.Errorf("read %s: %w", r.Label(), r.tooBad(n))
		if p.strict || r.usable.Load() {
			return err
		}
		p.useless = append(p.useless, datasets.Skipped{Path: r.Label(), Reason: "no usable name in it: " + r.mostRefused()})
		bad = cmp.Or(bad, err)
	}
	if len(useful) == 0 {
		return bad
	}
	p.inputs = useful
	return nil
}

// mostRefused is the reason for which most rows were refused.
func (r *inputRead) mostRefused() string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(r.refusedBy)), func(a, b string) int {
		return cmp.Compare(r.refusedBy[a], r.refusedBy[b])
	})
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

// report is the input's entry in dataset.json.
func (r *inputRead) report() datasets.InputReport {
	out := datasets.InputReport{Path: r.Label(), SHA256: r.sum, Bytes: r.FileBytes(), Reader: r.Format(),
		Source: r.source, Rows: r.rows.Load(), LeftOut: r.leftOut, Evidence: r.evidence}
	if len(r.refusedBy) > 0 {
		out.Refused = r.refusedBy
	}
	for _, l := range r.first {
		out.BadLines = append(out.BadLines, l.text)
	}
	return out
}

// work normalises the names of blocks and spreads their rows.
func (p *readPass) work(ctx context.Context, bufferSize int) error {
	w := p.spill.writer(bufferSize)
	var byFamily, bySource, byDay []int64
	dated := p.plan.By == datasets.SplitByDate
	parts := len(p.spill.parts)
	for b := range p.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := b.from
		r.rows.Add(int64(len(b.rows)))
		start, refused := uint32(0), 0
		for _, br := range b.rows {
			raw := lines.View(b.names[start:br.end])
			start = br.end
			name, err := normalize(br.class, raw)
			if err != nil {
				r.refuse(br.line, reasonOf(err), fmt.Sprintf("%v: %.80q", err, raw))
				refused++
				continue
			}
			if !dated {
				br.day = 0
			} else {
				byDay = count(byDay, uint16(br.day))
			}
			h := p.plan.hash(p.plan.group(name))
			r := row{name, br.class, br.weak, p.plan.hashed(h), br.family, br.source, br.day}
			if err := w.add(partition(h, parts), r); err != nil {
				return err
			}
			byFamily, bySource = count(byFamily, br.family), count(bySource, br.source)
		}
		if refused < len(b.rows) {
			r.usable.Store(true)
		}
		b.from = nil
		p.pool.Put(b)
	}
	p.mu.Lock()
	p.byFamily, p.bySource = addCounts(p.byFamily, byFamily), addCounts(p.bySource, bySource)
	p.byDay = addCounts(p.byDay, byDay)
	p.mu.Unlock()
	return w.flush()
}

// normalize returns a name as the data set stores it. Tunnel names may hold bytes above ASCII, and only they a '/'.
func normalize(c datasets.Class, raw string) (string, error) {
	if c == datasets.Tunnel {
		return dnsname.NormalizeTunnel(raw)
	}
	name, err := dnsname.Normalize(raw)
	if err == nil && strings.IndexByte(name, '/') >= 0 {
		err = dnsname.ErrSlash
	}
	return name, err
}

var nameReasons = []error{
	dnsname.ErrEmpty, dnsname.ErrLong, dnsname.ErrLabel, dnsname.ErrCharacter, dnsname.ErrNonASCII, dnsname.ErrAddress,
	dnsname.ErrSlash,
}

// reasonOf is the text that refusals are counted by: the kind of error without its details.
func reasonOf(err error) string {
	for _, known := range nameReasons {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "not a name"
}

// count adds one to the count of a number. The counts grow as needed.
func count(counts []int64, id uint16) []int64 {
	if more := int(id) + 1 - len(counts); more > 0 {
		counts = append(counts, make([]int64, more)...)
	}
	counts[id]++
	return counts
}

func addCounts(sum, more []int64) []int64 {
	if n := len(more) - len(sum); n > 0 {
		sum = append(sum, make([]int64, n)...)
	}
	for i, n := range more {
		sum[i] += n
	}
	return sum
}
