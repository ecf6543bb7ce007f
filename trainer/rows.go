package trainer

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// Choice says which rows of a split are trained on. The zero Choice takes all, each once.
type Choice struct {
	// Limit is the most rows, each as likely as any other, drawn by Seed; 0 keeps all.
	Limit int
	Seed  uint64
	// Focus is a source whose rows are kept whatever Limit says, each Repeat times.
	Focus  string
	Repeat int
}

// rows are the chosen rows of a split. One pass has counted them block by block, so that each block can be read by
// itself. Blocks are rows of the split, however its files divide them.
type rows struct {
	split  *datasets.Split
	choice Choice
	target string
	labels []string
	focus  int16 // the source of Choice.Focus, -1 for none
	*kinds
	// numbers are the kinds' by class, family and focus; noKind for those that have none of the labels.
	numbers []int32

	blockLen int64 // rows of the split in a block; the last block may have fewer
	blocks   []block
	batches  []int64 // where each of the split's batches begins, as far as they have been read, and the last one ends
	names    int     // of all blocks
	text     int64   // bytes of all blocks
	skipped  int     // rows that have none of the labels
}

// block is what is known of a block.
type block struct {
	names, text int     // chosen ones, and their bytes
	draw        drawing // as it stands before the first row
}

const (
	unknown = -1 // no row has come yet
	noKind  = -2
)

// ReadSet reads the chosen rows of a split into memory with the labels of a target.
func ReadSet(ctx context.Context, split *datasets.Split, target string, labels []string, c Choice) (*Set, error) {
	r, err := chooseRows(ctx, split, target, labels, c, datasets.BatchRows)
	if err != nil {
		return nil, err
	}
	return r.set(ctx)
}

// chooseRows counts the chosen rows of a split.
func chooseRows(ctx context.Context, split *datasets.Split, target string, labels []string, c Choice,
	blockLen int) (*rows, error) {
	r := &rows{split: split, choice: c, target: target, labels: labels, focus: -1,
		kinds:   &kinds{number: map[kind]uint16{}},
		numbers: slices.Repeat([]int32{unknown}, 2*datasets.NumClasses*len(split.Families())),
		batches: []int64{0}, blockLen: int64(blockLen)}
	if c.Focus != "" {
		r.focus = int16(slices.Index(split.Sources(), c.Focus))
	}
	draw := newDrawing(int(split.Rows()), c.Limit, c.Seed)
	in := reader{rows: r}
	for at := int64(0); at < split.Rows(); at += r.blockLen {
		b := block{draw: draw}
		err := in.each(ctx, at, &draw, func(name string, k int32, times int) {
			if k == noKind {
				r.skipped++
				return
			}
			r.sizes[k] += times
			b.names += times
			b.text += times * len(name)
		})
		if err != nil {
			return nil, err
		}
		r.blocks = append(r.blocks, b)
		r.names += b.names
		r.text += int64(b.text)
	}
	for i, k := range r.numbers {
		if k == unknown { // kinds are read by several goroutines from now on
			r.numbers[i] = noKind
		}
	}
	return r, nil
}

// bytes is the memory that the rows take in a Set.
func (r *rows) bytes() int64 { return r.text + int64(r.names)*nameCost }

// scoredBytes is the same with each name's score and whether it is malicious, which validation needs.
func (r *rows) scoredBytes() int64 { return r.bytes() + int64(r.names)*(8+1) }

// set reads all rows into memory.
func (r *rows) set(ctx context.Context) (*Set, error) {
	if r.text > maxText {
		return nil, errTooMuchText
	}
	all := make([]int, len(r.blocks))
	for i := range all {
		all[i] = i
	}
	s := r.room(r.names, int(r.text))
	s.Skipped, s.suffixes = r.skipped, sync.OnceValue(s.findSuffixes)
	return s, r.read(ctx, &reader{rows: r}, all, s)
}

// room is an empty Set with memory for names of so many bytes together.
func (r *rows) room(names, text int) *Set {
	return &Set{text: make([]byte, 0, text), ends: make([]uint32, 0, names), kindOf: make([]uint16, 0, names),
		kinds: r.kinds}
}

// read fills s with blocks.
func (r *rows) read(ctx context.Context, in *reader, blocks []int, s *Set) error {
	s.text, s.ends, s.kindOf = s.text[:0], s.ends[:0], s.kindOf[:0]
	for _, i := range blocks {
		b, names, text := r.blocks[i], s.Len(), len(s.text)
		err := in.each(ctx, int64(i)*r.blockLen, &b.draw, func(name string, k int32, times int) {
			if k != noKind {
				for range times {
					s.add(name, uint16(k))
				}
			}
		})
		if err != nil {
			return err
		}
		if s.Len()-names != b.names || len(s.text)-text != b.text {
			return errors.New("the names on disk have changed. Try: degas process-data, and the training again")
		}
	}
	return nil
}

// findSuffixes reads all rows for their suffixes, see kinds.
func (r *rows) findSuffixes(ctx context.Context) error {
	seen, in := map[string]bool{}, reader{rows: r}
	for i, b := range r.blocks {
		err := in.each(ctx, int64(i)*r.blockLen, &b.draw, func(name string, k int32, _ int) {
			if k != noKind && r.list[k].class != datasets.Tunnel {
				addSuffix(seen, name)
			}
		})
		if err != nil {
			return err
		}
	}
	found := slices.Sorted(maps.Keys(seen))
	r.suffixes = func() []string { return found }
	return nil
}

// reader reads blocks. It keeps a batch, since blocks that follow each other may share it.
type reader struct {
	*rows
	batch datasets.Batch
	next  int // the batch after the one it keeps; 0 before it has one
}

// each calls f for the chosen rows of the block that begins at row at. k is the row's kind, which it has for so many
// times. The name is valid during the call.
func (in *reader) each(ctx context.Context, at int64, draw *drawing, f func(name string, k int32, times int)) error {
	end := min(at+in.blockLen, in.split.Rows())
	i := sort.Search(len(in.batches), func(i int) bool { return in.batches[i] > at }) - 1
	for ; at < end; i++ {
		if err := in.load(ctx, i); err != nil {
			return err
		}
		b, begin := &in.batch, in.batches[i]
		for to := min(end, begin+int64(len(b.Names))); at < to; at++ {
			i := int(at - begin)
			times, focused := 1, in.focus >= 0 && b.Source[i] == in.focus
			if kept := draw.keep(); focused {
				times = in.choice.Repeat
			} else if !kept {
				continue
			}
			f(b.Names[i], in.kindOf(b, i, focused), times)
		}
	}
	return nil
}

// load makes batch i the one that in keeps.
func (in *reader) load(ctx context.Context, i int) error {
	if in.next == i+1 {
		return nil
	}
	in.next = 0
	if i >= in.split.NumBatches() {
		return errors.New("the split has fewer rows than its manifest says. Try: degas process-data")
	}
	if err := in.split.Read(ctx, i, &in.batch); err != nil {
		return err
	}
	if in.next = i + 1; in.next == len(in.batches) {
		in.batches = append(in.batches, in.batches[i]+int64(len(in.batch.Names)))
	}
	return nil
}

// kindOf is the number of a row's kind, or noKind.
func (r *rows) kindOf(b *datasets.Batch, i int, focused bool) int32 {
	class, family := b.Class[i], b.Family[i]
	if class == datasets.Benign {
		family = 0 // whatever it says
	}
	at := 2 * (int(class)*len(r.split.Families()) + int(family))
	if focused {
		at++
	}
	if r.numbers[at] == unknown {
		name := r.split.Families()[family]
		r.numbers[at] = noKind
		if label := slices.Index(r.labels, class.Label(r.target, name)); label >= 0 {
			r.numbers[at] = int32(r.of(kind{label, class, name, focused}))
		}
	}
	return r.numbers[at]
}

// drawing decides of each of so many rows in turn whether it is among the limit that are kept: selection sampling (Fan
// et al. 1962, Knuth's algorithm S). A copy goes on by itself.
type drawing struct {
	rng         rand.PCG
	rows, limit int
	all         bool
}

func newDrawing(rows, limit int, seed uint64) drawing {
	return drawing{*rand.NewPCG(model.SubSeed(seed, "names"), 0), rows, limit, limit == 0 || limit >= rows}
}

func (d *drawing) keep() bool {
	if d.all {
		return true
	}
	keep := d.limit > 0 && rand.New(&d.rng).IntN(max(d.rows, 1)) < d.limit
	if d.rows--; keep {
		d.limit--
	}
	return keep
}

// addSuffix adds a name's public suffix.
func addSuffix(seen map[string]bool, name string) {
	if _, _, suffix := dnsname.Parts(name); !seen[suffix] {
		seen[string([]byte(suffix))] = true // the name is valid for now
	}
}
