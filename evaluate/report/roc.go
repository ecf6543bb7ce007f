package report

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/internal/printable"
)

// lowestRate is where the logarithmic axis of the ROC plot begins.
const lowestRate = 1e-5

// drawROC draws the ROC curve with the operating points.
func drawROC(c *metrics.Curve, m *metrics.Metrics) *canvas {
	title := fmt.Sprintf("ROC: area %.4f, 95 %% interval %.4f to %.4f", m.ROCAUC, m.ROCAUC95[0], m.ROCAUC95[1])
	p := rocCanvas(title, c.Negatives)
	p.line(steps(c), chart.Blue, "model", false)
	var points plotter.XYs
	for _, o := range m.Operating {
		points = append(points, plotter.XY{X: math.Log10(o.FPR), Y: float64(o.TPR)})
	}
	p.marks(points, draw.CircleGlyph{}, chart.Orange, vg.Points(4), "rates of the table")
	return p
}

// rocCanvas is a ROC plot without its curves: a linear axis of the logarithm of the false-positive rate (gonum's
// logarithmic axis sets the label's space beside the plot), and a shade where there are fewer than ten benign names.
func rocCanvas(title string, negatives int) *canvas {
	p := newCanvas(title, "false-positive rate (benign names called malicious)", "true-positive rate", 8, 5)
	low := math.Log10(lowestRate)
	if few := math.Log10(math.Min(10/float64(negatives), 1)); few > low {
		p.area(plotter.XYs{{X: low, Y: 0}, {X: few, Y: 0}, {X: few, Y: 1}, {X: low, Y: 1}},
			color.RGBA{0xf0, 0xf0, 0xf0, 0xff})
		p.Legend.Add("grey: fewer than 10 benign names")
	}
	p.Add(plotter.NewGrid())
	p.X.Tick.Marker, p.Y.Tick.Marker = chart.PowerTicks{}, shares
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-14), vg.Points(14) // at the lower right, where no curve of use comes by
	p.limits(low, 0, 0, 1.01)
	return p
}

// steps is the ROC curve over the logarithm of the FPR. It is a step function: TPR rises only at a measured FPR.
func steps(c *metrics.Curve) plotter.XYs {
	xy, height := plotter.XYs{}, 0.0
	for i, f := range c.FPR {
		x := math.Log10(math.Max(f, lowestRate))
		if n := len(xy); n > 0 && x > xy[n-1].X {
			xy = append(xy, plotter.XY{X: x, Y: height})
		}
		height = c.TPR[i]
		xy = append(xy, plotter.XY{X: x, Y: height})
	}
	return thin(xy)
}

// drawPR draws precision over recall and the base rate that guessing would give.
func drawPR(c *metrics.Curve, m *metrics.Metrics) *canvas {
	base := c.BaseRate()
	title := fmt.Sprintf("Precision and recall: average precision %.4f at %.1f %% malicious names", m.PRAUC, 100*base)
	p := newCanvas(title, "recall", "precision", 8, 5)
	precision, recall := c.PR(base)
	var xy plotter.XYs
	for i := range precision {
		xy = append(xy, plotter.XY{X: recall[i], Y: precision[i]})
	}
	p.Add(plotter.NewGrid())
	p.line(thin(xy), chart.Blue, "model", false)
	p.line(plotter.XYs{{X: 0, Y: base}, {X: 1, Y: base}}, chart.Grey, "guessing", false)
	p.limits(0, 1, 0, 1.01)
	p.X.Tick.Marker, p.Y.Tick.Marker = shares, shares
	p.Legend.Left = true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(14), vg.Points(40)
	return p
}

// curveColors are those of the runs of a comparison, in their order.
var curveColors = []color.RGBA{
	chart.Blue,
	chart.Orange,
	{0x00, 0x9e, 0x73, 0xff},
	{0xcc, 0x79, 0xa7, 0xff},
	{0x56, 0xb4, 0xe9, 0xff},
	{0x8b, 0x45, 0x13, 0xff},
	chart.Ink,
	chart.Grey,
}

// drawCurves draws the ROC curves of a comparison with their intervals shaded.
func drawCurves(c *metrics.Comparison) *canvas {
	title := fmt.Sprintf("ROC on %s names of %s, 95 %% intervals shaded", printable.Grouped(c.Names), c.Split)
	p := rocCanvas(title, c.Runs[0].Curve.Negatives)
	for i, r := range c.Runs {
		p.band(r.Band, curveColors[i%len(curveColors)])
	}
	for i, r := range c.Runs {
		name := fmt.Sprintf("%s, area %.4f", chart.Shorten(filepath.Base(r.Run), 30), r.ROCAUC)
		p.line(steps(r.Curve), curveColors[i%len(curveColors)], name, false)
	}
	return p
}

// band shades the interval of a ROC curve at metrics.BandRates; nothing where there is none.
func (c *canvas) band(intervals [][2]metrics.Number, paint color.RGBA) {
	var upper, lower plotter.XYs
	for k, rate := range metrics.BandRates {
		if intervals[k][0].Missing() {
			return
		}
		x := math.Log10(rate)
		lower = append(lower, plotter.XY{X: x, Y: float64(intervals[k][0])})
		upper = append(upper, plotter.XY{X: x, Y: float64(intervals[k][1])})
	}
	slices.Reverse(lower)
	c.area(append(upper, lower...), color.NRGBA{paint.R, paint.G, paint.B, 0x38})
}
