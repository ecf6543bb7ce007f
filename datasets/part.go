package datasets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/internal/unpack"
)

// part is one file of a split.
type part struct {
	f      *os.File
	file   SplitFile
	first  int // number of its first batch in the split
	schema *arrow.Schema

	mu     sync.Mutex       // guards r, which keeps state
	r      *ipc.FileReader  // nil until it is used
	memory boundedAllocator // r's
}

// batches is the number of the file's batches. An empty file has an empty batch.
func (p *part) batches() int { return int(max((p.file.Rows+BatchRows-1)/BatchRows, 1)) }

// verifyAll compares files with their entries in dataset.json, several at a time.
func verifyAll(ctx context.Context, parts []*part) error {
	failed := make([]error, len(parts)) // so that the first one is named
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range parts {
		all.Go(func() error {
			failed[i] = p.verify(ctx)
			return failed[i]
		})
	}
	if all.Wait() == nil {
		return nil
	}
	return failed[slices.IndexFunc(failed, func(err error) bool { return err != nil })]
}

// verify compares the file with its entry in dataset.json.
func (p *part) verify(ctx context.Context) error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != p.file.Bytes {
		return fmt.Errorf("%s has %d bytes, %s says %d", p.f.Name(), info.Size(), ManifestName, p.file.Bytes)
	}
	h := sha256.New()
	if _, err := io.Copy(h, unpack.Watch(ctx, p.f, nil)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != p.file.SHA256 {
		return fmt.Errorf("%s is damaged: its SHA-256 is %s, %s says %s", p.f.Name(), sum, ManifestName, p.file.SHA256)
	}
	return nil
}

// open makes the Arrow reader, if there is none, and checks that the file is one of ours. p.mu is held.
func (p *part) open() error {
	if p.r != nil {
		return nil
	}
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	want := splitSchema(nil)
	if err := checkFooter(p.f, info.Size(), want.NumFields(), int64(p.batches())); err != nil {
		return err
	}
	p.memory.left = maxArrow
	r, err := ipc.NewFileReader(p.f, ipc.WithAllocator(&p.memory))
	if err != nil {
		return err
	}
	for i, f := range want.Fields() {
		if got := r.Schema(); i >= got.NumFields() || got.Field(i).Name != f.Name ||
			!arrow.TypeEqual(got.Field(i).Type, f.Type) {
			return fmt.Errorf("not a split: column %d is not %q of type %s", i+1, f.Name, f.Type)
		}
	}
	p.r, p.schema = r, r.Schema()
	return nil
}

// cool lets go of the Arrow reader.
func (p *part) cool() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.r = nil
}

// words reads the dictionaries of families and sources.
func (p *part) words() (families, sources []string, err error) {
	defer recovered(&err)
	p.mu.Lock()
	defer p.mu.Unlock() // also if the Arrow library panics
	if err := p.open(); err != nil {
		return nil, nil, err
	}
	rec, err := p.r.RecordAt(0)
	if err != nil {
		return nil, nil, err
	}
	defer rec.Release()
	return dictionaryOf(rec.Column(2)), dictionaryOf(rec.Column(3)), nil
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

// read reads the file's batch i, whose families and sources are below those numbers, into b.
func (p *part) read(i int, b *Batch, families, sources int) (err error) {
	defer recovered(&err)
	rec, err := p.record(i)
	if err != nil {
		return err
	}
	// The record is not released: its memory is Go's, and the names go on pointing into it.
	n := int(rec.NumRows())
	if want := min(BatchRows, p.file.Rows-int64(i)*BatchRows); int64(n) != want {
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
	if b.Family, err = indices(b.Family, rec.Column(2), families); err != nil {
		return err
	}
	b.Source, err = indices(b.Source, rec.Column(3), sources)
	return err
}

// record reads the i-th batch.
func (p *part) record(i int) (arrow.Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock() // also if the Arrow library panics
	if err := p.open(); err != nil {
		return nil, err
	}
	p.memory.left = maxArrow
	return p.r.RecordAt(i)
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
