package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Names whose truth is drawn at temperature 1 while the model speaks at others: the temperature that calibrates it is the
// inverse, and the calibration error at it is what chance leaves.
func TestTemperature(t *testing.T) {
	for _, labels := range []int{2, 5} {
		for _, sharp := range []float64{0.5, 1, 3} {
			rng := rand.New(rand.NewPCG(1, uint64(labels)))
			s := &Sample{Labels: make([]string, labels)}
			for range 20000 {
				z := make([]float64, labels)
				for k := range z {
					z[k] = rng.NormFloat64()
				}
				s.Names = append(s.Names, "a")
				s.Truth = append(s.Truth, sampled(rng, softmax(z, 1)))
				for _, p := range softmax(z, sharp) {
					s.Probabilities = append(s.Probabilities, float32(p))
				}
			}
			logs := logProbabilities(s)
			got := minimize(func(t float64) float64 { return meanNLL(logs, s.Truth, labels, t) })
			if math.Abs(got/sharp-1) > 0.05 {
				t.Errorf("%d labels, %g times too sure: temperature %g", labels, sharp, got)
			}
			if e := ece(calibrationOf(s)); (sharp == 1) != (e < 0.015) {
				t.Errorf("%d labels, %g times too sure: calibration error %g", labels, sharp, e)
			}
		}
	}
}

// Verdicts survive calibration at every threshold, also where many logits share a score near 1.
func TestMovedThreshold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s, after := binarySample(nil, nil), binarySample(nil, nil)
	for range 500 {
		z := []float64{0, 9 + 7*rng.Float64()}
		for sample, p := range map[*Sample][]float64{s: softmax(z, 1), after: softmax(z, 0.5)} {
			sample.Names = append(sample.Names, "a")
			sample.Probabilities = append(sample.Probabilities, float32(p[0]), float32(p[1]))
		}
	}
	for i := range s.Names {
		threshold := s.Score(i)
		moved := movedThreshold(s, after, threshold, 2)
		for k := range s.Names {
			if (s.Score(k) >= threshold) != (after.Score(k) >= moved) {
				t.Fatalf("threshold %.9g became %.9g: score %.9g became %.9g", threshold, moved, s.Score(k), after.Score(k))
			}
		}
	}
}

func softmax(z []float64, sharp float64) []float64 {
	out, sum := make([]float64, len(z)), 0.0
	for i, v := range z {
		out[i] = math.Exp(sharp * v)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func sampled(rng *rand.Rand, p []float64) int {
	u := rng.Float64()
	for i, v := range p {
		if u -= v; u < 0 {
			return i
		}
	}
	return len(p) - 1
}
