package console

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// listScreens are about all decisions.
func (c *Console) listScreens() []screen {
	return []screen{
		{"GET /console/lists", accounts.Viewer, false, c.lists},
		{"GET /console/lists.csv", accounts.Viewer, false, c.listsCSV},
		{"GET /console/lists.txt", accounts.Viewer, false, c.listsText},
		{"POST /console/lists/import", accounts.Vetter, false, c.importList},
		{"POST /console/lists/keep", accounts.Vetter, false, c.keepList},
	}
}

// listsPage shows decisions.
type listsPage struct {
	Text, Verdict, State, By string
	States                   []choice
	Notice                   *notice
	Decisions                []listed
	Next                     int64 // before of the next page, 0 at the end
	Allow, Block             int   // entries in force
	ImportMost               int
	// Hits says that hits are counted, in HitsRead events of HitsTime.
	Hits     bool
	HitsRead int
	HitsAll  bool // no event is left out
}

// listed is a decision with how many questions it decided.
type listed struct {
	ledger.Decision
	Hits int64
	// NoEffect is the allow entry for which a block has no effect.
	NoEffect string
}

var states = []choice{{string(ledger.InForce), "in force"}, {string(ledger.Superseded), "superseded"},
	{string(ledger.Expired), "expired"}, {string(ledger.Revoked), "revoked"}, {"all", "all"}}

const (
	listsShown = 100
	mostHits   = 20_000 // events of each verdict that are counted
)

// lists answers GET /console/lists: q, verdict, state, by, before; hits=1 also counts hits.
func (c *Console) lists(v *visit) (*view, error) {
	p := listsPage{Text: v.q.Get("q"), Verdict: v.q.Get("verdict"),
		State: cmp.Or(v.q.Get("state"), string(ledger.InForce)),
		By:    strings.TrimSpace(v.q.Get("by")), States: states, Notice: c.noticeOf(v), Hits: v.q.Get("hits") == "1",
		ImportMost: mostImported}
	from, err := before(v)
	if err != nil {
		return nil, err
	}
	f := ledger.Filter{Verdict: ledger.Verdict(p.Verdict), By: p.By, Text: strings.TrimSpace(p.Text)}
	if p.State != "all" {
		f.State = ledger.State(p.State)
	}
	page, err := c.o.Ledger.Decisions(v.ctx(), f, from, listsShown)
	if err != nil {
		return nil, err
	}
	snapshot := c.o.Ledger.InForce(time.Now())
	p.Next, p.Allow, p.Block = page.Next, len(snapshot.Allow), len(snapshot.Block)
	hits := map[string]int64{}
	if p.Hits {
		if hits, err = c.hits(v.ctx(), &p); err != nil {
			return nil, err
		}
	}
	for _, d := range page.Decisions {
		one := listed{Decision: d, Hits: hits[d.Pattern]}
		if d.Verdict == ledger.Block && d.State == ledger.InForce {
			one.NoEffect = snapshot.AllowedBy(d.Pattern)
		}
		p.Decisions = append(p.Decisions, one)
	}
	return &view{page: "lists", title: "Lists", data: &p, scripts: []string{"lists.js"}}, nil
}

// hits counts the questions of the last 24 hours that an entry decided, by its pattern. No store counts by entry, so it
// reads the newest events, and only if somebody asks for it.
func (c *Console) hits(ctx context.Context, p *listsPage) (map[string]int64, error) {
	now := time.Now()
	hits := map[string]int64{}
	p.HitsAll = true
	for _, verdict := range []detect.Verdict{detect.Blocked, detect.Allowed} {
		l, err := c.look(ctx, store.Range{From: now.Add(-24 * time.Hour), To: now.Add(time.Minute)},
			store.Filter{Verdict: &verdict}, mostHits)
		if err != nil {
			return nil, err
		}
		for i := range l.Events {
			hits[l.Events[i].Entry] += l.Events[i].Weight()
		}
		p.HitsRead += len(l.Events)
		p.HitsAll = p.HitsAll && !l.More && !l.Late
	}
	return hits, nil
}

// attach says that an answer is a file.
func attach(v *visit, kind, name string) {
	h := v.w.Header()
	h.Set("Content-Type", kind+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
}

// listsCSV answers GET /console/lists.csv: with all=1, every decision.
func (c *Console) listsCSV(v *visit) (*view, error) {
	all, name := v.q.Get("all") == "1", "degas-decisions.csv"
	if all {
		name = "degas-all-decisions.csv"
	}
	attach(v, "text/csv", name)
	out := bufio.NewWriterSize(v.w, 1<<16)
	err := c.o.Ledger.WriteCSV(v.ctx(), out, "console", all)
	return nil, c.sent(v, out, err)
}

// sent ends a file that is sent while it is made. One that fails midway must not look whole.
func (c *Console) sent(v *visit, out *bufio.Writer, err error) error {
	if err == nil {
		err = out.Flush()
	}
	if err != nil && v.ctx().Err() == nil {
		c.log.Error("console: a file could not be sent", "path", v.r.URL.Path, "error", err)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// listsText answers GET /console/lists.txt: verdict allow or block; as=hosts for a hosts file.
func (c *Console) listsText(v *visit) (*view, error) {
	s := c.o.Ledger.InForce(time.Now())
	verdict, entries := "block", s.Block
	switch v.q.Get("verdict") {
	case "", "block":
	case "allow":
		verdict, entries = "allow", s.Allow
	default:
		return nil, reply.BadRequest("verdict: %q is neither allow nor block", short(v.q.Get("verdict")))
	}
	hosts := v.q.Get("as") == "hosts"
	if hosts && verdict == "allow" {
		return nil, reply.BadRequest("A hosts file can only block. Try: a plain list")
	}
	attach(v, "text/plain", "degas-"+verdict+".txt")
	out := bufio.NewWriterSize(v.w, 1<<16)
	fmt.Fprintf(out, "# %s: %d names and domains that people decided about, from degas\n", verdict, len(entries))
	if hosts {
		io.WriteString(out, "# A hosts file has names alone: of an entry for a domain and all below it, it has the domain.\n")
	}
	for _, entry := range entries {
		name, below := strings.CutPrefix(entry, "*.")
		switch {
		case hosts:
			fmt.Fprintf(out, "0.0.0.0 %s\n", name)
		case below:
			fmt.Fprintf(out, "*.%s\n", name)
		default:
			fmt.Fprintf(out, "%s\n", name)
		}
	}
	return nil, c.sent(v, out, nil)
}
