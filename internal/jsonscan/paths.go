// Package jsonscan takes the values at some paths out of JSON objects that come from strangers, in one pass and without
// memory of its own. It is no validator: what it passes over must have balanced brackets and strings, and no more.
package jsonscan

import (
	"bytes"
	"strings"
)

// Paths are paths of keys, ready to be looked for. Keys of a path are joined by dots. An object within an object and
// one key with dots are the same path: {"a":{"b":1}} and {"a.b":1} both have a.b. Arrays on the way are transparent:
// "[]" behind a key says nothing: a.b[].c is a.b.c.
type Paths struct{ root node }

// node is a place in the tree of paths.
type node struct {
	ids      []int // paths that end here
	keys     []string
	children []*node // of keys, in their order
	filter   uint64  // has the bit of every key
}

// Compile makes Paths of texts. Values tell them apart by their index.
func Compile(paths []string) *Paths {
	p := &Paths{}
	for i, path := range paths {
		p.root.add(strings.Split(strings.ReplaceAll(path, "[]", ""), "."), i)
	}
	p.root.alias()
	return p
}

func (n *node) add(parts []string, id int) {
	if len(parts) == 0 {
		n.ids = append(n.ids, id)
		return
	}
	child := n.find([]byte(parts[0]))
	if child == nil {
		child = &node{}
		n.link(parts[0], child)
	}
	child.add(parts[1:], id)
}

// link makes child what key leads to.
func (n *node) link(key string, child *node) {
	n.keys, n.children = append(n.keys, key), append(n.children, child)
	n.filter |= bit([]byte(key))
}

// alias lets keys with dots lead to what lies deeper, so that find needs no look at dots.
func (n *node) alias() {
	keys, children := n.keys, n.children
	for i, child := range children {
		child.alias()
		for j, key := range child.keys {
			n.link(keys[i]+"."+key, child.children[j])
		}
	}
}

// bit is a key's in filter.
func bit(key []byte) uint64 {
	if len(key) == 0 {
		return 1
	}
	return 1 << ((len(key)*7 + int(key[0]) + int(key[len(key)-1])*3) & 63)
}

// find is the place that key leads to, or nil.
func (n *node) find(key []byte) *node {
	if bytes.IndexByte(key, '\\') >= 0 {
		key = Unescape(nil, key)
	}
	if n.filter&bit(key) == 0 {
		return nil
	}
	for i, k := range n.keys {
		if string(key) == k {
			return n.children[i]
		}
	}
	return nil
}
