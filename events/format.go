package events

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/registry"
)

// Format is a way to write events down. It registers itself in init.
type Format struct {
	// Name is what --format and the output call it: lower case, digits and hyphens.
	Name string
	// Title says in some words what writes it.
	Title string
	// Unit is what Stats.Units counts: "packets", "lines", "rows" or "frames".
	Unit string
	// Sniff rates from a file's first bytes, up to 64 KiB, how well it fits: 0 not at all, 100 beyond doubt. A format that
	// fits many files, such as CSV, says 30 at most. missing says what a file that does not fit lacks, in some words.
	Sniff func(head []byte) (score int, missing string)
	// Open starts to read.
	Open func(in *Source) (Reader, error)
	// Cuts, if not nil, reports by a file's head whether OpenRange can read the file: it is text of which each line can be
	// read without those before it. A query and its response may be in two lines all the same.
	Cuts func(head []byte) bool
}

// Reader gives events one by one.
//
// Next fills in e, whose memory stays the reader's: it is valid until the next call. It returns io.EOF after the last
// event. A line or packet that it cannot use is no error: it is counted in Source.Stats and passed over. Any other
// error ends the file; what came before is good. A Reader that holds something open is an io.Closer.
type Reader interface {
	Next(e *Event) error
}

// Source is what a format reads.
type Source struct {
	// Reader has the file from its first byte, unpacked. It is an *unpack.Plain if the file can be read at random.
	io.Reader
	// Path is for messages, and for formats that open the file themselves; "" for a stream.
	Path string
	// Head is what Sniff saw.
	Head []byte
	Options
	// Stats is where the format counts.
	Stats *Stats
	// mine, if not nil, tells the lines of a range, which count, from those around it.
	mine func(line int64) bool
}

// Options are what a user says about the files.
type Options struct {
	// Format is the name of the format; "" recognises it.
	Format string
	// Fields are the columns of a table, or paths of JSON, that hold an event's name, client, server, time, type and
	// rcode, as --field says. Formats that know their columns ignore it.
	Fields map[string]string
	// Ports are the ports of DNS in captures; nil is 53.
	Ports []uint16
	// Columns fills in Event.Columns.
	Columns bool
}

// Stats counts what a file held. Units = Events' units + Skipped + Refused, where one unit makes one event.
type Stats struct {
	// Units are packets, lines, rows or frames, as Format.Unit says.
	Units int64
	// Messages are DNS messages, for captures.
	Messages int64
	// Events are those that Next gave.
	Events int64
	// Skipped are units that are none of our business, by reason: "no DNS", "not a query", "comment".
	Skipped map[string]int64
	// Refused are units that should have been an event and cannot be read, by reason, from a few fixed texts.
	Refused map[string]int64
}

// Skip counts a unit that holds no question.
func (s *Stats) Skip(reason string) { add(&s.Skipped, reason) }

// Refuse counts a unit that cannot be read.
func (s *Stats) Refuse(reason string) { add(&s.Refused, reason) }

func add(to *map[string]int64, reason string) {
	if *to == nil {
		*to = map[string]int64{}
	}
	(*to)[reason]++
}

var formats = registry.New[*Format]("event format")

// Register adds a format, in init.
func Register(f *Format) { formats.Register(f.Name, f) }

// Lookup finds a registered format. The error lists them.
func Lookup(name string) (*Format, error) { return formats.Lookup(name) }

// Formats lists the registered formats by name.
func Formats() []*Format { return formats.All() }

// UnknownFormatError is the error for a file that no format fits.
type UnknownFormatError struct {
	// Begins is how the file begins, in some words.
	Begins string
	// Missing says of each format, by name, what the file lacks.
	Missing map[string]string
}

// Error implements error.
func (e *UnknownFormatError) Error() string {
	return fmt.Sprintf("no format fits: it begins with %s. degas scan --formats lists them. Try: --format FORMAT, or "+
		"--field name=COLUMN for a table", e.Begins)
}

// mostShown is how much of a file an UnknownFormatError shows, in bytes.
const mostShown = 60

// Recognize finds the format of a file by its first bytes; of two that fit as well, the first by name. The error is an
// *UnknownFormatError.
func Recognize(head []byte) (*Format, error) {
	var best *Format
	most, missing := 0, map[string]string{}
	for _, f := range formats.All() {
		score, lacks := f.Sniff(head)
		if score > most {
			best, most = f, score
		}
		if lacks != "" {
			missing[f.Name] = lacks
		}
	}
	switch {
	case best != nil:
		return best, nil
	case len(head) == 0:
		return nil, fmt.Errorf("the file is empty")
	}
	begin, _, _ := bytes.Cut(head[:min(len(head), mostShown)], []byte("\n"))
	return nil, &UnknownFormatError{fmt.Sprintf("%q", begin), missing}
}

// LineParser reads a line of a log, without its end. It appends the line's events to out, whose memory may be the
// line's. A line without one is an error of type Skip or Refuse.
type LineParser func(line []byte, out []Event) ([]Event, error)

// Skip is the error for a line that is none of our business. Its text is the reason that Stats.Skipped counts.
type Skip string

// Error implements error.
func (s Skip) Error() string { return string(s) }

// Refuse is the error for a line that should have been an event. Its text is the reason that Stats.Refused counts.
type Refuse string

// Error implements error.
func (r Refuse) Error() string { return string(r) }

// Lines makes a Format's Open of a parser of lines. parser is called once a file, so the parser may keep state.
func Lines(parser func(o Options) LineParser) func(in *Source) (Reader, error) {
	return func(in *Source) (Reader, error) {
		return &lineReader{in: lines.NewReader(in.Reader), parse: parser(in.Options), stats: in.Stats, mine: in.mine}, nil
	}
}

// lineReader reads a log line by line.
type lineReader struct {
	in      *lines.Reader
	parse   LineParser
	stats   *Stats
	mine    func(line int64) bool
	others  Stats   // of lines that are not mine
	pending []Event // of the current line
	next    int     // index in pending
}

// counts is where the current line counts.
func (r *lineReader) counts() *Stats {
	if r.mine == nil || r.mine(r.in.Line()) {
		return r.stats
	}
	return &r.others
}

// Next implements Reader.
func (r *lineReader) Next(e *Event) error {
	for r.next == len(r.pending) {
		line, long, err := r.in.Next()
		if err != nil {
			return err
		}
		stats := r.counts()
		stats.Units++
		if long {
			stats.Refuse("line longer than 64 KiB")
			continue
		}
		if len(line) == 0 {
			stats.Skip("empty line")
			continue
		}
		r.next = 0
		if r.pending, err = r.parse(line, r.pending[:0]); err != nil {
			r.pending = r.pending[:0]
			switch err := err.(type) {
			case Skip:
				stats.Skip(string(err))
			case Refuse:
				stats.Refuse(string(err))
			default:
				return err
			}
		}
		r.pending = slices.DeleteFunc(r.pending, func(e Event) bool { return len(e.Name) == 0 })
	}
	*e = r.pending[r.next]
	e.Line = r.in.Line()
	r.next++
	r.counts().Events++
	return nil
}
