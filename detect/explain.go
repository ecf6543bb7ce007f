package detect

import "github.com/degas-dns/degas/model/dnsname"

// Explanation is what each rule of a Policy says about a name, also those that come after the one that decided.
type Explanation struct {
	// Folded is the name as lists and models see it.
	Folded string
	// Invalid is why the text is no name, or nil.
	Invalid error
	// Domain is the registered domain as the Policy counts it, "" if the text is no name. Cloud says that nobody
	// registers what stands before it.
	Domain string
	Cloud  bool
	// NeverScored is the reason for which no model is asked; "" if there is none. Allow and Block are all entries of lists
	// for the name, the first ones first.
	NeverScored  string
	Allow, Block []Match
	// Whole and OfDomain are the model's probabilities, in the order of Labels, of the whole name and of Domain; nil if it
	// is not asked. OfDomain is nil if Domain is the whole name.
	Whole, OfDomain []float32
	Labels          []string
	Threshold       float64
	// Decision is the Policy's. Without is the one that it would make without what decided: without the entry of a list,
	// else without the rule. Another entry may then decide as the first one did.
	Decision, Without Decision
}

// Explain says how p decides about a name, and how it would without what decided. It is for people who ask why: it
// reads the whole lists.
func (p *Policy) Explain(name string) Explanation {
	folded, err := dnsname.Fold(name)
	e := Explanation{Folded: folded, Invalid: err, Decision: p.Decide(name)}
	if err != nil {
		e.Folded = plain(name)
	}
	e.NeverScored = neverScored(e.Folded)
	if p == nil {
		e.Without = e.Decision
		return e
	}
	e.Threshold, e.Labels = p.threshold, p.labels
	e.Allow, e.Block = p.allow.all(e.Folded), p.block.all(e.Folded)
	e.Without = p.without(&e, name)
	if err != nil {
		return e
	}
	e.Domain, e.Cloud = judged(folded)
	if p.classifier == nil {
		return e
	}
	e.Whole = make([]float32, len(p.labels))
	p.classifier.OneFolded(folded, e.Whole)
	if e.Domain != folded && !e.Cloud && p.dga != 0 {
		e.OfDomain = make([]float32, len(p.labels))
		p.classifier.OneFolded(e.Domain, e.OfDomain)
	}
	return e
}

// without is the Decision without what decided.
func (p *Policy) without(e *Explanation, name string) Decision {
	next := *p
	switch e.Decision.Rule {
	case AllowList:
		if len(e.Allow) > 1 {
			return byAllow(e.Allow[1])
		}
		next.allow = both{}
	case BlockList:
		if len(e.Block) > 1 {
			return byBlock(e.Block[1])
		}
		next.block = both{}
	case NeverScored:
		if e.Invalid == nil && p.classifier != nil {
			return next.scored(e.Folded, Decision{}, nil)
		}
		return Decision{Class: Benign.String()}
	case PopularName:
		next.popular = nil
	default:
		return Decision{Class: Benign.String()}
	}
	return next.Decide(name)
}
