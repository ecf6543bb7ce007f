package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// vetPage is the queue of names that somebody should decide about.
type vetPage struct {
	Period                           timespan
	Status, Group, Order, Text, Rows string
	Statuses, Orders                 []choice
	Notice                           *notice
	Candidates                       []candidate
	Found, Left                      int // candidates that fit the filters; of all that are not decided
	Today                            int // decisions of today
	TodayMore                        bool
	Read                             int // events
	More, Late                       bool
	Threshold, Near                  float64
	Share                            int // percent of today's decisions in those and what is left
}

// candidate is a name, or a registered domain with its names.
type candidate struct {
	Name       string // or the domain
	Domain     string // registered
	Score      float64
	Class      string // that a block gives it
	Why        string // the model says so
	Clients    int
	Asked      int64
	Last       time.Time
	Priority   float64
	Ruling     string // pattern of the decision in force
	Verdict    ledger.Verdict
	Names      []string // of a domain: some
	MoreNames  int
	Everybodys bool // anybody may have names below the domain: it is no one's to decide about as a whole

	model   string // that gave the score
	clients map[string]bool
	names   int
	// likeliest is the name of a domain that has its score.
	likeliest string
}

// Bounds of the queue.
const (
	mostFlaggedEvents = 10_000 // events
	mostNear          = 20_000 // events, of which those near the threshold count
	mostRescored      = 500    // names that another version scored
)

var (
	vetStatuses = []choice{{"todo", "to decide"}, {"unsure", "unsure"}, {"decided", "allowed or blocked"}, {"all", "all"}}
	vetOrders   = []choice{{"priority", "closeness × clients"}, {"clients", "clients"}, {"score", "score"}, {"newest",
		"newest"}}
)

// vet answers GET /console/vet: range, status, group (name or domain), order, q and rows.
func (c *Console) vet(v *visit) (*view, error) {
	now := time.Now()
	p := vetPage{Status: cmp.Or(v.q.Get("status"), "todo"), Group: cmp.Or(v.q.Get("group"), "name"),
		Order: cmp.Or(v.q.Get("order"), "priority"), Text: strings.ToLower(strings.TrimSpace(v.q.Get("q"))),
		Rows: cmp.Or(v.q.Get("rows"), "50"), Statuses: vetStatuses, Orders: vetOrders, Notice: c.noticeOf(v)}
	rows := map[string]int{"25": 25, "50": 50, "100": 100}[p.Rows]
	switch {
	case !slices.ContainsFunc(vetStatuses, func(x choice) bool { return x.Value == p.Status }),
		!slices.ContainsFunc(vetOrders, func(x choice) bool { return x.Value == p.Order }),
		p.Group != "name" && p.Group != "domain", rows == 0:
		return nil, reply.BadRequest("The address has a status, an order, a group or rows that the page does not know")
	}
	var err error
	if p.Period, err = periodOf(v, now); err != nil {
		return nil, err
	}
	policy, _ := c.o.Engine.Policy()
	p.Threshold, p.Near = policy.Threshold(), nearest(policy.Threshold())
	all, err := c.candidates(v.ctx(), &p)
	if err != nil {
		return nil, err
	}
	if p.Group == "domain" {
		all = byDomain(all)
	}
	p.pick(all, c.o.Ledger, now, rows)
	if err := c.classes(v.ctx(), p.Candidates); err != nil {
		return nil, err
	}
	if p.Today, p.TodayMore, err = c.decidedToday(v.ctx(), now); err != nil {
		return nil, err
	}
	if sum := p.Today + p.Left; sum > 0 {
		p.Share = 100 * p.Today / sum
	}
	return &view{page: "vet", title: "Vet", data: &p, scripts: []string{"vet.js"}}, nil
}

// candidates are the names of a time that the model calls malicious, or nearly so.
func (c *Console) candidates(ctx context.Context, p *vetPage) ([]*candidate, error) {
	by := map[string]*candidate{}
	for _, which := range []struct {
		verdict detect.Verdict
		most    int
		least   float64
	}{{detect.Malicious, mostFlaggedEvents, 0}, {detect.Benign, mostNear, p.Near}} {
		l, err := c.look(ctx, p.Period.Range, store.Filter{Verdict: &which.verdict}, which.most)
		if err != nil {
			return nil, err
		}
		p.Read, p.More, p.Late = p.Read+len(l.Events), p.More || l.More, p.Late || l.Late
		for i := range l.Events {
			if e := &l.Events[i]; e.Score >= which.least && e.Score > 0 {
				add(by, e)
			}
		}
	}
	var all []*candidate
	for _, one := range by {
		all = append(all, one)
	}
	return all, c.rescore(ctx, all)
}

// add counts an event of a candidate.
func add(by map[string]*candidate, e *store.Event) {
	x := by[e.Name]
	if x == nil {
		x = &candidate{Name: e.Name, Domain: e.Domain, Last: e.Time, Score: e.Score, model: e.Model,
			clients: map[string]bool{}, names: 1}
		by[e.Name] = x
	}
	x.Asked += e.Weight()
	x.clients[e.Client] = true
}

// rescore asks the model in force about names whose score is another version's: about the newest ones, if they are too
// many.
func (c *Console) rescore(ctx context.Context, all []*candidate) error {
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Name, b.Name))
	})
	_, version := c.o.Engine.Policy()
	current := fmt.Sprintf("%s/%d", version.Model, version.Number)
	var some []*candidate
	var names []string
	for _, x := range all {
		x.Clients = len(x.clients)
		if x.model != current && len(some) < mostRescored {
			some, names = append(some, x), append(names, x.Name)
		}
	}
	if len(some) == 0 {
		return nil
	}
	said, _, err := c.score(ctx, names)
	if err != nil {
		return err
	}
	for i, x := range some {
		if said[i].Scored() {
			x.Score = said[i].Score
		}
	}
	return nil
}

// classes says which class a block gives the candidates that are shown.
func (c *Console) classes(ctx context.Context, shown []candidate) error {
	names := make([]string, len(shown))
	for i, x := range shown {
		names[i] = cmp.Or(x.likeliest, x.Name)
	}
	said, _, err := c.score(ctx, names)
	if err != nil {
		return err
	}
	for i := range shown {
		shown[i].Class, shown[i].Why = labelFor(ledger.Block, &said[i]), said[i].Reason
	}
	return nil
}

// byDomain joins candidates of a registered domain.
func byDomain(all []*candidate) (joined []*candidate) {
	by := map[string]*candidate{}
	for _, x := range all {
		domain := cmp.Or(x.Domain, x.Name)
		j := by[domain]
		if j == nil {
			_, cloud := detect.Zone(x.Name)
			j = &candidate{Name: domain, Domain: domain, Everybodys: cloud || x.Domain == "",
				clients: map[string]bool{}}
			by[domain] = j
			joined = append(joined, j)
		}
		if len(j.Names) < 3 {
			j.Names = append(j.Names, x.Name)
		}
		j.names++
		j.Asked += x.Asked
		for client := range x.clients {
			j.clients[client] = true
		}
		if x.Last.After(j.Last) {
			j.Last = x.Last
		}
		if x.Score > j.Score {
			j.Score, j.likeliest = x.Score, x.Name
		}
	}
	for _, j := range joined {
		j.Clients, j.MoreNames = len(j.clients), j.names-len(j.Names)
		if j.names == 1 && j.Names[0] == j.Name {
			j.Names = nil
		}
	}
	return joined
}

// closeness is 1 for a score at the threshold, and less the farther the score is from it: 1 / (1 + distance). The
// distance is that of the log odds, because a threshold that is to give few false alarms lies close to 1, where scores
// of 0.99 and of 0.9999 differ a lot.
func closeness(score, threshold float64) float64 {
	return 1 / (1 + math.Abs(logOdds(score)-logOdds(threshold)))
}

func logOdds(p float64) float64 {
	p = min(max(p, 1e-9), 1-1e-9)
	return math.Log(p / (1 - p))
}

// nearest is the least score that is near the threshold: its odds are a twentieth of the threshold's.
func nearest(threshold float64) float64 { return 1 / (1 + 20*math.Exp(-logOdds(threshold))) }

// pick chooses what the page shows, in its order.
func (p *vetPage) pick(all []*candidate, l *ledger.Ledger, now time.Time, rows int) {
	var fit []*candidate
	for _, x := range all {
		var decided bool
		x.Ruling, x.Verdict, decided = l.Ruling(x.Name, now)
		if !decided {
			p.Left++
		}
		switch {
		case p.Status == "todo" && decided, p.Status == "unsure" && (!decided || x.Verdict != ledger.Unsure),
			p.Status == "decided" && (!decided || x.Verdict == ledger.Unsure),
			p.Text != "" && !strings.Contains(x.Name, p.Text):
			continue
		}
		x.Priority = closeness(x.Score, p.Threshold) * float64(x.Clients)
		fit = append(fit, x)
	}
	slices.SortFunc(fit, func(a, b *candidate) int {
		first := 0
		switch p.Order {
		case "clients":
			first = cmp.Compare(b.Clients, a.Clients)
		case "score":
			first = cmp.Compare(b.Score, a.Score)
		case "newest":
			first = b.Last.Compare(a.Last)
		}
		return cmp.Or(first, cmp.Compare(b.Priority, a.Priority), b.Last.Compare(a.Last), cmp.Compare(a.Name, b.Name))
	})
	p.Found = len(fit)
	for _, x := range fit[:min(len(fit), rows)] {
		p.Candidates = append(p.Candidates, *x)
	}
}

// decidedToday counts the decisions since midnight in UTC, up to a page of them.
func (c *Console) decidedToday(ctx context.Context, now time.Time) (n int, more bool, err error) {
	page, err := c.o.Ledger.Decisions(ctx, ledger.Filter{}, 0, ledger.MostPage)
	midnight := now.UTC().Truncate(24 * time.Hour)
	for _, d := range page.Decisions {
		if d.At.Before(midnight) {
			return n, false, err
		}
		if d.State != ledger.Revoked {
			n++
		}
	}
	return n, page.Next != 0, err
}
