package h5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// File is an HDF5 file to read from, as h5py writes it for Keras 1 to 3: superblocks 0 and 1, object headers 1,
// symbol-table groups, contiguous and compact data. The error for any other structure names it. h5repack turns every
// file into one that File reads.
//
// A file is not trusted: every address is checked against its size, and everything read from it may take four times its
// size in memory.
type File struct {
	data []byte
	root uint64
	// Reading uses these up.
	objects int // to open
	budget  int // bytes to allocate
	steps   int // entries to look at
}

// repack is the hint for structures that only newer versions of the HDF5 library read.
const repack = ". Try: h5repack --low=0 --high=0 IN OUT"

// Object is a group or a data set.
type Object struct {
	f        *File
	path     string
	messages []message
}

// ErrMissing means that a file has no such object or attribute.
var ErrMissing = errors.New("not there")

// Bounds of a file of any size. Look-ups try one entry after another, and entries may be shared. A large model's
// thousand layers take a million steps.
const (
	maxObjects = 1 << 16
	maxSteps   = 1 << 22
)

// Recognize reports whether data begin as an HDF5 file does.
func Recognize(data []byte) bool { return bytes.HasPrefix(data, []byte("\x89HDF\r\n\x1a\n")) }

// Read opens a file's bytes.
func Read(data []byte) (*File, error) {
	f := &File{data: data, objects: maxObjects, budget: 1<<16 + 4*len(data), steps: maxSteps}
	if len(data) < 48 || !Recognize(data) {
		return nil, errors.New("h5: not an HDF5 file")
	}
	version := data[8]
	if version > 1 {
		return nil, fmt.Errorf("h5: superblock version %d is not known%s", version, repack)
	}
	if data[13] != 8 || data[14] != 8 {
		return nil, fmt.Errorf("h5: offsets of %d and lengths of %d bytes are not known", data[13], data[14])
	}
	c := f.at(24 + 4*8 + 8 + 4*uint64(version))
	f.root = c.uint64()
	return f, c.err
}

// Root opens the root group.
func (f *File) Root() (*Object, error) { return f.object("", f.root) }

// cursor reads little-endian values one after another. The first read outside the file sets err. Later ones give zeros.
type cursor struct {
	data []byte
	pos  uint64
	err  error
}

func (f *File) at(pos uint64) *cursor { return &cursor{data: f.data, pos: pos} }

func (c *cursor) bytes(n uint64) []byte {
	size := uint64(len(c.data))
	if c.err == nil && (n > size || c.pos > size-n) {
		c.err = fmt.Errorf("h5: %d bytes at %d of %d", n, c.pos, size)
	}
	if c.err != nil {
		return make([]byte, min(n, 8))
	}
	c.pos += n
	return c.data[c.pos-n : c.pos]
}

func (c *cursor) unsigned(n uint64) (v uint64) {
	for i, b := range c.bytes(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (c *cursor) byte() byte     { return c.bytes(1)[0] }
func (c *cursor) uint16() uint64 { return c.unsigned(2) }
func (c *cursor) uint32() uint64 { return c.unsigned(4) }
func (c *cursor) uint64() uint64 { return c.unsigned(8) }
func (c *cursor) skip(n uint64)  { c.bytes(n) }

func (c *cursor) signature(want string) {
	if got := c.bytes(4); c.err == nil && string(got) != want {
		c.err = fmt.Errorf("h5: %q where %s should be", got, want)
	}
}

// take accounts for n bytes that are about to be made.
func (f *File) take(n uint64) error {
	if n > uint64(f.budget) {
		return fmt.Errorf("h5: the file of %d bytes claims to hold far more", len(f.data))
	}
	f.budget -= int(n)
	return nil
}

// step accounts for an entry that is looked at, n bytes of it at most.
func (f *File) step(n int) error {
	if f.steps -= 1 + n/64; f.steps < 0 {
		return fmt.Errorf("h5: it takes more than %d steps to find its objects", maxSteps)
	}
	return nil
}

// object reads the header at pos.
func (f *File) object(path string, pos uint64) (*Object, error) {
	if f.objects--; f.objects < 0 {
		return nil, fmt.Errorf("h5: more than %d objects", maxObjects)
	}
	o := &Object{f: f, path: path}
	if err := o.header(f.at(pos)); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path(), err)
	}
	return o, nil
}

// Path is the object's place in the file, "/" for the root.
func (o *Object) Path() string { return "/" + o.path }

// find returns the first message of a kind, nil if there is none.
func (o *Object) find(kind uint16) []byte {
	for _, m := range o.messages {
		if m.kind == kind {
			return m.data
		}
	}
	return nil
}

// Child opens the object at a path below o, with names separated by '/'. The error wraps ErrMissing if there is none.
func (o *Object) Child(path string) (*Object, error) {
	for name := range strings.SplitSeq(path, "/") {
		pos, err := o.lookup(name)
		if err != nil {
			return nil, err
		}
		if o, err = o.f.object(strings.TrimPrefix(o.path+"/"+name, "/"), pos); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Float32 reads a data set of floating-point numbers of 16, 32 or 64 bits, row-major.
func (o *Object) Float32() (shape []int, values []float32, err error) {
	fail := func(err error) ([]int, []float32, error) {
		return nil, nil, fmt.Errorf("h5: data set %s: %w", o.Path(), err)
	}
	kind, space, layout := o.find(messageDatatype), o.find(messageDataspace), o.find(messageLayout)
	if kind == nil || space == nil || layout == nil {
		return fail(errors.New("is not one"))
	}
	size, decode, err := floatType(kind)
	if err != nil {
		return fail(err)
	}
	shape, count, err := dimensions(space)
	if err != nil {
		return fail(err)
	}
	if count > uint64(len(o.f.data)) {
		return fail(fmt.Errorf("shape %v is larger than the file", shape))
	}
	raw, err := o.f.contents(layout, count*size)
	if err != nil {
		return fail(err)
	}
	if err := o.f.take(4 * count); err != nil {
		return fail(err)
	}
	values = make([]float32, count)
	for i := range values {
		values[i] = decode(raw[uint64(i)*size:])
	}
	return shape, values, nil
}

func (f *File) contents(layout []byte, size uint64) ([]byte, error) {
	c := &cursor{data: layout}
	switch version, class := c.byte(), c.byte(); {
	case version < 3 || version > 4:
		return nil, fmt.Errorf("layout version %d is not known", version)
	case class == 0: // compact
		if n := c.uint16(); n != size {
			return nil, fmt.Errorf("%d bytes where the shape needs %d", n, size)
		}
		b := c.bytes(size)
		return b, c.err
	case class == 1: // contiguous
		pos, n := c.uint64(), c.uint64()
		if c.err != nil {
			return nil, c.err
		}
		if size == 0 {
			return nil, nil
		}
		if n != size || pos == undefined {
			return nil, fmt.Errorf("%d bytes where the shape needs %d", n, size)
		}
		d := f.at(pos)
		return d.bytes(size), d.err
	default:
		return nil, errors.New("chunked data is not read. Try: h5repack -l CONTI IN OUT")
	}
}

func dimensions(space []byte) (shape []int, count uint64, err error) {
	c := &cursor{data: space}
	version, rank := c.byte(), c.byte()
	c.skip(1) // flags: maximal sizes may follow the sizes, and do not matter
	switch version {
	case 1:
		c.skip(5)
	case 2:
		if c.byte() == 2 { // null: no values at all
			return []int{0}, 0, c.err
		}
	default:
		return nil, 0, fmt.Errorf("dataspace version %d is not known", version)
	}
	if rank > 32 {
		return nil, 0, fmt.Errorf("%d dimensions", rank)
	}
	count = 1
	for range rank {
		n := c.uint64()
		if n > 1<<40 || n > 0 && count > 1<<40/n {
			return nil, 0, fmt.Errorf("dimension of %d", n)
		}
		shape, count = append(shape, int(n)), count*n
	}
	return shape, count, c.err
}

// floatType reads a floating-point datatype: the size of a value and how to decode it.
func floatType(kind []byte) (size uint64, decode func([]byte) float32, err error) {
	c := &cursor{data: kind}
	class, bits := c.byte()&15, c.byte()
	c.skip(2)
	size = c.uint32()
	if c.err != nil || class != 1 {
		return 0, nil, fmt.Errorf("holds values of class %d, not floating-point numbers", class)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if bits&1 != 0 {
		order = binary.BigEndian
	}
	switch size {
	case 2:
		return size, func(b []byte) float32 { return half(order.Uint16(b)) }, nil
	case 4:
		return size, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) }, nil
	case 8:
		return size, func(b []byte) float32 { return float32(math.Float64frombits(order.Uint64(b))) }, nil
	}
	return 0, nil, fmt.Errorf("numbers of %d bytes are not known", size)
}

func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0:
		return math.Float32frombits(math.Float32bits(float32(fraction)/(1<<24)) | sign)
	case 31:
		exponent = 255 - 112
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
