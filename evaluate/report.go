package evaluate

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	texttemplate "text/template"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/model"
)

// report is what the page shows.
type report struct {
	Run, Split string
	// Dir is the run's directory, Elsewhere the data it was measured on where those are not its own.
	Dir, Elsewhere string
	// OwnSpec is set where the run keeps an architecture that is no preset, whatever it is called.
	OwnSpec bool
	Config  runConfig
	Model   *model.Model
	Metrics *Metrics
	Sample  *Sample
	History []Epoch
	// Tuning is what was done to the model after training.
	Tuning []tuned
	Data   *datasets.Manifest
}

// arch is the architecture's name for a reader.
func (r *report) arch() string {
	if r.OwnSpec {
		return r.Config.Arch + ", changed (spec.json)"
	}
	return r.Config.Arch
}

//go:embed report.html
var page string

// picture is a plot as the page embeds it.
type picture struct {
	Title, Note string
	Data        template.URL
}

// pictures in the order of the page; a plot that was not made is left out.
var pictures = []struct{ file, title, note string }{
	{"roc", "ROC", "The axis is logarithmic: what happens left of 0.001 decides how many false alarms a day there are."},
	{"pr", "Precision and recall", "At the base rate of this split; malicious names are far rarer in real traffic, so precision there is lower."},
	{"scores", "Scores", ""},
	{"calibration", "Calibration", "Each point is the names of one interval of scores. degas calibrate brings them nearer to the diagonal."},
	{"families", "Recall by family", ""},
	{"confusion", "Confusion matrix", ""},
	{"training", "Training", ""},
}

// functions are what both forms of the report format numbers with.
var functions = map[string]any{"num": num, "count": chart.Grouped, "pct": percent, "span": span, "labels": labelText, "rate": rateText, "fine": fine, "digits": digits, "licence": licence,
	"wilson": wilsonOf, "cell": cell, "count64": func(n int64) string { return chart.Grouped(int(n)) }}

// values are what both forms show.
func (r *report) values() map[string]any {
	return map[string]any{"R": r, "M": r.Metrics, "Parameters": r.Model.Weights.Size(), "Best": r.best(), "Hardest": r.Metrics.Families[:min(worstShown, len(r.Metrics.Families))],
		"FalseAlarms": r.worst(false), "Missed": r.worst(true), "Confused": r.confusions(), "Loose": r.Metrics.Operating[0], "Strict": r.Metrics.Operating[1], "Inputs": r.Data.Inputs, "Again": r.again(), "Seen": r.seen(), "Arch": r.arch(),
		"Invents": r.Config.option("invent"), "Sampled": r.Config.option("names")}
}

//go:embed report.md.tmpl
var plain string

// markdown writes the report without pictures, for where a page cannot be shown.
func (r *report) markdown(dir string) error {
	t, err := texttemplate.New("report").Funcs(functions).Parse(plain)
	if err != nil {
		return fmt.Errorf("report template: %w", err)
	}
	return atomicfile.WriteFunc(filepath.Join(dir, "report.md"), func(w io.Writer) error { return t.Execute(w, r.values()) })
}

func (r *report) html(dir string) error {
	t, err := template.New("report").Funcs(functions).Parse(page)
	if err != nil {
		return fmt.Errorf("report template: %w", err)
	}
	var shown []picture
	for _, p := range pictures {
		data, err := os.ReadFile(filepath.Join(dir, "plots", p.file+".png"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if t := r.Model.Temperature; p.file == "calibration" && t != 0 {
			p.note = fmt.Sprintf("Each point is the names of one interval of scores. The model was calibrated, by temperature %.3g.", t)
		}
		shown = append(shown, picture{p.title, p.note, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data))})
	}
	values := r.values()
	values["Pictures"] = shown
	return atomicfile.WriteFunc(filepath.Join(dir, "report.html"), func(w io.Writer) error { return t.Execute(w, values) })
}

// best is the epoch whose weights the model has; zero for an imported model, which has no history.
func (r *report) best() Epoch {
	if len(r.History) == 0 {
		return Epoch{}
	}
	for _, e := range r.History {
		if e.Epoch == r.Model.Epoch {
			return e
		}
	}
	return bestEpoch(r.History)
}

// bestEpoch is the one with the lowest validation loss, or the one that was blended with it.
func bestEpoch(history []Epoch) Epoch {
	if last := history[len(history)-1]; last.Blend > 0 {
		return last
	}
	return slices.MinFunc(history, func(a, b Epoch) int { return cmp.Compare(a.ValidationLoss, b.ValidationLoss) })
}

// seen says what of the names' families and sources the model knew from training, as far as the split tells.
func (r *report) seen() string {
	o := r.Data.Options
	switch held := strings.Join(o.HoldoutFamilies, ", "); {
	case len(r.History) == 0 || r.Model.Dataset != r.Data.Fingerprint:
		return "What the model saw in training is not known."
	case r.Split == "train":
	case o.Split == datasets.SplitByFamily || o.Split == datasets.SplitBySource:
		return fmt.Sprintf("The data set is split by %s: none of this split was seen in training.", o.Split)
	case o.Split == datasets.SplitByDate:
		return "The data set is split by date: what families of this split were seen in training depends on when they were new."
	case held != "" && r.Split == "test":
		return fmt.Sprintf("Some families of the test split were held out of training (%s), the others were seen.", held)
	}
	return "The families of the split were seen in training."
}

// mistake is a name the model is most wrong about.
type mistake struct {
	Name, Family, Source string
	Score                Number
}

// confused is a malicious name that a model of more than two labels takes for another kind.
type confused struct {
	mistake      // Score is the chance that it gives the wrong label
	Truth, Label string
}

const worstShown = 20

// worst lists the malicious names with the lowest scores, or the benign ones with the highest, on the wrong side of the
// threshold.
func (r *report) worst(malicious bool) []mistake {
	var picks []int
	s := r.Sample
	for i := range s.Names {
		if (s.Truth[i] != 0) == malicious && (s.Predicted(i, r.Metrics.Threshold) != 0) != malicious {
			picks = append(picks, i)
		}
	}
	slices.SortStableFunc(picks, func(a, b int) int {
		d := s.Score(a) - s.Score(b)
		if !malicious {
			d = -d
		}
		return int(math.Copysign(1, d)) * map[bool]int{true: 0, false: 1}[d == 0]
	})
	var out []mistake
	for _, i := range picks[:min(worstShown, len(picks))] {
		out = append(out, mistake{s.Names[i], s.Family[i], s.Source[i], Number(s.Score(i))})
	}
	return out
}

// confusions lists the malicious names that the model is surest to be of another kind than they are.
func (r *report) confusions() []confused {
	var out []confused
	s := r.Sample
	for i, truth := range s.Truth {
		if got := s.Predicted(i, r.Metrics.Threshold); truth != 0 && got != 0 && got != truth {
			out = append(out, confused{mistake{s.Names[i], s.Family[i], s.Source[i], Number(s.row(i)[got])}, s.Labels[truth], s.Labels[got]})
		}
	}
	slices.SortStableFunc(out, func(a, b confused) int { return cmp.Compare(b.Score, a.Score) })
	return out[:min(worstShown, len(out))]
}

// licence is what a known source's publisher says.
func licence(source string) string {
	if s, err := sources.Lookup(source); err == nil && s.Licence != "" {
		return s.Licence
	}
	return "not known to degas"
}

// num formats a metric with four digits; "–" where there is none.
func num(x any) string {
	v := math.NaN()
	switch x := x.(type) {
	case float64:
		v = x
	case *float64:
		if x != nil {
			v = *x
		}
	case Number:
		v = float64(x)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf("%.4f", v)
}

// percent formats a share.
func percent(x Number) string {
	if math.IsNaN(float64(x)) {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(x))
}

// span formats the interval of a share, for beside it.
func span(x [2]Number) string {
	if math.IsNaN(float64(x[0])) {
		return ""
	}
	return fmt.Sprintf("%.1f–%.1f", 100*float64(x[0]), 100*float64(x[1]))
}

// rateText says a false-positive rate in words a person deploys by.
func rateText(fpr float64) string { return "1 in " + chart.Grouped(int(math.Round(1/fpr))) }

// cell is a text as a cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// digits are those of a threshold that tell it from its neighbours, no zeros after them.
func digits(x float64) string { return fmt.Sprintf("%.7g", x) }

// fine formats a threshold with the digits it takes to deploy it: those near 1 differ late.
func fine(x Number) string {
	if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
		return "–"
	}
	return fmt.Sprintf("%.7f", float64(x))
}
