package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
)

// drawScores draws how many names of each class have which score, counts on a logarithmic axis.
func drawScores(s *metrics.Sample, threshold float64, path string) error {
	const bins = 40
	classes := []struct {
		name  string
		color color.Color
		count [bins]int
	}{{name: "benign", color: chart.Blue}, {name: "malicious", color: chart.Orange}}
	for i, truth := range s.Truth {
		classes[min(truth, 1)].count[min(int(s.Score(i)*bins), bins-1)]++
	}
	p := newCanvas("Scores", "score: probability that the name is not benign", "names")
	p.Add(plotter.NewGrid())
	for _, c := range classes {
		var xy plotter.XYs
		for b, n := range c.count {
			h := math.Log10(1 + float64(n))
			xy = append(xy, plotter.XY{X: float64(b) / bins, Y: h}, plotter.XY{X: float64(b+1) / bins, Y: h})
		}
		p.line(xy, c.color, c.name, false)
	}
	top := p.Y.Max * 1.18
	mark, err := plotter.NewLine(plotter.XYs{{X: threshold, Y: 0}, {X: threshold, Y: top}})
	if p.failed(err) {
		return p.err
	}
	mark.Color, mark.Width, mark.Dashes = chart.Ink, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(mark)
	p.Legend.Add(fmt.Sprintf("threshold %.7g", threshold), mark)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, top
	p.X.Tick.Marker, p.Y.Tick.Marker = shares, chart.CountTicks{}
	p.Legend.Top = true
	p.Legend.XOffs = vg.Points(-120)
	return p.save(8, 4.6, path)
}

// drawCalibration draws the truth by confidence; a calibrated model is on the diagonal.
func drawCalibration(s *metrics.Sample, expected metrics.Number, path string) error {
	xLabel, yLabel := "score", "share of malicious names"
	if len(s.Labels) > 2 {
		xLabel, yLabel = "probability of the likeliest label", "share of names it is right for"
	}
	p := newCanvas(fmt.Sprintf("Calibration: error %.4f", expected), xLabel, yLabel)
	p.Add(plotter.NewGrid())
	var xy plotter.XYs
	for _, b := range metrics.CalibrationBins(s) {
		if n := float64(b.Names); n > 0 {
			xy = append(xy, plotter.XY{X: b.Confidence / n, Y: b.Right / n})
		}
	}
	p.line(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, chart.Ink, "calibrated", false)
	p.line(xy, chart.Blue, "this model", true)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Legend.Top, p.Legend.Left = true, true
	return p.save(8, 4.6, path)
}
