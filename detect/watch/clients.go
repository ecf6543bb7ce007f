package watch

import (
	"cmp"
	"math"
	"slices"
)

// Bounds of what is known of a client in half a day.
const mostDomains = 512

// shares are how much of an infected client's look-ups may be its malware's: nobody knows it beforehand, and an e-value
// may be the mean of several.
var shares = [...]float64{.05, .3, .9}

// asks is what a client asked for that tells about malware: registered domains, each once. It takes at most 7 KB.
type asks struct {
	Sample   sample // hashes of domains; values as of packAsk
	Examples examples
	Line     timeline // of NX
	Least    uint64
	Answered bool  // the source says what came back, for this client at least once
	NX, All  int64 // events with a registered domain: those that do not exist, and all
	First    int64 // nanoseconds since 1970
	Last     int64

	// The detector of a live watch: log of R for each of shares, and until when it is silent.
	R      [len(shares)]float64
	Silent int64 // nanoseconds since 1970
}

func newAsks() *asks {
	a := &asks{Least: math.MaxUint64, First: math.MaxInt64, Last: math.MinInt64}
	for i := range a.R {
		a.R[i] = math.Inf(-1)
	}
	return a
}

func (a *asks) least() uint64 { return a.Least }

func (a *asks) merge(o *asks) {
	a.Sample.merge(mostDomains, &o.Sample)
	a.Examples.merge(o.Examples)
	a.Line.merge(&o.Line)
	a.Least = min(a.Least, o.Least)
	a.Answered = a.Answered || o.Answered
	a.NX, a.All = a.NX+o.NX, a.All+o.All
	a.First, a.Last = min(a.First, o.First), max(a.Last, o.Last)
	for i := range a.R {
		a.R[i] = max(a.R[i], o.R[i])
	}
	a.Silent = max(a.Silent, o.Silent)
}

// The value of a domain that a client asked for: whether it is known not to exist, in the highest bit, so that of two
// look-ups the one that tells stays; the second of the half day, so that else the first stays; the bin of its score.
const (
	askUnknown = 1 << 31
	askShift   = 8
	askBin     = 1<<askShift - 1
)

func packAsk(second int64, nx bool, bin int) uint32 {
	v := uint32(second)<<askShift | uint32(bin)
	if !nx {
		v |= askUnknown
	}
	return v
}

// bin is that of a score in Tables.Clean: log odds in steps of 1.
func bin(score float64) int {
	if score <= 0 {
		return 0
	}
	if score >= 1 {
		return bins - 1
	}
	return int(min(max(math.Floor(math.Log(score/(1-score)))+firstBin, 0), bins-1))
}

// Bins of scores. Bin i holds log odds from i − firstBin to one more; the first and the last hold what is beyond.
const (
	bins     = 16
	firstBin = 5
)

// counts reports whether a value of the sample is evidence. Where the source says what came back, only names that do
// not exist are.
func (a *asks) counts(value uint32) bool { return value&askUnknown == 0 || !a.Answered }

// evidence is that of a's domains but those of before, the half day before: the mean over all stretches of look-ups
// of the product of their likelihood ratios, 2/(n(n+1)) · Σ R_k, in the order of time (Shin, Ramdas & Rinaldo 2024). It
// is an e-value: clean clients have a mean of at most 1. n is how many domains counted.
func (a *asks) evidence(t *Tables, before *asks) (logE float64, n int) {
	order := make([]int, 0, len(a.Sample.Values))
	for i, v := range a.Sample.Values {
		if a.counts(v) && (before == nil || !before.Sample.has(a.Sample.Hashes[i])) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { // in equal seconds by hash
		return cmp.Compare(a.Sample.Values[i]&^askUnknown>>askShift, a.Sample.Values[j]&^askUnknown>>askShift)
	})
	if len(order) == 0 {
		return math.Inf(-1), 0
	}
	var r, sum [len(shares)]float64
	for s := range shares {
		r[s], sum[s] = math.Inf(-1), math.Inf(-1)
	}
	for _, i := range order {
		for s := range shares {
			r[s] = next(r[s], t.ratio[s][a.Sample.Values[i]&askBin])
			sum[s] = logAdd(sum[s], r[s])
		}
	}
	k := float64(len(order))
	return meanOf(sum) + math.Log(2/(k*(k+1))), len(order)
}

// next is the log of R after one more look-up: R ← (1 + R)·e, of the logs of R and e.
func next(logR, logE float64) float64 { return logAdd(0, logR) + logE }

// logAdd is log(exp(a) + exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// meanOf is the log of the mean of exp(x).
func meanOf(x [len(shares)]float64) float64 {
	sum := math.Inf(-1)
	for _, v := range x {
		sum = logAdd(sum, v)
	}
	return sum - math.Log(float64(len(x)))
}

// step tells the live detector of one more domain. It returns the log of the mean of R.
func (a *asks) step(t *Tables, bin int) float64 {
	for s := range a.R {
		a.R[s] = next(a.R[s], t.ratio[s][bin])
	}
	return meanOf(a.R)
}
