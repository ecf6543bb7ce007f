package console

import (
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// findingScreens are about what the watch found, and about what it is to be silent about.
func (c *Console) findingScreens() []screen {
	return []screen{
		{"GET /console/findings", accounts.Viewer, false, c.findings},
		{"GET /console/finding", accounts.Viewer, false, c.finding},
		{"POST /console/finding/close", accounts.Vetter, false, c.closeFinding},
		{"POST /console/mute", accounts.Vetter, false, c.mute},
		{"POST /console/unmute", accounts.Vetter, false, c.unmute},
	}
}

// kinds are those of findings.
var kinds = []choice{
	{watch.DGAClient, "clients with malware"}, {watch.Tunnel, "tunnels"}, {watch.List, "on a block list"}}

// findingsPage lists findings and mutes.
type findingsPage struct {
	State, Kind, Subject string
	Kinds                []choice
	Findings             []ledger.Finding
	Next                 int64 // before of the next page, 0 at the end

	Mutes    []muted
	AllMutes bool
	Mute     muteForm
}

// muted is a mute, and whether it holds.
type muted struct {
	ledger.Mute
	InForce bool
}

// muteForm has what a form for a mute begins with.
type muteForm struct {
	Domain, Client, Kind string
	Kinds                []choice
	Until                string // a day
	Back                 string
}

const findingsShown = 50

// newMute is a form for a mute of a week.
func newMute(v *visit, now time.Time) muteForm {
	return muteForm{Kinds: kinds, Until: now.UTC().AddDate(0, 0, 7).Format(time.DateOnly), Back: v.r.URL.RequestURI()}
}

// before reads where a page of a list begins.
func before(v *visit) (int64, error) {
	text := v.q.Get("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, reply.BadRequest("before: %q is no number from 1 on", short(text))
	}
	return n, nil
}

// findings answers GET /console/findings: state (open, closed or all), kind, subject, before; mutes=all also has those
// that are over, and mute_domain and mute_client fill in the form for another one.
func (c *Console) findings(v *visit) (*view, error) {
	now := time.Now()
	p := findingsPage{State: v.q.Get("state"), Kind: v.q.Get("kind"), Subject: strings.TrimSpace(v.q.Get("subject")),
		Kinds: kinds, AllMutes: v.q.Get("mutes") == "all", Mute: newMute(v, now)}
	p.Mute.Domain, p.Mute.Client = v.q.Get("mute_domain"), v.q.Get("mute_client")
	f := ledger.FindingFilter{Kind: p.Kind, Subject: p.Subject}
	switch p.State {
	case "":
		p.State, f.Open = "open", true
	case "open":
		f.Open = true
	case "closed":
		f.Closed = true
	case "all":
	default:
		return nil, reply.BadRequest("state: %q is none of open, closed and all", short(p.State))
	}
	from, err := before(v)
	if err != nil {
		return nil, err
	}
	if p.Findings, err = c.o.Ledger.Findings(v.ctx(), f, from, findingsShown+1); err != nil {
		return nil, err
	}
	if len(p.Findings) > findingsShown {
		p.Findings = p.Findings[:findingsShown]
		p.Next = p.Findings[findingsShown-1].ID
	}
	all, err := c.o.Ledger.AllMutes(v.ctx(), 0, ledger.DefaultPage)
	for _, m := range all {
		if ok := m.EndedAt.IsZero() && m.Ends.After(now); ok || p.AllMutes {
			p.Mutes = append(p.Mutes, muted{m, ok})
		}
	}
	return &view{page: "findings", title: "Findings", data: &p}, err
}

// findingPage shows one finding.
type findingPage struct {
	ledger.Finding
	Notice   *notice
	Line     *bars
	Zone     string // what a decision about the finding is about, "" for a client
	Label    string // of such a decision
	Ruling   string // the decision in force about Zone
	Examples []example
	Mute     muteForm
	From, To string // of the events, for links
}

// example is a name of a finding.
type example struct{ Name, Decided, Pattern string }

// KindText is the finding's kind in words.
func (p *findingPage) KindText() string {
	switch p.Kind {
	case watch.DGAClient:
		return "A client that runs malware with a domain-generation algorithm"
	case watch.Tunnel:
		return "A domain whose names carry data"
	case watch.List:
		return "An entry of a block list that was asked for"
	}
	return p.Kind
}

// finding answers GET /console/finding?id=.
func (c *Console) finding(v *visit) (*view, error) {
	id, err := strconv.ParseInt(v.q.Get("id"), 10, 64)
	if err != nil || id < 1 || id+1 < id {
		return nil, reply.BadRequest("id: %q is no number", short(v.q.Get("id")))
	}
	found, err := c.o.Ledger.Findings(v.ctx(), ledger.FindingFilter{}, id+1, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].ID != id {
		return nil, notFound("There is no finding with this number. Old ones are forgotten")
	}
	now := time.Now()
	p := findingPage{Finding: found[0], Notice: c.noticeOf(v), Mute: newMute(v, now)}
	p.Line = timelineOf(p.Timeline)
	switch p.Kind {
	case watch.Tunnel:
		p.Zone, p.Label = strings.TrimPrefix(p.Domain, "*."), "tunnel"
	case watch.DGAClient:
		p.Label = "dga"
	}
	p.Mute.Kind = p.Kind
	if p.Mute.Domain = p.Domain; p.Domain == "" {
		p.Mute.Client = p.Client
	}
	if p.Zone != "" {
		p.Ruling, _, _ = c.o.Ledger.Ruling(p.Zone, now)
	}
	for _, name := range p.Finding.Examples {
		pattern, verdict, _ := c.o.Ledger.Ruling(strings.ToLower(name), now)
		p.Examples = append(p.Examples, example{name, string(verdict), pattern})
	}
	if !p.First.IsZero() && p.Last.After(p.First) {
		p.From, p.To = p.First.Format(time.RFC3339), p.Last.Add(time.Second).Format(time.RFC3339)
	}
	return &view{page: "finding", title: "Finding", data: &p}, nil
}

// closeFinding answers POST /console/finding/close: id, note and back.
func (c *Console) closeFinding(v *visit) (*view, error) {
	id, err := strconv.ParseInt(v.q.Get("id"), 10, 64)
	if err != nil {
		return nil, reply.BadRequest("id: %q is no number", short(v.q.Get("id")))
	}
	return &view{to: localPath(v.q.Get("back"))}, c.o.Ledger.CloseFinding(v.ctx(), id, v.by(), v.q.Get("note"))
}

// mute answers POST /console/mute: domain, client, kind, reason, until and back.
func (c *Console) mute(v *visit) (*view, error) {
	text := func(name string) string { return strings.TrimSpace(v.q.Get(name)) }
	_, err := c.o.Ledger.Mute(v.ctx(), v.by(), notify.Mute{Domain: text("domain"), Client: text("client"),
		Kind: text("kind"), Reason: text("reason"), Until: text("until")})
	return &view{to: localPath(v.q.Get("back"))}, err
}

// unmute answers POST /console/unmute: id and back.
func (c *Console) unmute(v *visit) (*view, error) {
	id, err := strconv.ParseInt(v.q.Get("id"), 10, 64)
	if err != nil {
		return nil, reply.BadRequest("id: %q is no number", short(v.q.Get("id")))
	}
	return &view{to: localPath(v.q.Get("back"))}, c.o.Ledger.Unmute(v.ctx(), id, v.by())
}
