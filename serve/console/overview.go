package console

import (
	"net/url"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Bounds of the overview.
const (
	mostJust   = 20   // names just flagged
	mostLooked = 2000 // flagged rows that are looked at for them
	mostTop    = 10
)

// overviewPage is GET /console/.
type overviewPage struct {
	Period  period
	Flagged bool // the chart and the top lists are of flagged events alone
	Chart   chart
	// Sums over the time, all exact.
	Queries, FlaggedSum, Blocked int64
	Clients, Domains             int64 // different ones, estimated
	ToVet                        int   // malicious names that nobody has decided about
	ToVetMore                    bool  // there may be more
	Just                         []*row
	JustMore                     bool
	TopClients, TopDomains       []top
	query                        url.Values
}

// top is a place in a top list.
type top struct {
	store.Top
	Link string // to its events
}

// Least is how many there were at least.
func (t top) Least() int64 { return t.N - t.Error }

// Link is the address of this page with other values for pairs of keys and values.
func (p *overviewPage) Link(pairs ...string) string {
	return historyLink("/console/", p.query, pairs...)
}

// Vet is the address of what is to vet in this page's time.
func (p *overviewPage) Vet() string {
	return link("/console/vet", "from", p.Period.FromText(), "to", p.Period.ToText())
}

// History is the address of events of this page's time.
func (p *overviewPage) History(pairs ...string) string {
	return historyLink("/console/history", nil, append(pairs, "from", p.Period.FromText(), "to", p.Period.ToText())...)
}

// overview answers GET /console/: range, or from and to, and step, as readPeriod has them; flagged.
func (c *Console) overview(v *visit) (*view, error) {
	p := &overviewPage{query: v.q, Flagged: isSet(v.q, "flagged")}
	var err error
	if p.Period, err = readPeriod(v.q, time.Now()); err != nil {
		return nil, err
	}
	p.Period = p.Period.whole()
	for _, fill := range []func(*visit, *overviewPage) error{c.sums, c.just, c.tops} {
		if err := fill(v, p); err != nil {
			return nil, err
		}
	}
	return &view{page: "overview", title: "Overview", data: p, scripts: []string{"chart.js", "times.js"}}, nil
}

// sums fills in what is counted.
func (c *Console) sums(v *visit, p *overviewPage) error {
	all, err := c.o.Store.Counts(v.ctx(), p.Period.of(), p.Period.Step, store.Filter{})
	if err != nil {
		return err
	}
	flagged := func(n *store.Count) bool { return n.Verdict == detect.Malicious || n.Verdict == detect.Blocked }
	for i := range all {
		n := &all[i]
		p.Queries += n.N
		if flagged(n) {
			p.FlaggedSum += n.N
		}
		if n.Action == detect.Block {
			p.Blocked += n.N
		}
	}
	only := ""
	if p.Flagged {
		only = "1"
	} else {
		flagged = nil
	}
	p.Chart = newChart("Queries by verdict", p.Period, all, flagged, historyLink("/console/history", nil, "flagged", only))
	if p.Clients, err = c.o.Store.Distinct(v.ctx(), p.Period.of(), store.Clients); err != nil {
		return err
	}
	p.Domains, err = c.o.Store.Distinct(v.ctx(), p.Period.of(), store.Domains)
	return err
}

// just fills in what was flagged last: of each registered domain, the newest name.
func (c *Console) just(v *visit, p *overviewPage) error {
	h, err := c.search(v.ctx(), p.Period.of(), &filter{Filter: store.Filter{Flagged: true}}, "", mostLooked, searchTime)
	if err != nil {
		return err
	}
	rows := group(h.events)
	rows = slices.DeleteFunc(rows, func(r *row) bool { return r.Name == "" })
	looked := rows[:min(len(rows), 10*mostJust)]
	if err := c.rule(v.ctx(), looked, map[string]*ledger.Decision{}); err != nil {
		return err
	}
	for _, r := range looked {
		if r.Ruling == nil && r.Verdict == detect.Malicious {
			p.ToVet++
		}
	}
	more := h.next != "" || !h.before.IsZero()
	p.ToVetMore = more || len(looked) < len(rows)
	p.JustMore = more || len(rows) > mostJust
	p.Just = rows[:0:0]
	first := map[string]*row{} // of a domain
	for _, r := range rows {
		if of := first[r.Domain]; of != nil && r.Domain != "" { // a tunnel has a new name in every query
			of.Others++
		} else if len(p.Just) < mostJust {
			p.Just = append(p.Just, r)
			first[r.Domain] = r
		}
	}
	return nil
}

// tops fills in the top lists.
func (c *Console) tops(v *visit, p *overviewPage) error {
	only := ""
	if p.Flagged {
		only = "1"
	}
	for _, list := range []struct {
		kind store.Kind
		key  string
		to   *[]top
	}{{store.Clients, "client", &p.TopClients}, {store.Domains, "domain", &p.TopDomains}} {
		all, err := c.o.Store.Top(v.ctx(), p.Period.of(), list.kind, mostTop+1, store.Filter{Flagged: p.Flagged})
		if err != nil {
			return err
		}
		for _, t := range all {
			if t.Key != "" && len(*list.to) < mostTop { // "" is nobody that is known
				*list.to = append(*list.to, top{t, p.History(list.key, t.Key, "flagged", only)})
			}
		}
	}
	return nil
}
