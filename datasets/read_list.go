package datasets

import (
	"bytes"
	"context"
	"io"
	"strings"
	"unicode/utf8"
)

func init() {
	RegisterReader(listReader{})
	RegisterReader(rankedReader{})
}

// pathHint is what the folders and the name of a file say about the class of its rows.
type pathHint struct {
	class     Class
	known     bool
	blocklist bool
}

// folderWords are the words, in a folder's or a file's name, that tell a class.
var folderWords = map[string]Class{
	"dga": DGA, "dgas": DGA,
	"tunnel": Tunnel, "tunnels": Tunnel, "tunneling": Tunnel, "tunnelling": Tunnel,
	"benign": Benign, "legit": Benign, "legitimate": Benign, "normal": Benign, "alexa": Benign, "tranco": Benign,
	"umbrella": Benign, "majestic": Benign, "domcop": Benign, "whitelist": Benign, "allowlist": Benign,
	"popular": Benign, "toplist": Benign, "cloudflare": Benign, "crux": Benign, "top10milliondomains": Benign,
}

var blockWords = map[string]bool{
	"blacklist": true, "blocklist": true, "malicious": true, "malware": true, "ctc": true, "phishing": true,
}

// hintOf reads a path from its end: a file's own name says more than its folder.
func hintOf(path string) (h pathHint) {
	parts := strings.Split(strings.ToLower(path), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		words := strings.FieldsFunc(parts[i], func(r rune) bool { return strings.ContainsRune("-_. ", r) })
		for _, w := range words {
			if c, ok := folderWords[w]; ok {
				return pathHint{class: c, known: true}
			}
			if blockWords[w] {
				return pathHint{class: DGA, known: true, blocklist: true}
			}
		}
	}
	return h
}

// headLines cuts a head into its whole lines, at most n, without comments and empty ones.
func headLines(head []byte, n int) (lines [][]byte) {
	cut := len(head) == headSize // the last line may be cut short
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for len(head) > 0 && len(lines) < n {
		line, rest, found := bytes.Cut(head, []byte{'\n'})
		if !found && cut && len(lines) > 0 {
			break
		}
		head = rest
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) > 0 && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// looksLikeName is a coarse test for recognising formats; dnsname decides later.
func looksLikeName(b []byte) bool {
	b = bytes.Trim(b, "\" \t")
	if len(b) == 0 || len(b) > 260 || bytes.ContainsAny(b, " \t,;|<>{}()\x00") {
		return false
	}
	return bytes.IndexByte(b, '.') > 0
}

// listReader reads one name a line. The class comes from the path: below dga/ (dga-lists/, …) the names are made by the
// algorithm that the file is named after, below tunnel/ by the tool; benign, legit, alexa, … are benign. Lists called
// blacklist, blocklist, malicious or ctc hold names that are bad for an unknown reason, see BlocklistFamily. A file
// that gives no hint is not read: a label must not be guessed.
type listReader struct{}

func (listReader) Name() string { return "list" }

func (listReader) Match(path string, head []byte) int {
	lines := headLines(head, 50)
	names := 0
	for _, l := range lines {
		if looksLikeName(l) || tunnelPayload(path, l) {
			names++
		}
	}
	if len(lines) == 0 || names*10 < len(lines)*9 || !hintOf(path).known {
		return 0
	}
	return 40
}

// tunnelPayload accepts names without a dot below tunnel/: payloads whose zone was stripped. Their bytes above ASCII may be
// written as two each.
func tunnelPayload(path string, line []byte) bool {
	h := hintOf(path)
	return h.known && h.class == Tunnel && utf8.RuneCount(line) < 260 && !bytes.ContainsAny(line, " \t,;|<>{}()\x00")
}

func (listReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	hint := hintOf(f.Path)
	rec := Record{Class: hint.class, Weak: hint.blocklist, Family: f.Base()}
	switch {
	case hint.blocklist:
		rec.Family = BlocklistFamily
	case rec.Class == Benign || folderWord(f.Base()):
		rec.Family = ""
	}
	return eachLine(in, sink, func(line int64, text []byte) error {
		rec.Name = view(text)
		return sink.Record(line, rec)
	})
}

// folderWord reports whether a name says a class only: dga.txt names no family.
func folderWord(base string) bool {
	_, ok := folderWords[strings.ToLower(base)]
	return ok
}

// rankedReader reads popularity lists without a header: rank and domain (Tranco, Alexa, Cisco Umbrella, Cloudflare),
// or domain and rank (the alexa.csv of the original degas). The separator is a comma, semicolon, tab or white space.
// Popular names are taken as benign, unless the path says otherwise.
type rankedReader struct{}

func (rankedReader) Name() string { return "ranked" }

// rankedShape finds the separator and the column of the domain, -1 when lines are not a name and a number each. ranking
// is false when the numbers may be classes instead, see isRanking.
func rankedShape(head []byte) (sep byte, column int, ranking bool) {
	lines := headLines(head, 50)
	if len(lines) == 0 {
		return 0, -1, false
	}
	for _, sep := range []byte(",;\t ") {
		var first, second []int64 // the numbers before and after names
		for _, l := range lines {
			a, b, ok := cutRank(l, sep)
			if !ok {
				continue
			}
			if n, ok := rank(a); ok && looksLikeName(b) {
				first = append(first, n)
			} else if n, ok := rank(b); ok && looksLikeName(a) {
				second = append(second, n)
			}
		}
		// Some rankings hold a few names without a dot: Umbrella ranks com.
		switch enough := len(lines) - len(lines)/5; {
		case len(first) >= enough && len(first) > 0:
			return sep, 1, isRanking(first, true)
		case len(second) >= enough && len(second) > 0:
			return sep, 0, isRanking(second, false)
		}
	}
	return 0, -1, false
}

// isRanking tells ranks from classes, which are few, small and repeat. Ranks rise, from 1 or, where a list was cut, from
// anywhere; unless strict, a rank may be shared by a few names, and from 1000 on by many (CrUX ranks by thousands). A list
// of one name at rank 1 is taken for a class: it may as well say malicious.
func isRanking(numbers []int64, strict bool) bool {
	steps, pairs := 0, len(numbers)-1
	for i, n := range numbers[1:] {
		if n < numbers[i] {
			return false
		}
		if n > numbers[i] {
			steps++
		}
	}
	return numbers[pairs] > 1 && (steps == pairs || !strict && (2*steps >= pairs || numbers[0] >= 1000))
}

// cutRank cuts a line in two at its first separator; white space may be several bytes.
func cutRank(line []byte, sep byte) (a, b []byte, ok bool) {
	i := bytes.IndexByte(line, sep)
	if i < 0 {
		return nil, nil, false
	}
	return line[:i], bytes.TrimSpace(line[i+1:]), true
}

// rank reads a whole number of at most ten digits.
func rank(b []byte) (n int64, ok bool) {
	b = bytes.Trim(b, "\" ")
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func (rankedReader) Match(path string, head []byte) int {
	if _, _, ranking := rankedShape(head); !ranking {
		return 0
	}
	return 60
}

func (rankedReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	head, in, err := peekHead(in)
	if err != nil {
		return err
	}
	sep, column, _ := rankedShape(head)
	if column < 0 {
		sep, column = ',', 1
	}
	hint := hintOf(f.Path)
	rec := Record{Class: hint.class}
	if hint.blocklist {
		rec.Weak, rec.Family = true, BlocklistFamily
	}
	return eachLine(in, sink, func(line int64, text []byte) error {
		a, b, ok := cutRank(text, sep)
		if !ok {
			return sink.Refuse(line, reasonColumns)
		}
		if column == 0 {
			b = a
		}
		rec.Name = view(bytes.Trim(b, `"`))
		return sink.Record(line, rec)
	})
}

// peekHead reads a stream's first bytes and gives them back with a reader that still has them.
func peekHead(in io.Reader) (head []byte, again io.Reader, err error) {
	head = make([]byte, headSize)
	n, err := io.ReadFull(in, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return head[:n], bytes.NewReader(head[:n]), nil
	}
	return head[:n], io.MultiReader(bytes.NewReader(head[:n]), in), err
}
