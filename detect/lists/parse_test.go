package lists

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/detect"
)

// parsed is what a text gives as a list of a kind.
func parsed(t testing.TB, kind, text string) (*content, error) {
	t.Helper()
	return parse(strings.NewReader(text), options{kind: kind, source: "s"})
}

// found are the entries for names: "name>entry", with a '!' if an exception allows it.
func found(t testing.TB, c *content, names ...string) (all []string) {
	t.Helper()
	main, err := detect.NewListOf(c.main)
	if err != nil {
		t.Fatal(err)
	}
	exceptions, err := detect.NewListOf(c.exceptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if m, ok := exceptions.Find(name); ok {
			all = append(all, "!"+name+">"+m.Entry)
		}
		if m, ok := main.Find(name); ok {
			all = append(all, name+">"+m.Entry)
		}
	}
	return all
}

// TestParse documents what each syntax means.
func TestParse(t *testing.T) {
	asked := []string{"a.com", "x.a.com", "b.org", "x.b.org", "c.net", "x.c.net", "xn--bcher-kva.example", "lone", "biz",
		"y.biz", "ok.a.com", "x.ok.a.com"}
	for _, c := range []struct {
		name, kind, text string
		format           string
		found            []string
		skipped          map[string]int
	}{
		{"domains", block, "# mine\n\n a.com # why\r\n*.b.org\n.C.net.\nBÜCHER.example\nlone\n! x\n; y\n// z\n", "domains",
			[]string{"a.com>a.com", "b.org>*.b.org", "x.b.org>*.b.org", "c.net>*.c.net", "x.c.net>*.c.net",
				"xn--bcher-kva.example>xn--bcher-kva.example", "lone>lone"}, nil},
		{"domains with others", block, "a.com\nb.org\nc.net\nlone\nd.example\ne.example\nf.example\ng.example\n" +
			"0.0.0.0 x.b.org\n||x.c.net^\n192.0.2.1\nhttp://h.org/x\nad*.com\n*\n.\n*.biz\n",
			"domains", []string{"a.com>a.com", "b.org>b.org", "c.net>c.net", "lone>lone"},
			map[string]int{notOurs: 3, isAddress: 1, isPath: 1, isRoot: 2, isBroad: 1}},
		{"hosts", block, "127.0.0.1 localhost\n::1 localhost ip6-localhost # v6\n0.0.0.0 a.com x.b.org # two\n" +
			"0.0.0.0\tc.net\n:: c.net\n192.0.2.7 x.c.net\n0.0.0.0 0.0.0.0\n0.0.0.0 b_d.com/x\n", "hosts",
			[]string{"a.com>a.com", "x.b.org>x.b.org", "c.net>c.net"},
			map[string]int{isLocalhost: 3, leadsOn: 1, notName: 1}},
		{"hosts that allow", allow, "192.0.2.7 a.com\n", "hosts", []string{"a.com>a.com"}, nil},
		{"adblock", block, "[Adblock Plus 2.0]\n! x\n||a.com^\n@@||ok.a.com^\n||b.org^$important\n||*.c.net^\n||lone^|\n" +
			"||d.com^$third-party\n||e.com/ads^\n||f.com\n/ads[0-9]/\n&ad_box=\n##.banner\ng.com##div\n||biz^\n||^\n" +
			"||ad*.com^\na.org\n@@/x/\n||xn--bcher-kva.example^$all\n", "adblock",
			[]string{"a.com>*.a.com", "x.a.com>*.a.com", "b.org>*.b.org", "x.b.org>*.b.org", "x.c.net>*.c.net",
				"xn--bcher-kva.example>*.xn--bcher-kva.example", "lone>*.lone", "!ok.a.com>*.ok.a.com", "ok.a.com>*.a.com",
				"!x.ok.a.com>*.ok.a.com", "x.ok.a.com>*.a.com"},
			map[string]int{withOptions: 1, isPattern: 6, onPages: 2, isBroad: 1, isRoot: 1, notOurs: 1}},
		{"adblock that allows", allow, "@@||a.com^\n||b.org^\n", "adblock",
			[]string{"a.com>*.a.com", "x.a.com>*.a.com", "b.org>*.b.org", "x.b.org>*.b.org", "ok.a.com>*.a.com",
				"x.ok.a.com>*.a.com"}, nil},
		{"rpz", block, "$TTL 300\n@ SOA localhost. root.localhost. (1 3600 ; serial\n  600 86400 300 )\n  NS localhost.\n" +
			"a.com CNAME .\n*.a.com 1h IN CNAME *.\nok.a.com cname rpz-passthru.\n*.b.org IN 60 CNAME rpz-drop.\n" +
			"c.net CNAME c.net.\nx.c.net CNAME rpz-tcp-only.\nd.com A 127.0.0.1\ne.com CNAME walled.example.\n" +
			"32.1.2.0.192.rpz-ip CNAME .\nns.x.rpz-nsdname CNAME .\n*.biz CNAME .\n* CNAME .\ntext TXT \"a ; ( b\"\n" +
			"no record here\nlone CNAME . ; x\n", "rpz",
			[]string{"a.com>a.com", "x.a.com>*.a.com", "x.b.org>*.b.org", "!c.net>c.net", "lone>lone", "!ok.a.com>ok.a.com",
				"ok.a.com>*.a.com", "x.ok.a.com>*.a.com"},
			map[string]int{otherAction: 4, otherWay: 2, isBroad: 1, isRoot: 1, notOurs: 1}},
		{"rpz with its name", block, "$ORIGIN rpz.example.\n@ 1 IN SOA a. b. 1 2 3 4 5\na.com CNAME .\n" +
			"b.org.rpz.example. CNAME .\nC.NET.RPZ.example. CNAME RPZ-PASSTHRU.\nelsewhere.com. CNAME .\n" +
			"$ORIGIN a.com.rpz.example.\nx CNAME .\nok CNAME ok.a.com.\n", "rpz",
			[]string{"a.com>a.com", "x.a.com>x.a.com", "b.org>b.org", "!c.net>c.net", "!ok.a.com>ok.a.com"},
			map[string]int{otherZone: 1}},
		{"rpz without a name", block, "a.com CNAME .\nx CNAME .\nb.org. CNAME .\n", "rpz",
			[]string{"a.com>a.com"}, map[string]int{otherZone: 1}},
		{"rpz that allows", allow, "$TTL 1\na.com CNAME .\nb.org CNAME rpz-passthru.\n", "rpz",
			[]string{"a.com>a.com", "b.org>b.org"}, nil},
		{"wide", block, "\xff\xfea\x00.\x00c\x00o\x00m\x00\n\x00", "", nil, nil}, // package unpack turns it into UTF-8
		{"long line", block, "a.com\n" + strings.Repeat("x", 1<<17) + "\nb.org\nc\x00.net", "domains",
			[]string{"a.com>a.com", "b.org>b.org"}, map[string]int{tooLong: 1, notOurs: 1}},
	} {
		got, err := parsed(t, c.kind, c.text)
		if c.format == "" {
			if err == nil {
				t.Errorf("%s: read as %s", c.name, got.format)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		all := found(t, got, asked...)
		if !slices.Equal(slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(c.found))) {
			t.Errorf("%s:\nfound %q\nwant  %q", c.name, all, c.found)
		}
		if got.format != c.format || !maps.Equal(got.skipped, c.skipped) && len(got.skipped)+len(c.skipped) > 0 {
			t.Errorf("%s: %s, left out %v, want %s, %v", c.name, got.format, got.skipped, c.format, c.skipped)
		}
	}
}

// What is no list is refused.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":       "it is empty",
		" \n\t ": "it is empty",
		"<!DOCTYPE html>\n<html><body>\n404\n</body></html>":    "a page",
		`{"error": "not found"}`:                                "a page or data",
		"404 page not found\n":                                  "no list of names",
		"Not Found":                                             "no list of names",
		"a.com\x00b.com\n":                                      "zero bytes",
		"The quick brown fox\njumps over\nthe lazy dog\n":       "no list of names",
		"https://a.com/x\nhttps://b.com/y\n":                    "no list of names",
		"192.0.2.1\n192.0.2.2\n":                                "no list of names",
		"$TTL 1\n@ SOA a. b. 1 1 1 1 1\n$INCLUDE more.zone\n":   "line 3: $INCLUDE would make names",
		"$TTL 1\n$GENERATE 1-9999999 x$ CNAME .\n":              "line 2: $GENERATE would make names",
		"$TTL 1\na.com CNAME .\nb.com TXT ( x\nc.com CNAME .\n": "a parenthesis is never closed",
		"a.com\n" + strings.Repeat("x", 65<<20):                 "this is no text",
	} {
		if c, err := parsed(t, block, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, %v, want %q", text, c, err, want)
		}
	}
	// A server's word is no name.
	if _, err := parse(strings.NewReader("error\n"), options{kind: block, remote: true}); err == nil {
		t.Error("\"error\" is taken for a list")
	}
	// A text of comments is empty on purpose.
	if c, err := parsed(t, allow, "# none yet\n"); err != nil || c.entries != 0 || !c.comments || c.format != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

// Entries without end are refused before they fill the memory.
func TestTooMany(t *testing.T) {
	defer func(most int) { mostKeys = most }(mostKeys)
	mostKeys = 100
	for kind, line := range map[string]string{block: "a.com\n", allow: "a.b.c.com\n", popular: "1,a.com\n"} {
		in := &endless{text: line}
		var err error
		if kind == popular {
			_, err = ranked(in, 10)
		} else {
			_, err = parse(in, options{kind: kind})
		}
		if err == nil || !strings.Contains(err.Error(), "more than 100 entries") || in.read > 1<<20 {
			t.Errorf("%s: %v after %d bytes", kind, err, in.read)
		}
	}
}

// endless is a text again and again.
type endless struct {
	text string
	read int
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = e.text[e.read%len(e.text)]
		e.read++
	}
	return len(b), nil
}

// Entries of whole suffixes are applied where somebody asks for them.
func TestBroad(t *testing.T) {
	text := "*.biz\n*.co.uk\n*.github.io\n*.lan\n*.b.org\n.com\n"
	for broad, want := range map[bool]int{false: 3, true: 6} {
		c, err := parse(strings.NewReader(text), options{kind: allow, broad: broad})
		if err != nil || c.entries != want || c.skipped[isBroad] != 6-want {
			t.Errorf("broad %v: %+v, %v", broad, c, err)
		}
	}
}

func TestRanked(t *testing.T) {
	c, err := ranked(strings.NewReader("1,google.com\r\n2,BÜCHER.example\n4,late.com\n3,b_d!\n3,c.net\n"), 3)
	if err != nil || c.entries != 3 || c.skipped[notName] != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	for name, want := range map[string]bool{"google.com": true, "xn--bcher-kva.example": true, "c.net": true,
		"late.com": false, "com": false} {
		if c.popular.Has(name) != want {
			t.Errorf("%s is popular: %v", name, !want)
		}
	}
	c, err = ranked(strings.NewReader("# by rank\na.com\n\nb.com\nc.com\n"), 2)
	if err != nil || c.entries != 2 || !c.popular.Has("b.com") || c.popular.Has("c.com") {
		t.Errorf("names alone: %+v, %v", c, err)
	}
	for _, text := range []string{"", "<html>\n<p>404</p>\n", "rank,domain\n"} {
		if c, err := ranked(strings.NewReader(text), 9); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

func fuzz(f *testing.F, kind string, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parsed(t, kind, text)
		if err != nil {
			return
		}
		if c.entries != c.main.Len()+c.exceptions.Len() {
			t.Errorf("%d entries counted, %d there", c.entries, c.main.Len()+c.exceptions.Len())
		}
		all := found(t, c, "a.com", "b.example", "x.y.z.invalid-", "")
		for _, hit := range all {
			if strings.HasSuffix(hit, ">*.com") || strings.HasSuffix(hit, ">*.") {
				t.Errorf("%q: %s", text, hit)
			}
		}
	})
}

func FuzzDomains(f *testing.F) {
	fuzz(f, block, "a.com\n*.b.org # x\n.c.net\n", "*\n.\n*.\n", "bücher.de\n\xff.com\n")
}
func FuzzHosts(f *testing.F) {
	fuzz(f, block, "0.0.0.0 a.com b.com # x\n", "::1\tx.y\n127.0.0.1 localhost\n")
}
func FuzzAdblock(f *testing.F) {
	fuzz(f, block, "[Adblock]\n||a.com^\n@@||b.com^$all\n", "||^\n||*^\n||*.^|\n@@\n")
}
func FuzzRPZ(f *testing.F) {
	fuzz(f, block, "$TTL 1\n@ SOA a. b. (1\n2 3 4 5)\na.com CNAME .\n b CNAME rpz-drop.\n",
		"$ORIGIN x.\n@ SOA . . 1 1 1 1 1\n* CNAME .\n\\..x. CNAME *.\n\"a b\" CNAME .\n", "$ORIGIN\n( ) ;\n",
		"$TTL\n @ CNAME")
}

func BenchmarkParse(b *testing.B) {
	const n = 1_000_000
	for what, line := range map[string]string{"domains": "n%d.example-%d.com\n", "hosts": "0.0.0.0 n%d.example-%d.com\n",
		"adblock": "||n%d.example-%d.net^\n", "rpz": "n%d.example-%d.com CNAME .\n"} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, line, i, i%977)
		}
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				if c, err := parsed(b, block, text.String()); err != nil || c.entries != n || c.format != what {
					b.Fatal(c.entries, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}
