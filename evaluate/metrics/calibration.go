package metrics

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/degas-dns/degas/model/dnsname"
)

// Bin holds the names of one interval of confidence.
type Bin struct {
	Names             int
	Confidence, Right float64 // sums over the names
}

// calibrationBins is the number of equal intervals that confidences are put into.
const calibrationBins = 15

// CalibrationBins puts names into bins. Of two labels the confidence is the score and right means malicious; of more it
// is the likeliest label's probability and right means that it is the true one.
func CalibrationBins(s *Sample) []Bin {
	bins := make([]Bin, calibrationBins)
	for i := range s.Names {
		p, right := s.Score(i), s.Truth[i] != 0
		if len(s.Labels) > 2 {
			row := s.Row(i)
			best := slices.Index(row, slices.Max(row))
			p, right = float64(row[best]), s.Truth[i] == best
		}
		b := &bins[min(int(p*calibrationBins), calibrationBins-1)]
		b.Names++
		b.Confidence += p
		if right {
			b.Right++
		}
	}
	return bins
}

// expectedError is the expected calibration error (Naeini et al. 2015; Guo et al. 2017): how far confidence and truth
// are apart in a bin, on average over names.
func expectedError(bins []Bin) Number {
	var sum float64
	names := 0
	for _, b := range bins {
		sum += math.Abs(b.Confidence - b.Right)
		names += b.Names
	}
	return Number(sum / float64(names))
}

// Calibration is a temperature that was fitted: the mean negative log-likelihood and the calibration error of the split
// before and after.
type Calibration struct {
	Temperature float64 `json:"temperature"` // above 1 where the model was too sure
	Split       string  `json:"split"`
	Names       int     `json:"names"`
	NLLBefore   float64 `json:"nll_before"`
	NLLAfter    float64 `json:"nll_after"`
	ECEBefore   float64 `json:"ece_before"`
	ECEAfter    float64 `json:"ece_after"`
	// ECEHeldOut is the error after on names that the temperature was not fitted on, as HeldOutErrors has it.
	ECEHeldOut float64 `json:"ece_held_out,omitempty"`
	// Threshold is moved so that the same names are called malicious as before or, with more than two labels, as many
	// benign names of the split.
	Threshold float64 `json:"threshold"`
	// Restored is set when undoing has made the model what it was before, to the last bit.
	Restored bool `json:"restored,omitempty"`
}

// FitTemperature finds the temperature that makes the true labels of a split likeliest (Guo et al. 2017,
// arXiv:1706.04599). What is known after the model has changed, ECEAfter and Threshold, is left to Applied.
func FitTemperature(s *Sample, split string) (*Calibration, error) {
	if c := NewCurve(s); c.oneKind() {
		return nil, fmt.Errorf("%s: %d malicious and %d benign names: both kinds are needed. "+
			"Try: --data with another data set", split, c.Positives, c.Negatives)
	}
	logs, k := logProbabilities(s), len(s.Labels)
	t := minimize(func(t float64) float64 { return meanNLL(logs, s.Truth, k, t) })
	if alwaysRight(logs, s.Truth, k) || t < 1.01*coldest {
		return nil, fmt.Errorf("%d names of %s cannot say how sure the model may be: its likeliest label is wrong for"+
			" too few of them. Try: process-data with more data", len(s.Names), split)
	}
	return Measured(s, split, t), nil
}

// Measured is what is known of a temperature before the model has changed.
func Measured(s *Sample, split string, t float64) *Calibration {
	logs, k := logProbabilities(s), len(s.Labels)
	return &Calibration{
		Temperature: t, Split: split, Names: len(s.Names), ECEBefore: float64(expectedError(CalibrationBins(s))),
		NLLBefore: meanNLL(logs, s.Truth, k, 1), NLLAfter: meanNLL(logs, s.Truth, k, t),
	}
}

// HeldOutErrors are the calibration errors of a sample before and after, on names that the temperature was not fitted
// on: each half of the registered domains is rescaled by the temperature of the other. A split whose names resemble one
// another more than they resemble names elsewhere fits itself well, and other names badly.
func HeldOutErrors(s *Sample) (before, after float64) {
	logs, k := logProbabilities(s), len(s.Labels)
	var halves [2]Sample
	var halfLogs [2][]float64
	for i, name := range s.Names {
		h := fnv.New32a()
		h.Write([]byte(dnsname.Registered(name)))
		half := h.Sum32() % 2
		halves[half].Names, halves[half].Truth = append(halves[half].Names, name), append(halves[half].Truth, s.Truth[i])
		halfLogs[half] = append(halfLogs[half], logs[i*k:(i+1)*k]...)
	}
	scaled := Sample{Labels: s.Labels}
	for half, other := range []int{1, 0} {
		t := minimize(func(t float64) float64 { return meanNLL(halfLogs[other], halves[other].Truth, k, t) })
		scaled.Names = append(scaled.Names, halves[half].Names...)
		scaled.Truth = append(scaled.Truth, halves[half].Truth...)
		for row := range slices.Chunk(halfLogs[half], k) {
			scaled.Probabilities = append(scaled.Probabilities, tempered(row, t)...)
		}
	}
	return float64(expectedError(CalibrationBins(s))), float64(expectedError(CalibrationBins(&scaled)))
}

// tempered are the probabilities of logits that are divided by t.
func tempered(logits []float64, t float64) []float32 {
	top, sum := slices.Max(logits), 0.0
	for _, z := range logits {
		sum += math.Exp((z - top) / t)
	}
	out := make([]float32, len(logits))
	for i, z := range logits {
		out[i] = float32(math.Exp((z-top)/t) / sum)
	}
	return out
}

// Applied fills in ECEAfter and Threshold: after is the sample as the calibrated model scores it, threshold the model's
// before.
func (c *Calibration) Applied(before, after *Sample, threshold float64) {
	c.ECEAfter = float64(expectedError(CalibrationBins(after)))
	move := movedThreshold
	if len(before.Labels) > 2 {
		move = sameAlarms
	}
	c.Threshold = move(before, after, threshold, c.Temperature)
}

// movedThreshold is the threshold that keeps the verdicts on s when logits are divided by t. Near 1 many logits round
// to one float32 score. After scaling they may differ, so the new scores decide.
func movedThreshold(s, after *Sample, threshold, t float64) float64 {
	called, rest := math.Inf(1), math.Inf(-1) // the lowest score after of those called malicious, the others' highest
	for i := range s.Names {
		if s.Score(i) >= threshold {
			called = min(called, after.Score(i))
		} else {
			rest = max(rest, after.Score(i))
		}
	}
	moved := scaleLogit(threshold, t)
	if moved > called || moved <= rest && rest < called {
		moved = called
	}
	return validThreshold(moved)
}

// scaleLogit is a probability whose logit is divided by t.
func scaleLogit(p, t float64) float64 { return 1 / (1 + math.Exp(-math.Log(p/(1-p))/t)) }

// sameAlarms is movedThreshold for more than two labels, whose scores a temperature reorders: the threshold stops where
// another number of benign names would be called malicious.
func sameAlarms(s, after *Sample, threshold, t float64) float64 {
	var scores []float64 // of benign names, after
	alarms := 0
	for i, truth := range s.Truth {
		if truth == 0 {
			scores = append(scores, after.Score(i))
			if s.Score(i) >= threshold {
				alarms++
			}
		}
	}
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	moved := scaleLogit(threshold, t)
	if alarms > 0 {
		moved = min(moved, scores[alarms-1])
	}
	if alarms < len(scores) && moved <= scores[alarms] {
		moved = math.Nextafter(scores[alarms], 1)
	}
	return validThreshold(moved)
}

// logProbabilities are logits up to a constant. Probabilities are clipped at 1e-8.
func logProbabilities(s *Sample) []float64 {
	out := make([]float64, len(s.Probabilities))
	for i, p := range s.Probabilities {
		out[i] = math.Log(max(float64(p), 1e-8))
	}
	return out
}

// meanNLL is the mean negative log-likelihood of the true labels at a temperature; logs is [names, k].
func meanNLL(logs []float64, truth []int, k int, t float64) float64 {
	var sum float64
	for i, label := range truth {
		row := logs[i*k : (i+1)*k]
		var total float64
		for _, z := range row {
			total += math.Exp((z - row[label]) / t)
		}
		sum += math.Log(total)
	}
	return sum / float64(len(truth))
}

// alwaysRight reports whether every true label is the likeliest: the surer such a model is made, the likelier the
// names.
func alwaysRight(logs []float64, truth []int, k int) bool {
	for i, label := range truth {
		if row := logs[i*k : (i+1)*k]; row[label] < slices.Max(row) {
			return false
		}
	}
	return true
}

// coldest is the lowest temperature that is looked at, its inverse the highest.
const coldest = 1.0 / 20

// minimize finds the temperature with the least f by golden section in its logarithm: the log-likelihood is concave in
// 1/t.
func minimize(f func(t float64) float64) float64 {
	ratio := (math.Sqrt(5) - 1) / 2
	lo, hi := math.Log(coldest), -math.Log(coldest)
	a, b := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
	fa, fb := f(math.Exp(a)), f(math.Exp(b))
	for hi-lo > 1e-4 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - ratio*(hi-lo)
			fa = f(math.Exp(a))
		} else {
			lo, a, fa = a, b, fb
			b = lo + ratio*(hi-lo)
			fb = f(math.Exp(b))
		}
	}
	return math.Exp((lo + hi) / 2)
}
