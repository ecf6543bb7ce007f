package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot/plotter"

	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/model"
)

// calibrationBins is the number of equal intervals that confidences are put into.
const calibrationBins = 15

// bin is what one interval of confidence holds.
type bin struct {
	names             int
	confidence, right float64 // sums
}

// calibrationOf puts names into bins. Of two labels the confidence is the score and right means malicious; of more it is the
// likeliest label's probability and right means that it is the true one.
func calibrationOf(s *Sample) []bin {
	bins, k := make([]bin, calibrationBins), len(s.Labels)
	for i := range s.Names {
		p, right := s.Score(i), s.Truth[i] != 0
		if k > 2 {
			row := s.Probabilities[i*k : (i+1)*k]
			best := slices.Index(row, slices.Max(row))
			p, right = float64(row[best]), s.Truth[i] == best
		}
		b := &bins[min(int(p*calibrationBins), calibrationBins-1)]
		b.names++
		b.confidence += p
		if right {
			b.right++
		}
	}
	return bins
}

// ece is the expected calibration error (Naeini et al. 2015; Guo et al. 2017): how far confidence and truth are apart in a
// bin, on average over names.
func ece(bins []bin) float64 {
	var sum float64
	n := 0
	for _, b := range bins {
		sum += math.Abs(b.confidence - b.right)
		n += b.names
	}
	return sum / float64(n)
}

// plotCalibration draws the truth by confidence; a calibrated model is on the diagonal.
func plotCalibration(s *Sample, value float64, path string) error {
	xLabel, yLabel := "score", "share of malicious names"
	if len(s.Labels) > 2 {
		xLabel, yLabel = "probability of the likeliest label", "share of names it is right for"
	}
	p := chart.New(fmt.Sprintf("Calibration: error %.4f", value), xLabel, yLabel)
	p.Add(plotter.NewGrid())
	var xy plotter.XYs
	for _, b := range calibrationOf(s) {
		if b.names > 0 {
			xy = append(xy, plotter.XY{X: b.confidence / float64(b.names), Y: b.right / float64(b.names)})
		}
	}
	if err := line(p, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, chart.Ink, "calibrated", false); err != nil {
		return err
	}
	if err := line(p, xy, chart.Blue, "this model", true); err != nil {
		return err
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Legend.Top, p.Legend.Left = true, true
	return chart.Save(p, 8, 4.6, path)
}

// Calibration is what Calibrate found: mean negative log-likelihood and calibration error on the split before and after.
type Calibration struct {
	Temperature float64 `json:"temperature"` // above 1 where the model was too sure
	Split       string  `json:"split"`
	Names       int     `json:"names"`
	NLLBefore   float64 `json:"nll_before"`
	NLLAfter    float64 `json:"nll_after"`
	ECEBefore   float64 `json:"ece_before"`
	ECEAfter    float64 `json:"ece_after"`
	// Threshold is moved so that the same names are called malicious as before or, with more than two labels, as many benign
	// names of the split.
	Threshold float64 `json:"threshold"`
}

// Calibrate scales the logits of a run's model by the temperature that fits a split best, validation unless o says
// otherwise (Guo et al. 2017, arXiv:1706.04599). The scale goes into the head's weights, so that every export has it. The
// order of scores and the verdicts stay as they are; of more than two labels, the false alarms' number does.
func Calibrate(ctx context.Context, o RunOptions) (*Calibration, error) {
	c, err := calibrate(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("calibrate %s: %w", o.RunDir, err)
	}
	return c, nil
}

func calibrate(ctx context.Context, o RunOptions) (*Calibration, error) {
	m, s, o, err := scoreForTuning(ctx, o)
	if err != nil {
		return nil, err
	}
	logs := logProbabilities(s)
	k := len(s.Labels)
	t := minimize(func(t float64) float64 { return meanNLL(logs, s.Truth, k, t) })
	if alwaysRight(logs, s.Truth, k) || t < 1.01*coldest {
		return nil, fmt.Errorf("%d names of %s cannot say how sure the model may be: its likeliest label is wrong for too few of them. Try: process-data with more data", len(s.Names), o.Split)
	}
	c := &Calibration{Temperature: t, Split: o.Split, Names: len(s.Names), NLLBefore: meanNLL(logs, s.Truth, k, 1),
		NLLAfter: meanNLL(logs, s.Truth, k, t), ECEBefore: ece(calibrationOf(s))}
	params, err := m.Spec.Params()
	if err != nil {
		return nil, err
	}
	for _, p := range params[len(params)-2:] { // the head's kernel and bias
		for i := range m.Weights[p.Name].Data {
			m.Weights[p.Name].Data[i] /= float32(t)
		}
	}
	after, err := rescored(ctx, m, s)
	if err != nil {
		return nil, err
	}
	if k == 2 {
		m.Threshold = movedThreshold(s, after, m.Threshold, t)
	} else {
		m.Threshold = sameAlarms(s, after, m.Threshold, t)
	}
	m.Temperature = t * cmp.Or(m.Temperature, 1)
	c.Threshold = m.Threshold
	c.ECEAfter = ece(calibrationOf(after))
	if err := m.Save(filepath.Join(o.RunDir, "model")); err != nil {
		return nil, err
	}
	return c, tuned{Command: "calibrate", Data: o.Data, Split: o.Split, Threshold: m.Threshold}.note(o.RunDir)
}

// movedThreshold is where a threshold comes to lie when logits are divided by t, so that the verdicts on s stay. Scores are
// float32, and near 1 a hundred logits share one of them, which t may take apart: the names' own scores after decide then.
func movedThreshold(s, after *Sample, threshold, t float64) float64 {
	called, rest := math.Inf(1), math.Inf(-1) // the lowest score after of those called malicious, the highest of the others
	for i := range s.Names {
		if s.Score(i) >= threshold {
			called = min(called, after.Score(i))
		} else {
			rest = max(rest, after.Score(i))
		}
	}
	moved := scaled(threshold, t)
	if moved > called || moved <= rest && rest < called {
		moved = called
	}
	return within(moved)
}

// scaled is a probability whose logit is divided by t.
func scaled(p, t float64) float64 { return 1 / (1 + math.Exp(-math.Log(p/(1-p))/t)) }

// sameAlarms is movedThreshold for more than two labels, whose scores a temperature takes out of order: the threshold moves
// along and stops where another number of benign names would be called malicious.
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
	moved := scaled(threshold, t)
	if alarms > 0 {
		moved = min(moved, scores[alarms-1])
	}
	if alarms < len(scores) && moved <= scores[alarms] {
		moved = math.Nextafter(scores[alarms], 1)
	}
	return within(moved)
}

// scoreForTuning scores a split that a model may be tuned on: validation, or train, but not test.
func scoreForTuning(ctx context.Context, o RunOptions) (*model.Model, *Sample, RunOptions, error) {
	if o.Split == "" {
		o.Split = "validation"
	}
	if o.Split == "test" {
		return nil, nil, o, errors.New("the test split is for measuring: what is chosen on it would look better than it is. Try: --split validation")
	}
	cfg, m, err := openRun(&o)
	if err != nil {
		return nil, nil, o, err
	}
	s, err := score(ctx, m, cfg.Target, o)
	if err != nil {
		return nil, nil, o, err
	}
	return m, s, o, s.validate()
}

// rescored is s with the probabilities of another model.
func rescored(ctx context.Context, m *model.Model, s *Sample) (*Sample, error) {
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	out := *s
	out.Probabilities = make([]float32, len(s.Probabilities))
	return &out, c.Probabilities(ctx, s.Names, out.Probabilities)
}

// logProbabilities are logits up to a constant. A float32 ends at 1e-7 below 1: what is surer than that counts as that sure.
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

// alwaysRight reports whether every true label is the likeliest: the surer such a model is made, the likelier the names.
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

// minimize finds the temperature with the least f by golden section in its logarithm: the log-likelihood is concave in 1/t.
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
