// Package h5 writes HDF5 files: groups, contiguous float32 data sets of any rank and string attributes, which is what
// Keras needs. Equal trees give equal bytes: no time stamps are kept and children are sorted.
//
// The layout follows the "HDF5 File Format Specification Version 3.0" with the structures that every version of the
// library reads: superblock 0, object headers 1, symbol-table groups and one global heap.
package h5

import (
	"fmt"
	"slices"
	"strings"
)

// maxMessage is the largest attribute in bytes, name and type included: the size field of a header message has 16 bits
// and counts in eights.
const maxMessage = 65528

// Group is a folder of an HDF5 file; the root is one too. The zero Group is empty and ready for use.
type Group struct {
	attributes []attribute
	groups     map[string]*Group
	datasets   map[string]*dataset
}

// dataset is a float32 array; data is the caller's.
type dataset struct {
	shape []int
	data  []float32
}

// attribute is a scalar string of variable length, or an array of strings of one fixed length.
type attribute struct {
	name   string
	array  bool
	values []string
}

// Group returns the group at path, names separated by '/', and makes what is missing on the way.
func (g *Group) Group(path string) (*Group, error) {
	for name := range strings.SplitSeq(path, "/") {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if _, taken := g.datasets[name]; taken {
			return nil, fmt.Errorf("h5: %q of %q is a data set", name, path)
		}
		child := g.groups[name]
		if child == nil {
			child = &Group{}
			if g.groups == nil {
				g.groups = map[string]*Group{}
			}
			g.groups[name] = child
		}
		g = child
	}
	return g, nil
}

// Float32 adds a data set named name, row-major. It keeps data, which must not change before the file is written.
func (g *Group) Float32(name string, shape []int, data []float32) error {
	if err := checkName(name); err != nil {
		return err
	}
	size, fits := 1, len(shape) <= 32
	for _, d := range shape {
		fits = fits && d >= 0 && (d == 0 || size <= len(data))
		size *= d
	}
	if !fits || size != len(data) {
		return fmt.Errorf("h5: %s: shape %v does not fit %d values", name, shape, len(data))
	}
	if g.groups[name] != nil || g.datasets[name] != nil {
		return fmt.Errorf("h5: %s exists already", name)
	}
	if g.datasets == nil {
		g.datasets = map[string]*dataset{}
	}
	g.datasets[name] = &dataset{slices.Clone(shape), data}
	return nil
}

// SetString adds a scalar UTF-8 string attribute of any length.
func (g *Group) SetString(name, value string) {
	g.attributes = append(g.attributes, attribute{name: name, values: []string{value}})
}

// SetStrings adds a one-dimensional array of strings, all stored as long as the longest and padded with NULs. The array
// may be empty. Beyond 65,528 bytes writing the file is an error.
func (g *Group) SetStrings(name string, values []string) {
	g.attributes = append(g.attributes, attribute{name: name, array: true, values: slices.Clone(values)})
}

func checkName(name string) error {
	if name == "" || name == "." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("h5: %q is no name", name)
	}
	return nil
}
