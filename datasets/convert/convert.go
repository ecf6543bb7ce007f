// Package convert writes splits of a data set in formats other than Arrow.
package convert

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/registry"
)

// Format writes the rows of a split. Columns are domain, class, family and source, all of them text; a row without a
// family has an empty one.
type Format struct {
	// Name is also the file name's suffix, without its dot.
	Name string
	// Doc is one line for a list.
	Doc   string
	write func(ctx context.Context, s *datasets.Split, w io.Writer) error
}

var formats = registry.New[Format]("format")

func init() {
	for _, f := range []Format{
		{"csv", "comma-separated with a header (RFC 4180)", writeCSV},
		{"csv.gz", "comma-separated with a header (RFC 4180), gzip", writeGzip},
		{"parquet", "Apache Parquet: dictionaries for class, family and source, zstd", writeParquet},
	} {
		formats.Register(f.Name, f)
	}
}

// Formats lists the formats.
func Formats() []Format { return formats.All() }

// ByName finds a format. An unknown name's error proposes the nearest and lists all.
func ByName(name string) (Format, error) { return formats.Lookup(name) }

// ForFile finds the format that a file's name ends in.
func ForFile(path string) (Format, bool) {
	for _, f := range Formats() { // no suffix ends in another one
		if strings.HasSuffix(strings.ToLower(path), "."+f.Name) {
			return f, true
		}
	}
	return Format{}, false
}

// Write writes the splits of a data set into the folder out, as File names them. All are written before the first is in
// its place: what fails or is stopped earlier leaves what was there. Other files stay. Two calls into one folder
// exclude each other.
func (f Format) Write(
	ctx context.Context, m *datasets.Manifest, splits []string, out string,
) (rows []int64, err error) {
	unlock, err := atomicfile.Claim(out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	stage, err := atomicfile.StageFor(out, "convert")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	for _, split := range splits {
		n, err := f.writeFile(ctx, m, split, f.File(stage, split))
		if err != nil {
			return nil, err
		}
		rows = append(rows, n)
	}
	for _, split := range splits {
		if err := atomicfile.Rename(f.File(stage, split), f.File(out, split)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// WriteFile writes a split of a data set to the file path, which appears whole or not at all, and returns the number of
// rows.
func (f Format) WriteFile(ctx context.Context, m *datasets.Manifest, split, path string) (rows int64, err error) {
	unlock, err := atomicfile.ClaimFile(path)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return f.writeFile(ctx, m, split, path)
}

func (f Format) writeFile(ctx context.Context, m *datasets.Manifest, split, path string) (rows int64, err error) {
	s, err := m.Open(ctx, split)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	err = atomicfile.WriteFunc(path, func(w io.Writer) error { return f.write(ctx, s, w) })
	if err != nil {
		return 0, fmt.Errorf("%s: %w", split, err)
	}
	return s.Rows(), nil
}

// File is the name of a split's file in a folder.
func (f Format) File(dir, split string) string { return filepath.Join(dir, split+"."+f.Name) }

// writeCSV quotes what RFC 4180 wants quoted. Names hold no such character; families and sources may.
func writeCSV(ctx context.Context, s *datasets.Split, out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<16)
	w.WriteString("domain,class,family,source\n")
	families, sources, classes := quoted(s.Families()), quoted(s.Sources()), datasets.ClassNames()
	for b, err := range s.Batches(ctx) {
		if err != nil {
			return err
		}
		for i, name := range b.Names {
			w.WriteString(quote(name))
			w.WriteByte(',')
			w.WriteString(classes[b.Class[i]])
			w.WriteByte(',')
			w.WriteString(families[b.Family[i]])
			w.WriteByte(',')
			w.WriteString(sources[b.Source[i]])
			if err := w.WriteByte('\n'); err != nil { // sticky
				return err
			}
		}
	}
	return w.Flush()
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return out
}

func quote(s string) string {
	if !strings.ContainsAny(s, "\",\r\n") {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func writeGzip(ctx context.Context, s *datasets.Split, out io.Writer) error {
	z := gzip.NewWriter(out)
	if err := writeCSV(ctx, s, z); err != nil {
		return err
	}
	return z.Close()
}
