// Package report shows what package metrics has measured: pictures, a page of HTML, the same as Markdown, and tables
// for a terminal. Write makes a report's directory, WriteComparison a comparison's. The pictures are a file each
// (roc.go, training.go, families.go, …); page.go says what the templates report.html and report.md.tmpl are given, and
// commands.go which commands give the report once more.
package report

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	texttemplate "text/template"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
)

// Evaluation is what a report tells of: a run, the split it was measured on, and what came of it.
type Evaluation struct {
	Run     *rundir.Run
	History rundir.History
	Tunings []rundir.Tuning
	DataDir string // where the data set is
	Data    *datasets.Manifest
	Split   string
	Sample  *metrics.Sample
	Metrics *metrics.Metrics
}

// MetricsFile and PageFile are names in the directory that Write makes: the evaluation for programs and for people.
const (
	MetricsFile = "metrics.json"
	PageFile    = "report.html"
)

//go:embed report.html report.md.tmpl
var templates embed.FS

// The templates are parsed when the first report is written: most commands write none.
var (
	pageTemplate = sync.OnceValue(func() executor {
		return template.Must(template.New("report.html").Funcs(functions).ParseFS(templates, "report.html"))
	})
	markdownTemplate = sync.OnceValue(func() executor {
		t := texttemplate.New("report.md.tmpl").Funcs(functions)
		return texttemplate.Must(t.ParseFS(templates, "report.md.tmpl"))
	})
)

// Write writes metrics.json, plots/*.png, report.md and report.html to dir, which exists.
func Write(dir string, e *Evaluation) error {
	plots := filepath.Join(dir, "plots")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	if err := errors.Join(writeJSON(filepath.Join(dir, MetricsFile), e.Metrics), e.draw(plots)); err != nil {
		return err
	}
	p := e.page()
	err := execute(markdownTemplate(), filepath.Join(dir, "report.md"), p)
	if err != nil {
		return err
	}
	if p.Pictures, err = e.pictures(plots); err != nil {
		return err
	}
	return execute(pageTemplate(), filepath.Join(dir, PageFile), p)
}

// WriteComparison writes compare.json and roc.png to dir, which it makes.
func WriteComparison(dir string, c *metrics.Comparison) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(writeJSON(filepath.Join(dir, "compare.json"), c), drawCurves(c, filepath.Join(dir, "roc.png")))
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'))
}

// executor is a template of html/template or text/template.
type executor interface {
	Execute(w io.Writer, data any) error
}

func execute(t executor, path string, p *page) error {
	return atomicfile.WriteFunc(path, func(w io.Writer) error { return t.Execute(w, p) })
}

// draw draws every picture the sample allows.
func (e *Evaluation) draw(dir string) error {
	at := func(name string) string { return filepath.Join(dir, name+".png") }
	m := e.Metrics
	drawn := []error{
		drawCalibration(e.Sample, m.ECE, at("calibration")),
		drawConfusion(m.Labels, m.Confusion, at("confusion")),
		drawScores(e.Sample, m.Threshold, at("scores")),
	}
	if len(e.History) > 0 {
		drawn = append(drawn, drawTraining(e.History, at("training")))
	}
	if !m.ROCAUC.Missing() {
		c := metrics.NewCurve(e.Sample)
		drawn = append(drawn, drawROC(c, m, at("roc")), drawPR(c, m, at("pr")))
	}
	if len(m.Families) > 0 {
		drawn = append(drawn, drawFamilies(m, at("families")))
	}
	return errors.Join(drawn...)
}

// picture is a plot as the page embeds it.
type picture struct {
	Title, Note string
	Data        template.URL
}

// pictures reads the plots in the order of the page; one that was not drawn is left out.
func (e *Evaluation) pictures(dir string) ([]picture, error) {
	calibration := "Each point is the names of one interval of scores. degas calibrate brings them nearer to the diagonal."
	if t := e.Run.Model.Temperature; t != 0 {
		calibration = fmt.Sprintf(
			"Each point is the names of one interval of scores. The model was calibrated, by temperature %.3g.", t)
	}
	var out []picture
	for _, p := range []struct{ file, title, note string }{
		{"roc", "ROC",
			"The axis is logarithmic: what happens left of 0.001 decides how many false alarms a day there are."},
		{"pr", "Precision and recall",
			"At the base rate of this split; malicious names are far rarer in real traffic, so precision there is lower."},
		{"scores", "Scores", ""},
		{"calibration", "Calibration", calibration},
		{"families", "Recall by family", ""},
		{"confusion", "Confusion matrix", ""},
		{"training", "Training", ""},
	} {
		data, err := os.ReadFile(filepath.Join(dir, p.file+".png"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		url := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data))
		out = append(out, picture{p.title, p.note, url})
	}
	return out, nil
}
