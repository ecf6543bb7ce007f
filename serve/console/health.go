package console

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// healthPage says whether all works, and what to do if not.
type healthPage struct {
	Problems []problem
	Store    store.Stats
	Used     int // percent of the store's budget
	Cluster  bool
	Watching bool
	Sources  []source
	Last     time.Time // an event came in, or the start
	Saved    time.Time // of the watch's state; zero for never
	Unread   []counted // units of sources that could not be read, by reason
	Sinks    []sink
	Clients  int64 // in the watch's memory
	Domains  int64
	Lists    []lists.Stat
	Allowed  int // entries that decisions put in force
	Blocked  int
	Findings string // open ones
	Models   []healthModel
	Process  process
	Audit    *auditPart // nil for who may not see it
}

// problem is something that is wrong, and what to do about it.
type problem struct{ What, Try string }

// source is where events come from.
type source struct {
	Name          string
	Events, Drops int64
}

// sink is where findings go to.
type sink struct {
	Name                  string
	Sent, Failed, GivenUp int64
}

// counted is a number with a name.
type counted struct {
	Name string
	N    int64
}

// healthModel is a model with its versions.
type healthModel struct {
	Name   string
	States []models.VersionState
}

// process is what the program takes.
type process struct {
	Version, Go string
	Began       time.Time
	Up          string
	Memory      int64 // bytes that the system gave
	Heap        int64 // bytes of live objects
	Routines    int
	Processors  int
}

// auditPart is a page of the audit, newest first.
type auditPart struct {
	Lines []ledger.Line
	Who   string
	Older bool  // than the first page
	Next  int64 // the page after this one; 0 for none
}

// auditPage is how many lines of the audit a page has.
const auditPage = 50

// mostOpen bounds the open findings that are counted.
const mostOpen = ledger.MostPage

// silence is how long no event comes before the page says so.
const silence = 10 * time.Minute

// health answers GET /console/health. An admin sees the audit: who is one person in it, before is the page.
func (c *Console) health(v *visit) (*view, error) {
	now := time.Now()
	p := healthPage{Store: c.o.Store.Stats(), Cluster: c.o.Cluster, Process: c.process(now)}
	if p.Store.Budget > 0 {
		p.Used = int(min(100, 100*p.Store.Bytes/p.Store.Budget))
	}
	in := c.o.Ledger.InForce(now)
	p.Allowed, p.Blocked = len(in.Allow), len(in.Block)
	open, err := c.o.Ledger.Findings(v.ctx(), ledger.FindingFilter{Open: true}, 0, mostOpen)
	if err != nil {
		return nil, err
	}
	if p.Findings = printable.Grouped(len(open)); len(open) == mostOpen {
		p.Findings += " or more"
	}
	if c.o.Lists != nil {
		p.Lists = c.o.Lists.Stats()
	}
	for _, name := range c.o.Models.Names() {
		p.Models = append(p.Models, healthModel{name, c.o.Models.States(name)})
	}
	p.watching(c)
	if v.may(accounts.Admin) {
		if p.Audit, err = c.audit(v); err != nil {
			return nil, err
		}
	}
	p.Problems = p.problems(c.ready(), now)
	if c.open(v) {
		p.add("This page came without TLS, so others on the way can read and change it",
			"start the server with --tls-cert and --tls-key, or reach it through ssh")
	}
	return &view{page: "health", title: "Health", data: p}, nil
}

// open reports whether a request came over a network without TLS.
func (c *Console) open(v *visit) bool {
	return v.r.TLS == nil && !v.proxied && v.from != (netip.Addr{}) && !v.from.IsLoopback()
}

// watching reads what the stream of events counts.
func (p *healthPage) watching(c *Console) {
	m := c.o.Watching
	if p.Watching = m != nil; m == nil {
		return
	}
	p.Last, p.Clients, p.Domains = time.Unix(m.LastEvent.With().Load(), 0), m.Clients.With().Load(),
		m.Domains.With().Load()
	if at := m.StateSaved.With().Load(); at > 0 {
		p.Saved = time.Unix(at, 0)
	}
	at := func(name string) *source {
		i := slices.IndexFunc(p.Sources, func(s source) bool { return s.Name == name })
		if i < 0 {
			i, p.Sources = len(p.Sources), append(p.Sources, source{Name: name})
		}
		return &p.Sources[i]
	}
	m.Events.Each(func(labels []string, n int64) { at(labels[0]).Events += n })
	m.KernelDrops.Each(func(labels []string, n int64) { at(labels[0]).Drops += n })
	m.Refused.Each(func(labels []string, n int64) {
		if n > 0 {
			p.Unread = append(p.Unread, counted{labels[0], n})
		}
	})
	m.SinkSent.Each(func(labels []string, n int64) {
		p.Sinks = append(p.Sinks, sink{labels[0], n, m.SinkErrors.With(labels[0]).Load(),
			m.SinkDropped.With(labels[0]).Load()})
	})
}

func (p *healthPage) add(what, try string) { p.Problems = append(p.Problems, problem{what, try}) }

// problems are what is wrong, the worst first.
func (p *healthPage) problems(notReady error, now time.Time) []problem {
	p.Problems = nil
	if notReady != nil {
		p.add("The server is not ready: "+notReady.Error(), "senders of events wait meanwhile, and lose nothing")
	}
	p.storeProblems()
	for _, l := range p.Lists {
		switch {
		case l.Error != "" && l.Loaded.IsZero():
			p.add(fmt.Sprintf("The %s list %s was never read: %s", l.Kind, l.Name, l.Error),
				"look whether this machine reaches it. degas goes on trying")
		case l.Error != "":
			p.add(fmt.Sprintf("The %s list %s cannot be read now: %s", l.Kind, l.Name, l.Error),
				"look at the list. Until then its last entries stay in force")
		}
	}
	for _, m := range p.Models {
		for _, s := range m.States {
			if s.Err != nil {
				p.add(fmt.Sprintf("Version %d of the model %s cannot be loaded: %v", s.Number, m.Name, s.Err),
					"export or publish it again. The older versions go on")
			}
		}
	}
	for _, s := range p.Sources {
		if s.Drops > 0 {
			p.add(fmt.Sprintf("The system dropped %s packets of %s before degas could read them",
				printable.Grouped(int(s.Drops)), s.Name), "capture less, or give the machine more processors")
		}
	}
	for _, s := range p.Sinks {
		if s.GivenUp > 0 {
			p.add(fmt.Sprintf("%s findings were not delivered to %s", printable.Grouped(int(s.GivenUp)), s.Name),
				"look whether this machine reaches it. The findings are on the page Findings")
		}
	}
	if quiet := now.Sub(p.Last); p.Watching && quiet > silence {
		p.add("No event came for "+spell(quiet),
			"look whether the name server still sends to this address, and whether its clock is right")
	}
	return p.Problems
}

// storeProblems are those of the store.
func (p *healthPage) storeProblems() {
	if err := p.Store.Error; err != nil {
		try := "look for room on the disk of --data. degas tries again by itself"
		if p.Cluster {
			try = "look at the cluster. Events wait in the folder of --data meanwhile"
		}
		p.add("Events could not be written: "+err.Error(), try)
	}
	if n := p.Store.Dropped; n > 0 {
		p.add(printable.Grouped(int(n))+" events since the start were counted, but not kept: they came faster than the "+
			"store writes", "a faster disk, or fewer events. All counts are right")
	}
	if n := p.Store.Failed; n > 0 {
		p.add(printable.Grouped(int(n))+" events since the start could not be kept after errors",
			"the log of the server says why")
	}
}

// audit is a page of who did what.
func (c *Console) audit(v *visit) (*auditPart, error) {
	a := &auditPart{Who: v.q.Get("who")}
	before := int64(0)
	if text := v.q.Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return nil, reply.BadRequest("before: %q is no number of a line", text)
		}
		a.Older = true
	}
	var err error
	if a.Lines, err = c.o.Ledger.Audits(v.ctx(), a.Who, before, auditPage+1); err != nil {
		return nil, err
	}
	if len(a.Lines) > auditPage {
		a.Lines = a.Lines[:auditPage]
		a.Next = a.Lines[auditPage-1].ID
	}
	return a, nil
}

// process is what the program takes now.
func (c *Console) process(now time.Time) process {
	of := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(of)
	n := func(i int) int64 {
		if of[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(min(of[i].Value.Uint64(), math.MaxInt64))
	}
	return process{Version: cmp.Or(c.o.Version, "unknown"), Go: runtime.Version(), Began: c.began,
		Up:     spell(now.Sub(c.began)),
		Memory: n(0) - n(1), Heap: n(2), Routines: runtime.NumGoroutine(), Processors: runtime.GOMAXPROCS(0)}
}

// spell is a time span in words for people: "3 days 4 hours".
func spell(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	out := ""
	for i, u := range units {
		n := int64(d / u.of)
		if n == 0 && (out != "" || i < len(units)-1) {
			if out != "" {
				break
			}
			continue
		}
		d -= time.Duration(n) * u.of
		if n != 1 {
			u.name += "s"
		}
		if out != "" {
			return out + fmt.Sprintf(" %d %s", n, u.name)
		}
		out = fmt.Sprintf("%d %s", n, u.name)
	}
	return out
}
