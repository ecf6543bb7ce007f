package protocol

import (
	"context"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"slices"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/bytesize"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
	"github.com/degas-dns/degas/trainer"
)

// row is one labelled name.
type row struct {
	name, family, source string
	class                datasets.Class
	split                string
	part                 float64 // uniform in [0, 1), equal for names of one registered domain
}

// readRows reads all splits. Of each, at most limit rows are expected to stay (0: all): which ones depends on their
// registered domains alone.
func readRows(ctx context.Context, data *datasets.Manifest, limit int) ([]row, error) {
	var out []row
	for _, name := range []string{"train", "validation", "test"} {
		rows, err := readSplit(ctx, data, name, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// rowCost is the bytes that a row takes in memory besides its name, with its place in a Set.
const rowCost = 150

// warnOfMemory warns if at most limit rows of each split (0: all) take more than memory, a run's. A protocol holds all
// rows, since it deals them anew for every training.
func warnOfMemory(data *datasets.Manifest, limit int, memory string) {
	var need int64
	for _, s := range data.Splits {
		bytes := s.Bytes + s.Rows*rowCost
		if limit > 0 && s.Rows > int64(limit) {
			bytes = int64(float64(bytes) / float64(s.Rows) * float64(limit))
		}
		need += bytes
	}
	if bound, err := bytesize.Parse(memory); err == nil && need > bound {
		slog.Warn("a protocol holds all names in memory, and they take more than the run's --memory. Try: --names",
			"needed", need, "memory", memory)
	}
}

func readSplit(ctx context.Context, data *datasets.Manifest, name string, limit int) (out []row, _ error) {
	split, err := data.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer split.Close()
	share := 1.0
	if limit > 0 && split.Rows() > int64(limit) {
		share = float64(limit) / float64(split.Rows())
	}
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i, n := range b.Names {
			r := row{name: n, class: b.Class[i], source: split.Sources()[b.Source[i]], split: name, part: part(n)}
			if r.class != datasets.Benign {
				r.family = split.Families()[b.Family[i]]
			}
			// The low digits of part decide, so that folds by its high ones stay even.
			if _, low := math.Modf(r.part * (1 << 20)); low < share {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// part spreads registered domains evenly over [0, 1).
func part(name string) float64 {
	h := fnv.New64a()
	h.Write([]byte(dnsname.Registered(name)))
	return float64(model.SubSeed(h.Sum64(), "fold")>>11) / (1 << 53)
}

func namesOf(rows []*row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.name
	}
	return out
}

// label is what a run with a target calls a row.
func (r *row) label(target string) string { return r.class.Label(target, r.family) }

// labelsOf are the labels that rows have, benign first.
func labelsOf(rows []*row, target string) []string {
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.label(target)] = true
	}
	delete(seen, model.BinaryLabels[0])
	return append([]string{model.BinaryLabels[0]}, slices.Sorted(maps.Keys(seen))...)
}

// setOf are the rows that have one of the labels.
func setOf(rows []*row, target string, labels []string) (*trainer.Set, error) {
	index := map[string]int{}
	for i, l := range labels {
		index[l] = i
	}
	b := trainer.NewBuilder()
	for _, r := range rows {
		if l, ok := index[r.label(target)]; ok {
			if err := b.Add(r.name, l, r.class, r.family); err != nil {
				return nil, err
			}
		}
	}
	return b.Set(), nil
}
