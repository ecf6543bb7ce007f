package hdf5

// A second reader of the files that package h5 writes. It shares no code with h5.File and lists everything in a file.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// fileTree is the contents of a file by path: "/a/b" of a group or data set, "/a@name" of an attribute.
type fileTree struct {
	Groups   []string // in file order; the root is "/"
	Datasets map[string]dataSet
	Strings  map[string]string   // scalar attributes
	Arrays   map[string][]string // array attributes
}

// dataSet is a float32 array.
type dataSet struct {
	Shape []int
	Data  []float32
}

// reader walks a file; the first thing out of bounds stays in err and later reads give zeros.
type reader struct {
	data []byte
	tree *fileTree
	err  error
}

// readTree parses file.
func readTree(file []byte) (*fileTree, error) {
	r := &reader{data: file, tree: &fileTree{
		Datasets: map[string]dataSet{},
		Strings:  map[string]string{},
		Arrays:   map[string][]string{},
	}}
	if !bytes.HasPrefix(file, []byte("\x89HDF\r\n\x1a\n\x00")) {
		return nil, errors.New("no superblock 0")
	}
	if end := r.uint64(40); end != uint64(len(file)) {
		return nil, fmt.Errorf("the file has %d bytes, its superblock says %d", len(file), end)
	}
	r.object("", r.uint64(64), 0)
	return r.tree, r.err
}

func (r *reader) bytes(at, n uint64) []byte {
	if n > uint64(len(r.data)) || at > uint64(len(r.data))-n {
		if r.err == nil {
			r.err = fmt.Errorf("bytes %d+%d of a file of %d", at, n, len(r.data))
		}
		return make([]byte, min(n, 64))
	}
	return r.data[at : at+n]
}

func (r *reader) uint16(at uint64) uint64 { return uint64(binary.LittleEndian.Uint16(r.bytes(at, 2))) }
func (r *reader) uint32(at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(r.bytes(at, 4))) }
func (r *reader) uint64(at uint64) uint64 { return binary.LittleEndian.Uint64(r.bytes(at, 8)) }

func (r *reader) signature(at uint64, want string) {
	if got := r.bytes(at, 4); string(got) != want && r.err == nil {
		r.err = fmt.Errorf("%q at %d, want %q", got, at, want)
	}
}

// object reads the object header at; path is "" for the root.
func (r *reader) object(path string, at uint64, depth int) {
	if depth > 20 || r.err != nil {
		return
	}
	var set *dataSet
	pos, end := at+16, at+16+r.uint32(at+8)
	for range r.uint16(at + 2) {
		kind, size, body := r.uint16(pos), r.uint16(pos+2), pos+8
		switch kind {
		case 0x01:
			set = &dataSet{Shape: r.shape(body)}
		case 0x08:
			r.values(set, path, body)
		case 0x0c:
			r.attribute(path, body, body+size)
		case 0x11:
			r.group(path, r.uint64(body), r.uint64(body+8), depth)
		}
		pos = body + size
	}
	if pos != end && r.err == nil {
		r.err = fmt.Errorf("header of %q ends at %d, not %d", path, pos, end)
	}
}

func (r *reader) shape(at uint64) []int {
	shape := []int{}
	for i := range uint64(r.bytes(at, 8)[1]) {
		shape = append(shape, int(r.uint64(at+8+8*i)))
	}
	return shape
}

func (r *reader) values(set *dataSet, path string, body uint64) {
	if set == nil {
		r.err = fmt.Errorf("%s has a layout but no dataspace", path)
		return
	}
	n := r.uint64(body + 10)
	if n > 0 {
		raw := r.bytes(r.uint64(body+2), n)
		for i := 0; i+4 <= len(raw); i += 4 {
			set.Data = append(set.Data, math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
		}
	}
	r.tree.Datasets[path] = *set
}

func (r *reader) attribute(path string, at, end uint64) {
	nameSize, typeSize, spaceSize := r.uint16(at+2), r.uint16(at+4), r.uint16(at+6)
	even := func(n uint64) uint64 { return (n + 7) &^ 7 }
	name := strings.TrimRight(string(r.bytes(at+8, nameSize)), "\x00")
	datatype := at + 8 + even(nameSize)
	space := datatype + even(typeSize)
	value := space + even(spaceSize)
	shape := r.shape(space)
	key := path + "/@" + name
	if r.bytes(datatype, 1)[0] == 0x19 {
		r.tree.Strings[key] = r.heapString(r.uint32(value), r.uint64(value+4), r.uint32(value+12))
		return
	}
	out, size := []string{}, r.uint32(datatype+4)
	for i := 0; len(shape) == 1 && i < shape[0] && value+size <= end; i++ {
		out = append(out, strings.TrimRight(string(r.bytes(value, size)), "\x00"))
		value += size
	}
	r.tree.Arrays[key] = out
}

// heapString is object index of the global heap at.
func (r *reader) heapString(size, at, index uint64) string {
	r.signature(at, "GCOL")
	end := at + r.uint64(at+8)
	for pos := at + 16; pos < end && r.err == nil; {
		n := r.uint64(pos + 8)
		switch r.uint16(pos) {
		case index:
			return string(r.bytes(pos+16, size))
		case 0: // what is free: nothing follows
			end = 0
		}
		pos += 16 + (n+7)&^7
	}
	if r.err == nil {
		r.err = fmt.Errorf("no object %d in the heap at %d", index, at)
	}
	return ""
}

func (r *reader) group(path string, btree, heap uint64, depth int) {
	r.tree.Groups = append(r.tree.Groups, path+"/")
	r.signature(btree, "TREE")
	r.signature(heap, "HEAP")
	if r.uint16(btree+6) == 0 {
		return
	}
	node := r.uint64(btree + 32)
	r.signature(node, "SNOD")
	names := r.uint64(heap + 24)
	before := ""
	for i := range r.uint16(node + 6) {
		entry := node + 8 + 40*i
		at := names + r.uint64(entry)
		name, _, _ := strings.Cut(string(r.bytes(at, min(256, uint64(len(r.data))-at))), "\x00")
		if name <= before && r.err == nil {
			r.err = fmt.Errorf("%q comes after %q in %s", name, before, path)
		}
		before = name
		r.object(path+"/"+name, r.uint64(entry+8), depth+1)
	}
}
