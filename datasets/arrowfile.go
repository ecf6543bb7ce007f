package datasets

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"

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

	domains  *array.StringBuilder
	classes  []int8
	families []int16
	sources  []int16

	rows                        int64
	byClass, byFamily, bySource []int64
}

// splitMeta is what the metadata of a split's schema says.
type splitMeta struct {
	version, fingerprint, split string
	seed                        uint64
	compression                 string
}

func newSplitWriter(path string, families, sources []string, m splitMeta) (*splitWriter, error) {
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
		domains: array.NewStringBuilder(memory.DefaultAllocator),
		byClass: make([]int64, classCount), byFamily: make([]int64, len(families)), bySource: make([]int64, len(sources)),
	}
	options := []ipc.Option{ipc.WithSchema(s.schema)}
	switch m.compression {
	case "lz4":
		options = append(options, ipc.WithLZ4())
	case "zstd":
		options = append(options, ipc.WithZstd())
	}
	if s.w, err = ipc.NewFileWriter(s.hashed, options...); err != nil {
		f.Close()
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
	s.domains.Append(r.name)
	s.classes = append(s.classes, int8(r.class))
	s.families = append(s.families, int16(r.family))
	s.sources = append(s.sources, int16(r.source))
	s.byClass[r.class]++
	s.byFamily[r.family]++
	s.bySource[r.source]++
	s.rows++
	if len(s.classes) == BatchRows {
		return s.flush()
	}
	return nil
}

func (s *splitWriter) flush() error {
	n := int64(len(s.classes))
	words := func(values []int16, dict arrow.Array) arrow.Array {
		b := array.NewInt16Builder(memory.DefaultAllocator)
		b.AppendValues(values, nil)
		return array.NewDictionaryArray(wordType, b.NewArray(), dict)
	}
	classes := array.NewInt8Builder(memory.DefaultAllocator)
	classes.AppendValues(s.classes, nil)
	rec := array.NewRecord(s.schema, []arrow.Array{
		s.domains.NewArray(),
		array.NewDictionaryArray(classType, classes.NewArray(), s.class),
		words(s.families, s.family),
		words(s.sources, s.source),
	}, n)
	defer rec.Release()
	s.classes, s.families, s.sources = s.classes[:0], s.families[:0], s.sources[:0]
	if err := s.w.Write(rec); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}

// finish completes the file, synced.
func (s *splitWriter) finish() error {
	var err error
	if len(s.classes) > 0 || s.rows == 0 { // an empty split has an empty batch, which carries its dictionaries
		err = s.flush()
	}
	if err == nil {
		err = s.w.Close()
	}
	err = errors.Join(err, s.hashed.b.Flush())
	if err == nil {
		err = s.f.Sync()
	}
	if err = errors.Join(err, s.f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}

// abandon closes the file; whoever made its folder removes it.
func (s *splitWriter) abandon() { s.f.Close() }

// hashingWriter hashes and counts what goes to a file. Arrow's writer wants to seek, but only to learn where it is.
type hashingWriter struct {
	b   *bufio.Writer
	h   hash.Hash
	pos int64
}

func newHashingWriter(f io.Writer) *hashingWriter {
	h := sha256.New()
	return &hashingWriter{b: bufio.NewWriterSize(io.MultiWriter(f, h), 1<<20), h: h}
}

func (w *hashingWriter) Write(p []byte) (int, error) {
	n, err := w.b.Write(p)
	w.pos += int64(n)
	return n, err
}

// Seek answers where the writer is.
func (w *hashingWriter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("datasets: a split's file is written front to back")
	}
	return w.pos, nil
}

func (w *hashingWriter) sum() string { return hex.EncodeToString(w.h.Sum(nil)) }
