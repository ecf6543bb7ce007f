package lists

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model/dnsname"
)

// mostText bounds what a file unpacks to, in bytes.
const mostText = 4 << 30

// mostKeys bounds the entries of a file, with names above them where those are kept: 400 MB. A small compressed file
// may have any number. It is smaller in tests.
var mostKeys = 50_000_000

func errTooMany() error {
	return fmt.Errorf("it has more than %d entries, also counting those that come twice. Try: a shorter list", mostKeys)
}

// Reasons for which a line, or a name of it, is no entry.
const (
	notOurs     = "a line of another syntax"
	notName     = "not a name"
	isAddress   = "an IP address"
	isPath      = "a URL or a path"
	isBroad     = "all names below a public suffix"
	isRoot      = "the root, which is every name"
	isLocalhost = "a name of this host"
	tooLong     = "a line longer than 64 KiB"
	leadsOn     = "an address that leads somewhere"
	withOptions = "a rule with options"
	isPattern   = "a pattern"
	onPages     = "a rule about parts of pages"
	otherAction = "an action other than to block or to pass"
	otherWay    = "a trigger other than a name"
	otherZone   = "a name outside the zone"
	noRecord    = "not a record"
)

// errNoList is the error of a file in no syntax that is known.
var errNoList = errors.New("no list of names: its lines are no domains, no hosts file, no adblock rules and no " +
	"response policy zone")

// errEmpty is the error of a text without a line.
var errEmpty = errors.New("it is empty")

// content is what a file holds. It does not change once it is read.
type content struct {
	format     string
	main       *detect.Entries // of the file's kind
	exceptions *detect.Entries // of a block list
	popular    *detect.Popular
	entries    int
	skipped    map[string]int
	first      string // the first line that is no entry, and why
	comments   bool   // a line of it is a comment
}

// syntax is a kind of list.
type syntax struct {
	name string
	// line reads one, without white space around it and not empty. reason is why it, or a name of it, is no entry; notOurs
	// if it is of another syntax. Comments have none.
	line func(p *parser, line []byte) (reason string)
	// sure reports whether a line that is a comment for others is of this syntax alone. nil never does.
	sure func(line []byte) bool
}

// syntaxes in the order in which a tie is decided.
var syntaxes = []*syntax{rpzSyntax, hostsSyntax, adblockSyntax, domainsSyntax}

// parser reads the lines of a file.
type parser struct {
	content
	kind   string
	remote bool // from a URL
	broad  bool
	probe  bool // nothing is kept
	// entry, if not nil, gets each entry in the place of main and exceptions, and may say why it is none after all. left
	// gets what is no entry.
	entry func(name string, scope detect.Scope, exception bool) (reason string)
	left  func(number int64, line []byte, reason string)
	zone  zone // for rpzSyntax
}

// options say what is to be read.
type options struct {
	kind, source string
	remote       bool
	broad        bool
	top          int
	entry        func(name string, scope detect.Scope, exception bool) (reason string) // as in parser
	left         func(number int64, line []byte, reason string)
}

// parseFile reads the file at path, which may be compressed, as a list.
func parseFile(ctx context.Context, path string, o options) (*content, error) {
	var a *unpack.Archive
	var s *unpack.Stream
	open, err := true, error(nil)
	if o.remote {
		open, err = inPlace(path)
	}
	if err == nil && open {
		a, err = unpack.OpenArchive(ctx, path, "")
	}
	if err != nil {
		return nil, err
	}
	if a != nil {
		defer a.Close()
		if len(a.Entries) != 1 || a.Entries[0].Skip != "" {
			return nil, fmt.Errorf("an archive of %d files, and not of one list. Try: unpack it", len(a.Entries))
		}
		s, err = a.Entries[0].Open(ctx, nil)
	} else {
		s, err = unpack.File(ctx, path, nil)
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	text := bufio.NewReaderSize(s, archiveHead)
	if head, _ := text.Peek(archiveHead); unpack.IsArchive(head) { // whoever reads on gets the error
		return nil, errors.New("a compressed tar, or an archive within another, and no list. Try: the list itself")
	}
	if o.kind == popular {
		return ranked(text, o.top)
	}
	return parse(text, o)
}

// inPlace reports whether the file at path is an archive that can be read where it is. A compressed tar would first be
// written to disk, a thousand times as long as what a server sent.
func inPlace(path string) (bool, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, archiveHead))
	return unpack.IsArchive(head), err
}

// archiveHead is how many bytes tell an archive.
const archiveHead = 512

// parse reads a text as a list.
func parse(in io.Reader, o options) (*content, error) {
	head, again, err := lines.Peek(in)
	if err != nil {
		return nil, err
	}
	p := &parser{kind: o.kind, remote: o.remote, broad: o.broad, entry: o.entry, left: o.left}
	p.main = detect.NewEntries(o.source, o.kind == allow)
	p.exceptions = detect.NewEntries(o.source, true)
	p.skipped = map[string]int{}
	s, err := p.recognise(head)
	if s == nil || err != nil {
		return &p.content, err
	}
	p.format = s.name
	in = &limited{again, mostText}
	r := lines.NewReader(in)
	for {
		line, long, err := r.Next()
		switch {
		case err == io.EOF && p.zone.depth > 0:
			return nil, errors.New("a parenthesis is never closed. Try: the whole file")
		case err == io.EOF:
			p.main.Done()
			p.exceptions.Done()
			return &p.content, nil
		case err != nil:
			return nil, err
		case long:
			p.skip(r.Line(), nil, tooLong)
			continue
		}
		if s != rpzSyntax { // where white space means the name before it
			line = bytes.TrimSpace(line)
		}
		if len(line) == 0 {
			continue
		}
		if reason := s.line(p, line); reason != "" {
			p.skip(r.Line(), line, reason)
		}
		if p.main.Keys()+p.exceptions.Keys() > mostKeys {
			return nil, errTooMany()
		}
		if p.zone.refused != "" {
			return nil, fmt.Errorf("line %d: %s would make names that degas does not read. Try: a zone without it",
				r.Line(), p.zone.refused)
		}
	}
}

// limited is a reader of at most n bytes. One more is an error.
type limited struct {
	r io.Reader
	n int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.n -= int64(n); l.n < 0 {
		return 0, fmt.Errorf("it has more than %d bytes of text", int64(mostText))
	}
	return n, err
}

// recognise finds the syntax of a text by its beginning. It is nil for a text of comments alone, which may be empty on
// purpose.
func (p *parser) recognise(head []byte) (*syntax, error) {
	if i := bytes.IndexByte(head, 0); i >= 0 && i < 512 {
		return nil, fmt.Errorf("%w: it has zero bytes", errNoList)
	}
	if first := bytes.TrimSpace(head); len(first) == 0 {
		return nil, errEmpty
	} else if first[0] == '<' || first[0] == '{' {
		return nil, fmt.Errorf("%w: it is a page or data of a program", errNoList)
	}
	all := lines.Head(head, 1<<16) // without those that begin with a '#'
	p.comments = len(all) == 0
	ours, total := make([]int, len(syntaxes)), 0
	probes := make([]parser, len(syntaxes))
	for i := range probes {
		probes[i] = parser{kind: p.kind, remote: p.remote, broad: true, probe: true}
	}
	for _, line := range all {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 {
			continue
		}
		for i, s := range syntaxes {
			if s.sure != nil && s.sure(trimmed) {
				return s, nil
			}
			if isComment(trimmed) {
				continue
			}
			if s == rpzSyntax {
				trimmed = line
			}
			if s.line(&probes[i], trimmed) != notOurs {
				ours[i]++
			}
			trimmed = bytes.TrimSpace(line)
		}
		if isComment(trimmed) {
			p.comments = true
			continue
		}
		total++
	}
	for i := range probes {
		if probes[i].entries == 0 { // an adblock rule may look like anything
			ours[i] = 0
		}
	}
	best := slices.Index(ours, slices.Max(ours))
	switch {
	case total == 0:
		return nil, nil
	case 2*ours[best] < total || ours[best] == 0:
		return nil, errNoList
	}
	return syntaxes[best], nil
}

// isComment reports whether a line is a comment in every syntax. "##" begins a rule of adblock.
func isComment(line []byte) bool {
	switch line[0] {
	case '#':
		return len(line) < 2 || line[1] != '#'
	case '!', ';':
		return true
	}
	return bytes.HasPrefix(line, []byte("//"))
}

// skip counts a line that is no entry.
func (p *parser) skip(number int64, line []byte, reason string) {
	p.skipped[reason]++
	if p.left != nil {
		p.left(number, line, reason)
	}
	if p.first == "" {
		p.first = fmt.Sprintf("line %d: %s", number, reason)
		if line != nil {
			p.first += fmt.Sprintf(": %s", printable.Cut(string(line[:min(len(line), 200)]), 60))
		}
	}
}

// summary is how many lines are no entries, the most frequent reason first.
func (c *content) summary() string {
	reasons := slices.SortedFunc(maps.Keys(c.skipped), func(a, b string) int {
		return cmp.Or(c.skipped[b]-c.skipped[a], strings.Compare(a, b))
	})
	var parts []string
	for _, r := range reasons {
		parts = append(parts, fmt.Sprintf("%d %s", c.skipped[r], r))
	}
	return strings.Join(parts, ", ")
}

// nameBytes are those of a name in a list. What is above ASCII is of an international one.
var nameBytes = func() (ok [256]bool) {
	for c := range ok {
		ok[c] = c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' ||
			c == '.'
	}
	return ok
}()

// isName reports whether a text has the bytes of a name alone.
func isName(text []byte) bool {
	for _, c := range text {
		if !nameBytes[c] {
			return false
		}
	}
	return len(text) > 0
}

// add adds an entry. exception says that it allows, whatever the file's kind.
func (p *parser) add(text []byte, scope detect.Scope, exception bool) (reason string) {
	if !isName(text) {
		return notName
	}
	name, err := dnsname.Normalize(lines.View(text))
	switch {
	case errors.Is(err, dnsname.ErrEmpty):
		return isRoot
	case errors.Is(err, dnsname.ErrAddress):
		return isAddress
	case err != nil:
		return notName
	case scope&detect.Below != 0 && !p.broad && WholeSuffix(name):
		return isBroad
	}
	p.entries++
	switch {
	case p.probe:
		return ""
	case p.entry != nil:
		return p.entry(name, scope, exception)
	}
	to := p.main
	if exception && p.kind == block {
		to = p.exceptions
	}
	to.Add(name, scope)
	return ""
}

// WholeSuffix reports whether a normalised name is a suffix of the public suffix list's section of ICANN. An entry of
// all names below it is a mistake, unless Options.Broad says otherwise.
func WholeSuffix(name string) bool {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "com", "net", "org", "info": // below which ICANN's section has none
		if strings.IndexByte(name, '.') > 0 {
			return false
		}
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix == name
}
