// Package export writes a trained model for other runtimes: one package a format behind [Format], and [Export], which
// puts them all into one version directory as TensorFlow Serving lays it out (models/degas/1).
//
// Formats register themselves. Import export/formats for all of them:
//
//	import _ "github.com/degas-dns/degas/export/formats"
package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/degas-dns/degas/model"
)

// Format writes a model as the files of one runtime. Equal models must give equal bytes.
type Format interface {
	// Name is what a user types: lower case, no spaces.
	Name() string
	// Write puts the format's files into dir, which exists. It must work for every valid Spec or say clearly what of the
	// Spec the format cannot hold.
	Write(dir string, m *model.Model) error
}

// Describer is a Format that can tell a user what it is good for.
type Describer interface {
	Describe() Description
}

// Description is one row of the list of formats.
type Description struct {
	Files   []string `json:"files"`   // what Write makes; a final slash means a directory
	Readers string   `json:"readers"` // what loads them
	Holds   string   `json:"holds"`   // what they contain and take as input
}

var formats = map[string]Format{}

// Register makes f known under its name. Packages of formats call it from init; it panics on a second registration of a
// name, a programmer's error.
func Register(f Format) {
	if _, dup := formats[f.Name()]; dup {
		panic("export: format " + f.Name() + " registered twice")
	}
	formats[f.Name()] = f
}

// Formats lists the registered formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// Lookup returns a format by name. The error for an unknown one lists the known.
func Lookup(name string) (Format, error) {
	f, ok := formats[name]
	switch {
	case ok:
		return f, nil
	case len(formats) == 0:
		return nil, fmt.Errorf("export: format %q is not linked in: import export/formats", name)
	}
	return nil, fmt.Errorf("export: unknown format %q, known are %s", name, strings.Join(Formats(), ", "))
}
