package scan

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/printable"
)

const (
	// mostSections is how many findings have a section of their own on a page; the table names all.
	mostSections = 200
	// longest is how many characters of a text the page shows. The longest DNS name has fewer, with every byte escaped.
	longest = 1024
	// fewestBars is how many bars a timeline has room for at least, so that a single one does not fill it.
	fewestBars = 12
)

//go:embed page.html
var pageText string

var page = printable.HTMLTemplate("page.html", pageText, template.FuncMap{
	"count":     func(n any) string { return printable.Grouped(toInt(n)) },
	"plural":    plural,
	"moment":    moment,
	"row":       func(i int) int { return i + 1 },
	"sectioned": func(i int) bool { return i < mostSections },
	"short":     func(s string) string { return printable.Cut(s, 80) },
	"text":      func(s string) string { return printable.Cut(s, longest) },
	"bars":      newBars,
	"kind":      func(kind string) string { return kindWords[kind] },
	"malicious": func(f FileReport) int64 { return f.Verdicts[detect.Malicious.String()] },
})

var kindWords = map[string]string{
	watch.Tunnel:    "a domain whose names carry data",
	watch.DGAClient: "a client that runs malware with a domain-generation algorithm",
	watch.List:      "an entry of your block list that was asked for",
}

// WriteHTML writes a report as one page of HTML. The page has no scripts and loads nothing, and every text of a
// stranger on it is escaped.
func WriteHTML(w io.Writer, r *Report) error {
	data := struct {
		*Report
		Sections []watch.Finding
		More     int
		Unread   []unread
	}{r, r.Findings[:min(len(r.Findings), mostSections)], max(len(r.Findings)-mostSections, 0), allUnread(r.Files)}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("write the HTML report: %w", err)
	}
	return nil
}

// unread is what was not read of a file, for one reason.
type unread struct {
	Path, What, Reason string
	Count              int64
}

func allUnread(files []FileReport) []unread {
	all := []unread{}
	for _, f := range files {
		for _, kind := range []struct {
			what    string
			reasons map[string]int64
		}{{"refused", f.Refused}, {"skipped", f.Skipped}} {
			for _, reason := range slices.Sorted(maps.Keys(kind.reasons)) {
				all = append(all, unread{f.Path, kind.what, reason, kind.reasons[reason]})
			}
		}
	}
	return all
}

// bars is a watch.Timeline as it is drawn. Lengths are in units of the drawing: a bucket has a width of 10, and the
// highest bar a height of 100.
type bars struct {
	Number       int // of the finding
	Bars         []bar
	Width        int
	Most         int
	Every        string
	From, To     time.Time
	Middle, Peak time.Time
}

type bar struct {
	X, Y, Height, Count int
	At                  time.Time
}

// newBars draws a timeline, or returns nil if there is nothing to draw.
func newBars(t watch.Timeline, number int) *bars {
	b := &bars{Number: number, Width: 10 * max(len(t.Counts), fewestBars), From: t.Start}
	after := func(buckets int) time.Time {
		return t.Start.Add(time.Duration(buckets) * time.Duration(t.Seconds) * time.Second)
	}
	for i, n := range t.Counts {
		if int(n) > b.Most {
			b.Most, b.Peak = int(n), after(i)
		}
	}
	if b.Most == 0 {
		return nil
	}
	b.Middle, b.To = after(b.Width/20), after(b.Width/10)
	b.Every = (time.Duration(t.Seconds) * time.Second).String()
	for i, n := range t.Counts {
		if n > 0 {
			height := max(int(math.Round(100*float64(n)/float64(b.Most))), 1)
			b.Bars = append(b.Bars, bar{X: 10 * i, Y: 100 - height, Height: height, Count: int(n), At: after(i)})
		}
	}
	return b
}

// moment is a time for people, "" if it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// plural is a count with a word: 1 file, 2 files.
func plural(n any, word string) string {
	if i := toInt(n); i != 1 {
		return printable.Grouped(i) + " " + word + "s"
	}
	return "1 " + word
}

// toInt is one of the whole numbers of a Report.
func toInt(n any) int {
	switch n := n.(type) {
	case int:
		return n
	case int64:
		return int(n)
	case uint64:
		return int(n)
	}
	panic(fmt.Sprintf("scan: %T is no count", n))
}
