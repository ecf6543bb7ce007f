package datasets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// The Arrow library believes the sizes that a file claims, and takes as much memory before it reads. A process cannot
// go on after that, so this file looks at the claims first.

const (
	// maxArrow bounds what the library takes to open a file or to read a batch, in bytes. A batch of 65,536 names of 253
	// bytes takes 36 MiB, compressed ones half as much again.
	maxArrow = 256 << 20
	// maxFooter bounds a footer in bytes: 24 for each batch, and the schema.
	maxFooter = 64 << 20
	// maxPairs bounds the metadata of a schema.
	maxPairs = 16
)

// boundedAllocator is a memory.Allocator that panics, which recovered makes an error, when more than left bytes are
// asked for.
type boundedAllocator struct {
	memory.GoAllocator
	left int
}

func (a *boundedAllocator) Allocate(size int) []byte {
	if size < 0 || size > a.left {
		panic(fmt.Errorf("it claims buffers of more than %d bytes", maxArrow))
	}
	a.left -= size
	return a.GoAllocator.Allocate(size)
}

func (a *boundedAllocator) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return a.GoAllocator.Reallocate(size, b)
	}
	grown := a.Allocate(size)
	copy(grown, b)
	return grown
}

var errFooter = errors.New("arrow: its footer claims more than the file has")

// checkFooter reports a footer that claims more batches, columns or metadata than it has bytes for. batches is the
// number that it should have.
func checkFooter(f io.ReaderAt, size int64, columns int, batches int64) (err error) {
	defer recovered(&err)
	var end [10]byte // the footer's length and "ARROW1"
	if _, err := f.ReadAt(end[:], size-int64(len(end))); err != nil {
		return fmt.Errorf("arrow: %w", err)
	}
	n := int64(binary.LittleEndian.Uint32(end[:4]))
	if n > min(maxFooter, size-int64(len(end))) {
		return errFooter
	}
	data := make([]byte, n)
	if _, err := f.ReadAt(data, size-int64(len(end))-n); err != nil {
		return fmt.Errorf("arrow: %w", err)
	}
	footer := table{flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}}
	const block = 24 // bytes
	dictionaries, records := footer.vector(2), footer.vector(3)
	if (dictionaries+records)*block > n {
		return errFooter
	}
	if records != batches {
		return fmt.Errorf("it has %d batches, but %s has rows for %d", records, ManifestName, batches)
	}
	schema := footer.at(1)
	if schema.vector(1) != int64(columns) || schema.vector(2) > maxPairs {
		return errFooter
	}
	for i := range columns {
		if field := schema.element(1, i); field.vector(5) > 0 || field.vector(6) > maxPairs { // children, metadata
			return errFooter
		}
	}
	return nil
}

// table is a table of a flatbuffer. Its methods panic for one that is damaged.
type table struct{ flatbuffers.Table }

// slot is where the table has its i-th field, or 0.
func (t *table) slot(i int) flatbuffers.UOffsetT {
	return flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(4 + 2*i)))
}

// vector is the length of the i-th field, a vector.
func (t *table) vector(i int) int64 {
	if o := t.slot(i); o != 0 {
		return int64(uint32(t.VectorLen(o)))
	}
	return 0
}

// at is the i-th field, a table.
func (t *table) at(i int) *table {
	o := t.slot(i)
	if o == 0 {
		panic(errFooter)
	}
	return &table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + o)}}
}

// element is the j-th table of the vector that is the i-th field.
func (t *table) element(i, j int) *table {
	at := t.Vector(t.slot(i)) + flatbuffers.UOffsetT(4*j)
	return &table{flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}}
}
