package formats

import (
	"context"
	"io"
	"path"
	"regexp"
	"strconv"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(umudgaReader{}) }

// umudgaReader reads the lists of UMUDGA (Zago et al. 2020, DOI 10.17632/y8ph45msv8.1):
// …/Fully Qualified Domain Names/<family>/list/<N>.txt, one name a line; the family legit is benign. The tiers N are
// prefixes of each other, so only a family's largest is read. The feature tables (csv/, arff/) hold no names.
type umudgaReader struct{}

var (
	umudgaPath  = regexp.MustCompile(`(?:^|/)Fully Qualified Domain Names/([^/]+)/list/(\d+)\.txt$`)
	umudgaLoose = regexp.MustCompile(`(?i)(?:^|/)[^/]*umudga[^/]*/(?:.*/)?([^/]+)/list/(\d+)\.txt$`)
)

func (umudgaReader) Name() string           { return "umudga" }
func (umudgaReader) SourceOf(string) string { return "umudga" }

// umudgaTier takes a path apart.
func umudgaTier(path string) (family string, tier int64, ok bool) {
	m := umudgaPath.FindStringSubmatch(path)
	if m == nil {
		m = umudgaLoose.FindStringSubmatch(path)
	}
	if m == nil {
		return "", 0, false
	}
	tier, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], tier, err == nil
}

func (umudgaReader) Match(path string, head []byte) (int, string) {
	if _, _, ok := umudgaTier(path); ok {
		return 100, ""
	}
	return 0, "its path is not that of a list in UMUDGA"
}

// Superseded keeps the largest tier of each list folder.
func (umudgaReader) Superseded(paths []string) map[string]string {
	type best struct {
		tier int64
		path string
	}
	largest := map[string]best{} // by folder
	for _, p := range paths {
		if _, tier, ok := umudgaTier(p); ok && tier >= largest[path.Dir(p)].tier {
			largest[path.Dir(p)] = best{tier, p}
		}
	}
	out := map[string]string{}
	for _, p := range paths {
		if b := largest[path.Dir(p)]; b.path != p {
			out[p] = b.path
		}
	}
	return out
}

func (umudgaReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	family, _, ok := umudgaTier(f.Path)
	if !ok {
		family = f.Base()
	}
	rec := datasets.Record{Class: dga, Family: family}
	switch n := datasets.NormalizeFamily(family); {
	case n == "":
		rec = datasets.Record{Class: benign}
	case tunnelTools[n]: // not in UMUDGA itself, but degas generate lays tunnels out like it
		rec.Class = tunnel
	}
	sink.Evidence(&datasets.Evidence{Names: "lines", Class: "layout of UMUDGA", Family: "folder"})
	return eachLine(in, sink, func(line int64, text []byte) error {
		rec.Name = lines.View(text)
		return sink.Record(line, rec)
	})
}
