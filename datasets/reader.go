package datasets

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Reader streams the records of one file format.
type Reader interface {
	// Name is what a sidecar's "format" and dataset.json call the format.
	Name() string
	// Match says how sure the reader is that it understands a file: 0 no, 100 certain. path is FileInfo.Path; head
	// is the beginning of the decompressed content, up to 16 KiB, and may end inside a line.
	Match(path string, head []byte) int
	// Read hands every record of in, decompressed, to sink in file order, and what it cannot read to sink.Refuse.
	// An error from sink ends the reading and is returned as it is. Read does not close in. Other errors mean that
	// the file cannot be read on (truncated, corrupt); they need not name the file.
	Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error
}

// Chooser is implemented by a reader that does not need every file it recognised: of files that repeat each other it
// keeps one. Superseded returns, for each path, the path that makes it superfluous, or "".
type Chooser interface {
	Superseded(paths []string) []string
}

// Sink takes what a reader finds. Its methods are called from one goroutine.
type Sink interface {
	// Record takes one record that was found at line (from 1; a row number where there are no lines).
	Record(line int64, r Record) error
	// Refuse counts a row that is no record. reason is one of few fixed texts: refusals are counted by it.
	Refuse(line int64, reason string) error
}

// FileInfo is what a reader may know about the file it reads.
type FileInfo struct {
	// Path is relative to the input folder, with slashes, without compression suffixes (.gz, .zip, …).
	Path string
	// Class, when not nil, is what a sidecar file says the class is; it also overrides what the reader finds.
	Class *Class
	// Family is the sidecar's, "" without.
	Family string
	// TempDir is where a reader may put temporary files of its own; it removes them.
	TempDir string
}

// Base is the path's last element without its extension: "dga/zeus.txt" -> "zeus".
func (f FileInfo) Base() string {
	b := path.Base(f.Path)
	return strings.TrimSuffix(b, path.Ext(b))
}

var registry struct {
	sync.RWMutex
	byName map[string]Reader
}

// RegisterReader makes a reader known; readers call it in init. It panics when the name is taken.
func RegisterReader(r Reader) {
	registry.Lock()
	defer registry.Unlock()
	if registry.byName == nil {
		registry.byName = map[string]Reader{}
	}
	if _, dup := registry.byName[r.Name()]; dup {
		panic("datasets: reader registered twice: " + r.Name())
	}
	registry.byName[r.Name()] = r
}

// Readers lists the registered readers, sorted by name.
func Readers() []Reader {
	registry.RLock()
	defer registry.RUnlock()
	list := make([]Reader, 0, len(registry.byName))
	for _, r := range registry.byName {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Reader) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// ReaderByName finds a reader. An unknown name's error lists the known ones.
func ReaderByName(name string) (Reader, error) {
	var known []string
	for _, r := range Readers() {
		if r.Name() == name {
			return r, nil
		}
		known = append(known, r.Name())
	}
	return nil, fmt.Errorf("datasets: unknown format %q, known are: %s", name, strings.Join(known, ", "))
}

// Recognize finds the reader that is surest of a file, nil when none understands it. Arguments as in Reader.Match.
func Recognize(path string, head []byte) Reader {
	var best Reader
	score := 0
	for _, r := range Readers() {
		if s := r.Match(path, head); s > score {
			best, score = r, s
		}
	}
	return best
}

// sourceNamer is implemented by readers whose format belongs to one data set.
type sourceNamer interface {
	// sourceOf names the data set of a file, "" when its path tells it as well as any.
	sourceOf(path string) string
}

// defaultSource is the data set a record belongs to unless something knows better: the first folder below the input,
// or the file's name.
func defaultSource(r Reader, path string) string {
	if n, ok := r.(sourceNamer); ok {
		if s := n.sourceOf(path); s != "" {
			return s
		}
	}
	first, _, nested := strings.Cut(path, "/")
	if !nested {
		first = FileInfo{Path: path}.Base()
	}
	return cleanSource(first)
}

// cleanSource keeps a source's name short, at most 64 bytes, and printable.
func cleanSource(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == 0xfffd {
			return '_'
		}
		return r
	}, strings.ToLower(s))
	if len(s) <= 64 {
		return s
	}
	end := 64
	for !utf8.RuneStart(s[end]) { // a name ends with a whole character
		end--
	}
	return s[:end]
}
