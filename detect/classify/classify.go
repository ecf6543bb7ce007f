// Package classify adds a model's verdicts to tables of names: CSV, TSV, tables with semicolons, JSON Lines and plain
// lists. Rows come out in their order, with every byte that they had. Or it writes a list of the names that were found.
//
// A table is read in blocks. One goroutine cuts them into rows, workers on all cores decide, and the caller's goroutine
// writes the results in order. Memory is bounded by the number of blocks at work, 1 MiB each, whatever the file's size.
package classify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/unpack"
)

// Options say how to classify.
type Options struct {
	// Cache decides.
	Cache *detect.Cache
	// NameColumn is the title of the column that holds the names, its number from 1, or a path of JSON; "" recognises it.
	NameColumn string
	// Format is a list's, one of Formats: only what was found is written, each name once. "" writes the table.
	Format string
}

// Stats counts rows. Rows = Names + Unreadable.
type Stats struct {
	Rows int64
	// Names had a decision, by class: benign, dga, tunnel, allowed, blocked, unscored, invalid.
	Names   int64
	Classes map[string]int64
	// Unreadable rows have a broken quote, no cell for the name, or are too long. They are passed through.
	Unreadable int64
	// Written is the number of names in a list, and LeftOut of those that no list of its format can hold.
	Written, LeftOut int64
}

// Classifier classifies files, one after the other.
type Classifier struct {
	Options
	Stats Stats
	list  *listWriter // nil writes tables
}

// New makes a Classifier. The error is about the format.
func New(o Options) (*Classifier, error) {
	c := &Classifier{Options: o, Stats: Stats{Classes: map[string]int64{}}}
	if o.Format != "" {
		format, err := formats.Lookup(o.Format)
		if err != nil {
			return nil, err
		}
		c.list = newListWriter(format)
	}
	return c, nil
}

// Run reads in to its end and writes to out. in may be compressed, or in UTF-16; out is UTF-8 and not compressed. path
// is for messages. What was read before an error has been written.
func (c *Classifier) Run(ctx context.Context, in io.Reader, path string, out io.Writer) error {
	if err := c.run(ctx, in, path, out); err != nil {
		return fmt.Errorf("classify %s: %w", path, err)
	}
	return nil
}

func (c *Classifier) run(ctx context.Context, in io.Reader, path string, out io.Writer) error {
	b := bufio.NewReaderSize(unpack.Until(ctx, in), 256<<10)
	magic, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return err
	}
	z, _, err := unpack.Decompress(path, b, magic)
	if err != nil {
		return err
	}
	r, err := c.begin(z, out)
	if err != nil || r == nil {
		return errors.Join(err, z.Close())
	}
	return c.work(ctx, r, out)
}

// begin recognises a table and writes what stands before a list. It returns nil for an empty table.
func (c *Classifier) begin(in io.ReadCloser, out io.Writer) (*blockReader, error) {
	text, err := asutf8.Reader(in)
	if err != nil {
		return nil, err
	}
	r := &blockReader{in: text, close: in.Close}
	if err := r.fill(2); err != nil && err != io.EOF { // two lines say what the file is
		return nil, err
	}
	if c.list != nil {
		if err := c.list.begin(out); err != nil {
			return nil, err
		}
	}
	if len(r.buf) == 0 {
		return nil, nil
	}
	r.layout, err = recognize(r.buf, c.NameColumn)
	return r, err
}
