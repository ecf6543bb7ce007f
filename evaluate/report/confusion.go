package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/degas-dns/degas/internal/chart"
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
func drawConfusion(labels []string, count [][]int, path string) error {
	k := len(labels)
	p := newCanvas("Confusion: rows are the truth, columns what the model says", "", "")
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
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(k)-0.5, -0.5, float64(k)-0.5
	if k <= 8 {
		p.cellTexts(count)
		return p.save(3+1.1*float64(k), 1.6+0.8*float64(k), path)
	}
	style := &p.X.Tick.Label
	style.Rotation, style.XAlign, style.YAlign = math.Pi/2, text.XRight, text.YCenter
	p.X.Tick.Length = vg.Points(12)
	side := 2.4 + 0.17*float64(k)
	return p.save(side+0.4, side, path)
}

// cellTexts writes each cell's count and share of its row.
func (c *canvas) cellTexts(grid cells) {
	k := len(grid)
	labels := plotter.XYLabels{}
	for row := range k {
		for column := range k {
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels,
				fmt.Sprintf("%s\n%.1f %%", chart.Grouped(grid[k-1-row][column]), 100*grid.Z(column, row)))
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
