package main

import (
	"fmt"
	"image/color"
	"math"
	"time"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/evaluate/simulate"
	"github.com/degas-dns/degas/internal/chart"
)

// points with bars of error.
type points struct {
	plotter.XYs
	plotter.YErrors
}

// drawClean draws false alarms as shares of the promise, with intervals. No alarm at all has only an upper end.
func drawClean(r *simulate.Result, path string) error {
	p := chart.New("False alarms of clean clients (at the lower edge: none)",
		"A (promise: at most one false alarm in A look-ups)",
		"false alarms / promised at most")
	const least = .003
	for i, spread := range []string{simulate.Pooled, simulate.Overdispersed} {
		colour := []color.Color{chart.Blue, chart.Orange}[i]
		var all points
		for _, c := range r.Clean {
			if c.Spread != spread || c.Pairs != r.Clean[0].Pairs {
				continue
			}
			share := func(x float64) float64 { return math.Log10(max(x/c.Promised, least)) }
			y := share(float64(c.Alarms))
			all.XYs = append(all.XYs, plotter.XY{X: math.Log10(c.Level) + .06*float64(i), Y: y})
			all.YErrors = append(all.YErrors, struct{ Low, High float64 }{y - share(c.Low), share(c.High) - y})
		}
		marks, err := plotter.NewScatter(all.XYs)
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(all)
		if err != nil {
			return err
		}
		marks.GlyphStyle = draw.GlyphStyle{Color: colour, Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
		bars.Color, bars.Width = colour, vg.Points(1.2)
		p.Add(bars, marks)
		p.Legend.Add(spread+" clients", marks)
	}
	promise, err := plotter.NewLine(plotter.XYs{{X: 1.8, Y: 0}, {X: 6.3, Y: 0}})
	if err != nil {
		return err
	}
	promise.Color, promise.Dashes = chart.Ink, []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(promise)
	p.Legend.Add("the promise", promise)
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Tick.Marker, p.Y.Tick.Marker = chart.PowerTicks{}, chart.PowerTicks{}
	p.Y.Min = math.Log10(least)
	p.Y.Max = max(p.Y.Max, 1.5)
	return chart.Save(p, 7, 4.5, path)
}

// drawFamilies draws how many families are found with how many of their names.
func drawFamilies(r *simulate.Result, path string) error {
	p := chart.New("Families whose median client is found", "names of the family until then", "families")
	colours := []color.Color{chart.Ink, chart.Blue, chart.Orange, chart.Grey}
	for i, share := range shares {
		families := r.Cell(share, time.Minute)
		var xy plotter.XYs
		for k, f := range families {
			if f.Names.Median > 0 {
				xy = append(xy, plotter.XY{X: math.Log10(f.Names.Median), Y: float64(k)},
					plotter.XY{X: math.Log10(f.Names.Median), Y: float64(k + 1)})
			}
		}
		if len(xy) == 0 {
			continue
		}
		line, err := plotter.NewLine(append(xy, plotter.XY{X: math.Log10(150), Y: xy[len(xy)-1].Y}))
		if err != nil {
			return err
		}
		line.Color, line.Width = colours[i], vg.Points(2)
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%g %% of the look-ups are the malware's", 100*share), line)
		p.Y.Max = 1.4 * float64(len(families)) // the legend needs room
	}
	p.Legend.Left, p.Legend.Top = true, true
	p.Y.Min, p.X.Min = 0, math.Log10(3)
	var ticks []float64
	for _, n := range []float64{3, 5, 10, 20, 40, 100} {
		ticks = append(ticks, math.Log10(n))
	}
	marks := chart.FixedTicks("%.0f", ticks...)
	for i, n := range []float64{3, 5, 10, 20, 40, 100} {
		marks[i].Label = fmt.Sprintf("%.0f", n)
	}
	p.X.Tick.Marker = marks
	return chart.Save(p, 7, 4.5, path)
}

// drawMemory draws the memory of the flood.
func drawMemory(f *simulate.FloodResult, path string) error {
	p := chart.New("Memory while domains are asked for once", "million domains", "MB")
	for i, what := range []string{"heap after garbage collection", "process (RSS)"} {
		var xy plotter.XYs
		for _, s := range f.Samples {
			y := []int64{s.Heap, s.RSS}[i]
			xy = append(xy, plotter.XY{X: float64(s.Events) / 1e6, Y: float64(y) / (1 << 20)})
		}
		line, err := plotter.NewLine(xy)
		if err != nil {
			return err
		}
		line.Color, line.Width = []color.Color{chart.Blue, chart.Grey}[i], vg.Points(2)
		p.Add(line)
		p.Legend.Add(what, line)
	}
	p.Y.Min, p.Y.Max = 0, p.Y.Max*1.25
	p.Y.Tick.Marker = chart.FixedTicks("%.0f", 0, 100, 200, 300, 400)
	p.Legend.Top = true
	return chart.Save(p, 7, 4, path)
}
