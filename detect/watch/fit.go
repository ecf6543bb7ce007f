package watch

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// Windows are the numbers of a zone, as if its queries came in a window of each scale.
type Windows [len(scales)][measures]float64

// Measure gives the numbers of a zone that all queries are below, for programs that make Tables. It decides about every
// name with p. If blind, the model knows no tunnel among them.
func Measure(ctx context.Context, p *detect.Policy, t *Tables, queries []events.Event, blind bool) (
	x Windows, err error,
) {
	names, decisions := make([]string, len(queries)), make([]detect.Decision, len(queries))
	for i := range queries {
		names[i] = lines.View(queries[i].Name)
	}
	if err := p.DecideAll(ctx, names, decisions); err != nil {
		return x, err
	}
	w := New(Options{Tables: t, Seed: 1})
	for i := range queries {
		if blind {
			decisions[i].Tunnel = min(decisions[i].Tunnel, 1e-3)
		}
		w.Observe(&queries[i], &decisions[i])
	}
	for _, table := range w.zones[0].Tables {
		for _, n := range table.By {
			for i, s := range scales {
				x[i] = n.measure(float64(2 * s.half))
			}
			return x, nil
		}
	}
	return x, fmt.Errorf("measure a zone: none of its %d names counts", len(queries))
}

// Bins counts names by the bin of their score, as shares.
func Bins(scores []float64) (out [16]float64) {
	for _, s := range scores {
		out[bin(s)] += 1 / float64(len(scores))
	}
	return out
}

// PairBits makes Tables.Pairs of what stands before the zones of ordinary names.
func PairBits(subs []string) []byte {
	var count [letters][letters]float64
	for _, s := range subs {
		before := dotLetter
		for i := range len(s) {
			at := letter(s[i])
			if at >= 0 && before >= 0 {
				count[before][at]++
			}
			before = at
		}
	}
	out := make([]byte, 0, letters*letters)
	for _, row := range count {
		sum := 0.0
		for _, n := range row {
			sum += n + 1
		}
		for _, n := range row {
			out = append(out, byte(min(math.Round(-8*math.Log2((n+1)/sum)), 255)))
		}
	}
	return out
}

// FitZones fits a logistic regression to windows of zones with and without a tunnel, and keeps the scores of other
// zones without one, each the highest of all scales. Weights are held small by an L2 penalty.
func FitZones(clean, tunnels [][measures]float64, others []Windows) Zones {
	z := Zones{}
	all := slices.Concat(clean, tunnels)
	for i := range measures {
		for _, x := range all {
			z.Mean[i] += x[i] / float64(len(all))
		}
		for _, x := range all {
			z.Scale[i] += (x[i] - z.Mean[i]) * (x[i] - z.Mean[i]) / float64(len(all))
		}
		z.Scale[i] = max(math.Sqrt(z.Scale[i]), 1e-3)
	}
	const rounds, rate, penalty = 3000, .5, 1e-3
	for range rounds {
		var slope [measures + 1]float64
		for j, x := range all {
			label, weight := 0., .5/float64(len(clean))
			if j >= len(clean) {
				label, weight = 1, .5/float64(len(tunnels))
			}
			miss := (1/(1+math.Exp(-z.score(x))) - label) * weight
			for i := range x {
				slope[i] += miss * (x[i] - z.Mean[i]) / z.Scale[i]
			}
			slope[measures] += miss
		}
		for i := range z.Weights {
			z.Weights[i] -= rate * (slope[i] + penalty*z.Weights[i])
		}
		z.Bias -= rate * slope[measures]
	}
	scores := make([]float64, len(others))
	for i, x := range others {
		scores[i] = max(z.score(x[0]), z.score(x[1]), z.score(x[2]))
	}
	slices.SortFunc(scores, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
	z.Count = len(scores)
	z.Clean = scores[:len(scores)/20]
	last := z.Clean[len(z.Clean)-1]
	for _, s := range z.Clean {
		z.Tail += (s - last) / float64(len(z.Clean))
	}
	return z
}
