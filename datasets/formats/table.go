package formats

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(tableReader{}) }

// tableReader reads tables whose header names the columns, separated by comma, semicolon, tab or '|':
//
//	domain,label                            the original degas' test.csv
//	domain,family,label                     chrmor
//	class,"domain",subclass                 legit-dga_domains.csv; RootObject.class is class
//	host;domain;class;subclass              Devo's dataset.csv, where host is the whole name
//	"Rank","Domain","Open Page Rank"        DomCop, quoted or not: benign, it is a popularity list
//	GlobalRank,TldRank,Domain,TLD,…         Majestic, likewise
//
// A table without a class column needs a rank column or a path that tells the class.
type tableReader struct{}

func (tableReader) Name() string { return "table" }

// columns says where a table has what; -1 for what it does not have.
type columns struct {
	sep                       byte
	name, class, family, rank int
	subclass                  bool // family is Devo's subclass, which its rows always have
}

// The headers understood, the best first. Headers are compared in lower case, without quotes, and without what comes
// before a dot.
var (
	nameHeaders = []string{"fqdn", "host", "hostname", "qname", "domain", "domain_name", "domainname", "dns_domain",
		"name"}
	classHeaders  = []string{"class", "label", "type", "category", "is_dga", "isdga", "dga"}
	familyHeaders = []string{"family", "subclass", "malware", "dga_family", "malware_family", "source_family"}
	rankHeaders   = []string{"rank", "globalrank", "global_rank", "popularity"}
)

// tableColumns reads a header line. ok is false when it has no column of names.
func tableColumns(line []byte) (c columns, ok bool) {
	for _, sep := range []byte(",;\t|") {
		fields, balanced := lines.SplitRow(nil, line, sep)
		if !balanced || len(fields) < 2 {
			continue
		}
		headers := make([]string, len(fields))
		for i, f := range fields {
			h := strings.ToLower(strings.Trim(string(f), "\" \t"))
			if dot := strings.LastIndexByte(h, '.'); dot >= 0 {
				h = h[dot+1:]
			}
			headers[i] = strings.ReplaceAll(h, " ", "_")
		}
		c = columns{sep: sep, name: columnOf(headers, nameHeaders), class: columnOf(headers, classHeaders),
			family: columnOf(headers, familyHeaders), rank: columnOf(headers, rankHeaders)}
		if c.name >= 0 {
			c.subclass = c.family >= 0 && headers[c.family] == "subclass"
			return c, true
		}
	}
	return c, false
}

// columnOf is the first of the known headers that there is, -1 for none.
func columnOf(headers, known []string) int {
	for _, k := range known {
		if i := slices.Index(headers, k); i >= 0 {
			return i
		}
	}
	return -1
}

func (tableReader) Match(path string, head []byte) (int, string) {
	first := lines.Head(head, 1)
	if len(first) == 0 {
		return 0, missesLines
	}
	c, ok := tableColumns(first[0])
	switch {
	case !ok:
		return 0, "no header names a column of names, such as domain"
	case c.class >= 0:
		return 80, ""
	case c.rank >= 0:
		return 75, ""
	case hintOf(path).known:
		return 70, ""
	case c.family >= 0:
		return 65, ""
	}
	return 0, "its header names no column of classes, families or ranks"
}

func (tableReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	t := table{labels: newLabeller(f.Path), hint: hintOf(f.Path)}
	header := true
	return eachLine(in, sink, func(line int64, text []byte) error {
		if header {
			header = false
			if c, ok := tableColumns(text); ok {
				t.columns = c
				return nil
			}
		}
		if t.sep == 0 {
			return sink.Refuse(line, "no header with a column of names")
		}
		rec, reason := t.row(text)
		if reason != "" {
			return sink.Refuse(line, reason)
		}
		return sink.Record(line, rec)
	})
}

// table reads rows below a header.
type table struct {
	columns
	labels *labeller
	hint   pathHint
	fields [][]byte
}

// row reads one row; reason says why it is no record. A record that an editor broke over lines leaves fragments with
// too few columns, which are refused one by one.
func (t *table) row(text []byte) (rec datasets.Record, reason string) {
	var ok bool
	if t.fields, ok = lines.SplitRow(t.fields, text, t.sep); !ok {
		return rec, reasonQuote
	}
	if max(t.name, t.class, t.family) >= len(t.fields) {
		return rec, reasonColumns
	}
	l := label{class: t.hint.class, ok: true}
	var family []byte
	if t.family >= 0 {
		family = bytes.TrimSpace(t.fields[t.family])
	}
	switch {
	case t.class >= 0:
		l = t.labels.label(t.fields[t.class])
		if len(t.fields[t.class]) == 0 || t.subclass && len(family) == 0 && l.class != benign {
			return rec, reasonEmptyValue // half a record; a benign name has no family
		}
	case t.family >= 0:
		l = t.labels.label(family)
	case t.hint.blocklist:
		l.family = datasets.BlocklistFamily
	}
	if !l.ok {
		return rec, reasonClass
	}
	rec = l.record(bytes.TrimSpace(t.fields[t.name]))
	rec.Weak = t.class < 0 && t.family < 0 && t.hint.blocklist
	if rec.Family == "" && l.class != benign && len(family) > 0 {
		rec.Family = lines.View(family)
	}
	return rec, ""
}
