package events

import (
	"fmt"
	"io"

	"github.com/degas-dns/degas/internal/lines"
)

// Margin is how many bytes around a range OpenRange reads besides: there Join finds the other half of a question, if
// its two lines are no farther from each other.
const Margin = 1 << 20

// OpenRange reads the lines of a range of a plain text, whose Format must allow for it, see Format.Cuts. in has the
// text's bytes from the offset on that r.Around(Margin) says. head is that of the whole text, and path for messages.
//
// The Reader also gives the events of the margin, so that Join works: File.Mine tells which are the range's. The
// ranges of a text, each read and joined by itself, give the events of the whole. Stats are of the range alone, and
// Event.Line counts from the margin's begin.
func OpenRange(in io.Reader, path string, format *Format, head []byte, r lines.Range, o Options) (*File, error) {
	if format.Cuts == nil || !format.Cuts(head) {
		return nil, fmt.Errorf("read %s: a file of the format %s cannot be read in parts", path, format.Name)
	}
	part := r.Reader(in, Margin)
	f := &File{Format: format, mine: part.Mine}
	var err error
	f.reader, err = format.Open(&Source{Reader: part, Path: path, Head: head, Options: o, Stats: &f.Stats,
		mine: part.Mine})
	return f, err
}

// Mine reports whether an event is of the range that OpenRange was asked for. Of a whole file, all are.
func (f *File) Mine(e *Event) bool { return f.mine == nil || f.mine(e.Line) }
