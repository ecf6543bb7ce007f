package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/internal/printable"
)

// cells is a confusion matrix as gonum's heat map reads it: row 0 at the bottom, shares of each truth.
type cells [][]int

func (c cells) Dims() (columns, rows int) { return len(c), len(c) }
func (c cells) X(i int) float64           { return float64(i) }
func (c cells) Y(i int) float64           { return float64(i) }
func (c cells) Z(column, row int) float64 {
	truth := c[len(c)-1-row]
	total := 0
	for _, n := range truth {
		total += n
	}
	if total == 0 {
		return 0
	}
	return float64(truth[column]) / float64(total)
}

// shades runs from white to blue.
type shades struct{}

func (shades) Colors() []color.Color {
	var out []color.Color
	for i := range 101 {
		// the square root makes small shares visible
		f := math.Sqrt(float64(i) / 100)
		mix := func(to uint8) uint8 { return uint8(255 + f*(float64(to)-255)) }
		out = append(out, color.RGBA{mix(0x00), mix(0x72), mix(0xb2), 0xff})
	}
	return out
}

// drawConfusion draws the confusion matrix, rows the truth. Few labels have counts and shares in their cells; with many
// the colour has to do, and the picture grows so that every label can be read.
func drawConfusion(labels []string, count [][]int) *canvas {
	k := len(labels)
	side := 2.4 + 0.17*float64(k)
	p := newCanvas("Confusion: rows are the truth, columns what the model says", "", "", side+0.4, side)
	heat := plotter.NewHeatMap(cells(count), shades{})
	heat.Min, heat.Max = 0, 1
	p.Add(heat)
	var columns, rows plot.ConstantTicks
	for i, l := range labels {
		name := chart.Shorten(l, 18)
		columns = append(columns, plot.Tick{Value: float64(i), Label: name})
		rows = append(rows, plot.Tick{Value: float64(k - 1 - i), Label: name})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = columns, rows
	p.X.Tick.Length, p.Y.Tick.Length = vg.Points(5), vg.Points(5) // space between axis and label, without a line
	p.X.Tick.LineStyle.Color, p.Y.Tick.LineStyle.Color = color.Transparent, color.Transparent
	p.limits(-0.5, float64(k)-0.5, -0.5, float64(k)-0.5)
	if k <= 8 {
		p.width, p.height = 3+1.1*float64(k), 1.6+0.8*float64(k)
		p.cellTexts(count)
		return p
	}
	style := &p.X.Tick.Label
	style.Rotation, style.XAlign, style.YAlign = math.Pi/2, text.XRight, text.YCenter
	p.X.Tick.Length = vg.Points(12)
	return p
}

// cellTexts writes each cell's count and share of its row.
func (c *canvas) cellTexts(grid cells) {
	k := len(grid)
	labels := plotter.XYLabels{}
	for row := range k {
		for column := range k {
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels,
				fmt.Sprintf("%s\n%.1f %%", printable.Grouped(grid[k-1-row][column]), 100*grid.Z(column, row)))
		}
	}
	l, err := plotter.NewLabels(labels)
	if c.failed(err) {
		return
	}
	for i := range l.TextStyle {
		style := &l.TextStyle[i]
		style.Color = chart.Ink
		if grid.Z(i%k, i/k) > 0.3 {
			style.Color = color.White
		}
		style.XAlign, style.YAlign, style.Font.Size = text.XCenter, text.YCenter, vg.Points(10)
	}
	c.Add(l)
}

// drawTraining draws both losses an epoch and marks the best epoch, or the blend with it. A blended epoch has no
// comparable loss, so the lines stop before it.
func drawTraining(history rundir.History) *canvas {
	p := newCanvas("Training", "epoch", "loss", 8, 4.6)
	var train, validation plotter.XYs
	best, kept := history.Best(), "best: epoch %d, AUC %.4f"
	if best.Blend > 0 {
		kept = "kept: blend with epoch %d, AUC %.4f"
	}
	for _, e := range history {
		if e.Blend > 0 {
			break
		}
		train = append(train, plotter.XY{X: float64(e.Epoch), Y: e.TrainLoss})
		validation = append(validation, plotter.XY{X: float64(e.Epoch), Y: e.ValidationLoss})
	}
	p.Add(plotter.NewGrid())
	p.line(train, chart.Blue, "training", true)
	p.line(validation, chart.Orange, "validation", true)
	p.marks(plotter.XYs{{X: float64(best.Epoch), Y: best.ValidationLoss}}, draw.RingGlyph{}, chart.Ink, vg.Points(6),
		fmt.Sprintf(kept, best.Epoch, best.ValidationAUC))
	p.Legend.Top = true
	from, to := history[0].Epoch, history[len(history)-1].Epoch
	p.limits(float64(from)-0.3, float64(to)+0.3, 0, max(p.Y.Max, 0)*1.25) // room for the legend
	var ticks []float64
	for e := from; e <= to; e += 1 + (len(history)-1)/15 {
		ticks = append(ticks, float64(e))
	}
	p.X.Tick.Marker = chart.FixedTicks("%.0f", ticks...)
	return p
}

// drawScores draws how many names of each class have which score, counts on a logarithmic axis.
func drawScores(s *metrics.Sample, threshold float64) *canvas {
	const bins = 40
	classes := []struct {
		name  string
		color color.Color
		count [bins]int
	}{{name: "benign", color: chart.Blue}, {name: "malicious", color: chart.Orange}}
	for i, truth := range s.Truth {
		classes[min(truth, 1)].count[min(int(s.Score(i)*bins), bins-1)]++
	}
	p := newCanvas("Scores", "score: probability that the name is not benign", "names", 8, 4.6)
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
		return p
	}
	mark.Color, mark.Width, mark.Dashes = chart.Ink, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(mark)
	p.Legend.Add(fmt.Sprintf("threshold %.7g", threshold), mark)
	p.limits(0, 1, 0, top)
	p.X.Tick.Marker, p.Y.Tick.Marker = shares, chart.CountTicks{}
	p.Legend.Top = true
	p.Legend.XOffs = vg.Points(-120)
	return p
}

// drawCalibration draws the truth by confidence; a calibrated model is on the diagonal.
func drawCalibration(s *metrics.Sample, expected metrics.Number) *canvas {
	xLabel, yLabel := "score", "share of malicious names"
	if len(s.Labels) > 2 {
		xLabel, yLabel = "probability of the likeliest label", "share of names it is right for"
	}
	p := newCanvas(fmt.Sprintf("Calibration: error %.4f", expected), xLabel, yLabel, 8, 4.6)
	p.Add(plotter.NewGrid())
	var xy plotter.XYs
	for _, b := range metrics.CalibrationBins(s) {
		if n := float64(b.Names); n > 0 {
			xy = append(xy, plotter.XY{X: b.Confidence / n, Y: b.Right / n})
		}
	}
	p.line(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, chart.Ink, "calibrated", false)
	p.line(xy, chart.Blue, "this model", true)
	p.limits(0, 1, 0, 1)
	p.Legend.Top, p.Legend.Left = true, true
	return p
}

// drawFamilies draws each family's recall as a bar, worst on top, and its recall at a false-positive rate of 1e-3 as a
// dot.
func drawFamilies(m *metrics.Metrics) *canvas {
	n := len(m.Families)
	p := newCanvas("Recall by family, worst first", "share found", "", 8, 1.7+0.19*float64(n+2))
	var names []string
	bars, dots := make(plotter.Values, n), plotter.XYs{}
	for i := range n {
		g := m.Families[n-1-i] // the axis runs upwards
		bars[i] = float64(g.Recall)
		names = append(names, fmt.Sprintf("%s (%s)", chart.Shorten(g.Name, 24), printable.Grouped(g.Names)))
		if !g.RecallFPR.Missing() {
			dots = append(dots, plotter.XY{X: float64(g.RecallFPR), Y: float64(i)})
		}
	}
	rows, err := plotter.NewBarChart(bars, vg.Points(9))
	if p.failed(err) {
		return p
	}
	rows.Horizontal, rows.Color, rows.LineStyle.Width = true, chart.Blue, 0
	p.Add(plotter.NewGrid(), rows)
	p.Legend.Add(fmt.Sprintf("at threshold %.7g", m.Threshold), rows)
	if len(dots) > 0 {
		name := "at 1 false alarm in 1,000"
		if m.Operating[metrics.AtFPR1e3].TooFew {
			name += " (too few benign names to trust)"
		}
		p.marks(dots, draw.CircleGlyph{}, chart.Orange, vg.Points(3), name)
	}
	p.NominalY(names...)
	p.X.Tick.Marker = shares
	p.limits(0, 1, -0.7, float64(n)+1.1) // room for the legend above the bars
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = vg.Points(6)
	return p
}
