package formats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/parquetguard"
	"github.com/degas-dns/degas/internal/unpack"
)

func init() { Register(parquetReader{}) }

// parquetReader reads Parquet files with a column of names and one of classes, such as DGTA-BENCH's gta-v1.parquet
// (Bubnov 2021, DOI 10.17632/2wzf9bz7xr.1): `domain` holds bytes, of which some are no UTF-8 and are Latin-1, `class`
// one of 55 words: legit, 50 DGA families, and the tunnels dns2tcp, dnscapy, iodine and tuns. Zones of tunnels are
// stripped, see StripZone. Line numbers are row numbers from 1.
type parquetReader struct{}

func (parquetReader) Name() string { return "parquet" }

func (parquetReader) Match(path string, head []byte) (int, string) {
	if bytes.HasPrefix(head, []byte("PAR1")) {
		return 95, ""
	}
	return 0, "it does not begin with PAR1"
}

func (parquetReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) (err error) {
	at, size, done, err := randomAccess(in, f.TempDir)
	if err != nil {
		return err
	}
	defer done()
	defer func() { // the library trusts its input in places
		if p := recover(); p != nil {
			err = fmt.Errorf("parquet: damaged file: %v", p)
		}
	}()
	if err := parquetguard.Footer(at, size); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	file, err := parquet.OpenFile(at, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	t := &parquetTable{file: file, at: at, size: size}
	if err := t.choose(ctx, f); err != nil {
		return err
	}
	sink.Evidence(&t.evidence)
	err = t.rows(ctx, t.needed(), func(line int64, fields [][]byte) error { return t.record(line, fields, sink) })
	return t.finish(err)
}

// randomAccess gives in as a file: itself when it is one, a temporary copy when it was compressed.
func randomAccess(in io.Reader, tempDir string) (at io.ReaderAt, size int64, done func(), err error) {
	if p, ok := in.(*unpack.Plain); ok {
		return p.ReaderAt, p.Size, func() {}, nil
	}
	tmp, err := os.CreateTemp(tempDir, "parquet-")
	if err != nil {
		return nil, 0, nil, err
	}
	done = func() { tmp.Close(); os.Remove(tmp.Name()) }
	if size, err = io.Copy(tmp, in); err != nil {
		done()
		return nil, 0, nil, err
	}
	return tmp, size, done, nil
}

// parquetTable is an opened file and its columns.
type parquetTable struct {
	columns
	file    *parquet.File
	at      io.ReaderAt
	size    int64
	headers []string

	readable []int      // indexes of the columns that can be text
	words    [][]string // by column, what its numbers stand for
}

// mostColumns bounds the columns that a choice is made among.
const mostColumns = 256

// choose samples the first rows of all columns that can be text.
func (t *parquetTable) choose(ctx context.Context, f FileInfo) error {
	var readable []int
	words := classLabels(t.file)
	for _, leaf := range leaves(t.file.Root(), nil) {
		header := strings.Join(leaf.Path(), ".")
		t.headers, t.words = append(t.headers, header), append(t.words, words[header])
		// Columns below others are not read.
		if len(leaf.Path()) == 1 && !leaf.Repeated() && len(readable) < mostColumns {
			readable = append(readable, leaf.Index())
		}
	}
	s := sample{headers: t.headers}
	err := t.rows(ctx, readable, func(_ int64, fields [][]byte) error {
		row := make([]string, len(fields))
		for i, f := range fields {
			row[i] = string(f)
		}
		if s.rows = append(s.rows, row); len(s.rows) == sampleRows {
			return errSampled
		}
		return nil
	})
	if err != nil && err != errSampled {
		return err
	}
	if t.columns, err = chooseColumns(s, f); err != nil {
		return fmt.Errorf("parquet: columns %s: %w", strings.Join(t.headers, ", "), err)
	}
	t.bytes, t.readable = true, readable
	return nil
}

var errSampled = errors.New("enough rows")

// leaves lists the columns that hold values, in the order of their indexes.
func leaves(c *parquet.Column, list []*parquet.Column) []*parquet.Column {
	if c.Leaf() {
		return append(list, c)
	}
	for _, child := range c.Columns() {
		list = leaves(child, list)
	}
	return list
}

// needed are the columns that records are made of.
func (t *parquetTable) needed() (list []int) {
	for _, i := range append([]int{t.name, t.decides, t.family}, t.otherIndexes()...) {
		if slices.Contains(t.readable, i) && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// rows calls f for every row, with the values of the columns that indexes list in their places and nil in the others.
func (t *parquetTable) rows(ctx context.Context, indexes []int, f func(int64, [][]byte) error) error {
	row := int64(0)
	for n, group := range t.file.RowGroups() {
		if err := t.checkPages(n, indexes); err != nil {
			return err
		}
		if err := t.group(ctx, group, indexes, &row, f); err != nil {
			return err
		}
	}
	return nil
}

// checkPages looks at all pages of columns that are to be read from row group n.
func (t *parquetTable) checkPages(n int, indexes []int) error {
	all := leaves(t.file.Root(), nil)
	for _, i := range indexes {
		leaf := all[i]
		if leaf.MaxRepetitionLevel() > 0 {
			return errRepeated
		}
		meta := &t.file.Metadata().RowGroups[n].Columns[i].MetaData
		if err := parquetguard.Column(t.at, t.size, meta, leaf.Optional()); err != nil {
			return fmt.Errorf("parquet: column %s of row group %d: %w", leaf.Name(), n, err)
		}
	}
	return nil
}

var errRepeated = errors.New("parquet: a column of lists holds no names or classes")

const parquetBatch = 1024

// parquetColumn reads one column's values in order.
type parquetColumn struct {
	pages  parquet.Pages
	values parquet.ValueReader
	buf    [parquetBatch]parquet.Value
	have   []parquet.Value
}

func (c *parquetColumn) next() (parquet.Value, error) {
	for len(c.have) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err // io.EOF at the column's end
			}
			c.values = page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.have = c.buf[:n]
		if err == io.EOF || err == nil && n == 0 {
			c.values = nil
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.have[0]
	c.have = c.have[1:]
	return v, nil
}

// group reads columns of a row group side by side.
func (t *parquetTable) group(ctx context.Context, group parquet.RowGroup, indexes []int, row *int64,
	f func(int64, [][]byte) error) error {
	chunks := group.ColumnChunks()
	columns := make([]*parquetColumn, len(indexes))
	for i, index := range indexes {
		columns[i] = &parquetColumn{pages: chunks[index].Pages()}
		defer columns[i].pages.Close()
	}
	fields := make([][]byte, len(t.headers))
	for range group.NumRows() {
		*row++
		if *row%parquetBatch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for i, c := range columns {
			v, err := c.next()
			if err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("parquet: row %d: %w", *row, err)
			}
			if v.RepetitionLevel() > 0 {
				return errRepeated
			}
			if fields[indexes[i]] = parquetText(v); t.words[indexes[i]] != nil {
				fields[indexes[i]] = named(fields[indexes[i]], t.words[indexes[i]])
			}
		}
		if err := f(*row, fields); err != nil {
			return err
		}
	}
	return nil
}

// parquetText is the value as text, nil for null and what cannot be text.
func parquetText(v parquet.Value) []byte {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.ByteArray, v.Kind() == parquet.FixedLenByteArray:
		return v.ByteArray()
	case v.Kind() == parquet.Int32, v.Kind() == parquet.Int64, v.Kind() == parquet.Boolean:
		return []byte(v.String())
	case v.Kind() == parquet.Float:
		return strconv.AppendFloat(nil, float64(v.Float()), 'f', -1, 32)
	case v.Kind() == parquet.Double:
		return strconv.AppendFloat(nil, v.Double(), 'f', -1, 64)
	}
	return nil
}

// latin1 gives the text of a name's bytes: one character a byte for tunnels, whose base128 is no text at all, and for
// bytes that are no UTF-8.
func latin1(name []byte, c datasets.Class) []byte {
	high := slices.ContainsFunc(name, func(b byte) bool { return b >= utf8.RuneSelf })
	if !high || c != tunnel && utf8.Valid(name) {
		return name
	}
	out := make([]byte, 0, len(name)+8)
	for _, b := range name {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

// SourceOf is DGTA-BENCH's when the path says so.
func (parquetReader) SourceOf(path string) string {
	if dgtaPath.MatchString(path) {
		return "dgta-bench"
	}
	return ""
}

var dgtaPath = regexp.MustCompile(`(?i)gta-v1|dgta|gta1`)
