// Package export writes a trained model for other runtimes. Each [Format] has a package of its own. [Export] writes
// several into one version directory as TensorFlow Serving lays it out (models/degas/1).
//
// Formats register themselves. Import export/formats for all of them:
//
//	import _ "github.com/degas-dns/degas/export/formats"
package export

import (
	"github.com/degas-dns/degas/internal/registry"
	"github.com/degas-dns/degas/model"
)

// Format writes a model as the files of one runtime.
type Format struct {
	Name    string   `json:"name"`    // lower case, no spaces
	Files   []string `json:"files"`   // what Write makes; a final slash means a directory
	Readers string   `json:"readers"` // the programs that load them
	Holds   string   `json:"holds"`   // their contents, and what they take as input
	// Write puts the files into dir, which exists. It works for every valid Spec or says what of the Spec the format
	// cannot hold. Equal models give equal bytes.
	Write func(dir string, m *model.Model) error `json:"-"`
}

var formats = registry.New[Format]("export format")

// Register adds a format and returns it for a variable of the format's package. It panics if the name is taken.
func Register(f Format) Format {
	formats.Register(f.Name, f)
	return f
}

// Formats lists the registered formats in the order of their names.
func Formats() []Format { return formats.All() }

// Lookup returns a format by name. The error for an unknown one lists those that are known.
func Lookup(name string) (Format, error) { return formats.Lookup(name) }
