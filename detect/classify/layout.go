package classify

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// layout is how a table lies in its file.
type layout struct {
	json   bool
	sep    byte // between cells
	list   bool // one name a line; added cells stand behind tabs
	column int  // of the names
	width  int  // cells of a row
	header bool // the first line has titles
	added  [4]string
	path   *jsonscan.Paths // of the names in JSON
}

// added are the titles of the columns that classify adds.
var added = [4]string{"score", "label", "registered_domain", "reason"}

// nameTitles are titles of columns of names, in lower case; the first one that fits wins. A log's own host and domain
// come after the names that were asked for. They are paths of JSON as well.
var nameTitles = []string{
	"query", "qname", "dns.queries.rrname", "dns.rrname", "rrname", "dns.question.name", "query.hostname", "query_name",
	"queryname", "qh", "jsonpayload.queryname", "question", "dns_query", "dns.query", "fqdn", "hostname", "host", "domain",
	"domain_name", "domainname", "registered_domain", "sld", "name", "names", "indicator", "url", "uri", "domains",
	"hosts",
}

const sampleRows = 100 // rows by which a file is recognised

// recognize finds the layout of a file by its beginning. The error says what to do.
func recognize(head []byte, nameColumn string) (*layout, error) {
	head = head[:min(len(head), lines.HeadSize)]
	sample := lines.Head(head, sampleRows)
	if len(sample) == 0 {
		sample = [][]byte{bytes.TrimSpace(head)} // comments alone, or one long line
	}
	l := &layout{added: added}
	switch first := bytes.TrimLeft(sample[0], " \t"); {
	case bytes.HasPrefix(head, []byte("PAR1")), bytes.HasPrefix(head, []byte("PK\x03\x04")),
		10*bytes.Count(head, []byte{0}) > len(head): // a capture, a tar
		return nil, fmt.Errorf("this is no text. Try: a CSV file, JSON Lines, or a list of names; degas scan for a " +
			"capture")
	case bytes.HasPrefix(first, []byte("[")) && !bytes.HasPrefix(first, []byte("[Adblock")):
		return nil, fmt.Errorf("this looks like one JSON array; classify reads JSON Lines. Try: jq -c '.[]'")
	case bytes.HasPrefix(first, []byte("{")):
		return l, l.recognizeJSON(sample, nameColumn)
	}
	l.recognizeSeparator(sample)
	rows := make([][][]byte, 0, len(sample))
	for _, line := range sample {
		if cells, ok := lines.SplitRow(nil, line, l.sep); ok && (len(cells) == l.width || l.list) {
			rows = append(rows, cells[:l.width])
		}
	}
	if len(rows) == 0 {
		return nil, errNoColumn(nil)
	}
	return l, l.chooseColumn(rows, nameColumn)
}

// recognizeSeparator chooses what most lines agree on. Without one, the file is a list.
func (l *layout) recognizeSeparator(sample [][]byte) {
	l.sep, l.list, l.width = '\t', true, 1
	most := 0
	for _, sep := range []byte("\t,;") {
		widths := map[int]int{}
		for _, line := range sample {
			if cells, ok := lines.SplitRow(nil, line, sep); ok {
				widths[len(cells)]++
			}
		}
		for width, n := range widths {
			if width > 1 && 3*n > len(sample) && (n > most || n == most && width > l.width) {
				l.sep, l.list, l.width, most = sep, false, width, n
			}
		}
	}
}

// column is how a column does as the column of names.
type column struct {
	index, tier  int     // place of its title in nameTitles, len(nameTitles) if it has none of them
	names, zoned float64 // share of cells that are names, and that end in a known top-level domain
}

// chooseColumn finds the column of names and the header in rows of equal width.
func (l *layout) chooseColumn(rows [][][]byte, wanted string) error {
	first, rest := rows[0], rows[1:]
	titles := make([]string, l.width)
	for i := range titles {
		titles[i] = title(first[i])
	}
	known := slices.ContainsFunc(titles, func(t string) bool { return slices.Contains(nameTitles, t) })
	if wanted != "" {
		if i := slices.Index(titles, strings.ToLower(strings.TrimSpace(wanted))); i >= 0 {
			l.column, l.header = i, true
			return l.nameAdded(titles)
		}
		n, err := strconv.Atoi(wanted)
		if err != nil || n < 1 || n > l.width {
			return fmt.Errorf("no column is called %q; the columns are %s. Try: --name-column with a title, or a number from "+
				"1 to %d", wanted, quoted(first), l.width)
		}
		l.column = n - 1
		l.header = !isName(first[l.column]) && (known || len(rest) > 0 && isName(rest[0][l.column]))
		return l.nameAdded(titles)
	}
	var called, other []column
	for i := range l.width {
		c := column{index: i, tier: slices.Index(nameTitles, titles[i])}
		if c.tier < 0 {
			c.tier = len(nameTitles)
		}
		values := rest
		if len(rest) == 0 {
			values = rows
		}
		for _, row := range values {
			if isName(row[i]) {
				c.names += 1 / float64(len(values))
				if name, err := dnsname.NormalizeTunnel(string(nameOf(row[i]))); err == nil && dnsname.Zoned(name) {
					c.zoned += 1 / float64(len(values))
				}
			}
		}
		switch {
		case c.tier < len(nameTitles) && (c.names >= 0.5 || len(rest) == 0):
			called = append(called, c)
		case c.zoned >= 0.8 || l.list && c.names >= 0.5:
			other = append(other, c)
		}
	}
	slices.SortStableFunc(called, func(a, b column) int { return a.tier - b.tier })
	switch {
	case len(called) > 0:
		l.column, l.header = called[0].index, true
	case len(other) == 1:
		l.column = other[0].index
		l.header = !isName(first[l.column]) && len(rest) > 0 && (known || !l.list) // a list may begin with localhost
	case len(other) > 1:
		first, second := other[0].index+1, other[1].index+1
		return fmt.Errorf("columns %d and %d may both be the names. Try: --name-column %d", first, second, first)
	case l.list:
		l.header = known
	default:
		return errNoColumn(first)
	}
	return l.nameAdded(titles)
}

// nameAdded gives added columns another name where the table has one of theirs.
func (l *layout) nameAdded(titles []string) error {
	if l.header {
		l.avoid(func(names []string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(titles, name) })
		})
	}
	return nil
}

// avoid puts "degas_" before the added names, as often as one of them is taken.
func (l *layout) avoid(taken func(names []string) bool) {
	for taken(l.added[:]) {
		for i, name := range l.added {
			l.added[i] = "degas_" + name
		}
	}
}

// title is a cell of a header as nameTitles has it.
func title(cell []byte) string { return strings.ToLower(strings.TrimSpace(string(cell))) }

// quoted lists titles for a message.
func quoted(cells [][]byte) string {
	var out []string
	for i, cell := range cells {
		if i == 20 {
			out = append(out, "…")
			break
		}
		out = append(out, strconv.Quote(string(cell[:min(len(cell), 40)])))
	}
	return strings.Join(out, ", ")
}

func errNoColumn(first [][]byte) error {
	if len(first) == 0 {
		return fmt.Errorf("the rows cannot be read as a table. Try: a CSV file, JSON Lines, or a list of names")
	}
	return fmt.Errorf("no column of names found; the columns are %s. Try: --name-column with a title, or a number from 1",
		quoted(first))
}

// nameOf is a cell's name. Umbrella's logs have blanks before the quotes of some cells, which so are part of them.
func nameOf(cell []byte) []byte {
	cell = bytes.TrimSpace(cell)
	if n := len(cell); n > 1 && cell[0] == '"' && cell[n-1] == '"' {
		return cell[1 : n-1]
	}
	return cell
}

// isName reports whether a cell looks like a DNS name of at least two labels.
func isName(cell []byte) bool {
	if len(cell) > 2048 {
		return false
	}
	name, err := dnsname.NormalizeTunnel(string(nameOf(cell)))
	if err != nil {
		return false
	}
	dot := strings.LastIndexByte(name, '.')
	return dot > 0 && strings.Trim(name[dot+1:], "0123456789") != ""
}

// recognizeJSON finds the path of the names in JSON Lines.
func (l *layout) recognizeJSON(sample [][]byte, wanted string) error {
	l.json = true
	if wanted != "" {
		l.path = jsonscan.Compile([]string{wanted})
		if len(l.at(sample)) > 0 {
			l.avoidKeys(sample)
			return nil
		}
		return fmt.Errorf("no line of the first %d has a text at %q; the paths are %s. Try: --name-column with one of them",
			len(sample), wanted, paths(sample))
	}
	for _, path := range paths(sample) {
		if tier := slices.Index(nameTitles, strings.ToLower(path)); tier < 0 {
			continue
		}
		candidates := jsonscan.Compile([]string{path})
		l.path = candidates
		names := 0
		values := l.at(sample)
		for _, v := range values {
			if isName(v) {
				names++
			}
		}
		if 2*names >= len(values) && names > 0 {
			l.avoidKeys(sample)
			return nil
		}
	}
	return fmt.Errorf("no key holds names; the paths are %s. Try: --name-column with one of them", paths(sample))
}

// at are the texts at l.path in a sample.
func (l *layout) at(sample [][]byte) (texts [][]byte) {
	for _, line := range sample {
		values, err := l.path.Scan(line, nil)
		if err == nil && len(values) > 0 && values[0].Kind == jsonscan.String {
			texts = append(texts, values[0].Text(nil))
		}
	}
	return texts
}

// pathList are paths of JSON.
type pathList []string

// String lists them for a message.
func (p pathList) String() string {
	var out []string
	for i, path := range p {
		if i == 20 {
			out = append(out, "…")
			break
		}
		out = append(out, strconv.Quote(path[:min(len(path), 60)]))
	}
	return strings.Join(out, ", ")
}

// paths are the paths of texts in a sample; those that nameTitles has come first, in its order.
func paths(sample [][]byte) (all pathList) {
	seen := map[string]bool{}
	for _, line := range sample {
		jsonscan.Walk(line, func(path []byte, v jsonscan.Value) { // an error leaves what came before it
			if p := string(path); v.Kind == jsonscan.String && !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		})
	}
	tier := func(path string) int {
		if i := slices.Index(nameTitles, strings.ToLower(path)); i >= 0 {
			return i
		}
		return len(nameTitles)
	}
	slices.SortStableFunc(all, func(a, b string) int { return tier(a) - tier(b) })
	return all
}

// avoidKeys gives added keys another name if a line of the sample has one of theirs.
func (l *layout) avoidKeys(sample [][]byte) {
	l.avoid(func(names []string) bool {
		keys := jsonscan.Compile(names)
		return slices.ContainsFunc(sample, func(line []byte) bool {
			values, err := keys.Scan(line, nil)
			return err == nil && len(values) > 0
		})
	})
}
