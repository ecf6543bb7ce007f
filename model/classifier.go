package model

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Classifier scores names with a model. It is safe for concurrent use.
type Classifier struct {
	model *Model
	coder *Coder
	plan  *plan
	width int // outputs a name: 1 for a sigmoid head
	pool  sync.Pool
}

// NewClassifier makes m ready to score. It keeps m, which must not change afterwards.
func NewClassifier(m *Model) (*Classifier, error) {
	p, err := newPlan(&m.Spec, m.Weights)
	if err != nil {
		return nil, err
	}
	c := &Classifier{model: m, coder: m.Spec.Encoder.Coder(), plan: p, width: m.Spec.Outputs()}
	c.pool.New = func() any {
		s := p.scratch(chunk)
		s.p = make([]float32, c.Width())
		return s
	}
	return c, nil
}

// chunk is how many names go through the network at once, at most: a multiple of grain, enough for the products to be
// efficient and few enough that the activations stay in a core's cache. grain is a multiple of the rows of every matrix
// kernel.
const grain, chunk = 12, 11 * 12

// chunkSize divides n names evenly among workers: two of them would take as long for 256 names in chunks of 120 as for 272.
func chunkSize(n, workers int) int {
	pieces := max((n+chunk-1)/chunk, 1)
	pieces = (pieces + workers - 1) / workers * workers
	return max(((n+pieces-1)/pieces+grain-1)/grain*grain, grain)
}

// Model is what c runs.
func (c *Classifier) Model() *Model { return c.model }

// Width is the number of probabilities Probabilities writes for a name: len(Labels), also for a sigmoid head.
func (c *Classifier) Width() int { return len(c.model.Spec.Labels) }

// Verdict is what a model says of one name.
type Verdict struct {
	// Score is the probability that the name is not benign, [0, 1].
	Score float64
	// Label is benign below the model's threshold, else the most likely of the others.
	Label string
	// Probabilities holds one value a label, summing to 1.
	Probabilities []float32
}

// Predict scores one name.
func (c *Classifier) Predict(name string) Verdict {
	p := make([]float32, c.Width())
	s := c.pool.Get().(*scratch)
	defer c.pool.Put(s)
	c.run(s, []string{name}, p)
	return c.Verdict(p)
}

// Score is the probability that one name is not benign. It allocates nothing, for callers in a hurry such as resolvers.
func (c *Classifier) Score(name string) float64 {
	s := c.pool.Get().(*scratch)
	defer c.pool.Put(s)
	s.one[0] = name
	c.run(s, s.one[:], s.p)
	s.one[0] = "" // the scratch must not keep the caller's string
	if c.Width() == 2 {
		return float64(s.p[1])
	}
	return 1 - float64(s.p[0])
}

// Probabilities scores names on all cores into out, [len(names), Width()], in order. It returns ctx's error if it was
// stopped.
func (c *Classifier) Probabilities(ctx context.Context, names []string, out []float32) error {
	width := c.Width()
	return c.chunks(ctx, len(names), func(s *scratch, lo, hi int) {
		c.run(s, names[lo:hi], out[lo*width:hi*width])
	})
}

// ProbabilitiesOfCodes is Probabilities of names that are encoded already: codes is [n, window]. It refuses codes that the
// model does not know.
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

// chunks calls f for every chunk of n names, on all cores, of which the caller's is one: it needs no waking.
func (c *Classifier) chunks(ctx context.Context, n int, f func(s *scratch, lo, hi int)) error {
	workers := runtime.GOMAXPROCS(0)
	size := chunkSize(n, workers)
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
	for range min(workers, (n+size-1)/size) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return ctx.Err()
}

// Verdict reads one name's probabilities, [Width()].
func (c *Classifier) Verdict(p []float32) Verdict {
	return Verdict{Score: Score(p), Label: c.model.Spec.Labels[Judge(p, c.model.Threshold)], Probabilities: p}
}

// Score is the probability that a name is not benign, of probabilities by label.
func Score(p []float32) float64 {
	if len(p) == 2 {
		return float64(p[1]) // 1 - P(benign) would round small scores to the same few values
	}
	return 1 - float64(p[0])
}

// Judge is the label of a name with probabilities p: benign, 0, below the threshold, else the likeliest of the others, the
// first among equals.
func Judge(p []float32, threshold float64) int {
	if Score(p) < threshold {
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

// run encodes up to chunk names and answers them.
func (c *Classifier) run(s *scratch, names []string, out []float32) {
	for i, n := range names {
		s.chars[i] = c.coder.Encode(s.codes[i*c.coder.window:], n)
	}
	c.answer(s, len(names), out)
}

// answer runs the network on the codes of n names and turns logits into probabilities.
func (c *Classifier) answer(s *scratch, n int, out []float32) {
	Probabilities(c.plan.logits(s, n), c.width, out)
}

// Probabilities turns logits [n, outputs] into the probabilities of all labels: [n, 2] for one output, a sigmoid's, else
// [n, outputs].
func Probabilities(logits []float32, outputs int, out []float32) {
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
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
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
