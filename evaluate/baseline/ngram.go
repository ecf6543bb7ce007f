package baseline

import (
	"context"
	"math"
	"math/rand/v2"
)

func init() {
	register(Kind{
		Name: "n-grams", Description: "logistic regression on hashed character 1- to 4-grams", Train: trainNGrams,
	})
}

const (
	gramBits   = 20
	longest    = 4
	gramRate   = 0.5 // of AdaGrad
	gramPasses = 3
	// gramUpdates bounds the work on large sets: fewer passes, and at least one.
	gramUpdates = 4_000_000
)

// ngrams is a logistic regression on the set of a name's character n-grams, hashed (Weinberger et al. 2009) into 2^20
// weights and scaled to unit length, trained by AdaGrad (Duchi et al. 2011).
type ngrams struct {
	weights []float32
	bias    float64
}

func trainNGrams(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error) {
	m := &ngrams{weights: make([]float32, 1<<gramBits)}
	squares, biasSquare := make([]float32, 1<<gramBits), 0.0
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0x6e6772616d))
	passes := min(gramPasses, max(1, gramUpdates/len(names)))
	var grams []uint32
	for range passes {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for n, i := range order {
			if n%(1<<14) == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			grams = appendGrams(grams[:0], names[i])
			value := scale(grams)
			g := logistic(m.sum(grams, value))
			if malicious[i] {
				g--
			}
			biasSquare += g * g
			m.bias -= gramRate * g / math.Sqrt(biasSquare+1e-8)
			g *= value
			step := float32(g * g)
			for _, k := range grams {
				squares[k] += step
				m.weights[k] -= float32(gramRate * g / math.Sqrt(float64(squares[k])+1e-8))
			}
		}
	}
	return m, nil
}

// Score implements Scorer: the probability that name is malicious.
func (m *ngrams) Score(name string) float64 {
	var room [4 * 256]uint32
	grams := appendGrams(room[:0], name)
	return logistic(m.sum(grams, scale(grams)))
}

func (m *ngrams) sum(grams []uint32, value float64) float64 {
	var sum float32
	for _, k := range grams {
		sum += m.weights[k]
	}
	return m.bias + float64(sum)*value
}

// scale is the value of each of a name's n-grams.
func scale(grams []uint32) float64 { return 1 / math.Sqrt(float64(max(len(grams), 1))) }

// appendGrams appends the hashes of all n-grams of a name between its start and its end, which are characters too.
func appendGrams(out []uint32, name string) []uint32 {
	const start, end = 1, 2
	var window uint32 // the last four characters
	add := func(c byte, seen int) {
		window = window<<8 | uint32(c)
		for n := 1; n <= min(longest, seen); n++ {
			gram := uint64(window&(1<<(8*n)-1)) | uint64(n)<<32
			out = append(out, uint32(gram*0x9e3779b97f4a7c15>>(64-gramBits)))
		}
	}
	add(start, 1)
	for i := range len(name) {
		add(name[i], i+2)
	}
	add(end, len(name)+2)
	return out
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
