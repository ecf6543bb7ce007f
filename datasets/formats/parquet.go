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
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
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
	t, err := parquetColumns(file, f)
	if err != nil {
		return err
	}
	if err := t.checkPages(at, size, file); err != nil {
		return err
	}
	rows := int64(0)
	for _, group := range file.RowGroups() {
		if err := t.group(ctx, group, &rows, sink); err != nil {
			return err
		}
	}
	return nil
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

// parquetTable says which columns of a file hold what; -1 for what it does not have.
type parquetTable struct {
	name, class, family int
	labels              *labeller
	hint                pathHint
}

func parquetColumns(file *parquet.File, f FileInfo) (*parquetTable, error) {
	var headers []string
	for _, path := range file.Schema().Columns() {
		headers = append(headers, strings.ToLower(strings.Join(path, "/"))) // nested ones match nothing
	}
	t := &parquetTable{name: columnOf(headers, nameHeaders), class: columnOf(headers, classHeaders),
		family: columnOf(headers, familyHeaders), labels: newLabeller(f.Path), hint: hintOf(f.Path)}
	if t.name < 0 || t.class < 0 && t.family < 0 && !t.hint.known && f.Class == nil {
		return nil, fmt.Errorf("parquet: no columns of names and classes among %s", strings.Join(headers, ", "))
	}
	return t, nil
}

// checkPages looks at all pages of the columns that are read.
func (t *parquetTable) checkPages(at io.ReaderAt, size int64, file *parquet.File) error {
	leaves := file.Root().Columns()
	for n, group := range file.Metadata().RowGroups {
		for _, i := range []int{t.name, t.class, t.family} {
			if i < 0 {
				continue
			}
			leaf := leaves[slices.IndexFunc(leaves, func(c *parquet.Column) bool { return c.Leaf() && c.Index() == i })]
			if leaf.Repeated() {
				return errRepeated
			}
			if err := parquetguard.Column(at, size, &group.Columns[i].MetaData, leaf.Optional()); err != nil {
				return fmt.Errorf("parquet: column %s of row group %d: %w", leaf.Name(), n, err)
			}
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

// group reads a row group's columns side by side.
func (t *parquetTable) group(ctx context.Context, group parquet.RowGroup, row *int64, sink Sink) error {
	chunks := group.ColumnChunks()
	var columns [3]*parquetColumn
	for i, index := range []int{t.name, t.class, t.family} {
		if index >= 0 {
			columns[i] = &parquetColumn{pages: chunks[index].Pages()}
			defer columns[i].pages.Close()
		}
	}
	for range group.NumRows() {
		*row++
		if *row%parquetBatch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var values [3]parquet.Value
		for i, c := range columns {
			if c == nil {
				continue
			}
			var err error
			if values[i], err = c.next(); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("parquet: row %d: %w", *row, err)
			}
			if values[i].RepetitionLevel() > 0 {
				return errRepeated
			}
		}
		if err := t.record(*row, values, sink); err != nil {
			return err
		}
	}
	return nil
}

func (t *parquetTable) record(row int64, values [3]parquet.Value, sink Sink) error {
	name, ok := parquetText(values[0])
	if !ok {
		return sink.Refuse(row, reasonEmptyValue)
	}
	class, hasClass := parquetText(values[1])
	family, hasFamily := parquetText(values[2])
	l := label{class: t.hint.class, ok: true}
	switch {
	case t.class >= 0 && !hasClass || t.class < 0 && t.family >= 0 && !hasFamily:
		return sink.Refuse(row, reasonEmptyValue)
	case t.class >= 0:
		l = t.labels.label(class)
	case t.family >= 0:
		l = t.labels.label(family)
	}
	if !l.ok {
		return sink.Refuse(row, reasonClass)
	}
	rec := l.record(latin1(name, l.class))
	if rec.Family == "" && l.class != benign && hasFamily {
		rec.Family = lines.View(family)
	}
	return sink.Record(row, rec)
}

// parquetText is the value as text; ok is false for null and what cannot be text.
func parquetText(v parquet.Value) (text []byte, ok bool) {
	switch v.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return v.ByteArray(), true
	case parquet.Int32, parquet.Int64, parquet.Boolean:
		if !v.IsNull() {
			return []byte(v.String()), true
		}
	}
	return nil, false
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
