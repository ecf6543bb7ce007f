package watch

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
)

// Tables turn scores into evidence: what clean clients' names score and what generated names do, and how zones without
// a tunnel look. internal/watchtables makes them.
type Tables struct {
	// Model is the SHA-256 of the weights that the tables are for.
	Model string `json:"model"`
	// Clean and Generated are the shares of names by bin of score, each with a sum of 1. Names counts those of Clean.
	Clean     [bins]float64 `json:"clean"`
	Generated [bins]float64 `json:"generated"`
	Names     int           `json:"names"`
	// Spread is how many times more often than others a client may ask for ordinary names that look generated, and still
	// be one of the 99 % of clean clients that the promise is about.
	Spread float64 `json:"spread"`
	// Zones says how likely a zone carries a tunnel.
	Zones Zones `json:"zones"`
	// Pairs is the information of a letter after another, in eighths of a bit: [38][38] by the codes of letters.
	Pairs []byte `json:"pairs"`

	ratio [len(shares)][bins]float64 // log of 1 − ρ + ρ·L
}

// Zones is a logistic regression of what [names] knows of a zone in a window, and the scores of zones without a tunnel.
type Zones struct {
	Mean    [measures]float64 `json:"mean"`
	Scale   [measures]float64 `json:"scale"`
	Weights [measures]float64 `json:"weights"`
	Bias    float64           `json:"bias"`
	// Clean are the highest scores of zones without a tunnel, falling, each the highest of the scales; Count is of how
	// many zones.
	Clean []float64 `json:"clean"`
	Count int       `json:"count"`
	// Tail is the mean by which scores exceed the last of Clean.
	Tail float64 `json:"tail"`
}

//go:embed tables.json
var shippedText []byte

// shipped are the tables of the built-in model.
var shipped = mustTables(shippedText)

func mustTables(text []byte) *Tables {
	t := &Tables{}
	if err := json.Unmarshal(text, t); err != nil {
		panic(fmt.Sprintf("detect/watch: tables.json: %v", err)) // a test reads it
	}
	t.weigh()
	return t
}

// mostRatio bounds what one name can say: no verdict has less than four names.
const mostRatio = 60

// weigh makes the likelihood ratios. A ratio is clipped, and then all are lifted so that their mean over clean names is
// 1: clipping alone would throw evidence away. The mean is 1 for clients whose share of names that look generated is
// Spread times that of Clean, so it is less for nearly all.
func (t *Tables) weigh() {
	clean, tail := t.Clean, 0.0
	for b := range clean {
		if t.Generated[b] > clean[b] {
			clean[b] *= t.Spread
			tail += clean[b]
		}
	}
	most := min(tail, .5)
	for b := range clean {
		if t.Generated[b] > t.Clean[b] {
			clean[b] *= most / tail
		} else {
			clean[b] *= (1 - most) / (1 - tail/t.Spread)
		}
	}
	var ratio [bins]float64
	mean := 0.0
	for b := range ratio {
		ratio[b] = min(mostRatio, t.Generated[b]/clean[b])
		mean += clean[b] * ratio[b]
	}
	for s, share := range shares {
		for b := range ratio {
			t.ratio[s][b] = math.Log(1 - share + share*(ratio[b]+1-mean))
		}
	}
}

// unknownFPR is what a model whose threshold was chosen for no rate of false alarms is taken to have.
const unknownFPR = .05

// TablesFor are the tables for a model's scores: the shipped ones for the built-in model. Of another model nothing is
// known but the rate of false alarms that its threshold was chosen for, 0 if there is none. Its tables have two bins,
// on either side of the threshold, and say how many of the names of the families of datasets/synth score above it.
func TablesFor(p *detect.Policy, m *model.Model) (*Tables, error) {
	digest, err := m.Digest()
	if err != nil || digest == shipped.Model {
		return shipped, err
	}
	promised := max(cmp.Or(m.ThresholdFPR, unknownFPR), 1e-3)
	t := &Tables{Model: digest, Spread: shipped.Spread, Zones: shipped.Zones, Pairs: shipped.Pairs}
	first := bin(p.Threshold())
	above, families := 0.0, 0
	for _, f := range synth.Families() {
		if f.Class != synth.ClassDGA {
			continue
		}
		names, err := f.Generate(synth.Params{Seed: 1, Count: 50})
		if err != nil || len(names) == 0 {
			continue // a family that needs more than a seed
		}
		hits := 0
		for _, name := range names {
			if p.Decide(name).DGA >= p.Threshold() {
				hits++
			}
		}
		above += float64(hits) / float64(len(names))
		families++
	}
	if families == 0 {
		return nil, fmt.Errorf("tables of the model: no family makes names")
	}
	above /= float64(families)
	for b := range bins {
		if b < first {
			t.Clean[b], t.Generated[b] = (1-promised)/float64(first), (1-above)/float64(first)
		} else {
			t.Clean[b], t.Generated[b] = promised/float64(bins-first), above/float64(bins-first)
		}
	}
	t.weigh()
	return t, nil
}

// measures is how many numbers are known of a zone in a window.
const measures = 12

// Measures that rules speak of.
const (
	bytesMeasure  = 2
	oddsMeasure   = 4
	lengthMeasure = 7
	oddMeasure    = 9
)

// Measures says what each of them is.
var Measures = [measures]string{"different names", "different names a query", "bytes of information",
	"bytes of information a second", "mean log odds of a tunnel's name", "log odds of the name at 90 %",
	"clients", "mean length before the zone", "mean of the longest labels",
	"share of types that carry data", "bytes an answer", "share of names that do not exist"}

// measure gives the numbers of a zone. seconds is the length of the window.
func (n *names) measure(seconds float64) (x [measures]float64) {
	k := float64(len(n.Sample.Values))
	if k == 0 {
		return x
	}
	var info, odds, length, longest float64
	scores := make([]float64, len(n.Sample.Values))
	for i, v := range n.Sample.Values {
		info += float64(v >> infoShift & (1<<(lengthShift-infoShift) - 1) * infoUnit)
		scores[i] = logOdds(v)
		odds += scores[i]
		length += float64(v >> lengthShift & 255)
		longest += float64(v & 63)
	}
	sort.Float64s(scores)
	count := n.Sample.size(mostNames)
	bytes := count * info / k / 8
	queries := float64(max(n.Queries, 1))
	return [measures]float64{math.Log1p(count), min(count/queries, 1), math.Log1p(bytes), math.Log1p(bytes / seconds),
		odds / k, scores[len(scores)*9/10], math.Log1p(float64(len(n.Askers.Hashes))), math.Log1p(length / k),
		math.Log1p(longest / k), float64(n.Odd) / queries, math.Log1p(float64(n.Bytes) / float64(max(n.Answers, 1))),
		float64(n.NX) / queries}
}

// score is how much a zone looks like a tunnel's: the more, the higher. No measure moves it more than far beyond what
// zones of the training had.
func (z *Zones) score(x [measures]float64) float64 {
	const far = 4
	sum := z.Bias
	for i := range x {
		sum += z.Weights[i] * min(max((x[i]-z.Mean[i])/z.Scale[i], -far), far)
	}
	return sum
}

// p is the share of zones without a tunnel that score as high by chance: the conformal p-value (1 + #{Clean ≥ T})/(n +
// 1) of Bates et al. 2023. Above the highest score known, where that value cannot fall any more, it goes on to fall
// with an exponential tail, which is an assumption.
func (z *Zones) p(score float64) float64 {
	at := sort.Search(len(z.Clean), func(i int) bool { return z.Clean[i] < score })
	if at == len(z.Clean) {
		return 1 // not among the highest
	}
	p := float64(at+1) / float64(z.Count+1)
	if at == 0 && len(z.Clean) > 0 {
		p *= math.Exp(-(score - z.Clean[0]) / max(z.Tail, 1e-3))
	}
	return p
}

// mostRate is the highest rate that Threshold knows: lower scores are in one bin.
const mostRate = .2

// Threshold is the score that a share of clean names reaches, for shares that the tables know of: at least ten names
// of Clean, at most a fifth of them. Between two bins the share falls as a power of the odds.
func (t *Tables) Threshold(falseAlarms float64) (float64, error) {
	if t.Names == 0 {
		return 0, fmt.Errorf("a rate of false alarms: nothing is known of the model. Try: degas choose-threshold, " +
			"or a threshold")
	}
	tail := t.Clean[bins-1]
	least := max(10/float64(t.Names), tail)
	if !(falseAlarms >= least && falseAlarms <= mostRate) {
		return 0, fmt.Errorf("a rate of %g false alarms: it must be at least %.1g and at most %g", falseAlarms,
			least, mostRate)
	}
	b, next := bins-2, tail+t.Clean[bins-2]
	for ; falseAlarms > next && b > 1; b-- {
		tail, next = next, next+t.Clean[b-1]
	}
	odds := float64(b-firstBin) + math.Log(next/falseAlarms)/math.Log(next/tail)
	return 1 / (1 + math.Exp(-odds)), nil
}
