package formats

import (
	"bytes"
	"context"
	"io"
	"net/netip"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// blockReader reads the block lists of one resolver or browser plug-in. The class comes from the path, as listReader's
// does. A list without a hint is read if its rules themselves block: the address is 0.0.0.0, or there is none. Then the
// names are bad for an unknown reason, see datasets.BlocklistFamily. Where a rule leads elsewhere, which may be the
// user's own server, a label must not be guessed.
type blockReader struct {
	format  string
	comment string // begins a line that is a comment
	misses  string // what a file of another format misses
	strict  bool   // whatever the path says, files of the format may be something else than block lists
	// rules gives what reads the lines of one file.
	rules func() func(line []byte) rule
}

// rule is a line of a block list.
type rule struct {
	ours    bool     // false if the line is not of this format
	blocked bool     // the line says that its names are blocked
	names   [][]byte // parts of the line
	left    string   // why the line has no names, "" for one that needs no word
}

// Reasons for what block lists hold besides names.
const (
	leftException = "an exception of a block list"
	leftPart      = "a rule about parts of pages or some requests"
	leftElsewhere = "a rule that leads elsewhere and need not block"
	leftLocal     = "a name without a dot, or an address"
)

const blockScore = 88

func (r blockReader) Name() string { return r.format }

func (r blockReader) Match(path string, head []byte) (int, string) {
	parse := r.rules()
	all, ours, named, blocked := 0, 0, 0, 0
	for _, line := range lines.Head(head, 200) {
		if bytes.HasPrefix(line, []byte(r.comment)) {
			continue
		}
		all++
		rule := parse(line)
		if rule.ours {
			ours++
		}
		if rule.names != nil && !hasName(rule.names) {
			continue // every hosts file has localhost
		}
		if rule.blocked {
			blocked++
		}
		if rule.blocked || rule.names != nil {
			named++
		}
	}
	switch {
	case all == 0:
		return 0, missesLines
	case ours*10 < all*9 || named == 0:
		return 0, r.misses
	case (r.strict || !hintOf(path).known) && blocked*10 < named*9:
		return 0, "it does not say that its names are blocked, as 0.0.0.0 does"
	}
	return blockScore, ""
}

func (r blockReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	rec, known := r.record(f, sink)
	parse := r.rules()
	return eachLineBut(r.comment, in, sink, func(line int64, text []byte) error {
		rule := parse(text)
		switch {
		case !rule.ours:
			return sink.Refuse(line, reasonRule)
		case rule.names == nil && rule.left == "":
			return nil
		case rule.left == "" && !rule.blocked && !known && hasName(rule.names):
			rule.left = leftElsewhere
		}
		if rule.left != "" {
			sink.LeaveOut(line, rule.left)
			return nil
		}
		for _, name := range rule.names {
			if name = trimWildcard(name); isLocal(name) {
				sink.LeaveOut(line, leftLocal)
				continue
			}
			rec.Name = lines.View(name)
			if err := sink.Record(line, rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// record begins the list's records. known is false if nobody says what class they are of.
func (r blockReader) record(f FileInfo, sink Sink) (rec datasets.Record, known bool) {
	if f.Class == nil && !hintOf(f.Path).known {
		sink.Evidence(&datasets.Evidence{Names: "rules", Class: "rules that block, for a reason that nobody gives"})
		return pathHint{class: dga, blocklist: true}.record(), false
	}
	return pathRecord(f, sink, "rules", false), true
}

func hasName(names [][]byte) bool {
	for _, name := range names {
		if !isLocal(trimWildcard(name)) {
			return true
		}
	}
	return false
}

// isLocal is for what stands where a name should: localhost, broadcasthost, 0.0.0.0.
func isLocal(name []byte) bool {
	dot := bytes.IndexByte(bytes.TrimRight(name, "."), '.')
	if dot < 0 || bytes.HasSuffix(name, []byte(".localdomain")) {
		return true
	}
	_, ok := address(name)
	return ok
}

// address reads an address, in brackets or not.
func address(text []byte) (a netip.Addr, ok bool) {
	a, err := netip.ParseAddr(lines.View(bytes.Trim(text, "[]")))
	return a, err == nil
}

// nowhere reports whether an address is none: 0.0.0.0 or ::. To 127.0.0.1 developers send names of their own.
func nowhere(text []byte) bool {
	a, ok := address(text)
	return ok && a.IsUnspecified()
}
