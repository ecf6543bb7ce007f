package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// BatchRows is the number of rows in an Arrow record batch; a file's last batch may be shorter.
const BatchRows = 1 << 16

var (
	classType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	wordType  = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String}
)

// splitSchema is the schema of a split's file.
func splitSchema(meta map[string]string) *arrow.Schema {
	m := arrow.MetadataFrom(meta)
	return arrow.NewSchema([]arrow.Field{
		{Name: "domain", Type: arrow.BinaryTypes.String},
		{Name: "class", Type: classType},
		{Name: "family", Type: wordType},
		{Name: "source", Type: wordType},
	}, &m)
}

// Columns are rows as columns, which belong to whoever fills them. Families and sources are numbers in lists of words.
type Columns struct {
	// Names are the rows' names one behind the other; Ends [rows] are where each ends.
	Names []byte
	Ends  []int32
	// Classes, Families and Sources are [rows].
	Classes  []int8
	Families []int16
	Sources  []int16
}

// Reset empties the columns and makes room for rows with names of so many bytes together.
func (c *Columns) Reset(rows, bytes int) {
	c.Names, c.Ends = slices.Grow(c.Names[:0], bytes), slices.Grow(c.Ends[:0], rows+1)
	c.Classes, c.Families = slices.Grow(c.Classes[:0], rows), slices.Grow(c.Families[:0], rows)
	c.Sources = slices.Grow(c.Sources[:0], rows)
}

// Append adds a row.
func (c *Columns) Append(name string, class Class, family, source uint16) {
	c.Names = append(c.Names, name...)
	c.Ends = append(c.Ends, int32(len(c.Names)))
	c.Classes = append(c.Classes, int8(class))
	c.Families = append(c.Families, int16(family))
	c.Sources = append(c.Sources, int16(source))
}

// Rows is the number of rows.
func (c *Columns) Rows() int { return len(c.Classes) }

// SplitWriter writes one split's file. The Arrow file format takes one dictionary a column, so the dictionaries are
// complete before the first row is written. It belongs to one goroutine; only Close may be called by another, after
// Finish.
type SplitWriter struct {
	path   string
	f      *os.File
	hashed *hashingWriter
	w      *ipc.FileWriter
	schema *arrow.Schema

	classWords, familyWords, sourceWords arrow.Array // dictionaries

	batch  *Columns
	report SplitReport
	counts struct{ class, family, source []int64 } // rows by number
	words  struct{ families, sources []string }
}

// SplitMeta is what a split's file says of itself: the metadata of its schema, and how it is compressed.
type SplitMeta struct {
	Version, Fingerprint string // of degas and of the data set
	Split                SplitID
	Seed                 uint64
	Compression          string // "none" or "", "lz4", "zstd"
}

// NewSplitWriter creates the file at path, which must not exist. families and sources are the dictionaries, each
// beginning with "". batch is memory to collect a record batch in; it may be used again after Finish.
func NewSplitWriter(path string, families, sources []string, m SplitMeta, batch *Columns) (*SplitWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write split: %w", err)
	}
	s := &SplitWriter{
		path: path, f: f, hashed: newHashingWriter(f), batch: batch,
		schema: splitSchema(map[string]string{
			"degas.version": m.Version, "degas.fingerprint": m.Fingerprint,
			"degas.split": m.Split.String(), "degas.seed": strconv.FormatUint(m.Seed, 10),
		}),
		classWords: stringArray(classNames[:]), familyWords: stringArray(families), sourceWords: stringArray(sources),
		report: SplitReport{Name: m.Split.String(), File: filepath.Base(path)},
	}
	s.words.families, s.words.sources = families, sources
	s.counts.class, s.counts.family = make([]int64, NumClasses), make([]int64, len(families))
	s.counts.source = make([]int64, len(sources))
	s.reset()
	options := []ipc.Option{ipc.WithSchema(s.schema)}
	switch m.Compression {
	case "lz4":
		options = append(options, ipc.WithLZ4())
	case "zstd":
		options = append(options, ipc.WithZstd())
	}
	if s.w, err = ipc.NewFileWriter(s.hashed, options...); err != nil {
		s.Abandon()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return s, nil
}

// reset empties the batch. Arrow wants the ends to begin with 0.
func (s *SplitWriter) reset() {
	s.batch.Reset(BatchRows, 24*BatchRows)
	s.batch.Ends = append(s.batch.Ends, 0)
}

func stringArray(list []string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues(list, nil)
	return b.NewArray()
}

// Append adds rows. family and source translate their numbers into numbers of the dictionaries.
func (s *SplitWriter) Append(rows *Columns, family, source []uint16) error {
	return s.AppendPart(rows, 0, rows.Rows(), family, source)
}

// AppendPart is Append for the rows from from on and before to.
func (s *SplitWriter) AppendPart(rows *Columns, from, to int, family, source []uint16) error {
	for at := from; at < to; {
		n := min(to-at, BatchRows-s.batch.Rows())
		s.take(rows, at, n, family, source)
		at += n
		if s.batch.Rows() == BatchRows {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// take copies n rows from at on into the batch and counts them.
func (s *SplitWriter) take(rows *Columns, at, n int, family, source []uint16) {
	b, start := s.batch, int32(0)
	if at > 0 {
		start = rows.Ends[at-1]
	}
	shift := int32(len(b.Names)) - start
	b.Names = append(b.Names, rows.Names[start:rows.Ends[at+n-1]]...)
	b.Classes = append(b.Classes, rows.Classes[at:at+n]...)
	for i := at; i < at+n; i++ {
		f, src := family[rows.Families[i]], source[rows.Sources[i]]
		b.Ends = append(b.Ends, rows.Ends[i]+shift)
		b.Families, b.Sources = append(b.Families, int16(f)), append(b.Sources, int16(src))
		s.counts.class[rows.Classes[i]]++
		s.counts.family[f]++
		s.counts.source[src]++
	}
	s.report.Rows += int64(n)
}

func (s *SplitWriter) flush() error {
	n := s.batch.Rows()
	column := func(t arrow.DataType, buffers ...[]byte) arrow.ArrayData {
		list := []*memory.Buffer{nil} // nothing is null
		for _, b := range buffers {
			list = append(list, memory.NewBufferBytes(b))
		}
		return array.NewData(t, n, list, nil, 0, 0)
	}
	words := func(t *arrow.DictionaryType, values []byte, dict arrow.Array) arrow.Array {
		return array.NewDictionaryArray(t, array.MakeFromData(column(t.IndexType, values)), dict)
	}
	rec := array.NewRecord(s.schema, []arrow.Array{
		array.NewStringData(column(arrow.BinaryTypes.String, arrow.Int32Traits.CastToBytes(s.batch.Ends), s.batch.Names)),
		words(classType, arrow.Int8Traits.CastToBytes(s.batch.Classes), s.classWords),
		words(wordType, arrow.Int16Traits.CastToBytes(s.batch.Families), s.familyWords),
		words(wordType, arrow.Int16Traits.CastToBytes(s.batch.Sources), s.sourceWords),
	}, int64(n))
	defer rec.Release()
	err := s.w.Write(rec)
	s.reset()
	if errors.Is(err, errWriting) {
		err = s.hashed.flush() // says why
	}
	return s.named(err)
}

// named adds the file name unless the error has one.
func (s *SplitWriter) named(err error) error {
	var known *fs.PathError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("write %s: %w", s.path, err)
}

// Finish writes the rest. Call Close afterwards.
func (s *SplitWriter) Finish() error {
	var err error
	if s.batch.Rows() > 0 || s.report.Rows == 0 { // an empty split has an empty batch, which carries its dictionaries
		err = s.flush()
	}
	if err == nil {
		err = s.w.Close()
	}
	if failed := s.hashed.flush(); failed != nil {
		err = failed // which is why Arrow's writer failed, if it did
	}
	return s.named(err)
}

// Close syncs and closes a finished file.
func (s *SplitWriter) Close() error { return s.named(errors.Join(s.f.Sync(), s.f.Close())) }

// Abandon closes a file that is not finished; whoever made its folder removes it.
func (s *SplitWriter) Abandon() {
	_ = s.hashed.flush() // there is an error already
	s.f.Close()
}

// Report says what a finished file holds.
func (s *SplitWriter) Report() SplitReport {
	r := s.report
	r.Bytes, r.SHA256, r.ByClass = s.hashed.pos, s.hashed.sum(), map[string]int64{}
	for c, n := range s.counts.class {
		r.ByClass[classNames[c]] = n
	}
	r.ByFamily, r.BySource = named(s.words.families, s.counts.family), named(s.words.sources, s.counts.source)
	return r
}

// named gives counts by word, without zeros.
func named(words []string, counts []int64) map[string]int64 {
	out := map[string]int64{}
	for i, n := range counts {
		if n > 0 {
			out[words[i]] = n
		}
	}
	return out
}

// hashingWriter hashes and counts what goes to a file, in a goroutine of its own: a split is put together by one, which
// need not wait for either. Arrow's writer wants to seek, but only to learn where it is.
type hashingWriter struct {
	h          hash.Hash
	pos        int64
	buf        []byte
	full, free chan []byte
	failed     atomic.Bool

	// flush writes what is left, ends the goroutine and returns the first error of writing; again, the same error.
	flush func() error
}

const hashingBuffer = 256 << 10

func newHashingWriter(f io.Writer) *hashingWriter {
	w := &hashingWriter{h: sha256.New(), full: make(chan []byte, 2), free: make(chan []byte, 3)}
	done := make(chan error, 1) // gets one when the goroutine ends
	w.flush = sync.OnceValue(func() error {
		w.full <- w.buf
		close(w.full)
		return <-done
	})
	w.buf = make([]byte, 0, hashingBuffer)
	w.free <- make([]byte, 0, hashingBuffer)
	w.free <- make([]byte, 0, hashingBuffer)
	go func() {
		var err error
		for b := range w.full {
			if err == nil {
				w.h.Write(b)
				if _, err = f.Write(b); err != nil {
					w.failed.Store(true)
				}
			}
			w.free <- b[:0]
		}
		done <- err
	}()
	return w
}

// errWriting stands for the error that flush returns.
var errWriting = errors.New("writing failed")

// Write implements io.Writer.
func (w *hashingWriter) Write(p []byte) (int, error) {
	if w.failed.Load() {
		return 0, errWriting
	}
	n := len(p)
	w.pos += int64(n)
	for len(p) > 0 {
		k := copy(w.buf[len(w.buf):cap(w.buf)], p)
		w.buf, p = w.buf[:len(w.buf)+k], p[k:]
		if len(w.buf) == cap(w.buf) {
			w.full <- w.buf
			w.buf = <-w.free
		}
	}
	return n, nil
}

// Seek answers where the writer is.
func (w *hashingWriter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("datasets: a split's file is written front to back")
	}
	return w.pos, nil
}

func (w *hashingWriter) sum() string { return hex.EncodeToString(w.h.Sum(nil)) }
