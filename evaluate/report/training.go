package report

import (
	"fmt"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/chart"
)

// drawTraining draws both losses an epoch and marks the best, or the one that was blended with it: its training names
// were others, so the lines end before it.
func drawTraining(history rundir.History, path string) error {
	p := newCanvas("Training", "epoch", "loss")
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
	p.X.Min, p.X.Max = float64(from)-0.3, float64(to)+0.3
	p.Y.Min, p.Y.Max = 0, max(p.Y.Max, 0)*1.25 // room for the legend
	var ticks []float64
	for e := from; e <= to; e += 1 + (len(history)-1)/15 {
		ticks = append(ticks, float64(e))
	}
	p.X.Tick.Marker = chart.FixedTicks("%.0f", ticks...)
	return p.save(8, 4.6, path)
}
