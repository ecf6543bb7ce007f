package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// changeMetrics are what a condition on a comparison can ask for.
var changeMetrics = []string{"auc", "recall", "fpr", "tpr"}

// ParseChange reads a condition on how a run differs from another one: `auc<-0.001` says that its area is more than
// 0.001 below the other's, `fpr>0.0005` that it has more false alarms. recall and fpr are at each one's threshold.
func ParseChange(text string) (Gate, error) {
	g, err := ParseGate(text)
	if err == nil && !slices.Contains(changeMetrics, g.metric) {
		err = fmt.Errorf("condition %q: a comparison has no such metric. Write it with one of auc, recall, fpr, "+
			"tpr@fpr=1e-2, tpr@fpr=1e-3, tpr@fpr=1e-4", text)
	}
	return g, err
}

// CheckChange reports every condition of ParseChange that holds for the first run of c beside one of the others. A
// number that could not be measured counts as if the condition held.
func CheckChange(c *Comparison, conditions []Gate) error {
	var failed []string
	for _, other := range c.Runs[1:] {
		for _, g := range conditions {
			now, before := g.compared(&c.Runs[0]), g.compared(&other)
			change := now - before
			switch {
			case math.IsNaN(change):
				failed = append(failed, g.text+": it is not defined here. Try: a split with names of both kinds")
			case g.less == (change < g.bar) && change != g.bar:
				failed = append(failed, fmt.Sprintf("%s: it is %.6g, and %.6g for %s", g.text, now, before, other.Run))
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBar, strings.Join(failed, "; "))
}

// compared is what r has for a condition.
func (g Gate) compared(r *Compared) float64 {
	switch g.metric {
	case "auc":
		return float64(r.ROCAUC)
	case "recall":
		return float64(r.Recall)
	case "fpr":
		return float64(r.FPR)
	}
	for _, o := range r.Operating {
		if o.FPR == g.fpr {
			return float64(o.TPR)
		}
	}
	return math.NaN()
}

// atThreshold measures r at its own threshold, also by source.
func (r *Compared) atThreshold() {
	m := Metrics{Threshold: r.Threshold, Operating: r.Operating}
	m.countGroups(r.Sample)
	r.Sources = m.Sources
	var found, alarms int
	for i := range r.Sample.Names {
		switch said := r.Sample.Predicted(i, r.Threshold) != 0; {
		case said && r.Sample.malicious(i):
			found++
		case said:
			alarms++
		}
	}
	r.Recall = Number(found) / Number(r.Curve.Positives)
	r.FPR = Number(alarms) / Number(r.Curve.Negatives)
}
