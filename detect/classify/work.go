package classify

import (
	"context"
	"io"
	"runtime"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/internal/lines"
)

// work classifies all blocks. One goroutine reads, workers decide, and the caller's writes in the order of the file.
// There are at most four blocks for each worker at a time. After an error, work does not wait for a read of a pipe that
// nobody writes to: the goroutine that reads ends with it.
func (c *Classifier) work(ctx context.Context, r *blockReader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	todo, order := make(chan *block, workers), make(chan *block, 3*workers)
	ended := make(chan error, 1)
	go func() {
		defer close(todo)
		ended <- feed(ctx, r, order, todo)
		close(order)
	}()
	for range workers {
		go func() {
			w := worker{cache: c.Cache, layout: r.layout, lists: c.list != nil}
			for b := range todo {
				w.block(ctx, b)
				close(b.done)
			}
		}()
	}
	for {
		select {
		case b, ok := <-order:
			if !ok {
				return <-ended
			}
			if <-b.done; b.err != nil {
				return b.err
			}
			if err := c.write(b, out); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// feed reads blocks and gives them to the writer and to the workers. It closes what it has read.
func feed(ctx context.Context, r *blockReader, order, todo chan<- *block) error {
	defer r.close()
	for {
		b, err := r.next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for _, to := range []chan<- *block{todo, order} { // a block that the writer waits for is at work
			select {
			case to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// write writes a block's results and counts them.
func (c *Classifier) write(b *block, out io.Writer) error {
	s := &c.Stats
	s.Rows += b.stats.Rows
	s.Names += b.stats.Names
	s.Unreadable += b.stats.Unreadable
	for class, n := range b.stats.Classes {
		s.Classes[class] += n
	}
	if c.list != nil {
		err := c.list.write(out, b.found)
		s.Written, s.LeftOut = c.list.written, c.list.leftOut
		return err
	}
	_, err := out.Write(b.out)
	return err
}

// worker annotates blocks. One goroutine uses it.
type worker struct {
	cache  *detect.Cache
	layout *layout
	lists  bool

	rows      []row
	names     [][]byte
	decisions []detect.Decision
	fields    [][]byte
	values    []jsonscan.Value
}

// row is a row of a block.
type row struct {
	raw  []byte // without its line's end
	end  []byte // the line's end
	kind rowKind
	name int // index in names
}

type rowKind uint8

const (
	named      rowKind = iota // has a name
	plainRow                  // is no row: an empty line or a comment
	headerRow                 // has titles
	unreadable                // cannot be read
	noName                    // has no text where the name should be
)

// block does a block's work.
func (w *worker) block(ctx context.Context, b *block) {
	b.stats.Classes = map[string]int64{}
	if b.piece {
		w.piece(b)
		return
	}
	w.rows, w.names = w.rows[:0], w.names[:0]
	at := 0
	header := b.header && w.layout.header
	for _, end := range b.ends {
		r := row{raw: trimEnd(b.data[at:end])}
		r.end = b.data[at+len(r.raw) : end]
		at = end
		w.read(&r, &header)
		w.rows = append(w.rows, r)
	}
	if n := len(w.names); n > len(w.decisions) {
		w.decisions = make([]detect.Decision, n)
	}
	if b.err = w.cache.DecideAll(ctx, w.names, w.decisions); b.err != nil {
		return
	}
	if !w.lists {
		b.out = make([]byte, 0, len(b.data)+64*len(w.rows))
	}
	for i := range w.rows {
		w.append(b, &w.rows[i])
	}
}

// append adds a row to the block's results.
func (w *worker) append(b *block, r *row) {
	var d detect.Decision
	var name []byte
	switch r.kind {
	case named:
		d, name = w.decisions[r.name], w.names[r.name]
		b.stats.Rows++
		b.stats.Names++
		b.stats.Classes[d.Class]++
	case unreadable, noName:
		b.stats.Rows++
		b.stats.Unreadable++
		d.Reason = reasons[r.kind]
	}
	switch {
	case w.lists:
		if r.kind == named && d.Action != detect.Pass {
			b.found = append(b.found, newFound(name, d))
		}
		return
	case r.kind == plainRow:
		b.out = append(append(b.out, r.raw...), r.end...)
		return
	case w.layout.json:
		b.out = w.appendJSON(b.out, r, lines.View(name), d)
	default:
		b.out = w.appendCells(append(b.out, r.raw...), r.kind, lines.View(name), d)
	}
	b.out = append(b.out, r.end...)
}

// reasons for rows that have no verdict.
var reasons = map[rowKind]string{
	unreadable: "the row cannot be read",
	noName:     "no name in the row",
}

// piece passes a piece of a row through that is too long. Its last one gets the added cells.
func (w *worker) piece(b *block) {
	if !b.last {
		b.out = b.data
		return
	}
	r := row{raw: trimEnd(b.data), kind: unreadable}
	r.end = b.data[len(r.raw):]
	w.append(b, &r)
}
