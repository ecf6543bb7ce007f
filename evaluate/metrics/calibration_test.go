package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Names whose truth is drawn at temperature 1 while the model speaks at others: the temperature that calibrates it is
// the inverse, and the calibration error at it is what chance leaves.
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
			if e := float64(expectedError(CalibrationBins(s))); (sharp == 1) != (e < 0.015) {
				t.Errorf("%d labels, %g times too sure: calibration error %g", labels, sharp, e)
			}
		}
	}
}

// A temperature that fits the names of one large domain makes the others worse; with names all of one kind it does not.
func TestHeldOutErrors(t *testing.T) {
	for _, tc := range []struct {
		odd   bool
		worse bool
	}{{true, true}, {false, false}} {
		rng := rand.New(rand.NewPCG(1, 2))
		s := binarySample(nil, nil)
		for i := range 4000 {
			z := []float64{0, 2 * rng.NormFloat64()}
			truth, said := sampled(rng, softmax(z, 1)), softmax(z, 0.5)
			name := fmt.Sprintf("n%d.com", i)
			if tc.odd {
				said = softmax(z, 1) // right where the names are ordinary
				if i%5 == 0 {
					name, truth, said = fmt.Sprintf("n%d.odd.com", i), 0, []float64{0.01, 0.99}
				}
			}
			s.Names, s.Truth = append(s.Names, name), append(s.Truth, truth)
			s.Probabilities = append(s.Probabilities, float32(said[0]), float32(said[1]))
		}
		before, after := HeldOutErrors(s)
		if after > before != tc.worse {
			t.Errorf("an odd domain: %v, calibration error %.4f before, %.4f after", tc.odd, before, after)
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

// With more labels the threshold moves along and stops where another number of benign names would be called malicious.
func TestSameAlarms(t *testing.T) {
	of := func(scores ...float64) *Sample {
		s := &Sample{Labels: []string{"benign", "a", "b"}}
		for _, p := range scores {
			s.Names, s.Truth = append(s.Names, "x"), append(s.Truth, 0)
			s.Probabilities = append(s.Probabilities, float32(1-p), float32(p/2), float32(p/2))
		}
		return s
	}
	for _, tc := range []struct {
		before, after      []float64
		threshold, t, want float64
	}{
		{[]float64{0.01, 0.03}, []float64{0.01, 0.03}, 0.5, 1, 0.5}, // in the gap it stays where it was
		{[]float64{0.01, 0.6}, []float64{0.2, 0.55}, 0.9, 2, 0.75},  // the logit is halved
		{[]float64{0.01, 0.6}, []float64{0.2, 0.45}, 0.5, 1, 0.45},  // an alarm stays one
		{[]float64{0.01, 0.4}, []float64{0.2, 0.7}, 0.5, 1, 0.7},    // and no other comes
	} {
		got := sameAlarms(of(tc.before...), of(tc.after...), tc.threshold, tc.t)
		if math.Abs(got-tc.want) > 1e-6 {
			t.Errorf("%v to %v, %g: %g, want %g", tc.before, tc.after, tc.threshold, got, tc.want)
		}
		alarms := func(s *Sample, threshold float64) (n int) {
			for i := range s.Names {
				if s.Score(i) >= threshold {
					n++
				}
			}
			return n
		}
		if a, b := alarms(of(tc.before...), tc.threshold), alarms(of(tc.after...), got); a != b {
			t.Errorf("%v to %v: %d alarms became %d", tc.before, tc.after, a, b)
		}
	}
}

// A model that is right about every name would be the likelier the surer it were made.
func TestAlwaysRight(t *testing.T) {
	logs := []float64{-0.1, -3, -3, -0.1}
	if !alwaysRight(logs, []int{0, 1}, 2) || alwaysRight(logs, []int{0, 0}, 2) {
		t.Error("right about two of two, and about one")
	}
	if at := minimize(func(t float64) float64 { return meanNLL(logs, []int{0, 1}, 2, t) }); at > 1.01*coldest*3 {
		t.Errorf("temperature %g, want the lowest: the check would not be needed", at)
	}
}

// Names of one kind alone do not say how sure a model may be of the other.
func TestTemperatureOfOneKind(t *testing.T) {
	s := &Sample{Labels: []string{"benign", "malicious"}, Names: []string{"a", "b", "c"}, Truth: []int{0, 0, 0},
		Probabilities: []float32{0.4, 0.6, 0.3, 0.7, 0.6, 0.4}}
	c, err := FitTemperature(s, "validation")
	if err == nil || !strings.Contains(err.Error(), "both kinds are needed. Try: ") {
		t.Errorf("%+v, error %v", c, err)
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
