package console

import (
	"slices"
	"time"

	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// clientPage is what the page of a client shows.
type clientPage struct {
	Client string
	Notice *notice

	Period      timespan
	Look        look
	Bars        *bars
	Flagged     []tallied // names, newest first
	MoreFlagged int
	AllFlagged  look
	Names       []tallied
	Domains     []tallied
	Findings    []ledger.Finding // about the client, or with it
}

// Bounds of the page of a client.
const (
	mostOfClient = 5000 // events
	mostSearched = 500  // open findings that are searched for the client
)

// client answers GET /console/client.
func (c *Console) client(v *visit) (*view, error) {
	p := clientPage{Client: v.q.Get("client"), Notice: c.noticeOf(v)}
	if p.Client == "" || len(p.Client) > store.MaxName {
		return nil, reply.BadRequest("Which client? It has 1 to %d characters", store.MaxName)
	}
	var err error
	if p.Period, err = periodOf(v, time.Now()); err != nil {
		return nil, err
	}
	if p.Look, err = c.look(v.ctx(), p.Period.Range, store.Filter{Client: p.Client}, mostOfClient); err != nil {
		return nil, err
	}
	p.Bars = p.Period.barsOf("Questions of the client", p.Look.Events)
	name := func(e *store.Event) string { return e.Name }
	p.Names, _ = tally(p.Look.Events, 20, name)
	p.Domains, _ = tally(p.Look.Events, 20, func(e *store.Event) string { return e.Domain })
	p.AllFlagged, err = c.look(v.ctx(), p.Period.Range, store.Filter{Client: p.Client, Flagged: true}, mostOfClient)
	if err != nil {
		return nil, err
	}
	p.Flagged, _ = tally(p.AllFlagged.Events, len(p.AllFlagged.Events), name)
	slices.SortFunc(p.Flagged, func(a, b tallied) int { return b.Newest.Time.Compare(a.Newest.Time) })
	p.MoreFlagged = max(len(p.Flagged)-50, 0)
	p.Flagged = p.Flagged[:min(len(p.Flagged), 50)]
	c.decidedNow(p.Flagged)
	p.Findings, err = c.findingsWith(v, p.Client)
	return &view{page: "client", title: "Client", data: &p}, err
}

// decidedNow notes which of the names somebody has decided about.
func (c *Console) decidedNow(all []tallied) {
	now := time.Now()
	for i := range all {
		if pattern, verdict, ok := c.o.Ledger.Ruling(all[i].Key, now); ok {
			all[i].Decided, all[i].Pattern = string(verdict), pattern
		}
	}
}

// findingsWith are the findings about a client, and the newest open ones that name it.
func (c *Console) findingsWith(v *visit, client string) ([]ledger.Finding, error) {
	about, err := c.o.Ledger.Findings(v.ctx(), ledger.FindingFilter{Subject: client}, 0, 20)
	if err != nil {
		return nil, err
	}
	open, err := c.o.Ledger.Findings(v.ctx(), ledger.FindingFilter{Open: true}, 0, mostSearched)
	for _, f := range open {
		if f.Subject != client && (f.Client == client || slices.Contains(f.Clients, client) ||
			slices.Contains(f.SharedWith, client)) && len(about) < 50 {
			about = append(about, f)
		}
	}
	return about, err
}
