// Package report shows what package metrics has measured: pictures, a page of HTML, the same as Markdown, and tables
// for a terminal. Write makes a report's directory, WriteComparison a comparison's. page.go says what the templates
// report.html and report.md.tmpl are given, and commands.go which commands give the report once more.
package report

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
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

// Files are the files that Write makes, and the directory of pictures.
var Files = []string{MetricsFile, PageFile, "report.md", "plots/"}

//go:embed report.html
var pageTemplate string

//go:embed report.md.tmpl
var markdownTemplate string

var (
	htmlPage     = printable.HTMLTemplate(PageFile, pageTemplate, functions)
	markdownPage = printable.MarkdownTemplate("report.md", markdownTemplate, functions)
)

// Write writes metrics.json, plots/*.png, report.md and report.html to dir, which exists.
func Write(dir string, e *Evaluation) error {
	if err := atomicfile.WriteJSON(filepath.Join(dir, MetricsFile), e.Metrics); err != nil {
		return err
	}
	p := e.page()
	var err error
	if p.Pictures, err = e.draw(filepath.Join(dir, "plots")); err != nil {
		return err
	}
	return errors.Join(
		atomicfile.WriteFunc(filepath.Join(dir, "report.md"), func(w io.Writer) error {
			return markdownPage.Execute(w, p)
		}),
		atomicfile.WriteFunc(filepath.Join(dir, PageFile), func(w io.Writer) error {
			return htmlPage.Execute(w, p)
		}))
}

// ComparisonFile has the numbers of a comparison, in the folder that WriteComparison makes.
const ComparisonFile = "compare.json"

// WriteComparison makes dir a directory of compare.json and roc.png. It refuses one that holds anything else.
func WriteComparison(dir string, c *metrics.Comparison) error {
	const numbers, picture = ComparisonFile, "roc.png"
	err := atomicfile.HoldsOnly(dir, numbers, picture)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = atomicfile.ReplaceDir(dir, func(stage string) error {
			return errors.Join(atomicfile.WriteJSON(filepath.Join(stage, numbers), c),
				drawCurves(c).save(filepath.Join(stage, picture)))
		})
	}
	if err != nil {
		return fmt.Errorf("write the comparison to %s: %w", dir, err)
	}
	return nil
}

// picture is a plot as the page embeds it.
type picture struct {
	Title, Note string
	Data        template.URL
}

// draw writes every plot that the sample allows to dir, which it makes, and gives them in the order of the page.
func (e *Evaluation) draw(dir string) ([]picture, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	m := e.Metrics
	var roc, pr, families, training *canvas
	if !m.ROCAUC.Missing() {
		c := metrics.NewCurve(e.Sample)
		roc, pr = drawROC(c, m), drawPR(c, m)
	}
	if len(m.Families) > 0 {
		families = drawFamilies(m)
	}
	if len(e.History) > 0 {
		training = drawTraining(e.History)
	}
	calibration := "degas calibrate brings them nearer to the diagonal."
	if t := e.Run.Model.Temperature; t != 0 {
		calibration = fmt.Sprintf("The model was calibrated, by temperature %.3g.", t)
	}
	var out []picture
	for _, p := range []struct {
		file, title, note string
		plot              *canvas
	}{
		{"roc", "ROC", "The axis is logarithmic:" +
			" what happens left of 0.001 decides how many false alarms a day there are.", roc},
		{"pr", "Precision and recall", "At the base rate of this split;" +
			" malicious names are far rarer in real traffic, so precision there is lower.", pr},
		{"scores", "Scores", "", drawScores(e.Sample, m.Threshold)},
		{"calibration", "Calibration", "Each point is the names of one interval of scores. " + calibration,
			drawCalibration(e.Sample, m.ECE)},
		{"families", "Recall by family", "", families},
		{"confusion", "Confusion matrix", "", drawConfusion(m.Labels, m.Confusion)},
		{"training", "Training", "", training},
	} {
		if p.plot == nil {
			continue
		}
		path := filepath.Join(dir, p.file+".png")
		if err := p.plot.save(path); err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		url := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data))
		out = append(out, picture{p.title, p.note, url})
	}
	return out, nil
}
