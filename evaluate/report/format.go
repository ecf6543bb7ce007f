package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/printable"
)

// functions are what the templates write values with.
var functions = map[string]any{
	"cautions": cautions,
	"code":     printable.Code,
	"count":    printable.Grouped,
	"count64":  func(n int64) string { return printable.Grouped(int(n)) },
	"fine":     func(x metrics.Number) string { return formatted("%.7f", x) }, // thresholds near 1 differ late
	"labels":   labelText,
	"licence":  sources.Licence,
	"num":      num,
	"passes":   passes,
	"pct":      percent,
	"raw":      func(s string) printable.Raw { return printable.Raw(s) },
	"rate":     oneIn,
	"span":     intervalText,
	"wilson":   metrics.Wilson,

	"whenNetworksWin": func() string { return whenNetworksWin },
}

// whenNetworksWin stands beside plain classifiers. Its numbers are those of docs/RESULTS.md.
const whenNetworksWin = "With a few tens of thousands of training names, n-grams often win. With the 1.7 million of " +
	"docs/RESULTS.md, the presets hybrid, cnn, lstm and degas find far more than n-grams at 1 false alarm in 1,000."

// oneIn is a rate above 0 as people say it: "1 in 1,000".
func oneIn(rate float64) string { return "1 in " + printable.Grouped(int(math.Round(1/rate))) }

// formatted is x in a format; "–" where there is none.
func formatted(format string, x metrics.Number) string {
	if x.Missing() {
		return "–"
	}
	return fmt.Sprintf(format, float64(x))
}

// num formats a metric with four digits.
func num(x metrics.Number) string { return formatted("%.4f", x) }

// percent formats a share.
func percent(x metrics.Number) string { return formatted("%.1f %%", 100*x) }

// intervalText formats the interval of a share, for beside it.
func intervalText(x [2]metrics.Number) string {
	if x[0].Missing() {
		return ""
	}
	return fmt.Sprintf("%.1f–%.1f", 100*float64(x[0]), 100*float64(x[1]))
}

// labelText lists a model's labels, few of them.
func labelText(labels []string) string {
	if len(labels) <= 6 {
		return strings.Join(labels, ", ")
	}
	return fmt.Sprintf("%s and %d families", labels[0], len(labels)-1)
}
