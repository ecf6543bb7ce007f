package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/degas-dns/degas/model/dnsname"
)

// Classifier scores names with a model. All its methods are safe for concurrent use.
//
// Predict, Score and Probabilities fold names (dnsname.Fold) as "degas predict" does: "GOOGLE.com.", "google.com:443"
// and "https://google.com/" score as google.com. What is no name, such as an address or a comment, gets the label
// InvalidLabel, probabilities of 0 and so the score 0. The methods that end in Folded score the bytes that they get,
// for callers whose names are folded already.
type Classifier struct {
	model   *Model
	coder   *Coder
	network *compiled
	outputs int       // per name: 1 for a sigmoid head
	chunk   int       // names that go through the network at once
	pool    sync.Pool // of *scratch, one for each goroutine that scores
}

// NewClassifier prepares m for scoring. It keeps m, which must not change afterwards.
func NewClassifier(m *Model) (*Classifier, error) {
	network, err := compile(&m.Spec, m.Weights)
	if err != nil {
		return nil, err
	}
	c := &Classifier{model: m, coder: m.Spec.Encoder.Coder(), network: network, outputs: m.Spec.Outputs()}
	c.chunk = min(max(maxScratch/network.values, 1), maxChunk)
	c.pool.New = func() any { return network.scratch(c.chunk, c.Width()) }
	return c, nil
}

// At most maxChunk names go through the network at once: enough for efficient matrix products, and few enough that the
// activations stay in a core's cache. It is a multiple of grain, which is a multiple of every matrix kernel's rows.
// A model of many activations takes fewer names at once: those with at most maxScratch values, 64 MiB.
const grain, maxChunk, maxScratch = 12, 11 * 12, 1 << 24

// chunkSize divides n names evenly among workers, at most chunk at once. Two workers would need as long for 256 names
// in chunks of 120 as for 272 names.
func chunkSize(n, workers, chunk int) int {
	pieces := max((n+chunk-1)/chunk, 1)
	pieces = (pieces + workers - 1) / workers * workers
	return min(max(((n+pieces-1)/pieces+grain-1)/grain*grain, grain), chunk)
}

// Model returns the model that c runs. It must not be changed.
func (c *Classifier) Model() *Model { return c.model }

// Width is the number of probabilities per name: len(Labels), also for a sigmoid head.
func (c *Classifier) Width() int { return len(c.model.Spec.Labels) }

// Workers is how many goroutines Probabilities scores n names with, at least one.
func (c *Classifier) Workers(n int) int {
	workers := runtime.GOMAXPROCS(0)
	size := chunkSize(n, workers, c.chunk)
	return max(min(workers, (n+size-1)/size), 1)
}

// InvalidLabel is the label of what is no name.
const InvalidLabel = "invalid"

// errInvalid is Verdict.Invalid where the name is not known any more.
var errInvalid = errors.New("no name")

// Verdict is a model's judgement of one name.
type Verdict struct {
	// Score is the probability that the name is not benign, [0, 1]; 0 if Invalid is set.
	Score float64
	// Label is the benign label if Score is below the model's threshold, else the most likely of the other labels.
	// If Invalid is set, it is InvalidLabel.
	Label string
	// Probabilities holds one value per label, in the order of the labels. They sum to 1, or are all 0 if Invalid is set.
	// The slice is the caller's.
	Probabilities []float32
	// Invalid says why the text is no name: it wraps a reason of package dnsname. Nil for a name.
	Invalid error
}

// Predict folds and scores one name.
func (c *Classifier) Predict(name string) Verdict {
	p := make([]float32, c.Width())
	folded, err := dnsname.Fold(name)
	if err != nil {
		return Verdict{Label: InvalidLabel, Probabilities: p, Invalid: err}
	}
	c.scoreOne(folded, p)
	return c.Verdict(p)
}

// Score folds a name and returns the probability that it is not benign; 0 for what is no name. It allocates nothing
// for a name that is folded already, for callers in a hurry such as a DNS server.
func (c *Classifier) Score(name string) float64 {
	folded, err := dnsname.Fold(name)
	if err != nil {
		return 0
	}
	return c.scoreOne(folded, nil)
}

// ScoreFolded is Score for a name that is folded already.
func (c *Classifier) ScoreFolded(name string) float64 { return c.scoreOne(name, nil) }

// OneFolded writes the probabilities of one name that is folded already to out, [Width()]. It allocates nothing.
func (c *Classifier) OneFolded(name string, out []float32) { c.scoreOne(name, out) }

// scoreOne returns the score of one name and copies its probabilities into p as far as they fit.
func (c *Classifier) scoreOne(name string, p []float32) float64 {
	s := c.pool.Get().(*scratch)
	defer c.pool.Put(s)
	s.oneName[0] = name
	c.run(s, s.oneName[:], s.oneRow)
	s.oneName[0] = "" // the scratch must not keep the caller's string
	copy(p, s.oneRow)
	return ScoreOf(s.oneRow)
}

// Probabilities folds and scores names on all cores. It writes the probabilities to out, [len(names), Width()], in the
// order of names; those of what is no name are all 0. If ctx ends first, it returns ctx's error, and out is incomplete.
func (c *Classifier) Probabilities(ctx context.Context, names []string, out []float32) error {
	width := c.Width()
	return c.chunks(ctx, len(names), func(s *scratch, lo, hi int) {
		var none []int
		folded := make([]string, hi-lo)
		for i, name := range names[lo:hi] {
			var err error
			if folded[i], err = dnsname.Fold(name); err != nil {
				none = append(none, lo+i)
			}
		}
		c.run(s, folded, out[lo*width:hi*width])
		for _, i := range none {
			clear(out[i*width : (i+1)*width])
		}
	})
}

// ProbabilitiesFolded is Probabilities for names that are folded already, such as those of a data set.
func (c *Classifier) ProbabilitiesFolded(ctx context.Context, names []string, out []float32) error {
	width := c.Width()
	return c.chunks(ctx, len(names), func(s *scratch, lo, hi int) {
		c.run(s, names[lo:hi], out[lo*width:hi*width])
	})
}

// ProbabilitiesOfCodes is Probabilities for names that are encoded already: codes is [n, window]. A code that the model
// does not know is an error.
func (c *Classifier) ProbabilitiesOfCodes(ctx context.Context, codes []uint16, out []float32) error {
	window, width := c.coder.window, c.Width()
	if len(codes)%window != 0 {
		return fmt.Errorf("%d codes are no multiple of the window of %d", len(codes), window)
	}
	known := c.model.Spec.Codes()
	for i, code := range codes {
		if int(code) >= known {
			return fmt.Errorf("row %d: code %d is none of the model's, which are below %d", i/window, code, known)
		}
	}
	return c.chunks(ctx, len(codes)/window, func(s *scratch, lo, hi int) {
		n := copy(s.codes, codes[lo*window:hi*window]) / window
		for i := range n {
			s.chars[i] = Characters(s.codes[i*window:(i+1)*window], c.coder.pad, !c.coder.right)
		}
		c.answer(s, n, out[lo*width:hi*width])
	})
}

// chunks calls f for every chunk of n names on all cores. The caller's goroutine works too, because it needs no waking.
func (c *Classifier) chunks(ctx context.Context, n int, f func(s *scratch, lo, hi int)) error {
	size := chunkSize(n, runtime.GOMAXPROCS(0), c.chunk)
	var next atomic.Int64
	work := func() {
		s := c.pool.Get().(*scratch)
		defer c.pool.Put(s)
		for ctx.Err() == nil {
			lo := int(next.Add(int64(size))) - size
			if lo >= n {
				return
			}
			f(s, lo, min(lo+size, n))
		}
	}
	var others sync.WaitGroup
	for range c.Workers(n) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return ctx.Err()
}

// Verdict judges one name by its probabilities, [Width()]. The result holds p itself and no copy. Probabilities that
// are all 0 are of no name; dnsname.Fold knows the reason.
func (c *Classifier) Verdict(p []float32) Verdict {
	if invalid(p) {
		return Verdict{Label: InvalidLabel, Probabilities: p, Invalid: errInvalid}
	}
	return Verdict{Score: ScoreOf(p), Label: c.model.Spec.Labels[LabelOf(p, c.model.Threshold)], Probabilities: p}
}

// ScoreOf returns the probability that a name is not benign. p holds its probabilities by label, the benign one first.
// All 0, as of no name, they have the score 0.
func ScoreOf(p []float32) float64 {
	switch {
	case len(p) == 2:
		return float64(p[1]) // 1 - P(benign) would round small scores to the same few values
	case p[0] == 0 && invalid(p):
		return 0
	}
	return 1 - float64(p[0])
}

// invalid reports whether p is of no name: the probabilities of a name sum to 1.
func invalid(p []float32) bool {
	return !slices.ContainsFunc(p, func(x float32) bool { return x != 0 })
}

// LabelOf returns the index of the label of a name with probabilities p: 0, benign, if its score is below the
// threshold, else the most likely of the other labels. Among equals the first wins.
func LabelOf(p []float32, threshold float64) int {
	if ScoreOf(p) < threshold {
		return 0
	}
	best := 1
	for k := 2; k < len(p); k++ {
		if p[k] > p[best] {
			best = k
		}
	}
	return best
}

// run encodes up to c.chunk names and writes their probabilities.
func (c *Classifier) run(s *scratch, names []string, out []float32) {
	for i, n := range names {
		s.chars[i] = c.coder.Encode(s.codes[i*c.coder.window:], n)
	}
	c.answer(s, len(names), out)
}

// answer runs the network on the codes of n names and writes their probabilities.
func (c *Classifier) answer(s *scratch, n int, out []float32) {
	ProbabilitiesOfLogits(c.network.logits(s, n), c.outputs, out)
}

// ProbabilitiesOfLogits turns logits, [n, outputs], into the probabilities of all labels: [n, 2] for the one output of
// a sigmoid, else [n, outputs].
func ProbabilitiesOfLogits(logits []float32, outputs int, out []float32) {
	if outputs == 1 {
		for i, z := range logits {
			p := float32(1 / (1 + math.Exp(-float64(z))))
			out[2*i], out[2*i+1] = 1-p, p
		}
		return
	}
	copy(out, logits)
	softmaxRows(out, outputs)
}

// softmaxRows replaces each row of width logits by its softmax.
func softmaxRows(x []float32, width int) {
	for lo := 0; lo < len(x); lo += width {
		row := x[lo : lo+width]
		top := slices.Max(row)
		var sum float64
		for i, v := range row {
			e := math.Exp(float64(v - top))
			row[i] = float32(e)
			sum += e
		}
		for i := range row {
			row[i] = float32(float64(row[i]) / sum)
		}
	}
}
