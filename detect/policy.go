// Package detect says what an event means. A [Policy] decides about one name at a time. It is immutable and pure: the
// same name gets the same [Decision], nothing is logged, and no clock is read. [Live] swaps one Policy for another
// while others decide, and [Cache] remembers decisions for callers that see names again and again.
package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// Verdict is what a Policy makes of a name.
type Verdict uint8

// Verdicts. The zero value is the safe one.
const (
	Benign    Verdict = iota // nothing speaks against the name
	Unscored                 // a name of a kind that no model is asked about
	Allowed                  // on the allow list
	Blocked                  // on the block list
	Malicious                // scores at least the threshold
	Invalid                  // no name
)

var verdictNames = [...]string{"benign", "unscored", "allowed", "blocked", "malicious", "invalid"}

// String is the verdict in a word.
func (v Verdict) String() string { return verdictNames[min(int(v), len(verdictNames)-1)] }

// Action is what the caller does with a name.
type Action uint8

// Actions. The zero value is the safe one.
const (
	Pass   Action = iota
	Report        // pass it on, and tell somebody
	Block         // answer in its place
)

var actionNames = [...]string{"pass", "report", "block"}

// String is the action in a word.
func (a Action) String() string { return actionNames[min(int(a), len(actionNames)-1)] }

// Rule is the step of a Policy that decided.
type Rule uint8

// Rules, in the order in which they are asked. The first one that answers decides.
const (
	NoRule Rule = iota // there is no Policy, or it has no model
	AllowList
	BlockList
	NeverScored // kinds of names that say nothing about malware
	NoName      // a text that is no name, so that no model can score it
	Score
	// PopularName takes back what a score of at least the threshold said. The name passes if it is popular itself. If its
	// registered domain is, nobody generated that, and the score of a DGA does not count; the score of a tunnel still
	// does, because anybody may have a tunnel below a popular domain. The rule never changes what a list decided.
	PopularName
	Evidence // what many names said together; no Policy decides by it, but its callers do
)

var ruleNames = [...]string{"none", "allow list", "block list", "never scored", "no name", "score", "popular",
	"evidence"}

// String is the rule in words.
func (r Rule) String() string { return ruleNames[min(int(r), len(ruleNames)-1)] }

// Decision is a Policy's answer. The zero Decision lets the name pass. It holds no part of the name that it is about.
type Decision struct {
	Verdict Verdict
	Action  Action
	Rule    Rule
	// OfDomain says that the score is the registered domain's, and not the whole name's.
	OfDomain bool
	// Score is how likely the name is malicious, [0, 1]. It is 0 unless the name is Scored.
	Score float64
	// DGA is how likely the registered domain is generated, and Tunnel how likely the whole name is a tunnel's, [0, 1].
	// They are 0 where the model is not asked, and where its answer does not count by rule PopularName. A model whose
	// labels degas does not know gives its score for both.
	DGA, Tunnel float64
	// Class is the model's label for a Malicious name, such as "dga", else the verdict.
	Class string
	// Reason says why, in one of a few fixed texts.
	Reason string
	// Entry is the entry of the allow list or the block list that decided, such as "*.example.com". List is the file or
	// URL that has the entry, "" if it is one of Options.
	Entry, List string
}

// Scored reports whether a model scored the name.
func (d *Decision) Scored() bool { return d.Rule == Score || d.Rule == PopularName }

// Options are what a Policy is made of.
type Options struct {
	// Classifier scores names. Without one, the lists decide and every other name passes.
	Classifier *model.Classifier
	// Threshold is the score from which a name is Malicious. 0 is the model's own.
	Threshold float64
	// Action is for Malicious names. The default lets them pass, and the verdict says what they are. A name on the block
	// list is always blocked.
	Action Action
	// Allow and Block are entries of lists: a name, or "*.example.com" (".example.com" is the same) for a name and all
	// below it.
	Allow, Block []string
	// AllowList and BlockList are asked after them. nil is an empty one.
	AllowList, BlockList *List
	// Popular names do not get blocked for their scores alone. nil is an empty one.
	Popular *Popular
}

// Policy decides about names. It never changes, and all its methods are safe for concurrent use. A nil Policy lets
// every name pass.
type Policy struct {
	classifier   *model.Classifier
	labels       []string
	threshold    float64
	chosen       float64 // Options.Threshold: 0 for the model's own
	action       Action
	allow, block both
	popular      *Popular
	// dga and tunnel are the indices of these labels; 0 for a label that the model lacks. If the model has other labels
	// as well, nobody knows which of them are of registered domains, and both are 0.
	dga, tunnel int
}

// New makes a Policy. The error names the entry of a list that is no name.
func New(o Options) (*Policy, error) {
	p := &Policy{chosen: o.Threshold, action: o.Action, popular: o.Popular}
	p.allow.given, p.block.given = o.AllowList, o.BlockList
	var err [2]error
	p.allow.own, err[0] = NewList(o.Allow)
	p.block.own, err[1] = NewList(o.Block)
	for i, name := range []string{"allow", "block"} {
		if err[i] != nil {
			return nil, fmt.Errorf("%s list: %w", name, err[i])
		}
	}
	if !(p.chosen >= 0 && p.chosen <= 1) {
		return nil, fmt.Errorf("threshold %v: must be between 0 and 1", p.chosen)
	}
	p.ask(o.Classifier)
	return p, nil
}

// ask makes c score names; nil for nobody.
func (p *Policy) ask(c *model.Classifier) {
	p.classifier, p.threshold, p.labels, p.dga, p.tunnel = c, p.chosen, nil, 0, 0
	if c == nil {
		return
	}
	m := c.Model()
	p.labels = m.Spec.Labels
	if p.threshold == 0 {
		p.threshold = m.Threshold
	}
	p.dga, p.tunnel = max(slices.Index(p.labels, "dga"), 0), max(slices.Index(p.labels, "tunnel"), 0)
	known := 1 + min(p.dga, 1) + min(p.tunnel, 1)
	if known != len(p.labels) || p.dga == 0 {
		p.dga, p.tunnel = 0, 0
	}
}

// With is a copy of p with other lists. It keeps the entries of Options.Allow and Options.Block, and shares the
// classifier. A nil p stays nil.
func (p *Policy) With(allow, block *List, popular *Popular) *Policy {
	if p == nil {
		return nil
	}
	with := *p
	with.allow.given, with.block.given, with.popular = allow, block, popular
	return &with
}

// Alone is a copy of p without lists and popular names: the model's word about every name that it is asked about. A nil
// p stays nil.
func (p *Policy) Alone() *Policy {
	if p == nil {
		return nil
	}
	alone := *p
	alone.allow, alone.block, alone.popular = both{}, both{}, nil
	return &alone
}

// WithModel is a copy of p that another classifier scores names for. Its threshold is Options.Threshold or, if that is
// 0, the classifier's own. A nil p stays nil.
func (p *Policy) WithModel(c *model.Classifier) *Policy {
	if p == nil {
		return nil
	}
	with := *p
	with.ask(c)
	return &with
}

// Threshold is the score from which a name is Malicious.
func (p *Policy) Threshold() float64 { return p.threshold }

// Classifier is what scores names, nil if nothing does.
func (p *Policy) Classifier() *model.Classifier {
	if p == nil {
		return nil
	}
	return p.classifier
}

// Model is the name of the model that scores names, "" if there is none.
func (p *Policy) Model() string {
	if p == nil || p.classifier == nil {
		return ""
	}
	return p.classifier.Model().Spec.Name
}

// Decide decides about a name as people and logs write it: dnsname.Fold says which forms it may have. It allocates
// nothing for a name that is folded already, if the model has at most maxWidth labels.
func (p *Policy) Decide(name string) Decision { return p.decide(name, nil) }

// decide is Decide. domains, if not nil, remembers the scores of registered domains.
func (p *Policy) decide(name string, domains *table[float64]) Decision {
	if p == nil {
		return Decision{Class: Benign.String()}
	}
	d, folded, decided := p.listed(name)
	if decided {
		return d
	}
	return p.scored(folded, d, domains)
}

// scored is the Decision by the score of a folded name, and by rule PopularName. instead is as in view.
func (p *Policy) scored(folded string, instead Decision, domains *table[float64]) Decision {
	var space [2 * maxWidth]float32
	probabilities := space[:]
	width := len(p.labels)
	if width > maxWidth {
		probabilities = make([]float32, 2*width)
	}
	v := p.view(folded, instead)
	whole := probabilities[:width]
	if v.whole {
		p.classifier.OneFolded(folded, whole)
	}
	var score float64 // of the domain
	if v.domain != "" {
		if v.known, score = domains.get(v.domain); !v.known {
			domain := probabilities[width : 2*width]
			p.classifier.OneFolded(v.domain, domain)
			score = p.share(domain, p.dga)
			domains.put(v.domain, score)
		}
	}
	return p.judge(v, folded, whole, score)
}

// maxWidth is the number of labels whose probabilities need no memory of their own.
const maxWidth = 8

// DecideEvent decides about an event's name. The event stays its reader's: the Decision holds no part of it.
func (p *Policy) DecideEvent(e *events.Event) Decision { return p.Decide(lines.View(e.Name)) }

// DecideAll decides about names, and scores them in one call. out, [len(names)], gets the decisions in the order of
// names. If ctx ends first, it returns ctx's error and out is incomplete.
func (p *Policy) DecideAll(ctx context.Context, names []string, out []Decision) error {
	return p.decideAll(ctx, names, out, nil)
}

// decideAll is DecideAll. domains, if not nil, remembers the scores of registered domains.
func (p *Policy) decideAll(ctx context.Context, names []string, out []Decision, domains *table[float64]) error {
	var texts []string
	var views []view
	at := map[string]int{} // in texts
	text := func(s string) int {
		i, ok := at[s]
		if !ok {
			i = len(texts)
			at[s], texts = i, append(texts, s)
		}
		return i
	}
	for i, name := range names {
		if p == nil {
			out[i] = p.Decide(name)
			continue
		}
		d, folded, decided := p.listed(name)
		if decided {
			out[i] = d
			continue
		}
		v := p.view(folded, d)
		v.index, v.name = i, folded
		if v.whole {
			v.wholeAt = text(folded)
		}
		if v.domain != "" {
			if v.known, v.domainScore = domains.get(v.domain); !v.known {
				v.domainAt = text(v.domain)
			}
		}
		views = append(views, v)
	}
	if len(texts) == 0 {
		for _, v := range views {
			out[v.index] = p.judge(v, v.name, nil, v.domainScore)
		}
		return nil
	}
	width := len(p.labels)
	probabilities := make([]float32, len(texts)*width)
	if err := p.classifier.ProbabilitiesFolded(ctx, texts, probabilities); err != nil {
		return err
	}
	row := func(i int) []float32 { return probabilities[i*width : (i+1)*width] }
	for _, v := range views {
		if v.domain != "" && !v.known {
			v.domainScore = p.share(row(v.domainAt), p.dga)
			domains.put(v.domain, v.domainScore)
		}
		out[v.index] = p.judge(v, v.name, row(v.wholeAt), v.domainScore)
	}
	return nil
}

// listed asks every rule before the score. folded is the name as the model scores it. If a rule decided about the name,
// and the model is to be asked about its registered domain all the same, decided is false and the Decision has the
// Rule.
func (p *Policy) listed(name string) (d Decision, folded string, decided bool) {
	folded, err := dnsname.Fold(name)
	if err != nil {
		folded = plain(name)
	}
	if m, ok := p.allow.find(folded); ok {
		return byAllow(m), folded, true
	}
	if m, ok := p.block.find(folded); ok {
		return byBlock(m), folded, true
	}
	// Behind the lists: a name can look like a look-up in a block list, and be below a domain that somebody blocks.
	if reason := neverScored(folded); reason != "" {
		return unscored(reason), folded, !(anybodys(reason) && p.judges(folded))
	}
	if err != nil {
		d := Decision{Verdict: Invalid, Rule: NoName, Class: Invalid.String(), Reason: sentinel(err)}
		return d, folded, !p.judges(folded)
	}
	return Decision{Class: Benign.String()}, folded, p.classifier == nil
}

// judges reports whether the model can be asked about the registered domain of a name or of what is no name, and that
// is not all of it.
func (p *Policy) judges(name string) bool {
	if p.dga == 0 {
		return false
	}
	domain := dnsname.Registered(name)
	if domain == name {
		return false
	}
	folded, err := dnsname.Fold(domain)
	return err == nil && folded == domain
}

func unscored(reason string) Decision {
	return Decision{Verdict: Unscored, Rule: NeverScored, Class: Unscored.String(), Reason: reason}
}

// Listed decides about a name that stays the caller's without asking the model. decided is false where it would be
// asked; the Decision then lets the name pass.
func (p *Policy) Listed(name []byte) (d Decision, decided bool) {
	if p == nil {
		return Decision{Class: Benign.String()}, false
	}
	d, _, decided = p.listed(lines.View(name))
	return d, decided
}

// reasons are the errors of package dnsname.
var reasons = []error{dnsname.ErrEmpty, dnsname.ErrLong, dnsname.ErrLabel, dnsname.ErrCharacter, dnsname.ErrNonASCII,
	dnsname.ErrAddress, dnsname.ErrSlash}

// sentinel is err without its details, which a stranger may have chosen.
func sentinel(err error) string {
	for _, reason := range reasons {
		if errors.Is(err, reason) {
			return reason.Error()
		}
	}
	return "no name"
}
