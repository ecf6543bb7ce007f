package overview

import (
	"maps"
	"slices"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/sources"
)

// Data is a processed data set, as inspect shows it, in short.
type Data struct {
	Dir         string   `json:"dir"`
	Fingerprint string   `json:"fingerprint"`
	SplitBy     string   `json:"split_by"`
	Seed        uint64   `json:"seed"`
	TrainOnly   []string `json:"train_only,omitempty"` // sources
	Splits      []Split  `json:"splits"`
	Sources     []Source `json:"sources"`
	Families    int      `json:"families"`
	Refused     int64    `json:"refused"`
}

// Split is how many names of each class a split holds.
type Split struct {
	Name    string           `json:"name"`
	Rows    int64            `json:"rows"`
	ByClass map[string]int64 `json:"by_class"`
}

// Source is where names came from, and on what terms.
type Source struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"`
	Licence string `json:"licence,omitempty"` // its publisher's; "" if degas does not know the source
}

// ofData describes the data set, or only the named split of it.
func ofData(m *datasets.Manifest, only string) *Data {
	d := &Data{Dir: m.Dir(), Fingerprint: m.Fingerprint, SplitBy: m.Options.Split, Seed: m.Options.Seed,
		TrainOnly: m.Options.TrainOnly, Refused: m.Refused}
	rows, families := map[string]int64{}, map[string]bool{}
	for _, s := range m.Splits {
		if only != "" && s.Name != only {
			continue
		}
		d.Splits = append(d.Splits, Split{s.Name, s.Rows, s.ByClass})
		for source, n := range s.BySource {
			rows[source] += n
		}
		for family := range s.ByFamily {
			if family != "" {
				families[family] = true
			}
		}
	}
	d.Families = len(families)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		s := Source{Name: name, Rows: rows[name]}
		if known, err := sources.Lookup(name); err == nil {
			s.Licence = known.Licence
		}
		d.Sources = append(d.Sources, s)
	}
	return d
}
