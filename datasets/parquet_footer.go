package datasets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// footerGuard walks a Parquet footer, which is Thrift's compact protocol, and counts the elements of its lists before
// the library makes room for as many as a list says it has. It knows no fields.
type footerGuard struct {
	data []byte
	left int // list elements that are still allowed
}

// elementBytes is more than any element of a footer's lists takes in memory.
const elementBytes = 1 << 10

// checkFooterLists refuses a footer with lists that it does not hold, or with more elements than fit into 64 MiB and
// four times the file's size.
func checkFooterLists(footer []byte, size int64) error {
	g := footerGuard{data: footer, left: int((64<<20 + 4*size) / elementBytes)}
	if err := g.structure(0); err != nil {
		return fmt.Errorf("parquet: footer: %w", err)
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
