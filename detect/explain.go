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
	// NeverScored is the reason for which no model is asked, Allow and Block are the entries of lists; "" if there is
	// none.
	NeverScored, Allow, Block string
	// Whole and OfDomain are the model's probabilities, in the order of Labels, of the whole name and of Domain; nil if it
	// is not asked. OfDomain is nil if Domain is the whole name.
	Whole, OfDomain []float32
	Labels          []string
	Threshold       float64
	// Decision is the Policy's.
	Decision Decision
}

// Explain says how p decides about a name.
func (p *Policy) Explain(name string) Explanation {
	folded, err := dnsname.Fold(name)
	e := Explanation{Folded: folded, Invalid: err, Threshold: p.threshold, Labels: p.labels, Decision: p.Decide(name)}
	if err != nil {
		e.Folded = plain(name)
	}
	e.NeverScored = neverScored(e.Folded)
	e.Allow, _ = p.allow.Find(e.Folded)
	e.Block, _ = p.block.Find(e.Folded)
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
