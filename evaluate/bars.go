package evaluate

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/internal/chart"
)

// plotFamilies draws each family's recall as a bar, worst on top, and its recall at a false-positive rate of 1e-3 as a
// dot. The picture grows with the number of families.
func plotFamilies(groups []GroupRecall, threshold float64, few bool, path string) error {
	p := chart.New("Recall by family, worst first", "share found", "")
	n := len(groups)
	var names []string
	bars, dots := make(plotter.Values, n), plotter.XYs{}
	for i := range groups {
		g := groups[n-1-i] // the axis runs upwards
		bars[i] = float64(g.Recall)
		names = append(names, fmt.Sprintf("%s (%s)", chart.Shorten(g.Name, 24), chart.Grouped(g.Names)))
		if !math.IsNaN(float64(g.RecallFPR)) {
			dots = append(dots, plotter.XY{X: float64(g.RecallFPR), Y: float64(i)})
		}
	}
	rows, err := plotter.NewBarChart(bars, vg.Points(9))
	if err != nil {
		return err
	}
	rows.Horizontal, rows.Color, rows.LineStyle.Width = true, chart.Blue, 0
	p.Add(plotter.NewGrid(), rows)
	p.Legend.Add(fmt.Sprintf("at threshold %.7g", threshold), rows)
	if len(dots) > 0 {
		marks, err := plotter.NewScatter(dots)
		if err != nil {
			return err
		}
		marks.Shape, marks.Color, marks.Radius = draw.CircleGlyph{}, chart.Orange, vg.Points(3)
		p.Add(marks)
		p.Legend.Add("at 1 false alarm in 1,000"+map[bool]string{true: " (too few benign names to trust)"}[few], marks)
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, 1
	p.X.Tick.Marker = chart.FixedTicks("%.1f", 0, 0.2, 0.4, 0.6, 0.8, 1)
	p.Y.Min, p.Y.Max = -0.7, float64(n)+1.1 // room for the legend above the bars
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = vg.Points(6)
	return chart.Save(p, 8, 1.7+0.19*float64(n+2), path)
}

// cells is a confusion matrix as gonum's heat map reads it: row 0 at the bottom, shares of each truth.
type cells struct{ count [][]int }

func (c cells) Dims() (columns, rows int) { return len(c.count), len(c.count) }
func (c cells) X(i int) float64           { return float64(i) }
func (c cells) Y(i int) float64           { return float64(i) }
func (c cells) Z(column, row int) float64 {
	truth := c.count[len(c.count)-1-row]
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

var _ palette.Palette = shades{}

// plotConfusion draws the confusion matrix, rows the truth. Few labels have counts and shares in their cells; with many
// the colour has to do, and the picture grows so that every label can be read.
func plotConfusion(labels []string, count [][]int, path string) error {
	k := len(labels)
	p := chart.New("Confusion: rows are the truth, columns what the model says", "", "")
	grid := cells{count}
	heat := plotter.NewHeatMap(grid, shades{})
	heat.Min, heat.Max = 0, 1
	p.Add(heat)
	ticks := func(reverse bool) plot.ConstantTicks {
		var out plot.ConstantTicks
		for i, l := range labels {
			at := float64(i)
			if reverse {
				at = float64(k - 1 - i)
			}
			out = append(out, plot.Tick{Value: at, Label: chart.Shorten(l, 18)})
		}
		return out
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks(false), ticks(true)
	p.X.Tick.Length, p.Y.Tick.Length = vg.Points(5), vg.Points(5) // space between axis and label, without a line
	p.X.Tick.LineStyle.Color, p.Y.Tick.LineStyle.Color = color.Transparent, color.Transparent
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(k)-0.5, -0.5, float64(k)-0.5
	if k <= 8 {
		if err := cellTexts(p, grid); err != nil {
			return err
		}
		return chart.Save(p, 3+1.1*float64(k), 1.6+0.8*float64(k), path)
	}
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/2, text.XRight, text.YCenter
	p.X.Tick.Length = vg.Points(12)
	side := 2.4 + 0.17*float64(k)
	return chart.Save(p, side+0.4, side, path)
}

// cellTexts writes each cell's count and share of its row.
func cellTexts(p *plot.Plot, grid cells) error {
	k := len(grid.count)
	labels := plotter.XYLabels{}
	var styles []color.Color
	for row := range k {
		for column := range k {
			share := grid.Z(column, row)
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels, fmt.Sprintf("%s\n%.1f %%", chart.Grouped(grid.count[k-1-row][column]), 100*share))
			c := color.Color(chart.Ink)
			if share > 0.3 {
				c = color.White
			}
			styles = append(styles, c)
		}
	}
	l, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range l.TextStyle {
		l.TextStyle[i].Color = styles[i]
		l.TextStyle[i].XAlign, l.TextStyle[i].YAlign = text.XCenter, text.YCenter
		l.TextStyle[i].Font.Size = vg.Points(10)
	}
	p.Add(l)
	return nil
}
