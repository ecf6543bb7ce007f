package h5

import (
	"errors"
	"fmt"
	"strings"
)

// Further types of header messages.
const (
	messageLinkInfo     = 0x0002
	messageLink         = 0x0006
	messageContinuation = 0x0010
)

// header reads a version 1 object header and its continuations.
func (o *Object) header(c *cursor) error {
	if version := c.byte(); version != 1 && c.err == nil {
		return fmt.Errorf("h5: object header version %d is not known%s", version, repack)
	}
	c.skip(1)
	left := c.uint16()
	c.skip(4)
	size := c.uint32()
	c.skip(4) // up to a multiple of eight
	blocks := []block{{c.pos, size}}
	for len(blocks) > 0 && left > 0 && c.err == nil {
		b := o.f.at(blocks[0].pos)
		end := blocks[0].pos + blocks[0].size
		blocks = blocks[1:]
		for ; left > 0 && b.err == nil && b.pos+8 <= end; left-- {
			kind, n := uint16(b.uint16()), b.uint16()
			shared := b.byte()&2 != 0
			b.skip(3)
			data := b.bytes(n)
			if b.err != nil {
				break
			}
			more, err := o.message(kind, shared, data)
			if err != nil {
				return err
			}
			blocks = append(blocks, more...)
		}
		if b.err != nil {
			return b.err
		}
	}
	return c.err
}

// block is a piece of an object header.
type block struct{ pos, size uint64 }

// message keeps a message, or returns the block that a continuation points to.
func (o *Object) message(kind uint16, shared bool, data []byte) ([]block, error) {
	if kind == messageContinuation {
		m := &cursor{data: data}
		next := block{m.uint64(), m.uint64()}
		if o.f.objects--; o.f.objects < 0 {
			return nil, errors.New("h5: object header without end")
		}
		return []block{next}, m.err
	}
	if shared && kind != 0 {
		return nil, fmt.Errorf("h5: shared header messages (type %d) are not read", kind)
	}
	if err := o.f.take(32); err != nil {
		return nil, err
	}
	o.messages = append(o.messages, message{kind, data})
	return nil, nil
}

// lookup finds the address of a child.
func (o *Object) lookup(name string) (uint64, error) {
	table := o.find(messageSymbolTable)
	if table == nil {
		if o.find(messageLink) != nil || o.find(messageLinkInfo) != nil {
			return 0, fmt.Errorf("h5: group %s has no symbol table%s", o.Path(), repack)
		}
		return 0, o.missing(name)
	}
	m := &cursor{data: table}
	tree, heap := m.uint64(), m.uint64()
	if m.err != nil {
		return 0, m.err
	}
	h := o.f.at(heap)
	h.signature("HEAP")
	h.skip(4)
	size := h.uint64()
	h.skip(8)
	n := o.f.at(h.uint64())
	text := n.bytes(size)
	if h.err != nil || n.err != nil {
		return 0, errors.Join(h.err, n.err)
	}
	pos, err := o.search(tree, text, name, 0)
	if err == nil && pos == 0 {
		err = o.missing(name)
	}
	return pos, err
}

func (o *Object) missing(name string) error {
	return fmt.Errorf("h5: %s has no %q: %w", o.Path(), name, ErrMissing)
}

// search walks a group's B-tree and its symbol nodes. Trees are small, so it looks at every entry. 0, where the file
// begins, is the address of a name that is not there.
func (o *Object) search(pos uint64, names []byte, name string, depth int) (uint64, error) {
	if o.f.objects--; depth > 8 || o.f.objects < 0 {
		return 0, errors.New("h5: group is nested without end")
	}
	c := o.f.at(pos)
	c.signature("TREE")
	kind, level, entries := c.byte(), c.byte(), c.uint16()
	c.skip(16) // siblings
	if c.err == nil && kind != 0 {
		return 0, fmt.Errorf("h5: B-tree of type %d in a group", kind)
	}
	for range entries {
		c.skip(8) // key
		child := c.uint64()
		if c.err != nil {
			return 0, c.err
		}
		if err := o.f.step(len(name)); err != nil {
			return 0, err
		}
		var at uint64
		var err error
		if level > 0 {
			at, err = o.search(child, names, name, depth+1)
		} else {
			at, err = o.symbols(child, names, name)
		}
		if at != 0 || err != nil {
			return at, err
		}
	}
	return 0, c.err
}

// symbols looks through one symbol node as search does.
func (o *Object) symbols(pos uint64, names []byte, name string) (uint64, error) {
	c := o.f.at(pos)
	c.signature("SNOD")
	c.skip(2)
	for range c.uint16() {
		offset, at := c.uint64(), c.uint64()
		c.skip(24)
		if c.err != nil {
			return 0, c.err
		}
		if err := o.f.step(len(name)); err != nil {
			return 0, err
		}
		if offset > uint64(len(names)) {
			return 0, errors.New("h5: a name lies outside its heap")
		}
		if rest := names[offset:]; len(rest) > len(name) && string(rest[:len(name)]) == name && rest[len(name)] == 0 {
			return at, nil
		}
	}
	return 0, c.err
}

// Strings reads an attribute of strings of fixed or variable length: one for a scalar, the elements of an array. An
// empty array of any type gives none. The error wraps ErrMissing if there is no such attribute.
func (o *Object) Strings(name string) ([]string, error) {
	for _, m := range o.messages {
		if m.kind != messageAttribute {
			continue
		}
		if err := o.f.step(len(m.data)); err != nil {
			return nil, err
		}
		got, values, err := o.f.attribute(m.data, name)
		if err != nil {
			return nil, fmt.Errorf("h5: attribute %s of %s: %w", name, o.Path(), err)
		}
		if got {
			return values, nil
		}
	}
	return nil, fmt.Errorf("h5: %s has no attribute %q: %w", o.Path(), name, ErrMissing)
}

// attribute reads an attribute message if it is called name.
func (f *File) attribute(data []byte, name string) (match bool, values []string, err error) {
	c := &cursor{data: data}
	version, flags := c.byte(), c.byte()
	nameSize, typeSize, spaceSize := c.uint16(), c.uint16(), c.uint16()
	even := func(n uint64) uint64 { return n }
	switch version {
	case 1:
		even = func(n uint64) uint64 { return (n + 7) &^ 7 }
	case 2:
	case 3:
		c.skip(1) // character set
	default:
		return false, nil, fmt.Errorf("version %d is not known", version)
	}
	if got := strings.TrimRight(string(c.bytes(even(nameSize))), "\x00"); got != name || c.err != nil {
		return false, nil, c.err
	}
	if flags&3 != 0 {
		return true, nil, errors.New("shared types are not read")
	}
	kind, space := c.bytes(even(typeSize)), c.bytes(even(spaceSize))
	if c.err != nil {
		return true, nil, c.err
	}
	_, count, err := dimensions(space)
	if err != nil || count == 0 {
		return true, nil, err
	}
	values, err = f.strings(kind, c, count)
	return true, values, err
}

// strings reads count values of a string type.
func (f *File) strings(kind []byte, c *cursor, count uint64) (values []string, err error) {
	k := &cursor{data: kind}
	class, bits := k.byte()&15, k.byte()
	k.skip(2)
	size := k.uint32()
	if k.err != nil {
		return nil, k.err
	}
	if left := uint64(len(c.data)) - c.pos; size == 0 || count > left/size {
		return nil, fmt.Errorf("%d values of %d bytes in %d", count, size, left)
	}
	for range count {
		if err := f.take(16); err != nil {
			return nil, err
		}
		var s string
		switch {
		case class == 3:
			s = string(c.bytes(size))
		case class == 9 && bits&15 == 1 && size == 16:
			if s, err = f.heapString(c.uint32(), c.uint64(), c.uint32()); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("holds values of class %d, not strings", class)
		}
		if err := f.take(uint64(len(s))); err != nil {
			return nil, err
		}
		values = append(values, strings.TrimRight(s, "\x00"))
	}
	return values, c.err
}

// heapString is an object of the global heap at pos.
func (f *File) heapString(size, pos, index uint64) (string, error) {
	if size == 0 {
		return "", nil
	}
	c := f.at(pos)
	c.signature("GCOL")
	c.skip(4)
	end := pos + c.uint64()
	for c.err == nil && c.pos+16 <= end {
		number := c.uint16()
		c.skip(6)
		n := c.uint64()
		if c.err != nil || number == 0 {
			break
		}
		if err := f.step(0); err != nil {
			return "", err
		}
		if number == index {
			if size > n {
				return "", fmt.Errorf("string of %d bytes in a heap object of %d", size, n)
			}
			s := string(c.bytes(size))
			return s, c.err
		}
		if n > uint64(len(c.data)) {
			break
		}
		c.skip((n + 7) &^ 7)
	}
	if c.err != nil {
		return "", c.err
	}
	return "", fmt.Errorf("no object %d in the heap at %d", index, pos)
}
