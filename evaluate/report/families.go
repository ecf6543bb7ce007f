package report

import (
	"fmt"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/chart"
)

// drawFamilies draws each family's recall as a bar, worst on top, and its recall at a false-positive rate of 1e-3 as a
// dot. The picture grows with the number of families.
func drawFamilies(m *metrics.Metrics, path string) error {
	p := newCanvas("Recall by family, worst first", "share found", "")
	n := len(m.Families)
	var names []string
	bars, dots := make(plotter.Values, n), plotter.XYs{}
	for i := range n {
		g := m.Families[n-1-i] // the axis runs upwards
		bars[i] = float64(g.Recall)
		names = append(names, fmt.Sprintf("%s (%s)", chart.Shorten(g.Name, 24), chart.Grouped(g.Names)))
		if !g.RecallFPR.Missing() {
			dots = append(dots, plotter.XY{X: float64(g.RecallFPR), Y: float64(i)})
		}
	}
	rows, err := plotter.NewBarChart(bars, vg.Points(9))
	if err != nil {
		return err
	}
	rows.Horizontal, rows.Color, rows.LineStyle.Width = true, chart.Blue, 0
	p.Add(plotter.NewGrid(), rows)
	p.Legend.Add(fmt.Sprintf("at threshold %.7g", m.Threshold), rows)
	if len(dots) > 0 {
		name := "at 1 false alarm in 1,000"
		if m.Operating[metrics.Strict].TooFew {
			name += " (too few benign names to trust)"
		}
		p.marks(dots, draw.CircleGlyph{}, chart.Orange, vg.Points(3), name)
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, 1
	p.X.Tick.Marker = shares
	p.Y.Min, p.Y.Max = -0.7, float64(n)+1.1 // room for the legend above the bars
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = vg.Points(6)
	return p.save(8, 1.7+0.19*float64(n+2), path)
}
