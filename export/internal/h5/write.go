package h5

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

const (
	undefined    = math.MaxUint64 // the address of nothing
	superblock   = 96             // bytes, and where the rest starts
	internalK    = 16             // half the children of an internal B-tree node
	minHeap      = 4096           // the library expects a global heap of at least this size
	symbolEntry  = 40
	maxLeafK     = math.MaxInt16
	btreeSize    = 24 + 2*internalK*8 + (2*internalK+1)*8
	heapHeader   = 16
	objectHeader = 16
)

// WriteTo writes the file whose root is g. Data sets are streamed, so a large model is not copied in memory.
func (g *Group) WriteTo(w io.Writer) (int64, error) {
	l := &layout{leafK: max(4, (widest(g)+1)/2), heapSize: heapSize(g), next: superblock}
	if l.leafK > maxLeafK {
		return 0, errors.New("h5: too many children in one group")
	}
	// Every group fits one symbol node because the superblock may set how many entries a node holds.
	l.heapAt = l.allocate(l.heapSize)
	root, err := l.group(g)
	if err != nil {
		return 0, err
	}
	l.put(l.heapAt, globalHeap(l.heap, l.heapSize))
	l.put(0, l.superblock(root))
	return l.write(w)
}

// layout gives each structure its place in the file.
type layout struct {
	next             uint64 // first free byte
	leafK            int
	heapAt, heapSize uint64
	heap             []string
	sections         []section
}

// section is a piece of the file: either bytes or the values of a data set.
type section struct {
	at     uint64
	bytes  []byte
	values []float32
}

// object is where a child's header is; btree and names are zero for a data set.
type object struct{ header, btree, names uint64 }

func (l *layout) allocate(size uint64) uint64 {
	at := l.next
	l.next += (size + 7) &^ 7
	return at
}

func (l *layout) put(at uint64, b []byte) { l.sections = append(l.sections, section{at: at, bytes: b}) }

// place puts b behind everything so far.
func (l *layout) place(b []byte) uint64 {
	at := l.allocate(uint64(len(b)))
	l.put(at, b)
	return at
}

// group places g behind its children.
func (l *layout) group(g *Group) (object, error) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(g.groups)), maps.Keys(g.datasets))
	slices.Sort(names) // byte order, as the library compares
	children := make([]object, len(names))
	for i, name := range names {
		if d, ok := g.datasets[name]; ok {
			children[i] = l.dataset(d)
			continue
		}
		child, err := l.group(g.groups[name])
		if err != nil {
			return object{}, fmt.Errorf("%s/%w", name, err)
		}
		children[i] = child
	}
	heap, offsets := nameHeap(names)
	self := object{names: l.place(heapOfNames(l.place(heap), len(heap)))}
	self.btree = l.place(l.tree(names, offsets, children))
	messages, err := l.groupMessages(g, self)
	if err != nil {
		return object{}, err
	}
	self.header = l.place(header(messages))
	return self, nil
}

func (l *layout) dataset(d *dataset) object {
	values := uint64(undefined)
	if len(d.data) > 0 {
		values = l.allocate(uint64(4 * len(d.data)))
		l.sections = append(l.sections, section{at: values, values: d.data})
	}
	return object{header: l.place(header(datasetMessages(d, values)))}
}

func (l *layout) groupMessages(g *Group, self object) ([]message, error) {
	out := []message{{messageSymbolTable, words(nil, self.btree, self.names)}}
	for _, a := range g.attributes {
		data := arrayMessage
		if !a.array {
			data = l.scalarMessage
		}
		m := message{messageAttribute, data(a)}
		if len(m.data) > maxMessage {
			return nil, fmt.Errorf("h5: attribute %q takes %d bytes, at most %d fit", a.name, len(m.data), maxMessage)
		}
		out = append(out, m)
	}
	return out, nil
}

// scalarMessage puts the string of a into the global heap and refers to it.
func (l *layout) scalarMessage(a attribute) []byte {
	l.heap = append(l.heap, a.values[0])
	data := words(le.AppendUint32(nil, uint32(len(a.values[0]))), l.heapAt)
	data = le.AppendUint32(data, uint32(len(l.heap)))
	return attributeMessage(a.name, variableString, dataspace(nil), data)
}

// nameHeap is the data of a local heap with names in it, and where each starts. Offset 0 is the empty name.
func nameHeap(names []string) (heap []byte, offsets []uint64) {
	heap = make([]byte, 8)
	for _, n := range names {
		offsets = append(offsets, uint64(len(heap)))
		heap = padded(append(append(heap, n...), 0))
	}
	return heap, offsets
}

// heapOfNames is the header of a local heap whose data is at address.
func heapOfNames(address uint64, size int) []byte {
	return words([]byte("HEAP\x00\x00\x00\x00"), uint64(size), 1, address) // 1: no free block
}

// tree is the version 1 B-tree of a group, with at most one leaf: the symbol node it places.
func (l *layout) tree(names []string, offsets []uint64, children []object) []byte {
	leaves := min(len(names), 1)
	// No siblings, and the first key is the empty name.
	out := words(shorts([]byte("TREE\x00\x00"), leaves), undefined, undefined, 0)
	if leaves > 0 {
		out = words(out, l.place(l.symbols(offsets, children)), offsets[len(offsets)-1])
	}
	return append(out, make([]byte, btreeSize-len(out))...)
}

// symbols is a symbol node: an entry a child, in the order of their names.
func (l *layout) symbols(offsets []uint64, children []object) []byte {
	out := shorts([]byte("SNOD\x01\x00"), len(children))
	for i, c := range children {
		out = c.symbol(words(out, offsets[i]))
	}
	return append(out, make([]byte, 8+2*l.leafK*symbolEntry-len(out))...)
}

// symbol appends the part of a symbol table entry behind the name: for groups it repeats where their children are.
func (o object) symbol(out []byte) []byte {
	if o.btree == 0 {
		return words(out, o.header, 0, 0, 0)
	}
	return words(out, o.header, 1, o.btree, o.names)
}

// widest is the largest number of children of any group from g down.
func widest(g *Group) int {
	n := len(g.groups) + len(g.datasets)
	for _, c := range g.groups {
		n = max(n, widest(c))
	}
	return n
}

// heapSize is what the global heap takes: all scalar strings from g down, and the object that stands for free space.
func heapSize(g *Group) uint64 {
	var size func(*Group) int
	size = func(g *Group) int {
		n := 0
		for _, a := range g.attributes {
			if !a.array {
				n += objectHeader + (len(a.values[0])+7)&^7
			}
		}
		for _, c := range g.groups {
			n += size(c)
		}
		return n
	}
	return max(minHeap, uint64(heapHeader+size(g)+objectHeader))
}

func globalHeap(values []string, size uint64) []byte {
	out := words([]byte("GCOL\x01\x00\x00\x00"), size)
	for i, v := range values {
		out = shorts(out, i+1, 1, 0, 0) // one reference
		out = padded(append(words(out, uint64(len(v))), v...))
	}
	return words(out, 0, size-uint64(len(out))) // object 0: what is free
}

// superblock is version 0, which every reader knows.
func (l *layout) superblock(root object) []byte {
	out := []byte("\x89HDF\r\n\x1a\n\x00\x00\x00\x00\x00\x08\x08\x00") // versions 0, addresses and lengths of 8 bytes
	out = shorts(out, l.leafK, internalK, 0, 0)
	// base address, free space, end of file, driver; then the root's symbol table entry, its name at 0
	return root.symbol(words(out, 0, undefined, l.next, undefined, 0))
}

// write puts the sections out in order, zeros between them.
func (l *layout) write(w io.Writer) (int64, error) {
	slices.SortFunc(l.sections, func(a, b section) int { return cmp.Compare(a.at, b.at) })
	out := counter{w: w}
	for _, s := range l.sections {
		if err := out.zeros(s.at); err != nil {
			return out.n, err
		}
		if err := s.writeTo(&out); err != nil {
			return out.n, err
		}
	}
	return out.n, out.zeros(l.next)
}

func (s section) writeTo(w io.Writer) error {
	if _, err := w.Write(s.bytes); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<14)
	for part := range slices.Chunk(s.values, cap(buf)/4) {
		buf = buf[:0]
		for _, v := range part {
			buf = le.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// zeros writes up to position at.
func (c *counter) zeros(at uint64) error {
	if int64(at) < c.n {
		return fmt.Errorf("h5: internal error: %d bytes written, the next section is at %d", c.n, at)
	}
	_, err := c.Write(make([]byte, int64(at)-c.n))
	return err
}
