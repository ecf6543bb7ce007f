package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/printable"
)

// page is what the templates are given.
type page struct {
	*Evaluation
	Kept                rundir.Epoch // the epoch of the saved weights
	Hardest             []metrics.GroupRecall
	FalseAlarms, Missed []mistake
	Confused            []confused
	At1e2, At1e3        metrics.OperatingPoint
	Pictures            []picture // for HTML
}

func (e *Evaluation) page() *page {
	m := e.Metrics
	return &page{
		Evaluation: e, Kept: e.History.Kept(e.Run.Model.Epoch), Hardest: worstRows(m.Families),
		FalseAlarms: e.worst(false), Missed: e.worst(true), Confused: e.confused(),
		At1e2: m.Operating[metrics.AtFPR1e2], At1e3: m.Operating[metrics.AtFPR1e3],
	}
}

// point is what the model does at its own threshold.
type point struct {
	Alarms, Benign int // benign names called malicious, of all
	Recall95       [2]metrics.Number
}

// ownPoint counts what the model does at its threshold.
func ownPoint(m *metrics.Metrics) point {
	return point{Alarms: m.FalseAlarms(), Benign: m.Benign, Recall95: metrics.Wilson(m.Recall, m.Malicious)}
}

// Own is what the model does at its own threshold.
func (p *page) Own() point { return ownPoint(p.Metrics) }

// Threshold is the model's own.
func (p *page) Threshold() metrics.Number { return metrics.Number(p.Metrics.Threshold) }

// Input is the folder of raw files, as process-data was told it.
func (e *Evaluation) Input() string { return cmp.Or(e.Data.Input, unknownInput) }

// Rate is the rate of false alarms.
func (p point) Rate() string {
	if p.Alarms == 0 {
		return "none"
	}
	return oneIn(float64(p.Alarms) / float64(p.Benign))
}

// ADay is how many false alarms a million look-ups of different benign names make. Of none in n names, it is below
// three in n, with a confidence of 95 % (the rule of three).
func (p point) ADay() string {
	switch {
	case p.Benign == 0:
		return "an unknown number of"
	case p.Alarms == 0:
		return "fewer than " + printable.Grouped(int(math.Ceil(3e6/float64(p.Benign))))
	}
	return "about " + printable.Grouped(int(math.Round(1e6*float64(p.Alarms)/float64(p.Benign))))
}

// TooFew says that the rate rests on fewer than ten false alarms.
func (p point) TooFew() bool { return p.Alarms < 10 }

// Elsewhere is the data set's directory where it is not the run's own.
func (e *Evaluation) Elsewhere() string {
	if e.DataDir == e.Run.Config.Data {
		return ""
	}
	return e.DataDir
}

// Seen says what of the names' families and sources the model knew from training, as far as the split tells.
func (e *Evaluation) Seen() string {
	o := e.Data.Options
	switch held := strings.Join(o.HoldoutFamilies, ", "); {
	case len(e.History) == 0 || e.Run.Model.Dataset != e.Data.Fingerprint:
		return "What the model saw in training is not known."
	case e.Split == "train":
	case o.Split == datasets.SplitByFamily || o.Split == datasets.SplitBySource:
		return fmt.Sprintf("The data set is split by %s: none of this split was seen in training.", o.Split)
	case o.Split == datasets.SplitByDate:
		return "The data set is split by date:" +
			" what families of this split were seen in training depends on when they were new."
	case held != "" && e.Split == "test":
		return fmt.Sprintf("Some families of the test split were held out of training (%s), the others were seen.", held)
	}
	return "The families of the split were seen in training."
}

// mistake is a name the model is most wrong about.
type mistake struct {
	Name, Family, Source string
	Score                metrics.Number
}

// confused is a malicious name that a model of more than two labels takes for another kind.
type confused struct {
	mistake      // Score is the chance that it gives the wrong label
	Truth, Label string
}

// worstRows cuts a list to the rows that a table of the worst shows.
func worstRows[T any](list []T) []T { return list[:min(20, len(list))] }

// worst lists the malicious names with the lowest scores, or the benign ones with the highest, on the wrong side of the
// threshold.
func (e *Evaluation) worst(malicious bool) []mistake {
	var out []mistake
	s := e.Sample
	for i, truth := range s.Truth {
		if (truth != 0) == malicious && (s.Predicted(i, e.Metrics.Threshold) != 0) != malicious {
			out = append(out, e.mistake(i, s.Score(i)))
		}
	}
	slices.SortStableFunc(out, func(a, b mistake) int {
		if malicious {
			return cmp.Compare(a.Score, b.Score)
		}
		return cmp.Compare(b.Score, a.Score)
	})
	return worstRows(out)
}

func (e *Evaluation) mistake(i int, score float64) mistake {
	return mistake{e.Sample.Names[i], e.Sample.Family[i], e.Sample.Source[i], metrics.Number(score)}
}

// confused lists the malicious names that the model is surest to be of another kind than they are.
func (e *Evaluation) confused() []confused {
	var out []confused
	s := e.Sample
	for i, truth := range s.Truth {
		if got := s.Predicted(i, e.Metrics.Threshold); truth != 0 && got != 0 && got != truth {
			out = append(out, confused{e.mistake(i, float64(s.Row(i)[got])), s.Labels[truth], s.Labels[got]})
		}
	}
	slices.SortStableFunc(out, func(a, b confused) int { return cmp.Compare(b.Score, a.Score) })
	return worstRows(out)
}
