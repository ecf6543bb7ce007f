// Package parquetguard looks at a Parquet file before parquet-go v0.32 does. The library makes room for whatever the
// footer, a page's header, a compressed block or a run's length says: up to gigabytes for a file of a few bytes.
package parquetguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// footerGuard walks a footer, which is in Thrift's compact protocol, and counts the elements of its lists. It knows no
// fields.
type footerGuard struct {
	data []byte
	left int // list elements that are still allowed
}

// elementBytes is more than any element of a footer's lists takes in memory.
const elementBytes = 1 << 10

// Footer checks that the footer of a file of size bytes lies within it, and that the footer's lists have no more
// elements than it holds, or than fit into 64 MiB and four times the file's size.
func Footer(at io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return errors.New("file is too short")
	}
	if _, err := at.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != "PAR1" || n > size-12 {
		return errors.New("no footer at the end: the file is truncated")
	}
	g := footerGuard{data: make([]byte, n), left: int((64<<20 + 4*size) / elementBytes)}
	_, err := at.ReadAt(g.data, size-8-n)
	if err == nil {
		err = g.structure(0)
	}
	if err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	return nil
}

// Thrift's compact types.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

func (g *footerGuard) structure(depth int) error {
	if depth > 16 {
		return errors.New("nested too deeply")
	}
	for {
		head, err := g.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 {
			if _, err := g.uvarint(); err != nil { // field number
				return err
			}
		}
		if kind := head & 15; kind != thriftTrue && kind != thriftFalse {
			if err := g.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

func (g *footerGuard) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // booleans have a byte of their own in lists
		return g.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := g.uvarint()
		return err
	case thriftDouble:
		return g.skip(8)
	case thriftBinary:
		n, err := g.uvarint()
		if err != nil {
			return err
		}
		return g.skip(n)
	case thriftList, thriftSet:
		return g.list(depth)
	case thriftStruct:
		return g.structure(depth + 1)
	}
	return fmt.Errorf("a value of type %d", kind) // Parquet's footer has no maps
}

func (g *footerGuard) list(depth int) error {
	head, err := g.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = g.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(g.data)) || n > uint64(g.left) { // every element has a byte or more
		return fmt.Errorf("a list of %d elements", n)
	}
	g.left -= int(n)
	for range n {
		if err := g.value(head&15, depth); err != nil {
			return err
		}
	}
	return nil
}

func (g *footerGuard) byte() (byte, error) {
	if len(g.data) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b := g.data[0]
	g.data = g.data[1:]
	return b, nil
}

func (g *footerGuard) uvarint() (uint64, error) {
	u, n := binary.Uvarint(g.data)
	if n <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	g.data = g.data[n:]
	return u, nil
}

func (g *footerGuard) skip(n uint64) error {
	if n > uint64(len(g.data)) {
		return io.ErrUnexpectedEOF
	}
	g.data = g.data[n:]
	return nil
}
