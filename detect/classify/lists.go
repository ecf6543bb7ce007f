package classify

import (
	"hash/maphash"
	"io"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/registry"
	"github.com/degas-dns/degas/model/dnsname"
)

// format is a list of names.
type format struct {
	name  string
	title string
	begin string // before the names
	hosts bool   // it can hold host names alone
	entry func(out []byte, f *found) []byte
}

var formats = registry.New[*format]("format of lists")

func init() {
	simple := func(before, after string) func(out []byte, f *found) []byte {
		return func(out []byte, f *found) []byte { return append(append(append(out, before...), f.name...), after...) }
	}
	for _, f := range []*format{
		{name: "domains", title: "one name a line", hosts: true, entry: simple("", "\n")},
		{name: "hosts", title: "a hosts file", hosts: true, entry: simple("0.0.0.0 ", "\n")},
		{name: "adblock", title: "rules of ad blockers and AdGuard", hosts: true, entry: simple("||", "^\n")},
		{name: "rpz", title: "a response policy zone, which answers NXDOMAIN", hosts: true, entry: simple("", " CNAME .\n"),
			begin: "$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 300\n@ NS localhost.\n"},
		{name: "csv", title: "name, score, label, registered domain and reason", entry: csvEntry,
			begin: "name,score,label,registered_domain,reason\n"},
		{name: "jsonl", title: "the same as JSON Lines", entry: jsonEntry},
	} {
		formats.Register(f.name, f)
	}
}

// Formats are the names of the formats of lists.
func Formats() (names []string) {
	for _, f := range formats.All() {
		names = append(names, f.name)
	}
	return names
}

// found is a name for a list.
type found struct {
	name     string // folded, or as it came if it is no name
	decision detect.Decision
}

func newFound(name []byte, d detect.Decision) found {
	text := strings.Clone(string(name))
	if folded, err := dnsname.Fold(text); err == nil {
		text = folded
	}
	return found{text, d}
}

func csvEntry(out []byte, f *found) []byte {
	out = append(appendCell(out, printable.Terminal(f.name), ','), ',')
	out = append(appendScore(out, f.decision), ',')
	out = append(appendCell(out, f.decision.Class, ','), ',')
	out = append(appendCell(out, detect.Domain(f.name), ','), ',')
	return append(appendCell(out, reason(f.decision), ','), '\n')
}

func jsonEntry(out []byte, f *found) []byte {
	out = appendString(append(out, `{"name":`...), f.name)
	out = append(out, `,"score":`...)
	if !f.decision.Scored() {
		out = append(out, "null"...)
	}
	out = appendScore(out, f.decision)
	out = appendString(append(out, `,"label":`...), f.decision.Class)
	out = appendString(append(out, `,"registered_domain":`...), detect.Domain(f.name))
	out = appendString(append(out, `,"reason":`...), reason(f.decision))
	return append(out, "}\n"...)
}

// listWriter writes each name once.
type listWriter struct {
	format  *format
	begun   bool
	seed    maphash.Seed
	seen    [2]map[uint64]struct{} // hashes; the older half is forgotten when the newer one is full
	buf     []byte
	written int64
	leftOut int64
}

// mostSeen is the number of names in one half of listWriter.seen, 40 MB each. A name that comes again after more
// than so many others is written again.
const mostSeen = 1 << 20

func newListWriter(f *format) *listWriter {
	return &listWriter{format: f, seed: maphash.MakeSeed(), seen: [2]map[uint64]struct{}{{}, {}}}
}

// begin writes what stands before the names, once.
func (l *listWriter) begin(out io.Writer) error {
	if l.begun {
		return nil
	}
	l.begun = true
	_, err := io.WriteString(out, l.format.begin)
	return err
}

func (l *listWriter) write(out io.Writer, all []found) error {
	l.buf = l.buf[:0]
	for i := range all {
		f := &all[i]
		if l.format.hosts && !isHost(f.name) {
			l.leftOut++
			continue
		}
		h := maphash.String(l.seed, f.name)
		_, now := l.seen[0][h]
		_, before := l.seen[1][h]
		if now || before {
			continue
		}
		if len(l.seen[0]) == mostSeen {
			l.seen = [2]map[uint64]struct{}{{}, l.seen[0]}
		}
		l.seen[0][h] = struct{}{}
		l.buf = l.format.entry(l.buf, f)
		l.written++
	}
	if len(l.buf) == 0 {
		return nil
	}
	_, err := out.Write(l.buf)
	return err
}

// isHost reports whether a name is one that lists can hold: letters, digits, hyphens and underscores. A name of a
// tunnel may have any byte.
func isHost(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return name != ""
}
