package formats

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(rankedReader{}) }

// rankedReader reads popularity lists without a header: rank and domain (Tranco, Alexa, Cisco Umbrella, Cloudflare),
// or domain and rank (the alexa.csv of the original degas). The separator is a comma, semicolon, tab or white space.
// Popular names are taken as benign, unless the path says otherwise.
type rankedReader struct{}

func (rankedReader) Name() string { return "ranked" }

// rankedShape finds the separator and the column of the domain, -1 if lines are not a name and a number each. ranking
// is false if the numbers may be classes instead, see isRanking.
func rankedShape(head []byte) (sep byte, column int, ranking bool) {
	found := lines.Head(head, 50)
	if len(found) == 0 {
		return 0, -1, false
	}
	for _, sep := range []byte(",;\t ") {
		var first, second []int64 // the numbers before and after names
		for _, l := range found {
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
		switch enough := len(found) - len(found)/5; {
		case len(first) >= enough && len(first) > 0:
			return sep, 1, isRanking(first, true)
		case len(second) >= enough && len(second) > 0:
			return sep, 0, isRanking(second, false)
		}
	}
	return 0, -1, false
}

// isRanking tells ranks from classes, which are few, small and repeat. Ranks rise, from 1 or, if a list was cut, from
// anywhere. Unless strict, a few names may share a rank, and from 1000 on many may (CrUX ranks by thousands). A list of
// one name at rank 1 is no ranking: the 1 may as well mean malicious.
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
	return numbers[0] > 0 && numbers[pairs] > 1 && (steps == pairs || !strict && (2*steps >= pairs || numbers[0] >= 1000))
}

// numbered reports whether a line has a number, as a header has not.
func numbered(line []byte, sep byte) bool {
	a, b, _ := cutRank(line, sep)
	_, first := rank(a)
	_, second := rank(b)
	return first || second
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

func (rankedReader) Match(path string, head []byte) (int, string) {
	switch sep, column, ranking := rankedShape(head); {
	case ranking && hintOf(path).doubt:
		return 0, "its name leaves open whether the names are popular"
	case ranking && !numbered(lines.Head(head, 1)[0], sep):
		return 0, "its first line is a header, and not of ranks"
	case ranking:
		return 60, ""
	case column < 0:
		return 0, "its lines are not a rank and a name each"
	}
	return 0, "the numbers beside the names are no ranking"
}

func (rankedReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	head, in, err := lines.Peek(in)
	if err != nil {
		return err
	}
	sep, column, _ := rankedShape(head)
	if column < 0 {
		sep, column = ',', 1
	}
	rec := pathRecord(f, sink, "column "+strconv.Itoa(column+1), true)
	return eachLine(in, sink, func(line int64, text []byte) error {
		a, b, ok := cutRank(text, sep)
		if !ok {
			return sink.Refuse(line, reasonColumns)
		}
		if column == 0 {
			b = a
		}
		rec.Name = lines.View(bytes.Trim(b, `"`))
		return sink.Record(line, rec)
	})
}
