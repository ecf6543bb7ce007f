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
	cursor
	left int // list elements that are still allowed
}

// cursor is what is left to read. Its methods fail with io.ErrUnexpectedEOF at the end.
type cursor []byte

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
	g := footerGuard{make([]byte, n), int((64<<20 + 4*size) / elementBytes)}
	_, err := at.ReadAt(g.cursor, size-8-n)
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
		field, err := g.take(1)
		if err != nil || field[0] == 0 {
			return err
		}
		head := field[0]
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
		_, err := g.take(1)
		return err
	case thriftI16, thriftI32, thriftI64:
		_, err := g.uvarint()
		return err
	case thriftDouble:
		_, err := g.take(8)
		return err
	case thriftBinary:
		n, err := g.uvarint()
		if err == nil {
			_, err = g.take(n)
		}
		return err
	case thriftList, thriftSet:
		return g.list(depth)
	case thriftStruct:
		return g.structure(depth + 1)
	}
	return fmt.Errorf("a value of type %d", kind) // Parquet's footer has no maps
}

func (g *footerGuard) list(depth int) error {
	head, err := g.take(1)
	if err != nil {
		return err
	}
	n := uint64(head[0] >> 4)
	if n == 15 {
		if n, err = g.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(len(g.cursor)) || n > uint64(g.left) { // every element has a byte or more
		return fmt.Errorf("a list of %d elements", n)
	}
	g.left -= int(n)
	for range n {
		if err := g.value(head[0]&15, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) uvarint() (uint64, error) {
	u, n := binary.Uvarint(*c)
	if n <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	*c = (*c)[n:]
	return u, nil
}

// take cuts off the next n bytes.
func (c *cursor) take(n uint64) ([]byte, error) {
	if n > uint64(len(*c)) {
		return nil, io.ErrUnexpectedEOF
	}
	head := (*c)[:n]
	*c = (*c)[n:]
	return head, nil
}

// prefixed cuts off what the length in the next four bytes says.
func (c *cursor) prefixed() ([]byte, error) {
	n, err := c.take(4)
	if err != nil {
		return nil, err
	}
	return c.take(uint64(binary.LittleEndian.Uint32(n)))
}
