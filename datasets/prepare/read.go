package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

const (
	blockRows = 4096
	blockSize = 128 << 10
)

// readPass reads all inputs and spreads their rows over partitions by registered domain. Inputs are read side by side,
// and the rows of one input are normalised by all workers: the data set may be many files or one.
type readPass struct {
	inputs            []*inputRead
	families, sources *interner
	parts             int
	plan              *Plan
	maxBad            float64
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

// run reads every input. Each writer gets a goroutine; the caller flushes them.
func (p *readPass) run(ctx context.Context, writers []*spillWriter) error {
	workers := len(writers)
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
	for _, w := range writers {
		all.Go(func() error { return p.work(ctx, w) })
	}
	return all.Wait()
}

// result is what reading found. Call it after run.
func (p *readPass) result() readResult {
	out := readResult{Families: p.families.named(p.byFamily), Sources: p.sources.named(p.bySource),
		Days: map[datasets.Day]int64{}}
	for _, in := range p.inputs {
		out.Inputs = append(out.Inputs, in.result())
	}
	for day, n := range p.byDay {
		if n > 0 {
			out.Days[datasets.Day(day)] = n
		}
	}
	return out
}

// work normalises the names of blocks and spreads their rows.
func (p *readPass) work(ctx context.Context, w *spillWriter) error {
	var byFamily, bySource, byDay []int64
	dated := p.plan.By == datasets.SplitByDate
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
			if err := w.add(partition(h, p.parts), r); err != nil {
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
	return nil
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
