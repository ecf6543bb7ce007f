package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

func (c *Console) historyScreens() []screen {
	return []screen{
		{"GET /console/history", accounts.Viewer, false, c.history},
		{"GET /console/history.csv", accounts.Viewer, true, c.exportCSV},
		{"GET /console/history.jsonl", accounts.Viewer, true, c.exportJSON},
	}
}

// filter is which events a page is about, as its address says.
type filter struct {
	store.Filter
	// Blocked chooses those that a resolver was to keep back, by whatever rule.
	Blocked bool
	Not     []string // names that are left out, with all below them
}

// isSet reads a switch of an address, as pages and as the API write it.
func isSet(q url.Values, key string) bool { return q.Get(key) == "1" || q.Get(key) == "true" }

// mostNot bounds filter.Not.
const mostNot = 50

// readFilter reads verdict, flagged, blocked, name, domain, client and not.
func readFilter(q url.Values) (f filter, err error) {
	lower := func(key string) string { return strings.ToLower(strings.TrimSpace(q.Get(key))) }
	f.Name, f.Domain, f.Client = dotless(lower("name")), dotless(lower("domain")), strings.TrimSpace(q.Get("client"))
	if text := q.Get("verdict"); text != "" {
		verdict, ok := detect.ParseVerdict(text)
		if !ok {
			return f, reply.BadRequest("verdict: %q is none of benign, unscored, allowed, blocked, malicious and invalid", text)
		}
		f.Verdict = &verdict
	}
	f.Flagged, f.Blocked = isSet(q, "flagged"), isSet(q, "blocked")
	if f.Blocked {
		f.Flagged = true // nothing else is kept back
	}
	for _, text := range q["not"] {
		for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
			f.Not = append(f.Not, dotless(strings.ToLower(name)))
		}
	}
	slices.Sort(f.Not)
	if f.Not = slices.DeleteFunc(slices.Compact(f.Not), func(s string) bool { return s == "" }); len(f.Not) > mostNot {
		return f, reply.BadRequest("At most %d names can be left out", mostNot)
	}
	return f, nil
}

// dotless is a name without the wildcard before it and the final dot.
func dotless(name string) string { return strings.TrimPrefix(strings.TrimSuffix(name, "."), "*.") }

// VerdictName is the verdict's, "" if there is none.
func (f *filter) VerdictName() string {
	if f.Verdict == nil {
		return ""
	}
	return f.Verdict.String()
}

// NotText is what is left out, for a field of a form.
func (f *filter) NotText() string { return strings.Join(f.Not, " ") }

// counted reports whether the store's exact counts can be narrowed to it.
func (f *filter) counted() bool {
	return f.Name == "" && f.Domain == "" && f.Client == "" && len(f.Not) == 0
}

// keeps reports whether an event is chosen that the store gave for Filter.
func (f *filter) keeps(e *store.Event) bool {
	if f.Blocked && e.Action != detect.Block {
		return false
	}
	return !slices.ContainsFunc(f.Not, func(not string) bool {
		below, ok := strings.CutSuffix(e.Name, not)
		return ok && (below == "" || strings.HasSuffix(below, "."))
	})
}

// keepsCount is keeps for counts.
func (f *filter) keepsCount(n *store.Count) bool { return !f.Blocked || n.Action == detect.Block }

// haul is what a search found.
type haul struct {
	events []store.Event // newest first
	// next is where the next page begins, "" if there is nothing more. If before is set, it begins at that time.
	next   store.Cursor
	before time.Time
	// early says that there was no time to look at older events.
	early bool
}

// chunk is how many events are read at once.
const chunk = 1000

// search finds n events that a filter has, from a cursor on. A store may have to read every event of a time for a name
// or a client; so it looks at one part of the time after the other, the newest first, and stops when spend is over.
func (c *Console) search(ctx context.Context, r store.Range, f *filter, cursor store.Cursor, n int,
	spend time.Duration) (h haul, err error) {
	deadline := time.Now().Add(spend)
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(spend))
	defer cancel()
	width := r.To.Sub(r.From)
	if f.Name != "" || f.Domain != "" || f.Client != "" {
		width = time.Hour
	}
	for to := r.To; to.After(r.From); {
		part := store.Range{From: later(r.From, to.Add(-width)), To: to}
		start := time.Now()
		over, err := h.read(ctx, c.o.Store, part, f, cursor, n, deadline)
		if err != nil && ctx.Err() != nil && (len(h.events) > 0 || to != r.To) {
			h.before, h.next, h.early = to, "", true // without events of this part
			h.events = slices.DeleteFunc(h.events, func(e store.Event) bool { return e.Time.Before(to) })
			return h, nil
		}
		if err != nil || over {
			return h, err
		}
		if to = part.From; len(h.events) == n || time.Now().After(deadline) {
			if to.After(r.From) {
				h.before, h.early = to, len(h.events) < n
			}
			return h, nil
		}
		if took := time.Since(start); took < spend/8 {
			width *= 2
		} else if took > spend/2 {
			width = max(width/2, time.Minute)
		}
	}
	return h, nil
}

// read adds the events of a part of the time. over says that the search ends within it.
func (h *haul) read(ctx context.Context, s store.Store, r store.Range, f *filter, cursor store.Cursor, n int,
	deadline time.Time) (over bool, err error) {
	for {
		want := min(chunk, n-len(h.events))
		if f.Blocked || len(f.Not) > 0 {
			want = chunk // many may not be chosen
		}
		page, err := s.Events(ctx, r, f.Filter, cursor, want)
		if err != nil {
			return false, err
		}
		for i := range page.Events {
			if !f.keeps(&page.Events[i]) {
				continue
			}
			h.events = append(h.events, page.Events[i])
			if len(h.events) == n && i < len(page.Events)-1 { // a page that ends here tells its cursor
				page, err = s.Events(ctx, r, f.Filter, cursor, i+1)
				h.next = page.Next
				return true, err
			}
		}
		if page.Next == "" {
			return false, nil
		}
		if cursor = page.Next; len(h.events) == n || time.Now().After(deadline) {
			h.next, h.early = cursor, len(h.events) < n
			return true, nil
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// row is an event on a page, or what several have in common that are about one name.
type row struct {
	store.Event       // the newest
	N           int64 // events, one that was sampled counts for as many as it stands for
	Clients     int   // different ones, if several events were put together
	Others      int   // names of the same domain that are not shown
	Ruling      *ledger.Decision
	clients     map[string]struct{}
}

// Listable reports whether a list can hold the name: not one with odd bytes, nor one that stands for several.
func (r *row) Listable() bool {
	if r.Name == "" {
		return false
	}
	_, err := pattern(r.Name, "", false)
	return err == nil
}

// group puts events together that are about one name, the newest first.
func group(all []store.Event) []*row {
	var out []*row
	at := map[string]*row{}
	for i := range all {
		e := &all[i]
		key := cmp.Or(e.Name, " "+e.Domain)
		r := at[key]
		if r == nil {
			r = &row{Event: *e, clients: map[string]struct{}{}}
			at[key] = r
			out = append(out, r)
		}
		r.N += e.Weight()
		r.clients[e.Client] = struct{}{}
		r.Clients = len(r.clients)
	}
	return out
}

// each is every event as a row.
func each(all []store.Event) []*row {
	out := make([]*row, len(all))
	for i, e := range all {
		out[i] = &row{Event: e, N: e.Weight()}
	}
	return out
}

// rule adds the decisions in force about the rows' names. known has those that were looked up already, by name.
func (c *Console) rule(ctx context.Context, rows []*row, known map[string]*ledger.Decision) error {
	for _, r := range rows {
		d, ok := known[r.Name]
		if !ok && r.Name != "" {
			var err error
			if d, err = c.ruling(ctx, r.Name); err != nil {
				return err
			}
			known[r.Name] = d
		}
		r.Ruling = d
	}
	return nil
}

// Bounds of the history.
const (
	mostCounted = 20_000 // rows that are put together, or counted where the store has no counts
	searchTime  = 4 * time.Second
)

// perPage are how many rows a page may have.
var perPage = []int{25, 50, 100, 200, 500}

// historyPage is GET /console/history.
type historyPage struct {
	Period   period
	Choice   filter
	Verdicts []string
	Grouped  bool
	ByCount  bool // the order of groups, else the newest is first
	Per      int
	PerPage  []int
	Chart    chart
	Sampled  bool // the chart and its sum were counted from rows
	Bounded  bool // and not from all
	Rows     []*row
	Groups   int       // of which Rows are a part
	Early    time.Time // before which nothing was looked at, for lack of time
	Next     string    // address of the next page
	First    string    // of the first one, "" on it
	Excluded []exclusion
	query    url.Values
}

// exclusion is a name that is left out, and the address without it.
type exclusion struct{ Name, Link string }

// historyKeys are what addresses of the history have. Other keys are left out of links.
var historyKeys = []string{"range", "from", "to", "step", "verdict", "flagged", "blocked", "name", "domain", "client",
	"not", "group", "order", "n"}

// Link is the address of the first page with other values for pairs of keys and values; "" leaves the key out.
func (p *historyPage) Link(pairs ...string) string {
	return historyLink("/console/history", p.query, pairs...)
}

// Export is the address of a file with the rows. Its time stands still.
func (p *historyPage) Export(kind string) string {
	return historyLink("/console/history."+kind, p.query, p.fixed("group", "", "order", "", "n", "", "step", "")...)
}

// fixed is pairs for Link, with the time as it is now.
func (p *historyPage) fixed(pairs ...string) []string {
	return append(pairs, "range", "", "from", p.Period.FromText(), "to", p.Period.ToText())
}

// Without is the address without a name's events.
func (p *historyPage) Without(name string) string {
	return p.Link("not", strings.Join(append(slices.Clone(p.Choice.Not), name), " "))
}

func historyLink(path string, query url.Values, pairs ...string) string {
	q := url.Values{}
	for _, key := range historyKeys {
		for _, value := range query[key] {
			if value != "" {
				q.Add(key, value)
			}
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// history answers GET /console/history: range, or from and to, and step, as readPeriod has them; what readFilter has;
// group, order, and n rows a page; cursor or before, and page among groups.
func (c *Console) history(v *visit) (*view, error) {
	p := &historyPage{query: v.q, Grouped: v.q.Get("group") == "1", ByCount: v.q.Get("order") == "count", Per: 50,
		PerPage: perPage, Verdicts: verdictNames()}
	var err error
	if p.Period, err = readPeriod(v.q, time.Now()); err != nil {
		return nil, err
	}
	if p.Choice, err = readFilter(v.q); err != nil {
		return nil, err
	}
	if text := v.q.Get("n"); text != "" {
		if p.Per, err = strconv.Atoi(text); err != nil || !slices.Contains(perPage, p.Per) {
			return nil, reply.BadRequest("n: %q is none of 25, 50, 100, 200 and 500", text)
		}
	}
	for i, name := range p.Choice.Not {
		rest := slices.Delete(slices.Clone(p.Choice.Not), i, i+1)
		p.Excluded = append(p.Excluded, exclusion{name, p.Link("not", strings.Join(rest, " "))})
	}
	r := p.Period.of()
	if text := v.q.Get("before"); text != "" {
		if r.To, err = readTime("before", text); err != nil {
			return nil, err
		}
	}
	n := p.Per
	if p.Grouped {
		n = mostCounted
	}
	h, err := c.search(v.ctx(), r, &p.Choice, store.Cursor(v.q.Get("cursor")), n, searchTime)
	if err == nil {
		err = p.paged(h, v.q)
	}
	if err == nil {
		err = c.countHistory(v, p, h)
	}
	if err == nil {
		err = c.rule(v.ctx(), p.Rows, map[string]*ledger.Decision{})
	}
	return &view{page: "history", title: "History", data: p, scripts: []string{"chart.js", "times.js"}}, err
}

func verdictNames() (all []string) {
	for v := detect.Benign; v <= detect.Invalid; v++ {
		all = append(all, v.String())
	}
	return all
}

// paged fills in the rows of the page, and the addresses of others.
func (p *historyPage) paged(h haul, q url.Values) error {
	if q.Has("cursor") || q.Has("before") || q.Has("page") {
		p.First = p.Link()
	}
	if h.next != "" {
		p.Next = p.Link(p.fixed("cursor", string(h.next), "before", q.Get("before"))...)
	} else if !h.before.IsZero() {
		p.Next = p.Link(p.fixed("before", stampFine(h.before))...)
	}
	if h.early {
		p.Early = h.before
		if p.Early.IsZero() && len(h.events) > 0 {
			p.Early = h.events[len(h.events)-1].Time
		}
	}
	if !p.Grouped {
		p.Rows = each(h.events)
		return nil
	}
	p.Rows = group(h.events)
	if p.ByCount {
		slices.SortStableFunc(p.Rows, func(a, b *row) int { return cmp.Compare(b.N, a.N) })
	}
	page := 0
	if text := q.Get("page"); text != "" {
		var err error
		if page, err = strconv.Atoi(text); err != nil || page < 0 || page > mostCounted {
			return reply.BadRequest("page: %q is no number of a page", text)
		}
	}
	p.Groups = len(p.Rows)
	if first := page * p.Per; first+p.Per < len(p.Rows) {
		p.Next = p.Link(p.fixed("cursor", q.Get("cursor"), "before", q.Get("before"), "page", strconv.Itoa(page+1))...)
		p.Rows = p.Rows[first : first+p.Per]
	} else {
		p.Rows = p.Rows[min(first, len(p.Rows)):]
	}
	return nil
}

// stampFine writes a time to the nanosecond for an address.
func stampFine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// countHistory makes the chart: from the store's exact counts, or from rows where they cannot tell names and clients
// apart. h is what the page has, which is reused if it is everything.
func (c *Console) countHistory(v *visit, p *historyPage, h haul) error {
	zoom := p.Link("range", "", "from", "", "to", "", "step", "")
	label := "Queries by verdict"
	if p.Choice.counted() {
		all, err := c.o.Store.Counts(v.ctx(), p.Period.of(), p.Period.Step, p.Choice.Filter)
		p.Chart = newChart(label, p.Period, all, p.Choice.keepsCount, zoom)
		return err
	}
	if p.First != "" || !h.early && (h.next != "" || !h.before.IsZero()) {
		var err error
		if h, err = c.search(v.ctx(), p.Period.of(), &p.Choice, "", mostCounted, searchTime); err != nil {
			return err
		}
	}
	all := make([]store.Count, len(h.events))
	for i := range h.events {
		e := &h.events[i]
		all[i] = store.Count{Slot: e.Time, Verdict: e.Verdict, Action: e.Action, N: e.Weight()}
	}
	p.Chart = newChart(label, p.Period, all, nil, zoom)
	p.Sampled, p.Bounded = true, h.next != "" || !h.before.IsZero()
	return nil
}
