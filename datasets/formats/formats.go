// Package formats reads the files that publishers and users have. It finds the inputs in a folder ([Discover]),
// recognises each file's format, and streams its records ([Input.Read]) with the labels that the file, its path or a
// sidecar beside it gives.
//
// A format is one file in this package: a [Reader] that registers itself in init. To add one, copy list.go.
package formats

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/registry"
)

// Reader streams the records of one file format.
type Reader interface {
	// Name is what a sidecar's "format" and dataset.json call the format.
	Name() string
	// Match says how sure the reader is that it understands a file: 0 no, 100 certain. If the score is 0, why says what
	// the reader missed. path is FileInfo.Path; head is the beginning of the decompressed content, up to
	// lines.HeadSize, and may end inside a line.
	Match(path string, head []byte) (score int, why string)
	// Read hands every record of in, decompressed, to sink in file order, and what it cannot read to sink.Refuse.
	// An error from sink ends the reading and is returned as it is. Read does not close in. Other errors mean that
	// the file cannot be read on (truncated, corrupt); they need not name the file.
	Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error
}

// Chooser is a Reader that does not need every file it recognised: of files that repeat each other it keeps one.
// Superseded returns, for each path that another file contains, the path of that file.
type Chooser interface {
	Superseded(paths []string) map[string]string
}

// Publisher is a Reader whose format belongs to one data set.
type Publisher interface {
	// SourceOf names the data set of a file, or is "" to use the first folder or file name.
	SourceOf(path string) string
}

// Sink takes what a reader finds. Its methods are called from one goroutine.
type Sink interface {
	// Record takes one record that was found at line (from 1; a row number where there are no lines).
	Record(line int64, r datasets.Record) error
	// Refuse counts a row that is no record. reason is one of few fixed texts: refusals are counted by it.
	Refuse(line int64, reason string) error
	// Evidence takes what the labels rest on, before the first record. The reader completes it until Read returns.
	Evidence(e *datasets.Evidence)
	// LeaveOut counts what is no name and no mistake either, such as an exception in a block list. reason is one of few
	// fixed texts.
	LeaveOut(line int64, reason string)
}

// FileInfo is what a reader may know about the file it reads.
type FileInfo struct {
	// Path is relative to the input folder, with slashes, without compression suffixes (.gz, .zip, …).
	Path string
	// Class, when not nil, is what a sidecar file says the class is; it also overrides what the reader finds.
	Class *datasets.Class
	// Family is the sidecar's, "" without.
	Family string
	// columns says which column is the name, class or family, and declared what values mean: the sidecar's.
	columns  map[string]string
	declared map[string]label
	// TempDir is where a reader may put temporary files of its own; it removes them.
	TempDir string
}

// Base is the path's last element without its extension: "dga/zeus.txt" -> "zeus".
func (f FileInfo) Base() string {
	b := path.Base(f.Path)
	return strings.TrimSuffix(b, path.Ext(b))
}

var readers = registry.New[Reader]("format")

// Register makes a reader known; readers call it in init. It panics when the name is taken.
func Register(r Reader) { readers.Register(r.Name(), r) }

// Names lists the formats.
func Names() []string { return readers.Names() }

// Lookup finds a format's reader. An unknown name's error lists the known ones.
func Lookup(name string) (Reader, error) { return readers.Lookup(name) }

// Recognize finds the reader that is surest of a file. Arguments are as in Reader.Match. If no reader understands the
// file, the error lists each format with what it missed.
func Recognize(path string, head []byte) (best Reader, err error) {
	highest, missed := 0, []string{}
	for _, r := range readers.All() {
		score, why := r.Match(path, head)
		if score > highest {
			best, highest = r, score
		}
		missed = append(missed, r.Name()+": "+why)
	}
	if best == nil {
		return nil, errors.New(strings.Join(missed, "; "))
	}
	return best, nil
}

// defaultSource is the data set of a record that nothing else names: the first folder below the input, or the file's
// name.
func defaultSource(r Reader, path string) string {
	if p, ok := r.(Publisher); ok {
		if s := p.SourceOf(path); s != "" {
			return s
		}
	}
	if folder, _, nested := strings.Cut(path, "/"); nested {
		return folder
	}
	return FileInfo{Path: path}.Base()
}
