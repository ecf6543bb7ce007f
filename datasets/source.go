package datasets

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/internal/nearest"
)

// Source is one data set that download-data knows.
type Source struct {
	// Name is what a user types, and the folder below the output directory that the files go to.
	Name string
	// Title, Licence, Citation, Homepage and Good (what it is good for) are for a person.
	Title, Licence, Citation, Homepage, Good string
	// Rows and Bytes say how large it is, about; 0 where nobody said.
	Rows, Bytes int64
	// Dead says, where the publisher's link is known or feared to be gone, what to do instead.
	Dead string
	// Files lists what to fetch; paths are relative to the source's folder. Nil for a built-in source.
	Files func(ctx context.Context, c *fetch.Client) ([]fetch.File, error)
	// Write makes a built-in source's files in dir. Nil for one that is fetched.
	Write func(ctx context.Context, dir string) error
}

var sources = map[string]Source{}

// RegisterSource makes s known under its name. It panics on a second registration: a programmer's error.
func RegisterSource(s Source) {
	if _, dup := sources[s.Name]; dup || (s.Files == nil) == (s.Write == nil) {
		panic("datasets: source " + s.Name + " registered twice, or with neither files nor a writer")
	}
	sources[s.Name] = s
}

// Sources lists the known sources by name.
func Sources() []Source {
	out := make([]Source, 0, len(sources))
	for _, s := range sources {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// LookupSource finds a source; the error lists the known ones, the nearest first.
func LookupSource(name string) (Source, error) {
	if s, ok := sources[name]; ok {
		return s, nil
	}
	var names []string
	for _, s := range Sources() {
		names = append(names, s.Name)
	}
	hint := ""
	if best := nearest.Of(name, names); best != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", best)
	}
	return Source{}, fmt.Errorf("unknown source %q%s, known are %s", name, hint, strings.Join(names, ", "))
}

// single is the file list of a source that is one file at a fixed address.
func single(path, url string, alternates ...string) func(context.Context, *fetch.Client) ([]fetch.File, error) {
	return func(context.Context, *fetch.Client) ([]fetch.File, error) {
		return []fetch.File{{Path: path, URL: url, Alternates: alternates, Size: -1}}, nil
	}
}
