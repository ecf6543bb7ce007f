package evaluate

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// bootstrapped is what a curve measures in each round of the bootstrap: the area, and the true-positive rates [rate][round] at
// some false-positive rates. A round in which one class was not drawn is left out.
type bootstrapped struct {
	areas []float64
	found [][]float64
}

// add measures one round, in which name i of the curve counts w[i] times.
func (d *bootstrapped) add(c *curve, w, rates []float64) {
	area := c.weightedAUC(w)
	if math.IsNaN(area) {
		return
	}
	d.areas = append(d.areas, area)
	if d.found == nil {
		d.found = make([][]float64, len(rates))
	}
	for k, t := range c.weightedTPR(w, rates) {
		d.found[k] = append(d.found[k], t)
	}
}

// interval is the 95 % interval of the k-th true-positive rate.
func (d *bootstrapped) interval(k int) [2]Number {
	if d.found == nil {
		return percentiles(nil)
	}
	return percentiles(slices.Clone(d.found[k]))
}

// bandRates are the false-positive rates, rising, at which a ROC curve's interval is drawn: ten a power of ten.
var bandRates = func() (out []float64) {
	for k := range 51 {
		out = append(out, math.Pow(10, float64(k-50)/10))
	}
	for k, rate := range rates { // to the last digit, on every machine
		out[30-10*k] = rate
	}
	return out
}()

// strictBand is where bandRates has 1e-3.
const strictBand = 20

// bootstrapTogether measures curves over the same names at bandRates, each round all of them on the same draw.
func bootstrapTogether(ctx context.Context, curves []*curve) ([]bootstrapped, error) {
	out := make([]bootstrapped, len(curves))
	rng := rand.New(rand.NewPCG(1, 0x70616972))
	counts := make([]float64, len(curves[0].at))
	weights := make([]float64, len(counts))
	for range bootstrapRounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		resample(rng, counts)
		for k, c := range curves {
			for i, at := range c.at {
				weights[i] = counts[at]
			}
			out[k].add(c, weights, bandRates)
		}
	}
	return out, nil
}

// resample counts how often each name is drawn for one round of the bootstrap.
func resample(rng *rand.Rand, counts []float64) {
	clear(counts)
	for range counts {
		counts[rng.IntN(len(counts))]++
	}
}

// percentiles are those that leave 2.5 % of x, which it sorts, outside on each side.
func percentiles(x []float64) [2]Number {
	if len(x) == 0 {
		return [2]Number{Number(math.NaN()), Number(math.NaN())}
	}
	slices.Sort(x)
	return [2]Number{Number(stat.Quantile(0.025, stat.Empirical, x, nil)), Number(stat.Quantile(0.975, stat.Empirical, x, nil))}
}

// bootstrap gives the 95 % percentile intervals of the area under the ROC curve and of the true-positive rates of points,
// which it sets, over resampled names.
func (c *curve) bootstrap(ctx context.Context, seed uint64, points []OperatingPoint) ([2]Number, error) {
	rng := rand.New(rand.NewPCG(seed, 0x6465676173))
	var rates []float64
	for _, p := range slices.Backward(points) { // they fall
		rates = append(rates, p.FPR)
	}
	var d bootstrapped
	counts := make([]float64, len(c.scores))
	for range bootstrapRounds {
		if err := ctx.Err(); err != nil {
			return [2]Number{}, err
		}
		resample(rng, counts)
		d.add(c, counts, rates)
	}
	for k := range points {
		points[k].TPR95 = d.interval(len(points) - 1 - k)
	}
	return percentiles(d.areas), nil
}

// weightedAUC is the area when name i counts w[i] times: the share of pairs in which the malicious name scores higher.
func (c *curve) weightedAUC(w []float64) float64 {
	var below, pairs, positives float64
	for i := 0; i < len(w); {
		var p, n float64
		for j := i; i < len(w) && c.scores[i] == c.scores[j]; i++ {
			if c.malicious[i] {
				p += w[i]
			} else {
				n += w[i]
			}
		}
		pairs += p * (below + n/2)
		below += n
		positives += p
	}
	return pairs / (positives * below)
}

// weightedTPR is the share of malicious names found at each of some false-positive rates, rising, when name i, in the
// curve's order, counts w[i] times. Of names that score alike all or none are above the threshold.
func (c *curve) weightedTPR(w, rates []float64) []float64 {
	var positives, negatives float64
	for i, x := range w {
		if c.malicious[i] {
			positives += x
		} else {
			negatives += x
		}
	}
	out := make([]float64, 0, len(rates))
	var found, alarms, best float64
	for i := len(w) - 1; i >= 0 && len(out) < len(rates); {
		for j := i; i >= 0 && c.scores[i] == c.scores[j]; i-- {
			if c.malicious[i] {
				found += w[i]
			} else {
				alarms += w[i]
			}
		}
		for len(out) < len(rates) && alarms > rates[len(out)]*negatives {
			out = append(out, best/positives)
		}
		best = found
	}
	for len(out) < len(rates) {
		out = append(out, best/positives)
	}
	return out
}
