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
	"strconv"
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

// splitWriter writes one split. The Arrow file format takes one dictionary a column, so the dictionaries are complete
// before the first row is written.
type splitWriter struct {
	path   string
	f      *os.File
	hashed *hashingWriter
	w      *ipc.FileWriter
	schema *arrow.Schema

	class, family, source arrow.Array // dictionaries

	*rowBuffers

	flushed                     bool
	rows                        int64
	byClass, byFamily, bySource []int64
}

// rowBuffers are rows as columns: names[ends[i-1]:ends[i]] is a row's name.
type rowBuffers struct {
	names    []byte
	ends     []int32
	classes  []int8
	families []int16
	sources  []int16
}

// gather takes the rows at places, in that order.
func (b *rowBuffers) gather(rows []row, places []place) {
	size := 0
	for _, p := range places {
		size += len(rows[p.row].name)
	}
	b.names, b.ends = emptied(b.names, size), emptied(b.ends, len(places))
	b.classes, b.families, b.sources = emptied(b.classes, len(places)), emptied(b.families, len(places)), emptied(b.sources, len(places))
	for _, p := range places {
		b.add(rows[p.row])
	}
}

// reset empties the buffers and makes room for a batch. Arrow wants ends to begin with 0.
func (b *rowBuffers) reset() *rowBuffers {
	b.names, b.ends = emptied(b.names, 24*BatchRows), append(emptied(b.ends, BatchRows+1), 0)
	b.classes, b.families, b.sources = emptied(b.classes, BatchRows), emptied(b.families, BatchRows), emptied(b.sources, BatchRows)
	return b
}

func (b *rowBuffers) add(r row) {
	b.names = append(b.names, r.name...)
	b.ends = append(b.ends, int32(len(b.names)))
	b.classes = append(b.classes, int8(r.class))
	b.families = append(b.families, int16(r.family))
	b.sources = append(b.sources, int16(r.source))
}

// splitMeta is what the metadata of a split's schema says.
type splitMeta struct {
	version, fingerprint, split string
	seed                        uint64
	compression                 string
}

func newSplitWriter(path string, families, sources []string, m splitMeta, b *rowBuffers) (*splitWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write split: %w", err)
	}
	s := &splitWriter{
		path: path, f: f, hashed: newHashingWriter(f),
		schema: splitSchema(map[string]string{
			"degas.version": m.version, "degas.fingerprint": m.fingerprint,
			"degas.split": m.split, "degas.seed": strconv.FormatUint(m.seed, 10),
		}),
		class: stringArray(classNames[:]), family: stringArray(families), source: stringArray(sources),
		rowBuffers: b.reset(),
		byClass:    make([]int64, classCount), byFamily: make([]int64, len(families)), bySource: make([]int64, len(sources)),
	}
	options := []ipc.Option{ipc.WithSchema(s.schema)}
	switch m.compression {
	case "lz4":
		options = append(options, ipc.WithLZ4())
	case "zstd":
		options = append(options, ipc.WithZstd())
	}
	if s.w, err = ipc.NewFileWriter(s.hashed, options...); err != nil {
		s.abandon()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return s, nil
}

func stringArray(list []string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues(list, nil)
	return b.NewArray()
}

// add appends a row whose family and source are numbers in the dictionaries.
func (s *splitWriter) add(r row) error {
	s.rowBuffers.add(r)
	s.byClass[r.class]++
	s.byFamily[r.family]++
	s.bySource[r.source]++
	s.rows++
	if len(s.classes) == BatchRows {
		return s.flush()
	}
	return nil
}

// addAll appends rows whose families and sources are numbers that the lists translate.
func (s *splitWriter) addAll(b *rowBuffers, family, source []uint16) error {
	for at := 0; at < len(b.ends); {
		n := min(len(b.ends)-at, BatchRows-len(s.classes))
		start := int32(0)
		if at > 0 {
			start = b.ends[at-1]
		}
		shift := int32(len(s.names)) - start
		s.names = append(s.names, b.names[start:b.ends[at+n-1]]...)
		for i := at; i < at+n; i++ {
			f, src := family[b.families[i]], source[b.sources[i]]
			s.ends = append(s.ends, b.ends[i]+shift)
			s.families, s.sources = append(s.families, int16(f)), append(s.sources, int16(src))
			s.byClass[b.classes[i]]++
			s.byFamily[f]++
			s.bySource[src]++
		}
		s.classes = append(s.classes, b.classes[at:at+n]...)
		at += n
		s.rows += int64(n)
		if len(s.classes) == BatchRows {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *splitWriter) flush() error {
	n := len(s.classes)
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
		array.NewStringData(column(arrow.BinaryTypes.String, arrow.Int32Traits.CastToBytes(s.ends), s.names)),
		words(classType, arrow.Int8Traits.CastToBytes(s.classes), s.class),
		words(wordType, arrow.Int16Traits.CastToBytes(s.families), s.family),
		words(wordType, arrow.Int16Traits.CastToBytes(s.sources), s.source),
	}, int64(n))
	defer rec.Release()
	err := s.w.Write(rec)
	s.reset()
	if errors.Is(err, errWriting) {
		s.flushed, err = true, s.hashed.flush() // says why
	}
	return s.named(err)
}

// named says which file an error is about, unless it does.
func (s *splitWriter) named(err error) error {
	var known *fs.PathError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("write %s: %w", s.path, err)
}

// finish completes the file, which close then brings to the disk.
func (s *splitWriter) finish() error {
	var err error
	if len(s.classes) > 0 || s.rows == 0 { // an empty split has an empty batch, which carries its dictionaries
		err = s.flush()
	}
	if err == nil {
		err = s.w.Close()
	}
	if !s.flushed {
		s.flushed = true
		if failed := s.hashed.flush(); failed != nil {
			err = failed // which is why Arrow's writer failed, if it did
		}
	}
	return s.named(err)
}

// close waits until a finished file is on the disk, and closes it.
func (s *splitWriter) close() error { return s.named(errors.Join(s.f.Sync(), s.f.Close())) }

// abandon closes the file; whoever made its folder removes it.
func (s *splitWriter) abandon() {
	if !s.flushed {
		s.flushed = true
		_ = s.hashed.flush() // there is an error already
	}
	s.f.Close()
}

// hashingWriter hashes and counts what goes to a file, in a goroutine of its own: a split is put together by one, which
// need not wait for either. Arrow's writer wants to seek, but only to learn where it is.
type hashingWriter struct {
	h          hash.Hash
	pos        int64
	buf        []byte
	full, free chan []byte
	done       chan error // gets one when the goroutine ends
	failed     atomic.Bool
}

const hashingBuffer = 256 << 10

func newHashingWriter(f io.Writer) *hashingWriter {
	w := &hashingWriter{h: sha256.New(), full: make(chan []byte, 2), free: make(chan []byte, 3), done: make(chan error, 1)}
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
		w.done <- err
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

// flush writes what is left, ends the goroutine and returns the first error of writing. It may be called once.
func (w *hashingWriter) flush() error {
	w.full <- w.buf
	close(w.full)
	return <-w.done
}

// Seek answers where the writer is.
func (w *hashingWriter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("datasets: a split's file is written front to back")
	}
	return w.pos, nil
}

func (w *hashingWriter) sum() string { return hex.EncodeToString(w.h.Sum(nil)) }
