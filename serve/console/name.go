package console

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model/dnsname"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// nameScreens are about one name, or one client.
func (c *Console) nameScreens() []screen {
	return []screen{
		{"GET /console/name", accounts.Viewer, false, c.name},
		{"GET /console/client", accounts.Viewer, false, c.client},
		{"GET /console/find", accounts.Viewer, false, c.find},
	}
}

// find answers GET /console/find: an address is a client, anything else a name.
func (c *Console) find(v *visit) (*view, error) {
	text := strings.TrimSpace(v.q.Get("q"))
	if addr, err := netip.ParseAddr(text); err == nil {
		return &view{to: link("/console/client", "client", addr.Unmap())}, nil
	}
	name := strings.ToLower(text)
	if folded, err := dnsname.Normalize(text); err == nil {
		name = folded
	}
	if name == "" {
		return &view{to: "/console/"}, nil
	}
	return &view{to: link("/console/name", "name", name)}, nil
}

// namePage is what the page of a name shows.
type namePage struct {
	Name   string
	ULabel string // as people read it, "" if that is Name
	Marks  []string
	Odd    bool // no list can hold the name
	Notice *notice

	X             detect.Explanation
	Said          detect.Decision // the model's, whatever lists say
	Model         string
	Probabilities []probability
	Others        []otherScore
	Ruling        string // the pattern of the decision in force, "" if there is none
	Suggested     string // label for a block

	Period   timespan
	Look     look
	Bars     *bars
	Clients  []tallied
	MoreBy   int // other clients
	Siblings []tallied
	Beside   look // events of the registered domain
	MoreOf   int
	Findings []ledger.Finding

	Decisions []ledger.Decision
	MoreMade  bool
}

// probability is what the model says of a label.
type probability struct {
	Label  string
	Whole  float64
	Domain *float64 // nil if the model is not asked about the registered domain
}

// otherScore is what another version of a model says of the name.
type otherScore struct {
	Model string
	Said  detect.Decision
}

// Bounds of the page of a name, in events that it reads.
const (
	mostOfName   = 5000
	mostOfDomain = 3000
)

func (c *Console) name(v *visit) (*view, error) {
	name := strings.ToLower(v.q.Get("name"))
	if name == "" || len(name) > store.MaxName {
		return nil, reply.BadRequest("Which name? It has 1 to %d characters", store.MaxName)
	}
	now := time.Now()
	p := namePage{Name: name, Notice: c.noticeOf(v)}
	_, bad := pattern(name, "", false)
	p.Odd = bad != nil
	p.ULabel, p.Marks = marks(name)
	var err error
	if p.Period, err = periodOf(v, now); err != nil {
		return nil, err
	}
	if err := c.explain(v, &p); err != nil {
		return nil, err
	}
	p.Ruling, _, _ = c.o.Ledger.Ruling(p.X.Folded, now)
	if err := c.nameSeen(v, &p); err != nil {
		return nil, err
	}
	if p.X.Invalid == nil && !strings.Contains(name, `\`) { // no list can hold an escape
		made, err := c.o.Ledger.Decisions(v.ctx(), ledger.Filter{About: name}, 0, 50)
		if err != nil {
			return nil, err
		}
		p.Decisions, p.MoreMade = made.Decisions, made.Next != 0
	}
	if p.X.Domain != "" {
		if p.Findings, err = c.o.Ledger.Findings(v.ctx(), ledger.FindingFilter{Subject: p.X.Domain}, 0, 10); err != nil {
			return nil, err
		}
	}
	return &view{page: "name", title: "Name", data: &p}, nil
}

// explain is what policy and models say of the name.
func (c *Console) explain(v *visit, p *namePage) error {
	policy, version := c.o.Engine.Policy()
	p.X, p.Model = policy.Explain(asAsked(p.Name)), fmt.Sprintf("%s/%d", version.Model, version.Number)
	for i, x := range p.X.Whole {
		one := probability{Label: p.X.Labels[i], Whole: float64(x)}
		if p.X.OfDomain != nil {
			domain := float64(p.X.OfDomain[i])
			one.Domain = &domain
		}
		p.Probabilities = append(p.Probabilities, one)
	}
	names := []string{p.Name}
	said, _, err := c.score(v.ctx(), names)
	if err != nil {
		return err
	}
	p.Said, p.Suggested = said[0], labelFor(ledger.Block, &said[0])
	for _, model := range c.o.Models.Names() {
		for _, other := range c.o.Models.Versions(model) {
			if other.Model == version.Model && other.Number == version.Number {
				continue
			}
			said, err := scoreBy(v.ctx(), other.Classifier, 0, names)
			if err != nil {
				return err
			}
			p.Others = append(p.Others, otherScore{fmt.Sprintf("%s/%d", other.Model, other.Number), said[0]})
		}
	}
	if c.o.Shadow == nil {
		return nil
	}
	pairs, err := c.o.Shadow.Compare(v.ctx(), names)
	if err != nil {
		return err
	}
	for _, a := range pairs[0].Answers {
		if a.Candidate {
			p.Others = append(p.Others,
				otherScore{fmt.Sprintf("%s/%d, which decides nothing yet", version.Model, a.Number), a.Decision})
		}
	}
	return nil
}

// nameSeen reads who asked for the name, and for others beside it. A store reads all its rows for such a question, so
// the events of the domain serve for the name too, if they are all there.
func (c *Console) nameSeen(v *visit, p *namePage) (err error) {
	domain := cmp.Or(p.X.Domain, detect.Domain(p.Name))
	if domain != "" {
		p.Beside, err = c.look(v.ctx(), p.Period.Range, store.Filter{Domain: domain}, mostOfDomain)
	}
	switch {
	case err != nil:
		return err
	case domain == "" || p.Beside.More || p.Beside.Late:
		if p.Look, err = c.look(v.ctx(), p.Period.Range, store.Filter{Name: p.Name}, mostOfName); err != nil {
			return err
		}
	default:
		for _, e := range p.Beside.Events {
			if e.Name == p.Name {
				p.Look.Events = append(p.Look.Events, e)
				p.Look.Sampled = p.Look.Sampled || e.Sample > 1
			}
		}
	}
	p.Bars = p.Period.barsOf("Questions for the name", p.Look.Events)
	p.Clients, p.MoreBy = tally(p.Look.Events, 50, func(e *store.Event) string { return e.Client })
	p.Siblings, p.MoreOf = tally(p.Beside.Events, 50, func(e *store.Event) string {
		if e.Name == p.Name {
			return ""
		}
		return e.Name
	})
	return nil
}

// together are scripts that a word of one language may have at once (UTS 39, highly restrictive).
var together = [][]string{{"Latin", "Han", "Hiragana", "Katakana"}, {"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"}}

// marks are what a person should know about the letters of a name. read is the name with its international labels as
// people read them, "" if there are none.
func marks(name string) (read string, all []string) {
	labels := strings.Split(name, ".")
	changed := false
	add := func(text string) {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	for i, label := range labels {
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		u, err := idna.Punycode.ToUnicode(label)
		if err != nil || u == label {
			add("An international label (" + label + ") cannot be read")
			continue
		}
		labels[i], changed = u, true
		if _, err := idna.Lookup.ToUnicode(label); err != nil {
			add("An international label is one that no registry gives out")
		}
		letters(u, add)
	}
	if strings.Contains(name, `\`) {
		add(`It has bytes that host names do not have: \027 stands for byte 27`)
	}
	if len(name) > dnsname.MaxName {
		add("It is longer than 253 characters, since bytes are written as \\DDD")
	}
	if changed {
		read = strings.Join(labels, ".")
	}
	return read, all
}

// letters adds marks for a label as people read it.
func letters(label string, add func(string)) {
	found := map[string]bool{}
	for _, r := range label {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			add("It has characters that turn the reading direction")
		case unicode.Is(unicode.Cf, r) || !unicode.IsPrint(r):
			add("It has characters that nobody sees")
		}
		for script, table := range unicode.Scripts {
			if script != "Common" && script != "Inherited" && unicode.Is(table, r) {
				found[script] = true
			}
		}
	}
	var scripts []string
	for script := range found {
		scripts = append(scripts, script)
	}
	slices.Sort(scripts)
	if len(scripts) < 2 || slices.ContainsFunc(together, func(group []string) bool {
		return !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(group, s) })
	}) {
		if len(scripts) == 1 && scripts[0] != "Latin" {
			add("It has " + scripts[0] + " letters, which may look like Latin ones")
		}
		return
	}
	add("It mixes scripts: " + strings.Join(scripts, " and "))
}
