package datasets

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model/dnsname"
)

// Description is what one split looks like: what `degas inspect` prints and draws.
type Description struct {
	Split SplitReport `json:"split"`
	// Schema has the Arrow columns in order.
	Schema []Column `json:"schema"`
	// Metadata is the Arrow schema's: version, fingerprint, split and seed.
	Metadata map[string]string            `json:"metadata"`
	Classes  map[string]*ClassDescription `json:"classes"`
}

// Column is one column of the Arrow schema.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// ClassDescription is what the names of one class look like.
type ClassDescription struct {
	Rows int64 `json:"rows"`
	// Length [254] counts names by their length in bytes; Labels [128] by their number of labels.
	Length []int64 `json:"length"`
	Labels []int64 `json:"labels"`
	// Characters counts each character's occurrences in all names.
	Characters map[string]int64 `json:"characters"`
	// Examples are the first rows of the class; the order of a file is random, so they are a random choice.
	Examples []ExampleRow `json:"samples"`

	bytes [256]int64
}

// ExampleRow is a row shown as it is.
type ExampleRow struct {
	Name   string `json:"name"`
	Family string `json:"family,omitempty"`
	Source string `json:"source"`
}

// MeanLength is the mean length of names in bytes.
func (c *ClassDescription) MeanLength() float64 {
	sum := int64(0)
	for n, rows := range c.Length {
		sum += int64(n) * rows
	}
	return float64(sum) / float64(max(c.Rows, 1))
}

// LengthQuantile is the smallest length that at least the share q of the names does not exceed.
func (c *ClassDescription) LengthQuantile(q float64) int {
	sum := int64(0)
	for n, rows := range c.Length {
		if sum += rows; float64(sum) >= q*float64(c.Rows) {
			return n
		}
	}
	return len(c.Length) - 1
}

const mostLabels = 127 // a name has 253 bytes

// Describe reads a split of m whole and describes it, with up to examples rows of each class.
func (m *Manifest) Describe(ctx context.Context, split string, examples int) (*Description, error) {
	s, err := m.Open(ctx, split)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	schema := s.parts[0].schema
	d := &Description{
		Split: s.Report(), Metadata: schema.Metadata().ToMap(), Classes: map[string]*ClassDescription{},
	}
	for _, f := range schema.Fields() {
		d.Schema = append(d.Schema, Column{f.Name, f.Type.String()})
	}
	var classes [NumClasses]ClassDescription
	for i := range classes {
		classes[i].Length, classes[i].Labels = make([]int64, dnsname.MaxName+1), make([]int64, mostLabels+1)
	}
	for b, err := range s.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i, name := range b.Names {
			c := &classes[b.Class[i]]
			c.add(name)
			if len(c.Examples) < examples {
				row := ExampleRow{strings.Clone(name), s.families[b.Family[i]], s.sources[b.Source[i]]}
				c.Examples = append(c.Examples, row)
			}
		}
	}
	for i := range classes {
		if c := &classes[i]; c.Rows > 0 {
			c.fillCharacters()
			d.Classes[classNames[i]] = c
		}
	}
	return d, nil
}

func (c *ClassDescription) add(name string) {
	c.Rows++
	c.Length[min(len(name), dnsname.MaxName)]++
	labels := 1
	for i := range len(name) {
		c.bytes[name[i]]++
		if name[i] == '.' {
			labels++
		}
	}
	c.Labels[min(labels, mostLabels)]++
}

// fillCharacters sets Characters. A space, a control character and a byte above ASCII are written \xNN.
func (c *ClassDescription) fillCharacters() {
	c.Characters = map[string]int64{}
	for b, n := range c.bytes {
		if n == 0 {
			continue
		}
		key := string(rune(b))
		if b <= ' ' || b >= 0x7f {
			key = fmt.Sprintf(`\x%02x`, b)
		}
		c.Characters[key] = n
	}
}

// Locate finds the data set that a path or a URL means, and its splits: all of them for a folder, one for a split's
// file. A shard means its split, all of it.
func Locate(ctx context.Context, path string) (m *Manifest, splits []string, err error) {
	dir, file := path, ""
	if isFile, err := isSplitFile(path); err != nil {
		return nil, nil, fmt.Errorf("open data set: %w", err)
	} else if isFile {
		dir, file = bucket.Split(path)
	}
	m, err = ReadManifest(ctx, dir)
	if err != nil && file != "" {
		err = fmt.Errorf("%s: only files of a data set are understood: %w", path, err)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, s := range m.Splits {
		is := func(f SplitFile) bool { return f.File == file }
		if file == "" || slices.ContainsFunc(s.Files(), is) {
			splits = append(splits, s.Name)
		}
	}
	if file == "" || len(splits) > 0 {
		return m, splits, nil
	}
	return nil, nil, fmt.Errorf("open data set: %s is no split of %s", path, bucket.Join(dir, ManifestName))
}

// isSplitFile tells a file from a folder. In object storage, where there are no folders, by its name.
func isSplitFile(path string) (bool, error) {
	if bucket.IsURL(path) {
		place, _, _ := strings.Cut(path, "?")
		return strings.HasSuffix(place, ".arrow"), nil
	}
	info, err := os.Stat(path)
	return err == nil && !info.IsDir(), err
}
