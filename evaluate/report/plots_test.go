package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/model"
)

// drawn makes a sample as a good model would score it: malicious names of some families are hard.
func drawn(seed uint64, benign, malicious, families int, multi bool) *metrics.Sample {
	rng := rand.New(rand.NewPCG(seed, 7))
	s := &metrics.Sample{Labels: []string{"benign", "malicious"}}
	name := func(f int) string {
		return fmt.Sprintf("family-%02d-%s", f, []string{"banjori", "gozi", "suppobox", "a-rather-long-family-name"}[f%4])
	}
	if multi {
		s.Labels = []string{"benign"}
		for f := range families {
			s.Labels = append(s.Labels, name(f))
		}
	}
	k := len(s.Labels)
	for i := range benign + malicious {
		truth, family, class, z := 0, "", datasets.Benign, rng.NormFloat64()*2.2-7
		if i >= benign {
			f := int(float64(families) * rng.Float64() * rng.Float64())
			truth, family, class = 1, name(f), datasets.DGA
			z = rng.NormFloat64()*3 + 9 - 9*float64(f)/float64(families)
			if multi {
				truth = f + 1
			}
		}
		p := 1 / (1 + math.Exp(-z))
		row := make([]float32, k)
		row[0] = float32(1 - p)
		if !multi {
			row[1] = float32(p)
		} else {
			at := max(truth, 1)
			if rng.Float64() < 0.15 {
				at = 1 + rng.IntN(k-1)
			}
			for j := 1; j < k; j++ {
				row[j] = float32(p * 0.2 / float64(k-1))
			}
			row[at] += float32(p * 0.8)
		}
		s.Names = append(s.Names, fmt.Sprintf("n%d.example", i))
		s.Truth, s.Probabilities = append(s.Truth, truth), append(s.Probabilities, row...)
		s.Class, s.Family = append(s.Class, class), append(s.Family, family)
		s.Source = append(s.Source, []string{"umudga", "tranco"}[i%2])
	}
	return s
}

func epochs(n int) rundir.History {
	var out rundir.History
	for e := 1; e <= n; e++ {
		x := float64(e)
		out = append(out, rundir.Epoch{
			Epoch: e, TrainLoss: 0.4 / x, ValidationLoss: 0.35/x + 0.004*x, ValidationAUC: 1 - 0.02/x,
		})
	}
	return out
}

// Every picture in the cases that have gone wrong in plots before: one epoch, one family, sixty, one class only.
func TestPlots(t *testing.T) {
	if testing.Short() {
		t.Skip("slow under the race detector; go test ./... draws them")
	}
	for _, tc := range []struct {
		name                        string
		benign, malicious, families int
		multi                       bool
		epochs                      int
	}{
		{"few", 3000, 3000, 4, false, 12},
		{"many", 20000, 20000, 60, false, 1},
		{"three", 3000, 3000, 2, true, 2},
		{"multi55", 9000, 9000, 54, true, 60},
		{"tiny", 3, 2, 1, false, 3},
		{"oneclass", 50, 0, 1, false, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := drawn(1, tc.benign, tc.malicious, tc.families, tc.multi)
			m, err := metrics.Measure(t.Context(), s, 0.5, 1)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if d := os.Getenv("DEGAS_PLOTS"); d != "" {
				dir = filepath.Join(d, tc.name)
			}
			run := &rundir.Run{Model: &model.Model{}}
			e := &Evaluation{Run: run, Metrics: m, Sample: s, History: epochs(tc.epochs)}
			if _, err := e.draw(dir); err != nil {
				t.Fatal(err)
			}
		})
	}
}
