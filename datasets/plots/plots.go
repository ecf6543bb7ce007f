// Package plots draws what a data set's names look like.
package plots

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/internal/printable"
)

// classColor is each class's colour, the same in both panels.
var classColor = map[string]color.Color{"benign": chart.Blue, "dga": chart.Orange, "tunnel": chart.Grey}

// Write draws a split as a PNG of two panels: how long the names of each class are, and which characters they use. Both
// show shares of the class, so that small classes can be compared with large ones. A split without rows is an error.
func Write(d *datasets.Description, path string) error {
	if d.Split.Rows == 0 {
		return fmt.Errorf("draw %s: %s has no rows", path, d.Split.Name)
	}
	above, err := lengths(d)
	below, belowErr := characters(d)
	if err = errors.Join(err, belowErr); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return chart.SaveColumn([]*plot.Plot{above, below}, 9, 4, path)
}

// lengths draws a line for each class. The axis ends where 99.9 % of every class do.
func lengths(d *datasets.Description) (*plot.Plot, error) {
	p := chart.New(fmt.Sprintf("Lengths of %s names (%s)", printable.Grouped(int(d.Split.Rows)), d.Split.Name),
		"characters in the name", "share of the class, %")
	longest := 1
	for _, class := range classes(d) {
		c := d.Classes[class]
		last := c.LengthQuantile(0.999)
		longest = max(longest, last)
		xy := make(plotter.XYs, 0, last+2)
		for n := range last + 2 {
			rows := int64(0)
			if n < len(c.Length) {
				rows = c.Length[n]
			}
			xy = append(xy, plotter.XY{X: float64(n), Y: percent(rows, c.Rows)})
		}
		line, err := plotter.NewLine(xy)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.StepStyle = classColor[class], vg.Points(1.8), plotter.MidStep
		p.Add(line)
		p.Legend.Add(legend(class, c), line)
	}
	p.Add(plotter.NewGrid())
	p.X.Min, p.X.Max, p.Y.Min = 0, float64(longest)+1, 0
	p.Legend.Top = true
	return p, nil
}

// characters draws a group of bars for each character.
func characters(d *datasets.Description) (*plot.Plot, error) {
	keys := used(d)
	p := chart.New("Characters", "", "share of the class's characters, %")
	names := classes(d)
	width := vg.Points(11 / float64(max(len(names), 1)))
	for i, class := range names {
		c := d.Classes[class]
		total := int64(0)
		for _, n := range c.Characters {
			total += n
		}
		values := make(plotter.Values, len(keys))
		for k, key := range keys {
			values[k] = percent(c.Characters[key], total)
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width = classColor[class], 0
		bars.Offset = width * vg.Length(float64(i)-float64(len(names)-1)/2)
		p.Add(bars)
	}
	p.NominalX(keys...)
	p.X.Tick.Length, p.Y.Min = vg.Points(3), 0
	return p, nil
}

// mostCharacters bounds the second panel: a name's alphabet has 39, and rare bytes of tunnels come after them.
const mostCharacters = 48

// used lists the characters by kind: letters, digits, the rest; of many only the most frequent.
func used(d *datasets.Description) []string {
	sum := map[string]int64{}
	for _, c := range d.Classes {
		for key, n := range c.Characters {
			sum[key] += n
		}
	}
	keys := slices.SortedFunc(maps.Keys(sum), func(a, b string) int {
		return cmp.Or(cmp.Compare(sum[b], sum[a]), strings.Compare(a, b))
	})
	keys = keys[:min(len(keys), mostCharacters)]
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(kind(a)-kind(b), strings.Compare(a, b)) })
	return keys
}

func kind(key string) int {
	switch c := key[0]; {
	case len(key) > 1:
		return 4
	case c >= 'a' && c <= 'z':
		return 0
	case c >= '0' && c <= '9':
		return 1
	case c == '.' || c == '-' || c == '_':
		return 2
	}
	return 3
}

// classes lists the classes that there are, in their own order.
func classes(d *datasets.Description) (out []string) {
	for _, class := range datasets.ClassNames() {
		if d.Classes[class] != nil {
			out = append(out, class)
		}
	}
	return out
}

func legend(class string, c *datasets.ClassDescription) string {
	return fmt.Sprintf("%s (%s, mean %.1f)", class, printable.Grouped(int(c.Rows)), c.MeanLength())
}

func percent(n, of int64) float64 { return 100 * float64(n) / float64(max(of, 1)) }
