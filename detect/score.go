package detect

import (
	"strings"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// view is what a model is asked about a folded name.
//
// A DGA makes registered domains, so the registered domain alone is judged: what stands before it says nothing about
// who registered it. Where a provider gives away names below its own, the label before its zone is the registered one.
// Below the zones of clouds and CDNs it is not: machines make up those labels, and nobody is judged for them. A tunnel
// is judged on the whole name, if something stands before the registered domain.
//
// Measured with the first built-in model, at its threshold: how many of 1,000 names are called malicious if
// the whole name is judged, and if it is done as above.
//
//	                                                    names   whole   so
//	Umbrella's hosts (most of them trained on)         15,081     0.1  0.3
//	hosts of public resolvers (trained on)             31,551     0.1  0.1
//	captured crawl of 14,000 sites                     28,977     1.3  1.3
//	ordinary names that look generated, new seeds       7,861      54  1.1
//	DGA examples as published                          26,195     474  474
//	… with "www." before them                          26,195     379  474
//	… with "api-7.eu." before them                     26,195     144  474
//	tunnels of captures and of DTQBC, with zones       34,033     682  682
//
// At a threshold of 0.99, Umbrella's hosts give 0.9 and 0.6, the examples behind www 585 and 687. If tunnels were
// judged on what stands before the registered domain alone, 29 of 1,000 of Umbrella's hosts would be malicious, and 37
// of the resolvers': the model was trained on whole names. Of random labels of 13 letters, it would call 23 to 69 %
// malicious below azurewebsites.net, herokuapp.com, github.io, appspot.com and the buckets of S3, which is why clouds
// are left out; below duckdns.org and ddns.net it is 84 and 99 %. Without the zones that the public suffix list lacks,
// 456 of the examples would be found.
// TestMeasured repeats the part of it that needs no capture.
//
// A model with other labels than benign, dga and tunnel does not say what its labels are about: it judges whole names.
type view struct {
	whole  bool   // the whole name is judged
	domain string // judged for a DGA, if it is not the whole name; "" if nothing is
	bare   bool   // nothing stands before the registered domain
	// only says that the name is not judged, though its domain is. instead is the Decision if that is benign.
	only    bool
	instead Decision

	index             int // of the name in a batch
	name              string
	wholeAt, domainAt int // of the texts in a batch
	known             bool
	domainScore       float64
}

// view is what to ask about a folded name. instead is the Decision of the rules before the score: if one of them
// decided about the name, its domain alone is judged.
func (p *Policy) view(name string, instead Decision) view {
	if p.dga == 0 {
		return view{whole: true}
	}
	domain, cloud := judged(name)
	if instead.Rule != NoRule {
		if cloud {
			domain = ""
		}
		return view{only: true, instead: instead, domain: domain}
	}
	if domain == name {
		return view{whole: !cloud, bare: true}
	}
	host := len(name) - len(domain)
	if cloud {
		domain = ""
	}
	return view{whole: p.tunnel != 0 && host > shortHost, domain: domain}
}

// shortHost is the length of "www." and of what else stands before a registered domain and is no tunnel's, in bytes
// with the dot. Of 42,000 names of tunnels, 4 have so little there, and none of them is found. Most of the names in a
// log of popular names have no more, and each saves a pass through the network.
const shortHost = 5

// judge makes a Decision of the probabilities of the whole name and of the score of its domain.
func (p *Policy) judge(v view, name string, whole []float32, domainScore float64) Decision {
	d := p.byScore(v, whole, domainScore)
	if v.only && d.Verdict != Malicious {
		return v.instead
	}
	if d.Verdict == Malicious && p.popular.Len() > 0 {
		p.excuse(&d, v, name)
	}
	return d
}

// excuse applies rule PopularName to a malicious name.
func (p *Policy) excuse(d *Decision, v view, name string) {
	switch {
	case p.popular.Has(name):
		d.DGA, d.Tunnel, d.Reason = 0, 0, "scores at least the threshold, but the name is popular"
	case d.DGA >= p.threshold && v.domain != "" && p.popular.Has(v.domain):
		d.DGA = 0
		if p.tunnel != 0 && d.Tunnel >= p.threshold {
			d.Score, d.OfDomain, d.Class, d.Reason = d.Tunnel, false, p.labels[p.tunnel], reasonTunnel
			return
		}
		d.Reason = "scores at least the threshold, but the registered domain is popular"
	default:
		return
	}
	d.Verdict, d.Action, d.Rule, d.Class = Benign, Pass, PopularName, Benign.String()
}

const reasonTunnel = "the name looks like a tunnel's"

// byScore is the Decision without rule PopularName. The dga's share of the score and the tunnel's share each have their
// place; the larger one is the name's score.
func (p *Policy) byScore(v view, whole []float32, domainScore float64) Decision {
	d := Decision{Rule: Score}
	label := 0
	switch {
	case p.dga == 0:
		d.Score, label = model.ScoreOf(whole), model.LabelOf(whole, 0)
		d.DGA, d.Tunnel = d.Score, d.Score
	case v.bare:
		label = p.dga
		if v.whole {
			d.Score = p.share(whole, p.dga)
			d.DGA = d.Score
		}
	default:
		d.Score, d.OfDomain, label, d.DGA = domainScore, true, p.dga, domainScore
		if v.whole && p.tunnel != 0 {
			d.Tunnel = p.share(whole, p.tunnel)
			if d.Tunnel > d.Score || v.domain == "" {
				d.Score, d.OfDomain, label = d.Tunnel, false, p.tunnel
			}
		}
	}
	if d.Score < p.threshold || label == 0 {
		d.Class, d.Reason = Benign.String(), "scores below the threshold"
		return d
	}
	d.Verdict, d.Action, d.Class = Malicious, p.action, p.labels[label]
	switch label {
	case p.dga:
		d.Reason = "the registered domain looks generated"
	case p.tunnel:
		d.Reason = reasonTunnel
	}
	if p.dga == 0 {
		d.Reason = "scores at least the threshold"
	}
	return d
}

// share is how much of the score is label k's: all of it if k is the likeliest label but benign, else its own
// probability. A model may well be sure that a name is malicious, and less sure of what it is.
func (p *Policy) share(probabilities []float32, k int) float64 {
	switch {
	case k == 0 || len(probabilities) == 0:
		return 0
	case model.LabelOf(probabilities, 0) == k:
		return model.ScoreOf(probabilities)
	}
	return float64(probabilities[k])
}

// judged is the domain that a DGA would have made: the registered domain, or one label more than a zone that hands out
// names. cloud says that the name is below a zone whose labels nobody chose, or is that zone.
func judged(name string) (domain string, cloud bool) {
	end := len(name)
	for range zoneLabels {
		dot := strings.LastIndexByte(name[:end], '.')
		switch zones[name[dot+1:]] {
		case cloudZone:
			return name[dot+1:], true
		case openZone:
			if dot < 0 {
				return name, false
			}
			return name[strings.LastIndexByte(name[:dot], '.')+1:], false
		}
		if dot < 0 {
			break
		}
		end = dot
	}
	return dnsname.Registered(name), false
}

// Zone is the zone that a name in lower case, as an event has it, may be a tunnel's or a DGA's: its registered domain
// as the Policy counts it. cloud says that nobody can register or delegate a name below it.
func Zone(name string) (zone string, cloud bool) { return judged(name) }

// Domain is the registered domain of a name as the Policy counts it: below a zone that hands out names it has one label
// more than the zone. "" if the text is no name.
func Domain(name string) string {
	folded, err := dnsname.Fold(name)
	if err != nil {
		return ""
	}
	domain, _ := judged(folded)
	return domain
}
