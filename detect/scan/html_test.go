package scan

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"github.com/degas-dns/degas/detect/watch"
)

var update = flag.Bool("update", false, "write the golden file of testdata")

var start = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func smallReport() *Report {
	return &Report{
		Files: []FileReport{
			{Path: "office.pcap", Format: "pcap", Unit: "packets", Units: 1440, Events: 720, Names: 350, Clients: 4,
				First: start, Last: start.Add(time.Hour), Verdicts: map[string]int64{"benign": 450, "malicious": 270},
				Skipped: map[string]int64{"no DNS": 12}, Refused: map[string]int64{"cut off": 3}},
			{Path: "lost.log", Error: "read lost.log: is empty"},
		},
		Events: 720, Names: 350, Clients: 4, First: start, Last: start.Add(time.Hour),
		Verdicts: map[string]int64{"benign": 450, "malicious": 270},
		Findings: []watch.Finding{
			{Kind: watch.DGAClient, Client: "192.0.2.23", Names: 120, Events: 1200, Evidence: 149.62, FalseAlarms: 1e-149,
				First: start, Last: start.Add(time.Minute), Reason: "120 registered domains that do not exist",
				Next: "Find the program.", Examples: []string{"ybxgkbtrpmyajloqfhvra.im"}, SharedWith: []string{"192.0.2.24"},
				Timeline: watch.Timeline{Start: start, Seconds: 5, Counts: []uint32{1000, 0, 200}}},
			{Kind: watch.Tunnel, Domain: "tunnel.example", Clients: []string{"192.0.2.29", "192.0.2.30"}, MoreClients: 3,
				Names: 200, Events: 200, Evidence: 8.6, FalseAlarms: .02, BytesOut: 20518, BytesIn: 28856,
				Reason: "200 different names", Next: "Ask who runs it.", Examples: []string{"a\xbc\xd4.tunnel.example"}},
			{Kind: watch.List, Domain: "*.blocked.example", Events: 1, Reason: "on your block list", Next: "Look."},
		},
	}
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHTMLGolden(t *testing.T) {
	got, path := pageOf(t, smallReport()), filepath.Join("testdata", "report.html")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page is another one than %s. If it should be, run: go test ./detect/scan -run TestHTMLGolden -update",
			path)
	}
	checkPage(t, got)
}

func TestHTMLNothingFound(t *testing.T) {
	r := smallReport()
	r.Findings = nil
	for _, test := range []struct {
		r    *Report
		want []string
	}{
		{r, []string{"<h1>Nothing found</h1>",
			"degas read 2 files, from 2026-11-02 09:30:00 to 2026-11-02 10:30:00 UTC: 720 events",
			"office.pcap", "read lost.log: is empty"}},
		{&Report{}, []string{"<h1>Nothing found</h1>", "degas read 0 files: 0 events"}},
	} {
		got := pageOf(t, test.r)
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in the page", want)
			}
		}
		checkPage(t, got)
	}
}

// Whatever a stranger writes stays text, and visible.
func TestHTMLHostile(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
		{`"><svg onload=alert(1)>`, "&lt;svg onload=alert(1)&gt;"},
		{"</style></title></desc><a href=//evil.example>", "&lt;/title&gt;"},
		{"javascript:alert(1)", "javascript:alert(1)"},
		{"{{.}}", "{{.}}"},
		{"<!--", "&lt;!--"},
		{"a\x00b\x1b[2J\r\n", `a\x00b\x1b[2J\r\n`},
		{"\xff\xfe.example", `\xff\xfe.example`},
		{"evil\u202emoc.elgoog", `evil\u202emoc.elgoog`},
		{"a\u2028\u200b\ufeff", `a\u2028\u200b\ufeff`},
		{strings.Repeat("x", 1<<20), strings.Repeat("x", longest-1) + "…"},
	} {
		s := test.text
		texts := map[string]int64{s: 1}
		f := watch.Finding{Kind: watch.Tunnel, Domain: s, Server: s, Clients: []string{s}, Reason: s, Next: s,
			Examples: []string{s}, SharedWith: []string{s}}
		r := &Report{Verdicts: texts, Findings: []watch.Finding{f, {Kind: s, Client: s, Server: s}},
			Files: []FileReport{{Path: s, Format: s, Unit: s, Skipped: texts, Refused: texts, Error: s}}}
		got := pageOf(t, r)
		if n := strings.Count(got, test.want); n < 10 {
			t.Errorf("%.40q: %.40q is %d times in the page", s, test.want, n)
		}
		checkPage(t, got)
		if len(got) > 100_000 {
			t.Errorf("%.40q: the page has %d bytes", s, len(got))
		}
	}
}

func TestHTMLManyFindings(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	r := &Report{}
	line := watch.Timeline{Start: start, Seconds: 5, Counts: bytesTo(60)}
	for i := range 1000 {
		r.Findings = append(r.Findings, watch.Finding{Kind: watch.Tunnel, Domain: fmt.Sprintf("d%d.example", i),
			Timeline: line})
	}
	got := pageOf(t, r)
	checkPage(t, got)
	for want, n := range map[string]int{"<section ": 200, "<svg ": 200, "d199.example": 2, "d200.example": 1,
		"d999.example":           1,
		"For the other 800, run": 1} {
		if strings.Count(got, want) != n {
			t.Errorf("%q is %d times in the page, want %d", want, strings.Count(got, want), n)
		}
	}
	if len(got) > 3<<20 {
		t.Errorf("the page has %d bytes", len(got))
	}
}

func bytesTo(n int) []uint32 {
	counts := make([]uint32, n)
	for i := range counts {
		counts[i] = uint32(i + 1)
	}
	return counts
}

func TestBars(t *testing.T) {
	for name, test := range map[string]struct {
		counts []uint32
		want   []bar // without At
		width  int
	}{
		"none":  {},
		"zeros": {counts: []uint32{0, 0}},
		"one":   {[]uint32{7}, []bar{{X: 0, Y: 0, Height: 100, Count: 7}}, 120},
		"scaled": {[]uint32{50, 0, 200}, []bar{{X: 0, Y: 75, Height: 25, Count: 50},
			{X: 20, Y: 0, Height: 100, Count: 200}}, 120},
		"visible": {[]uint32{1, 1 << 31}, []bar{{X: 0, Y: 99, Height: 1, Count: 1},
			{X: 10, Y: 0, Height: 100, Count: 1 << 31}}, 120},
		"long": {append(make([]uint32, 59), 3), []bar{{X: 590, Y: 0, Height: 100, Count: 3}}, 600},
	} {
		b := newBars(watch.Timeline{Start: start, Seconds: 10, Counts: test.counts}, 1)
		if b == nil {
			if test.want != nil {
				t.Errorf("%s: nothing drawn", name)
			}
			continue
		}
		if b.Width != test.width || !b.To.Equal(start.Add(time.Duration(b.Width)*time.Second)) || b.Every != "10s" {
			t.Errorf("%s: width %d, until %v, every %s", name, b.Width, b.To, b.Every)
		}
		for i := range b.Bars {
			if want := start.Add(time.Duration(b.Bars[i].X) * time.Second); !b.Bars[i].At.Equal(want) {
				t.Errorf("%s: bar %d at %v, want %v", name, i, b.Bars[i].At, want)
			}
			b.Bars[i].At = time.Time{}
		}
		if fmt.Sprint(b.Bars) != fmt.Sprint(test.want) {
			t.Errorf("%s: %v, want %v", name, b.Bars, test.want)
		}
	}
}

// checkPage is an error for elements and attributes that could load or run something, for links to elsewhere, for links
// and labels that lead nowhere, for elements that are not closed, and for characters that cannot be seen.
func checkPage(t *testing.T, page string) {
	t.Helper()
	strange := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if at := strings.IndexFunc(page, strange); at >= 0 {
		t.Errorf("a strange character: %q", page[at:min(at+20, len(page))])
	}
	elements := " html head meta title style body h1 h2 h3 p div span table tr th td a code section dl dt dd ul li " +
		"figure " +
		"figcaption svg desc rect "
	attributes := " lang charset name content http-equiv class id href role tabindex aria-label aria-labelledby viewbox " +
		"preserveaspectratio x y width height "
	open, ids, used := []string{}, map[string]bool{}, []string{}
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			if tokens.Err() != io.EOF || len(open) > 0 {
				t.Errorf("%v, open: %v", tokens.Err(), open)
			}
			break
		}
		token := tokens.Token()
		switch kind {
		case html.CommentToken, html.SelfClosingTagToken:
			t.Errorf("strange: %v", token)
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> ends %v", token.Data, open)
			}
			open = open[:len(open)-1]
		case html.StartTagToken:
			if !strings.Contains(elements, " "+token.Data+" ") {
				t.Errorf("element %s", token.Data)
			}
			if token.Data != "meta" {
				open = append(open, token.Data)
			}
			for _, a := range token.Attr {
				switch {
				case !strings.Contains(attributes, " "+a.Key+" "), a.Key == "href" && !strings.HasPrefix(a.Val, "#"):
					t.Errorf("attribute %s of %s: %q", a.Key, token.Data, a.Val)
				case a.Key == "id":
					ids[a.Val] = true
				case a.Key == "href":
					used = append(used, a.Val[1:])
				case a.Key == "aria-labelledby":
					used = append(used, strings.Fields(a.Val)...)
				}
			}
		}
	}
	for _, id := range used {
		if !ids[id] {
			t.Errorf("nothing has the id %s", id)
		}
	}
}
