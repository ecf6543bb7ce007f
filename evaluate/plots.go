package evaluate

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/degas-dns/degas/internal/chart"
)

// Epoch is what the plots read of a line of history.jsonl.
type Epoch struct {
	Epoch              int     `json:"epoch"`
	TrainLoss          float64 `json:"train_loss"`
	ValidationLoss     float64 `json:"validation_loss"`
	ValidationAUC      float64 `json:"validation_auc"`
	ValidationAccuracy float64 `json:"validation_accuracy"`
	LearningRate       float64 `json:"learning_rate"`
	Best               bool    `json:"best"`
	Seconds            float64 `json:"seconds"`
	NamesPerSecond     float64 `json:"names_per_second"`
	Blend              float64 `json:"blend"`
}

// line adds a line with a legend entry.
func line(p *plot.Plot, xy plotter.XYs, c color.Color, name string, dots bool) error {
	l, points, err := plotter.NewLinePoints(xy)
	if err != nil {
		return err
	}
	l.Color, l.Width = c, vg.Points(1.8)
	p.Add(l)
	if dots {
		points.Shape, points.Color, points.Radius = draw.CircleGlyph{}, c, vg.Points(2.6)
		p.Add(points)
	}
	if name != "" {
		p.Legend.Add(name, l)
	}
	return nil
}

// plotTraining draws both losses an epoch and marks the best, or the one that was blended with it: its training names were
// others, so the lines end before it.
func plotTraining(history []Epoch, path string) error {
	p := chart.New("Training", "epoch", "loss")
	var train, validation plotter.XYs
	best, kept := bestEpoch(history), "best: epoch %d, AUC %.4f"
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
	if err := line(p, train, chart.Blue, "training", true); err != nil {
		return err
	}
	if err := line(p, validation, chart.Orange, "validation", true); err != nil {
		return err
	}
	mark, err := plotter.NewScatter(plotter.XYs{{X: float64(best.Epoch), Y: best.ValidationLoss}})
	if err != nil {
		return err
	}
	mark.Shape, mark.Color, mark.Radius = draw.RingGlyph{}, chart.Ink, vg.Points(6)
	p.Add(mark)
	p.Legend.Add(fmt.Sprintf(kept, best.Epoch, best.ValidationAUC), mark)
	p.Legend.Top = true
	p.X.Min, p.X.Max = float64(history[0].Epoch)-0.3, float64(history[len(history)-1].Epoch)+0.3
	top := math.Max(p.Y.Max, 0)
	p.Y.Min, p.Y.Max = 0, top*1.25 // room for the legend
	var ticks []float64
	for e := history[0].Epoch; e <= history[len(history)-1].Epoch; e += 1 + (len(history)-1)/15 {
		ticks = append(ticks, float64(e))
	}
	p.X.Tick.Marker = chart.FixedTicks("%.0f", ticks...)
	return chart.Save(p, 8, 4.6, path)
}

// lowestRate is where the logarithmic axis of the ROC plot begins.
const lowestRate = 1e-5

// plotROC draws the ROC curve over a logarithmic false-positive rate, with the operating points and, shaded, the rates
// for which the sample has fewer than ten benign names.
func plotROC(c *curve, m *Metrics, path string) error {
	p := chart.New(fmt.Sprintf("ROC: area %.4f, 95 %% interval %.4f to %.4f", *m.ROCAUC, float64(m.ROCAUC95[0]), float64(m.ROCAUC95[1])),
		"false-positive rate (benign names called malicious)", "true-positive rate")
	if err := rocAxes(p, c.negatives); err != nil {
		return err
	}
	if err := line(p, c.steps(), chart.Blue, "model", false); err != nil {
		return err
	}
	var points plotter.XYs
	for _, o := range m.Operating {
		points = append(points, plotter.XY{X: math.Log10(o.FPR), Y: float64(o.TPR)})
	}
	marks, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	marks.Shape, marks.Color, marks.Radius = draw.CircleGlyph{}, chart.Orange, vg.Points(4)
	p.Add(marks)
	p.Legend.Add("rates of the table", marks)
	return chart.Save(p, 8, 5, path)
}

// rocAxes sets a ROC plot up: the logarithm of the false-positive rate, in a linear axis since gonum's own logarithmic one
// sets the label's space beside the plot, and a shade over the rates for which there are fewer than ten benign names.
func rocAxes(p *plot.Plot, negatives int) error {
	low := math.Log10(lowestRate)
	if few := math.Log10(math.Min(10/float64(negatives), 1)); few > low {
		shade, err := plotter.NewPolygon(plotter.XYs{{X: low, Y: 0}, {X: few, Y: 0}, {X: few, Y: 1}, {X: low, Y: 1}})
		if err != nil {
			return err
		}
		shade.Color, shade.LineStyle.Width = color.RGBA{0xf0, 0xf0, 0xf0, 0xff}, 0
		p.Add(shade)
		p.Legend.Add("grey: fewer than 10 benign names")
	}
	p.Add(plotter.NewGrid())
	p.X.Tick.Marker = chart.PowerTicks{}
	p.Y.Tick.Marker = chart.FixedTicks("%.1f", 0, 0.2, 0.4, 0.6, 0.8, 1)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-14), vg.Points(14) // at the lower right, where no curve of use comes by
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, 0, 0, 1.01
	return nil
}

// steps is the ROC curve over the logarithm of its rate: at a rate below the next one only what is reached already counts.
func (c *curve) steps() plotter.XYs {
	xy, height := plotter.XYs{}, 0.0
	for i, f := range c.fpr {
		x := math.Log10(math.Max(f, lowestRate))
		if n := len(xy); n > 0 && x > xy[n-1].X {
			xy = append(xy, plotter.XY{X: x, Y: height})
		}
		height = c.tpr[i]
		xy = append(xy, plotter.XY{X: x, Y: height})
	}
	return thin(xy)
}

// band shades the interval of a ROC curve.
func band(p *plot.Plot, d bootstrapped, c color.RGBA) error {
	var upper, lower plotter.XYs
	for k, rate := range bandRates {
		t := d.interval(k)
		if math.IsNaN(float64(t[0])) {
			return nil
		}
		upper, lower = append(upper, plotter.XY{X: math.Log10(rate), Y: float64(t[1])}), append(lower, plotter.XY{X: math.Log10(rate), Y: float64(t[0])})
	}
	slices.Reverse(lower)
	area, err := plotter.NewPolygon(append(upper, lower...))
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = color.NRGBA{c.R, c.G, c.B, 0x38}, 0
	p.Add(area)
	return nil
}

// plotPR draws precision over recall and the base rate that guessing would give.
func plotPR(c *curve, m *Metrics, path string) error {
	base := float64(c.positives) / float64(c.positives+c.negatives)
	p := chart.New(fmt.Sprintf("Precision and recall: average precision %.4f at %.1f %% malicious names", *m.PRAUC, 100*base), "recall", "precision")
	precision, recall := c.pr(c.baseRate())
	var xy plotter.XYs
	for i := range precision {
		xy = append(xy, plotter.XY{X: recall[i], Y: precision[i]})
	}
	p.Add(plotter.NewGrid())
	if err := line(p, thin(xy), chart.Blue, "model", false); err != nil {
		return err
	}
	if err := line(p, plotter.XYs{{X: 0, Y: base}, {X: 1, Y: base}}, chart.Grey, "guessing", false); err != nil {
		return err
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1.01
	p.X.Tick.Marker = chart.FixedTicks("%.1f", 0, 0.2, 0.4, 0.6, 0.8, 1)
	p.Y.Tick.Marker = p.X.Tick.Marker
	p.Legend.Left = true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(14), vg.Points(40)
	return chart.Save(p, 8, 5, path)
}

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

// plotHistogram draws how many names of each class have which score, counts on a logarithmic axis.
func plotHistogram(s *Sample, threshold float64, path string) error {
	const bins = 40
	classes := []struct {
		name  string
		color color.Color
		count [bins]int
	}{{name: "benign", color: chart.Blue}, {name: "malicious", color: chart.Orange}}
	for i := range s.Names {
		k := 0
		if s.Truth[i] != 0 {
			k = 1
		}
		classes[k].count[min(int(s.Score(i)*bins), bins-1)]++
	}
	p := chart.New("Scores", "score: probability that the name is not benign", "names")
	p.Add(plotter.NewGrid())
	for _, c := range classes {
		var xy plotter.XYs
		for b, n := range c.count {
			h := math.Log10(1 + float64(n))
			xy = append(xy, plotter.XY{X: float64(b) / bins, Y: h}, plotter.XY{X: float64(b+1) / bins, Y: h})
		}
		if err := line(p, xy, c.color, c.name, false); err != nil {
			return err
		}
	}
	top := p.Y.Max * 1.18
	mark, err := plotter.NewLine(plotter.XYs{{X: threshold, Y: 0}, {X: threshold, Y: top}})
	if err != nil {
		return err
	}
	mark.Color, mark.Width, mark.Dashes = chart.Ink, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(mark)
	p.Legend.Add(fmt.Sprintf("threshold %.7g", threshold), mark)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, top
	p.X.Tick.Marker = chart.FixedTicks("%.1f", 0, 0.2, 0.4, 0.6, 0.8, 1)
	p.Y.Tick.Marker = chart.CountTicks{}
	p.Legend.Top = true
	p.Legend.XOffs = vg.Points(-120)
	return chart.Save(p, 8, 4.6, path)
}
