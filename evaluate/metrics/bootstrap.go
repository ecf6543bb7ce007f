package metrics

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

const bootstrapRounds = 200

// BandRates are the false-positive rates, rising, at which the interval of a compared ROC curve is measured: ten a
// power of ten, from 1e-5 to 1. The reported rates are among them.
var BandRates = func() (out []float64) {
	for k := range 51 {
		out = append(out, math.Pow(10, float64(k-50)/10))
		for _, rate := range reportedRates { // to the last digit, on every machine
			if math.Abs(out[k]/rate-1) < 1e-9 {
				out[k] = rate
			}
		}
	}
	return out
}()

// drawn is what a curve measures in the rounds of the bootstrap. A round in which one class was not drawn is left out.
type drawn struct {
	rates []float64   // false-positive rates, rising
	areas []float64   // [round]
	found [][]float64 // true-positive rates, [rate][round]
}

func newDrawn(rates []float64) *drawn {
	return &drawn{rates: rates, found: make([][]float64, len(rates))}
}

// add measures one round, in which name i of the curve counts weights[i] times.
func (d *drawn) add(c *Curve, weights []float64) {
	area, tpr := c.weighted(weights, d.rates)
	if math.IsNaN(area) {
		return
	}
	d.areas = append(d.areas, area)
	for k, t := range tpr {
		d.found[k] = append(d.found[k], t)
	}
}

// tprAt gives the true-positive rate of each round at one of the false-positive rates.
func (d *drawn) tprAt(fpr float64) []float64 { return d.found[slices.Index(d.rates, fpr)] }

// setIntervals sets the 95 % intervals of operating points at some of the rates.
func (d *drawn) setIntervals(points []OperatingPoint) {
	for k := range points {
		points[k].TPR95 = percentiles(d.tprAt(points[k].FPR))
	}
}

// resample calls measure in each round of the bootstrap with how often each of n names is drawn.
func resample(ctx context.Context, rng *rand.Rand, n int, measure func(counts []float64)) error {
	counts := make([]float64, n)
	for range bootstrapRounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		clear(counts)
		for range counts {
			counts[rng.IntN(n)]++
		}
		measure(counts)
	}
	return nil
}

// bootstrapTogether measures curves over the same names at BandRates, each round all of them on the same draw.
func bootstrapTogether(ctx context.Context, runs []Compared) ([]*drawn, error) {
	out := make([]*drawn, len(runs))
	for k := range out {
		out[k] = newDrawn(BandRates)
	}
	names := len(runs[0].Curve.order)
	weights := make([]float64, names)
	err := resample(ctx, rand.New(rand.NewPCG(1, 0x70616972)), names, func(counts []float64) {
		for k := range runs {
			for i, at := range runs[k].Curve.order {
				weights[i] = counts[at]
			}
			out[k].add(runs[k].Curve, weights)
		}
	})
	return out, err
}

// bootstrap gives the 95 % interval of the area under the ROC curve over resampled names, and sets those of points,
// whose rates fall.
func (c *Curve) bootstrap(ctx context.Context, seed uint64, points []OperatingPoint) ([2]Number, error) {
	var rates []float64
	for _, p := range slices.Backward(points) {
		rates = append(rates, p.FPR)
	}
	d := newDrawn(rates)
	err := resample(ctx, rand.New(rand.NewPCG(seed, 0x6465676173)), len(c.scores), func(counts []float64) {
		d.add(c, counts)
	})
	d.setIntervals(points)
	return percentiles(d.areas), err
}

// percentiles are those that leave 2.5 % of x outside on each side.
func percentiles(x []float64) [2]Number {
	if len(x) == 0 {
		return noInterval
	}
	sorted := slices.Sorted(slices.Values(x))
	quantile := func(p float64) Number { return Number(stat.Quantile(p, stat.Empirical, sorted, nil)) }
	return [2]Number{quantile(0.025), quantile(0.975)}
}

// weighted gives the area under the curve, which is the share of pairs in which the malicious name scores higher, and
// the true-positive rate at each of some false-positive rates, rising, when name i, in the curve's order, counts
// weights[i] times. Names with equal scores are on the same side of every threshold.
func (c *Curve) weighted(weights, rates []float64) (area float64, tpr []float64) {
	var found, alarms, pairs, negatives float64
	for i, x := range weights {
		if !c.malicious[i] {
			negatives += x
		}
	}
	for i := len(weights) - 1; i >= 0; {
		before := found
		var benign float64 // names of this score
		for j := i; i >= 0 && c.scores[i] == c.scores[j]; i-- {
			if c.malicious[i] {
				found += weights[i]
			} else {
				benign += weights[i]
			}
		}
		pairs += benign * (before + found) / 2
		alarms += benign
		for len(tpr) < len(rates) && alarms > rates[len(tpr)]*negatives {
			tpr = append(tpr, before)
		}
	}
	for k := range rates {
		if k == len(tpr) {
			tpr = append(tpr, found)
		}
		tpr[k] /= found
	}
	return pairs / (found * negatives), tpr
}
