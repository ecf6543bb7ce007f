package datasets

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

	"github.com/degas-dns/degas/model/dnsname"
)

// The first pass reads the inputs and spreads their rows over partitions by registered domain. Files are read side by
// side, and the rows of one file are normalised by all workers: the data set may be many files or one.

const (
	blockRows = 4096
	blockSize = 128 << 10

	badSamples  = 10
	toleratedN  = 10      // a small file may have this many bad rows whatever their share
	earlyVerdit = 100_000 // rows after which a bad file is given up before its end
)

// block is a run of rows on its way from a reader to a worker.
type block struct {
	from  *reading
	names []byte
	rows  []blockRow
}

type blockRow struct {
	end            uint32 // of the name in names
	class          Class
	weak           bool
	family, source uint16
	day            Day
	line           int64
}

// reading is an input while it is read, and the Sink of its reader.
type reading struct {
	*input
	run           *firstPass
	ctx           context.Context
	block         *block
	source        string // default
	lastFamily    string
	lastSource    string
	familyID      uint16
	familyIDs     map[string]spelling
	sourceID      uint16
	rows, refused atomic.Int64
	giveUp        atomic.Bool
	gaveUp        [2]int64 // bad and all rows when giveUp was set
	mu            sync.Mutex
	refusedBy     map[string]int64
	samples       []sample
	sum           string
}

// spelling is a family as a file spells it, and its number.
type spelling struct {
	text string
	id   uint16
}

type sample struct {
	line int64
	text string
}

// firstPass is the state of reading all inputs.
type firstPass struct {
	inputs            []*reading
	families, sources *interner
	spill             *spill
	plan              *Plan
	maxBad            float64
	blocks            chan *block
	pool              sync.Pool
	tempDir           string
	progress          func(int64)

	mu                 sync.Mutex
	byFamily, bySource []int64 // accepted rows by number
	byDay              []int64 // and by day, for SplitByDate
}

// run reads every input. bufferSize is the spill buffers' bytes.
func (p *firstPass) run(ctx context.Context, workers, bufferSize int) error {
	p.blocks = make(chan *block, 2*workers)
	p.pool.New = func() any {
		return &block{names: make([]byte, 0, blockSize), rows: make([]blockRow, 0, blockRows)}
	}
	order := slices.Clone(p.inputs)
	slices.SortStableFunc(order, func(a, b *reading) int { return cmp.Compare(b.weight, a.weight) })
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(p.blocks)
		readers, ctx := errgroup.WithContext(ctx)
		readers.SetLimit(workers)
		for _, r := range order {
			if ctx.Err() != nil {
				break
			}
			readers.Go(func() error { return r.read(ctx) })
		}
		return readers.Wait()
	})
	for range workers {
		all.Go(func() error { return p.work(ctx, bufferSize) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, r := range p.inputs {
		if err := r.verdict(); err != nil {
			return err
		}
	}
	return nil
}

// read runs the input's reader to its end.
func (r *reading) read(ctx context.Context) (err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("read %s: %w", r.label(), err)
		}
	}()
	r.ctx = ctx
	summed := make(chan error, 1)
	go func() { // a core of its own, if there is one: a large file is parsed by one goroutine
		var err error
		r.sum, err = r.file.sha256(ctx)
		summed <- err
	}()
	defer func() {
		if failed := <-summed; err == nil {
			err = failed
		}
	}()
	s, err := r.open(ctx, r.run.progress)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := r.reader.Read(ctx, s.Reader, r.info(r.run.tempDir), r); err != nil {
		if errors.Is(err, errGiveUp) {
			return r.tooBad(r.gaveUp[0], r.gaveUp[1])
		}
		return err
	}
	return r.send()
}

var errGiveUp = errors.New("too many bad rows")

// Record implements Sink.
func (r *reading) Record(line int64, rec Record) (err error) {
	if r.giveUp.Load() {
		return errGiveUp
	}
	r.declare(&rec, r.source)
	if err := r.number(&rec); err != nil {
		return err
	}
	b := r.block
	if b == nil {
		b = r.run.pool.Get().(*block)
		b.from, b.names, b.rows = r, b.names[:0], b.rows[:0]
		r.block = b
	}
	b.names = append(b.names, rec.Name...)
	b.rows = append(b.rows, blockRow{uint32(len(b.names)), rec.Class, rec.Weak, r.familyID, r.sourceID, rec.Day, line})
	if len(b.rows) == blockRows || len(b.names) > blockSize-maxLine/4 {
		return r.send()
	}
	return nil
}

// declare lets the sidecar override what the reader found, and fills in the source.
func (in *input) declare(rec *Record, source string) {
	if c := in.sidecar.class; c != nil {
		rec.Class, rec.Weak = *c, false
	}
	if in.sidecar.Family != "" {
		rec.Family = in.sidecar.Family
	}
	if rec.Class == Benign {
		rec.Family = ""
	}
	if rec.Source == "" || in.sidecar.Source != "" {
		rec.Source = source
	}
}

// number sets the numbers of the record's family and source; they are usually those of the record before.
func (r *reading) number(rec *Record) (err error) {
	if rec.Family != r.lastFamily {
		f, err := r.family(rec.Family)
		if err != nil {
			return err
		}
		r.familyID, r.lastFamily = f.id, f.text
	}
	if rec.Source != r.lastSource {
		if r.sourceID, err = r.run.sources.id(cleanSource(rec.Source)); err != nil {
			return err
		}
		r.lastSource = strings.Clone(rec.Source)
	}
	return nil
}

// family numbers a family as the file spells it; files with a column of families repeat few.
func (r *reading) family(spelt string) (spelling, error) {
	if f, ok := r.familyIDs[spelt]; ok {
		return f, nil
	}
	id, err := r.run.families.id(NormalizeFamily(spelt))
	f := spelling{strings.Clone(spelt), id}
	if err == nil && len(r.familyIDs) < maxLabels {
		r.familyIDs[f.text] = f
	}
	return f, err
}

func (r *reading) send() error {
	b := r.block
	if b == nil {
		return nil
	}
	r.block = nil
	select {
	case r.run.blocks <- b:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// Refuse implements Sink.
func (r *reading) Refuse(line int64, reason string) error {
	r.rows.Add(1)
	r.refuse(line, reason, reason)
	if r.giveUp.Load() {
		return errGiveUp
	}
	return nil
}

func (r *reading) refuse(line int64, reason, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusedBy[reason]++
	if n := len(r.samples); n < badSamples || line < r.samples[n-1].line {
		r.samples = append(r.samples, sample{line, fmt.Sprintf("%s:%d: %s", r.label(), line, text)})
		slices.SortFunc(r.samples, func(a, b sample) int { return cmp.Compare(a.line, b.line) })
		r.samples = r.samples[:min(len(r.samples), badSamples)]
	}
	bad, rows := r.refused.Add(1), r.rows.Load()
	if rows >= earlyVerdit && float64(bad) > r.run.maxBad*float64(rows) && !r.giveUp.Load() {
		r.gaveUp = [2]int64{bad, rows}
		r.giveUp.Store(true)
	}
}

// tolerable says whether an input may have bad rows of so many.
func tolerable(bad, rows int64, maxBad float64) bool {
	return bad == 0 || float64(bad) <= maxBad*float64(rows) || bad <= toleratedN && bad < rows
}

// verdict is the error of an input with too large a share of bad rows, once all are counted.
func (r *reading) verdict() error {
	bad, rows := r.refused.Load(), r.rows.Load()
	if tolerable(bad, rows, r.run.maxBad) {
		return nil
	}
	return fmt.Errorf("read %s: %w", r.label(), r.tooBad(bad, rows))
}

// tooBad is the error of an input of which bad of so many rows are too many. One that was given up has it whatever the
// rows that were on their way are like: the rest of the file was not read.
func (r *reading) tooBad(bad, rows int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := ""
	if len(r.samples) > 0 {
		first = ", first " + r.samples[0].text
	}
	return fmt.Errorf("%d of %d rows are bad, more than the %g %% allowed (read as %s%s). "+
		"Try: --max-bad, or say what the file is in %s%s",
		bad, rows, 100*r.run.maxBad, r.reader.Name(), first, r.file.rel, sidecarSuffix)
}

// work normalises blocks and spreads their rows.
func (p *firstPass) work(ctx context.Context, bufferSize int) error {
	w := p.spill.writer(bufferSize)
	var byFamily, bySource, byDay []int64
	dated := p.plan.By == SplitByDate
	parts := len(p.spill.parts)
	for b := range p.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := b.from
		r.rows.Add(int64(len(b.rows)))
		start := uint32(0)
		for _, br := range b.rows {
			raw := view(b.names[start:br.end])
			start = br.end
			name, err := normalizeFor(br.class, raw)
			if err != nil {
				r.refuse(br.line, reasonOf(err), fmt.Sprintf("%v: %.80q", err, raw))
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
		b.from = nil
		p.pool.Put(b)
	}
	p.mu.Lock()
	p.byFamily, p.bySource = addCounts(p.byFamily, byFamily), addCounts(p.bySource, bySource)
	p.byDay = addCounts(p.byDay, byDay)
	p.mu.Unlock()
	return w.flush()
}

func normalizeFor(c Class, raw string) (string, error) {
	if c == Tunnel {
		return dnsname.NormalizeTunnel(raw)
	}
	return dnsname.Normalize(raw)
}

var nameReasons = []error{dnsname.ErrEmpty, dnsname.ErrLong, dnsname.ErrLabel, dnsname.ErrCharacter,
	dnsname.ErrNonASCII, dnsname.ErrAddress}

// reasonOf is the text that refusals are counted by: the kind of error without its details.
func reasonOf(err error) string {
	for _, known := range nameReasons {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "not a name"
}

func count(counts []int64, id uint16) []int64 {
	for int(id) >= len(counts) {
		counts = append(counts, 0)
	}
	counts[id]++
	return counts
}

func addCounts(sum, more []int64) []int64 {
	for len(sum) < len(more) {
		sum = append(sum, 0)
	}
	for i, n := range more {
		sum[i] += n
	}
	return sum
}
