// Package sources knows where names come from: the public data sets and the built-in sample. [Download] fetches them.
//
// A source is one file in this package: a [Source] that registers itself in init. To add one, copy degas.go.
package sources

import (
	"context"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/internal/registry"
)

// Source is one data set that download-data knows.
type Source struct {
	// Name is what a user types, and the folder below the output directory that the files go to.
	Name string
	// Parts are what process-data calls its files' sources, if not Name.
	Parts []string
	// Title, Licence, Citation, Homepage and Good (what it is good for) are for a person.
	Title, Licence, Citation, Homepage, Good string
	// Rows and Bytes say how large it is, about; 0 if unknown.
	Rows, Bytes int64
	// Dead is a sentence without its full stop: why the publisher's link may be dead, and what to do instead.
	Dead string
	// Files lists what to fetch; paths are relative to the source's folder. Nil for a built-in source.
	Files func(ctx context.Context, c *fetch.Client) ([]fetch.File, error)
	// Write makes a built-in source's files in dir. Nil for one that is fetched.
	Write func(ctx context.Context, dir string) error
}

var known = registry.New[Source]("source")

// Register makes s known under its name. It panics if s is registered twice, or has not one of Files and Write.
func Register(s Source) {
	if (s.Files == nil) == (s.Write == nil) {
		panic("sources: " + s.Name + " needs either Files or Write")
	}
	known.Register(s.Name, s)
}

// All lists the known sources by name.
func All() []Source { return known.All() }

// Lookup finds a source. The error for an unknown one proposes the nearest and lists all.
func Lookup(name string) (Source, error) { return known.Lookup(name) }

// Licence is what the publisher of a source, or of a part of one, says.
func Licence(source string) string {
	for _, s := range All() {
		if (s.Name == source || slices.Contains(s.Parts, source)) && s.Licence != "" {
			return s.Licence
		}
	}
	return "not known to degas"
}

// single is the file list of a source that is one file at a fixed address.
func single(path, url string, alternates ...string) func(context.Context, *fetch.Client) ([]fetch.File, error) {
	return func(context.Context, *fetch.Client) ([]fetch.File, error) {
		return []fetch.File{{Path: path, URL: url, Alternates: alternates, Size: -1}}, nil
	}
}

// github is the file list of a source that is in a repository there. places are the files: where each lands, and its
// path in the repository. refs are the commits or branches to take it from, the first that has it.
func github(
	repository, refs string, places ...[2]string,
) func(context.Context, *fetch.Client) ([]fetch.File, error) {
	return func(context.Context, *fetch.Client) (out []fetch.File, err error) {
		for _, p := range places {
			var urls []string
			for ref := range strings.FieldsSeq(refs) {
				urls = append(urls, "https://raw.githubusercontent.com/"+repository+"/"+ref+"/"+p[1])
			}
			out = append(out, fetch.File{Path: p[0], URL: urls[0], Alternates: urls[1:], Size: -1})
		}
		return out, nil
	}
}
