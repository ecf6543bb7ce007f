package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/internal/chart"
)

// canvas is a plot under way. It keeps the first error until save.
type canvas struct {
	*plot.Plot
	width, height float64 // inches
	err           error
}

func newCanvas(title, x, y string, width, height float64) *canvas {
	return &canvas{Plot: chart.New(title, x, y), width: width, height: height}
}

// failed records err if it is the first error, and reports whether any occurred.
func (c *canvas) failed(err error) bool {
	if c.err == nil {
		c.err = err
	}
	return c.err != nil
}

// save writes the plot as a PNG.
func (c *canvas) save(path string) error {
	if c.err != nil {
		return c.err
	}
	return chart.Save(c.Plot, c.width, c.height, path)
}

func (c *canvas) limits(left, right, low, high float64) {
	c.X.Min, c.X.Max, c.Y.Min, c.Y.Max = left, right, low, high
}

// line adds a line, with a dot at each point if dots is set, and its entry in the legend.
func (c *canvas) line(xy plotter.XYs, paint color.Color, name string, dots bool) {
	l, points, err := plotter.NewLinePoints(xy)
	if c.failed(err) {
		return
	}
	l.Color, l.Width = paint, vg.Points(1.8)
	c.Add(l)
	if dots {
		points.Shape, points.Color, points.Radius = draw.CircleGlyph{}, paint, vg.Points(2.6)
		c.Add(points)
	}
	c.Legend.Add(name, l)
}

// marks adds single points and their entry in the legend.
func (c *canvas) marks(xy plotter.XYs, shape draw.GlyphDrawer, paint color.Color, radius vg.Length, name string) {
	points, err := plotter.NewScatter(xy)
	if c.failed(err) {
		return
	}
	points.Shape, points.Color, points.Radius = shape, paint, radius
	c.Add(points)
	c.Legend.Add(name, points)
}

// area adds a filled polygon without a border.
func (c *canvas) area(xy plotter.XYs, paint color.Color) {
	polygon, err := plotter.NewPolygon(xy)
	if c.failed(err) {
		return
	}
	polygon.Color, polygon.LineStyle.Width = paint, 0
	c.Add(polygon)
}

// shares are the ticks of an axis from 0 to 1.
var shares = chart.FixedTicks("%.1f", 0, 0.2, 0.4, 0.6, 0.8, 1)

// thin keeps a curve of many points drawable: at most about 4,000 of them, the ends always.
func thin(xy plotter.XYs) plotter.XYs {
	const most = 4000
	if len(xy) <= most {
		return xy
	}
	var out plotter.XYs
	last := plotter.XY{X: math.Inf(-1)}
	for i, p := range xy {
		if i == 0 || i == len(xy)-1 || math.Abs(p.X-last.X) > 1.0/most || math.Abs(p.Y-last.Y) > 1.0/most {
			out, last = append(out, p), p
		}
	}
	return out
}
