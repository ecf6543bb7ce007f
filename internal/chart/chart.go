// Package chart is the look that all pictures of degas share, on gonum/plot.
package chart

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

// Colours of Okabe and Ito's palette, which colour-blind readers can tell apart.
var (
	Blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	Orange = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	Grey   = color.RGBA{0x99, 0x99, 0x99, 0xff}
	Ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
)

// dotsPerInch of every PNG.
const dotsPerInch = 150

// New is an empty plot in the house's look.
func New(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(13), vg.Points(8)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(11), vg.Points(10)
		a.Label.Padding = vg.Points(4)
		a.LineStyle.Color, a.Tick.LineStyle.Color = Ink, Ink
	}
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	p.Legend.Padding = vg.Points(3)
	return p
}

// Save writes p as a PNG of the given size in inches.
func Save(p *plot.Plot, width, height float64, path string) error {
	return SaveColumn([]*plot.Plot{p}, width, height, path)
}

// SaveColumn writes plots one below the other into a PNG; height is that of one plot in inches.
func SaveColumn(plots []*plot.Plot, width, height float64, path string) error {
	return atomicfile.WriteFunc(path, func(w io.Writer) error {
		h := vg.Length(height) * vg.Inch
		c := vgimg.NewWith(vgimg.UseWH(vg.Length(width)*vg.Inch, h*vg.Length(len(plots))), vgimg.UseDPI(dotsPerInch))
		area := draw.New(c)
		margin := vg.Points(10)
		for i, p := range plots {
			below := h * vg.Length(len(plots)-1-i)
			p.Draw(draw.Crop(area, margin, -margin, below+margin, -(h*vg.Length(i) + margin)))
		}
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
		return err
	})
}

// PowerTicks labels powers of ten on an axis that shows log10.
type PowerTicks struct{}

func (PowerTicks) Ticks(lo, hi float64) []plot.Tick {
	var out []plot.Tick
	for e := math.Floor(lo); e <= hi; e++ {
		out = append(out, plot.Tick{Value: e, Label: powerLabel(e)})
		for k := 2.0; k < 10 && e+math.Log10(k) < hi; k++ {
			out = append(out, plot.Tick{Value: e + math.Log10(k)})
		}
	}
	return out
}

func powerLabel(e float64) string {
	switch e {
	case 0:
		return "1"
	case -1:
		return "0.1"
	case -2:
		return "0.01"
	}
	return fmt.Sprintf("1e%d", int(e))
}

// CountTicks labels powers of ten of a count axis that shows log10(1+n).
type CountTicks struct{}

func (CountTicks) Ticks(_, hi float64) []plot.Tick {
	out := []plot.Tick{{Value: 0, Label: "0"}}
	for e := 0.0; e <= hi+0.1; e++ {
		n := math.Pow(10, e)
		out = append(out, plot.Tick{Value: math.Log10(1 + n), Label: printable.Grouped(int(n))})
	}
	return out
}

// FixedTicks are ticks at given values.
func FixedTicks(format string, values ...float64) plot.ConstantTicks {
	var out plot.ConstantTicks
	for _, v := range values {
		out = append(out, plot.Tick{Value: v, Label: fmt.Sprintf(format, v)})
	}
	return out
}

// Shorten cuts the end off a label that is longer than most characters, and escapes what is none.
func Shorten(s string, most int) string {
	s = printable.Terminal(s)
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return strings.TrimSpace(string(r[:most-1])) + "…"
}
