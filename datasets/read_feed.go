package datasets

import (
	"bytes"
	"context"
	"io"
	"path"
	"regexp"
	"strings"
)

func init() {
	RegisterReader(feedReader{})
	RegisterReader(netlabReader{})
	RegisterReader(subsetReader{})
}

// feedReader reads feeds of DGA names without a header whose first column is the name: Bambenek's
//
//	plvklpgwivery.com,Domain used by Cryptolocker - Flashback DGA for 23 Jun 2018,2018-06-23,http://…/cl.txt
//
// and the dga-*.csv files of the original degas' folder. '#' starts comments. The family is in the description; without
// one it is what stands after "dga-" in the file's name.
type feedReader struct{}

var (
	feedFile        = regexp.MustCompile(`(?i)^(?:bambenek\..*|dga-.*)\.(?:csv|txt)$`)
	feedDescription = regexp.MustCompile(`(?i)domain used by (.+?)(?: dga)?(?: \(.*\))?(?: for .*)?$`)
)

func (feedReader) Name() string { return "feed" }

func (feedReader) Match(p string, head []byte) int {
	lines := headLines(head, 20)
	if len(lines) == 0 {
		return 0
	}
	if c, ok := tableColumns(lines[0]); ok && (c.class >= 0 || c.family >= 0 || c.rank >= 0) {
		return 0 // it says itself what it is
	}
	described, names := 0, 0
	for _, l := range lines {
		name, rest, _ := bytes.Cut(l, []byte{','})
		if looksLikeName(name) {
			names++
			if bytes.Contains(rest, []byte("omain used by ")) {
				described++
			}
		}
	}
	switch {
	case names*10 < len(lines)*9:
		return 0
	case described == len(lines):
		return 95
	case feedFile.MatchString(path.Base(p)):
		return 85
	}
	return 0
}

func (feedReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	fallback := feedFamily(f.Base())
	families := map[string]string{} // by description
	first := true
	var fields [][]byte
	return eachLine(in, sink, func(line int64, text []byte) error {
		var ok bool
		if fields, ok = splitRow(fields, text, ','); !ok {
			return sink.Refuse(line, reasonQuote)
		}
		if first {
			first = false
			if _, ok := tableColumns(text); ok && !looksLikeName(fields[0]) {
				return nil // a header that says less than the file's name: domain,date
			}
		}
		rec := Record{Name: view(bytes.TrimSpace(fields[0])), Class: DGA, Family: fallback}
		if len(fields) > 1 {
			if family := describedFamily(families, fields[1]); family != "" {
				rec.Family = family
			}
		}
		if len(fields) > 2 {
			rec.Day = ParseDay(bytes.TrimSpace(fields[2]))
		}
		return sink.Record(line, rec)
	})
}

// feedFamily is the family in a file's name: "dga-conficker" -> "conficker"; "" for bambenek.2018-06, dga-feed-high.
func feedFamily(base string) string {
	family, ok := strings.CutPrefix(strings.ToLower(base), "dga-")
	if !ok {
		return ""
	}
	for _, w := range strings.FieldsFunc(family, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch w {
		case "feed", "high", "list", "lists", "domains", "all", "data", "public":
			return ""
		}
	}
	if strings.Trim(family, "0123456789-_.") == "" {
		return ""
	}
	return family
}

// describedFamily is the family in a feed's description, remembered by description: each day has its own.
func describedFamily(known map[string]string, text []byte) string {
	if f, ok := known[string(text)]; ok {
		return f
	}
	f := ""
	if m := feedDescription.FindSubmatch(bytes.TrimSpace(text)); m != nil {
		// "Cryptolocker - Flashback": the words after the dash are the campaign's.
		name, _, _ := strings.Cut(string(m[1]), " - ")
		f = NormalizeFamily(name)
	}
	if len(known) < maxLabels {
		known[string(text)] = f
	}
	return f
}

// netlabReader reads Netlab 360's dga.txt: family, domain, first and last day, separated by tabs, '#' comments.
type netlabReader struct{}

func (netlabReader) Name() string { return "netlab" }

func (netlabReader) Match(path string, head []byte) int {
	lines := headLines(head, 20)
	for _, l := range lines {
		fields := bytes.Split(l, []byte{'\t'})
		if len(fields) < 3 || looksLikeName(fields[0]) || !looksLikeName(fields[1]) || !bytes.Contains(fields[2], []byte{'-'}) {
			return 0
		}
	}
	if len(lines) == 0 {
		return 0
	}
	return 90
}

func (netlabReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	return eachLine(in, sink, func(line int64, text []byte) error {
		family, rest, ok := bytes.Cut(text, []byte{'\t'})
		if !ok {
			return sink.Refuse(line, reasonColumns)
		}
		name, days, _ := bytes.Cut(rest, []byte{'\t'})
		return sink.Record(line, Record{Name: view(bytes.TrimSpace(name)), Class: DGA, Family: view(family),
			Day: ParseDay(bytes.TrimSpace(days))})
	})
}

// subsetReader reads the subset.csv of the original degas: domain, description and class (0 or 1) separated by
// chr(1), lines ending in CRLF, no header. Each row's own class counts; the original took all of them for DGA, half of
// which are from Alexa.
type subsetReader struct{}

func (subsetReader) Name() string { return "degas-subset" }

func (subsetReader) Match(path string, head []byte) int {
	lines := headLines(head, 20)
	for _, l := range lines {
		if bytes.Count(l, []byte{1}) != 2 {
			return 0
		}
	}
	if len(lines) == 0 {
		return 0
	}
	return 95
}

func (subsetReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	families := map[string]string{}
	labels := newLabeller("")
	var fields [][]byte
	return eachLine(in, sink, func(line int64, text []byte) error {
		fields, _ = splitRow(fields, text, 1)
		if len(fields) != 3 {
			return sink.Refuse(line, reasonColumns)
		}
		l := labels.label(fields[2])
		if !l.ok {
			return sink.Refuse(line, reasonClass)
		}
		rec := Record{Name: view(fields[0]), Class: l.class}
		if rec.Class != Benign {
			if rec.Family = describedFamily(families, fields[1]); rec.Family == "" {
				rec.Family = view(fields[1]) // the family alone
			}
		}
		return sink.Record(line, rec)
	})
}
