package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Gate is a condition under which a model is not good enough: `auc<0.999`, `tpr@fpr=1e-3<0.97`, `names<10000`.
type Gate struct {
	text   string
	metric string
	fpr    float64 // for tpr
	less   bool    // the model fails below the bar, otherwise above it
	bar    float64
}

// gateValues are what a gate can ask for, beside tpr. The comment of pipeline.GateConfig and the help of evaluate-model
// say what they mean.
func (m *Metrics) gateValues() map[string]Number {
	return map[string]Number{
		"auc":         m.ROCAUC,
		"pr-auc":      m.PRAUC,
		"accuracy":    m.Accuracy,
		"precision":   m.Precision,
		"recall":      m.Recall,
		"fpr":         Number(float64(m.FalseAlarms()) / float64(m.Benign)),
		"f1":          m.F1,
		"mcc":         m.MCC,
		"macro-f1":    m.MacroF1,
		"weighted-f1": m.WeightedF1,
		"names":       Number(m.Names),
	}
}

var gateSyntax = regexp.MustCompile(`^\s*([a-z0-9-]+)(?:@fpr=([0-9.eE+-]+))?\s*([<>])\s*([0-9.eE+-]+)\s*$`)

// GateMetrics are the metrics of conditions, the shortest first.
func GateMetrics() []string {
	known := slices.AppendSeq([]string{"tpr@fpr=1e-2", "tpr@fpr=1e-3", "tpr@fpr=1e-4"},
		maps.Keys(new(Metrics).gateValues()))
	slices.SortFunc(known, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return known
}

// ParseGate reads a condition.
func ParseGate(text string) (Gate, error) {
	wrong := func(why string) (Gate, error) {
		return Gate{}, fmt.Errorf("condition %q: %s. Write it as METRIC<NUMBER or METRIC>NUMBER with one of %s",
			text, why, strings.Join(GateMetrics(), ", "))
	}
	f := gateSyntax.FindStringSubmatch(text)
	if f == nil {
		return wrong("is none")
	}
	g := Gate{text: strings.TrimSpace(text), metric: f[1], less: f[3] == "<"}
	var err error
	if g.bar, err = strconv.ParseFloat(f[4], 64); err != nil {
		return wrong("its bar is no number")
	}
	if g.metric == "tpr" && f[2] == "" {
		return wrong("tpr takes a rate. For the share found at the model's own threshold, write recall")
	}
	if g.metric == "tpr" {
		if g.fpr, err = strconv.ParseFloat(f[2], 64); err != nil || !slices.Contains(reportedRates, g.fpr) {
			return wrong("that rate is not measured")
		}
		return g, nil
	}
	if _, known := new(Metrics).gateValues()[g.metric]; !known || f[2] != "" {
		return wrong("no such metric")
	}
	return g, nil
}

// value is what m has for the gate.
func (g Gate) value(m *Metrics) float64 {
	if g.metric != "tpr" {
		return float64(m.gateValues()[g.metric])
	}
	for _, o := range m.Operating {
		if o.FPR == g.fpr {
			return float64(o.TPR)
		}
	}
	return math.NaN()
}

// fewAlarms is how many benign names a rate of false alarms must expect above it, or it is little more than a guess.
const fewAlarms = 10

// Guesses are warnings about gates whose rate rests on too few benign names of m.
func Guesses(m *Metrics, gates []Gate) (out []string) {
	for _, g := range gates {
		rate := g.fpr
		if g.metric == "fpr" {
			rate = g.bar
		}
		if rate <= 0 {
			continue
		}
		if need := NamesFor(rate); m.Benign < need {
			out = append(out, fmt.Sprintf("%s rests on %d benign names, which makes it little more than a guess. "+
				"Measure at least %d", g.text, m.Benign, need))
		}
	}
	return out
}

// NamesFor is how many benign names it takes to measure a rate of false alarms above 0.
func NamesFor(fpr float64) int { return int(min(math.Ceil(fewAlarms/fpr*(1-1e-9)), 1<<53)) }

// ErrBar is wrapped by the error of a model that is below its bar.
var ErrBar = errors.New("the model is not good enough")

// Check reports every gate that m fails. A number that could not be measured fails.
func Check(m *Metrics, gates []Gate) error {
	var failed []string
	for _, g := range gates {
		v := g.value(m)
		if math.IsNaN(v) {
			failed = append(failed, g.text+": it is not defined here. Try: a split with names of both kinds")
		} else if g.less == (v < g.bar) && v != g.bar {
			failed = append(failed, fmt.Sprintf("%s: it is %.6g", g.text, v))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBar, strings.Join(failed, "; "))
}
