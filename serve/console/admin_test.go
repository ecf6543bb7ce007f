package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/shadow"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// office is a site whose options a test chooses, and of which it knows all rooms.
type office struct {
	*site
	pages   *console.Console
	people  *accounts.Accounts
	options serve.Options
}

// newOffice makes one. change, if not nil, changes the options.
func newOffice(t testing.TB, change func(*console.Options, *serve.Options)) *office {
	t.Helper()
	o := &office{site: newSite(t)}
	set, err := models.Open(nil, models.Source{Dir: model.BuiltinName, Labels: map[string]int{"stable<b>": 1}})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "degas",
		Policy: detect.Options{Action: detect.Report}, Decided: o.ledger})
	if err != nil {
		t.Fatal(err)
	}
	if o.people, err = accounts.New(t.Context(), o.ledger, accounts.Options{}); err != nil {
		t.Fatal(err)
	}
	c := console.Options{Version: "test", Engine: engine, Models: set, Store: o.store, Ledger: o.ledger,
		Accounts: o.people}
	o.options = serve.Options{Version: "test", Models: set, Engine: engine, Store: o.store, Ledger: o.ledger}
	if change != nil {
		change(&c, &o.options)
	}
	if o.pages, err = console.New(c); err != nil {
		t.Fatal(err)
	}
	o.options.Console = o.pages
	if o.server, err = serve.New(o.options); err != nil {
		t.Fatal(err)
	}
	return o
}

var here = netip.MustParseAddr("127.0.0.1")

const password = "correct horse battery"

// as is the office as somebody else sees it who is logged in.
func (o *office) as(name string, role accounts.Role) *office {
	o.t.Helper()
	token, err := o.people.Invite(o.t.Context(), "ann", name, role)
	if err == nil {
		_, err = o.people.Accept(o.t.Context(), token, "", password, here)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return o.with(o.enter(name, password))
}

// enter logs somebody in, and returns the cookie.
func (o *office) enter(name, password string) string {
	o.t.Helper()
	cookie, _, err := o.people.LogIn(o.t.Context(), name, password, here, "test <i>")
	if err != nil {
		o.t.Fatal(err)
	}
	return cookie
}

// with is the office with another cookie; "" is nobody.
func (o *office) with(cookie string) *office {
	other, s := *o, *o.site
	s.cookie = cookie
	other.site = &s
	return &other
}

// shows fails unless a page has all texts.
func (o *office) shows(target string, texts ...string) string {
	o.t.Helper()
	body := o.page(target)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			o.t.Errorf("GET %s does not say %q", target, text)
		}
	}
	for _, bad := range []string{"<script>alert", "<b>", "<i>", "\x1b", "<no value>", "ZgotmplZ", "%!"} {
		if strings.Contains(body, bad) {
			o.t.Errorf("GET %s: %q is on the page", target, bad)
		}
	}
	return body
}

// answers fails unless a POST has a status.
func (o *office) answers(status int, target string, pairs ...string) string {
	o.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	w := o.do("POST", target, form)
	if w.Code != status {
		o.t.Errorf("POST %s %v: %d, want %d\n%s", target, pairs, w.Code, status, w.Body)
	}
	return w.Body.String() + w.Header().Get("Location")
}

// badLists are lists of which some cannot be read.
type badLists []lists.Stat

func (l badLists) Stats() []lists.Stat { return l }

func TestHealth(t *testing.T) {
	m := metrics.New("test")
	o := newOffice(t, func(c *console.Options, _ *serve.Options) {
		c.Watching = m
		c.Lists = badLists{
			{Name: "a.txt", Kind: "block", Format: "hosts", Entries: 12345, Loaded: time.Now()},
			{Name: "https://lists.example/<script>alert(1)</script>", Kind: "allow", Error: "no route <b>", Failures: 3}}
	})
	o.shows("/console/health", "12,345", "was never read: no route &lt;b&gt;", "No event has come yet", "Who did what",
		"for ever", "3 tries failed")
	m.Events.With("dnstap", "none").Add(7)
	m.Events.With("dnstap", "noerror").Add(1000)
	m.KernelDrops.With("eth0").Add(5)
	m.Refused.With("no name <i>").Add(2)
	m.SinkSent.With("syslog").Add(9)
	m.SinkDropped.With("syslog").Add(4)
	m.LastEvent.With().Set(time.Now().Add(-75 * time.Minute).Unix())
	o.pages.SetReady(func() error { return errors.New("the store cannot be written to") })
	o.shows("/console/health", "The server is not ready: the store cannot be written to", "1,007",
		"dropped 5 packets of eth0", "4 findings were not delivered to syslog", "No event came for 1 hour 15 minutes",
		"2 × <bdi>no name &lt;i&gt;</bdi>", "0 + 0", `<meter aria-labelledby="room used" min="0" max="100" value="0">`)
	if body := o.as("val", accounts.Viewer).shows("/console/health"); strings.Contains(body, "Who did what</h2>") {
		t.Error("a viewer sees the audit")
	}
	w := o.do("GET", "/console/health", nil, "X", "")
	if strings.Contains(w.Body.String(), "without TLS") != true { // httptest's address is 192.0.2.1
		t.Error("nothing is said about TLS")
	}
}

// The audit has pages, and can be asked for one person.
func TestAuditPages(t *testing.T) {
	o := newOffice(t, nil)
	for i := range 60 {
		if err := o.ledger.Audit(t.Context(), fmt.Sprintf("who%d", i%2), "try", fmt.Sprintf("line-%d<b>", i)); err != nil {
			t.Fatal(err)
		}
	}
	body := o.shows("/console/health", "line-59&lt;b&gt;", "line-10&lt;b&gt;")
	next := regexp.MustCompile(`/console/health\?before=\d+`).FindString(body)
	if strings.Contains(body, "line-9&lt;") || next == "" {
		t.Fatalf("no second page: %q", next)
	}
	o.shows(next, "line-9&lt;b&gt;", "line-0&lt;b&gt;", "Newest")
	if body := o.shows("/console/health?who=who1", "line-59"); strings.Contains(body, "line-58") {
		t.Error("lines of another person")
	}
	if w := o.do("GET", "/console/health?before=x", nil); w.Code != http.StatusBadRequest {
		t.Errorf("before=x: %d", w.Code)
	}
}

func TestAccount(t *testing.T) {
	o := newOffice(t, nil)
	second := o.with(o.enter("ann", password))
	o.shows("/console/account", "You are <strong><bdi>ann</bdi></strong>", "test &lt;i&gt;", "Nobody else is logged in")

	const path, better = "/console/account/password", "a better horse battery"
	if body := o.answers(400, path, "old", password, "password", better, "again", "other"); !strings.Contains(body,
		"The two new passwords differ") {
		t.Error("nothing about two passwords")
	}
	o.answers(403, path, "old", "wrong horse battery", "password", better, "again", better)
	o.answers(400, path, "old", password, "password", "short", "again", "short")
	o.answers(303, path, "old", password, "password", better, "again", better)
	o.shows("/console/account?done=password", "All your other sessions have ended")
	if w := second.do("GET", "/console/account", nil); w.Code != http.StatusSeeOther {
		t.Errorf("the other session: %d", w.Code)
	}

	link := regexp.MustCompile(`value="(http://localhost/console/welcome\?token=[^"]+)"`)
	const invite = "/console/account/invite"
	o.answers(400, invite, "name", "two words", "role", "viewer")
	o.answers(400, invite, "name", "bob", "role", "king")
	found := link.FindStringSubmatch(o.answers(200, invite, "name", "bob", "role", "vetter"))
	if found == nil {
		t.Fatal("no link")
	}
	o.shows("/console/account", "invited, no password yet")
	if strings.Contains(o.page("/console/account"), "token=") {
		t.Error("the link is shown again")
	}
	to, _ := url.Parse(found[1])
	w := o.with("").do("POST", "/console/welcome", url.Values{"token": {to.Query().Get("token")}, "name": {"bob"},
		"password": {password}, "again": {password}})
	if w.Code != http.StatusSeeOther || len(w.Result().Cookies()) != 1 {
		t.Fatalf("welcome: %d\n%s", w.Code, w.Body)
	}
	bob := o.with(w.Result().Cookies()[0].Value)
	if strings.Contains(bob.shows("/console/account", "vetter"), "People</h2>") {
		t.Error("a vetter sees the people")
	}

	own := regexp.MustCompile(`name="id" value="(\d+)"`)
	id := own.FindStringSubmatch(o.shows("/console/account", "<bdi>bob</bdi>"))
	if id == nil {
		t.Fatal("no session of bob")
	}
	mine := ""
	sessions, err := o.people.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		if s.Person.Name == "ann" {
			mine = s.ID
		}
	}
	bob.answers(404, "/console/account/revoke", "id", mine)
	bob.answers(404, "/console/account/revoke", "id", "x")
	o.answers(303, "/console/account/revoke", "id", id[1])
	if w := bob.do("GET", "/console/account", nil); w.Code != http.StatusSeeOther {
		t.Errorf("bob's session after it was ended: %d", w.Code)
	}

	o.answers(409, "/console/account/role", "name", "ann", "role", "viewer") // the last admin
	o.answers(409, "/console/account/remove", "name", "ann")
	o.answers(303, "/console/account/role", "name", "bob", "role", "admin")
	o.shows("/console/account?remove=bob", "Remove the account of <bdi>bob</bdi>?")
	o.answers(303, "/console/account/remove", "name", "bob")
	if w := o.do("GET", "/console/account?remove=bob", nil); w.Code != http.StatusNotFound {
		t.Errorf("somebody who is not there: %d", w.Code)
	}
	lines, err := o.ledger.Audits(t.Context(), "ann", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"set password", "invite", "end session", "set role", "remove account"} {
		if !slices.ContainsFunc(lines, func(l ledger.Line) bool { return l.What == what }) {
			t.Errorf("the audit has no line %q", what)
		}
	}
}

// besides is a Shadow with a candidate that flags more.
type besides struct {
	moved []string
	fail  error
}

func (b *besides) Reports() []shadow.Report {
	now := time.Now()
	r := shadow.Report{Number: 2, Loaded: now, Since: now.Add(-48 * time.Hour), InForce: 1, Threshold: 0.5,
		OldThreshold: 0.75, Names: 12000, Dropped: 17, Both: 100, OnlyOld: 4, OnlyNew: 20, Neither: 11876, Difference: 0.0123}
	for i, name := range append(slices.Repeat([]string{"kqwjexhzvbma.info"}, 30), hostile...) {
		r.Last = append(r.Last, shadow.Difference{Name: name, Client: name, Time: now, Old: 0.7, New: 0.99, Class: "dga",
			OnlyNew: i%2 == 0})
	}
	return []shadow.Report{r, {Number: 3, Err: errors.New("bad weights <b>")}}
}

func (b *besides) Compare(_ context.Context, names []string) (all []shadow.Pair, err error) {
	for _, name := range names {
		answer := func(n int, candidate bool, threshold float64, bad bool) shadow.Answer {
			d := detect.Decision{Rule: detect.Score, Score: 0.1}
			if bad {
				d.Verdict, d.Score = detect.Malicious, 0.9
			}
			return shadow.Answer{Number: n, Candidate: candidate, Threshold: threshold, Decision: d}
		}
		evil := strings.HasPrefix(name, "evil")
		all = append(all, shadow.Pair{Name: name, Answers: []shadow.Answer{
			answer(1, false, 0.75, evil && strings.HasSuffix(name, "1.example")), answer(2, true, 0.5, evil)}})
	}
	return all, nil
}

func (b *besides) Promote(_ context.Context, n int) error {
	b.moved = append(b.moved, fmt.Sprint("promote ", n))
	return b.fail
}

func (b *besides) Demote(_ context.Context, n int) error {
	b.moved = append(b.moved, fmt.Sprint("demote ", n))
	return b.fail
}

func TestModels(t *testing.T) {
	b := &besides{}
	o := newOffice(t, func(c *console.Options, _ *serve.Options) { c.Shadow = b })
	d := func(pattern string, v ledger.Verdict, label string) ledger.Decision {
		return ledger.Decision{Pattern: pattern, Verdict: v, Label: label, By: "ann"}
	}
	if _, err := o.ledger.DecideAll(t.Context(), []ledger.Decision{d("evil1.example", ledger.Block, ""),
		d("evil2.example", ledger.Block, "dga"), d("evil3.example", ledger.Unsure, "tunnel"), d("good.example", ledger.Allow,
			""),
		d("*.tunnel.example", ledger.Block, "tunnel"), d("*.evil4.example", ledger.Block, "dga"),
		d("what.example", ledger.Unsure, "")}); err != nil {
		t.Fatal(err)
	}
	body := o.shows("/console/models", "and decides", "stable&lt;b&gt;", "bad weights &lt;b&gt;", "120, 1.00 %",
		"104, 0.87 %",
		"&#43;8.0 alarms a day", "17 more were seen", "0.0123", "All 36", "Promote version 2",
		"5 names, and what each version says", "2 more say nothing about one name",
		`1, decides</th><td class="number">1 of 4</td><td class="number">1 of 1</td><td class="number">40.0 %`,
		`2, candidate</th><td class="number">4 of 4</td><td class="number">1 of 1</td><td class="number">100.0 %`)
	if n := strings.Count(body, `value="kqwjexhzvbma.info"`); n != 20 {
		t.Errorf("%d names to decide about, want 20", n)
	}
	o.shows("/console/models?all=2", "&lt;script&gt;alert(1)&lt;/script&gt;.example")
	o.shows("/console/models?model=degas&card=1", "Its threshold")
	o.shows("/console/models?done=promoted&version=2", "Version 2 is promoted")
	if strings.Contains(o.page("/console/models?done=promoted&version=2+and+evil"), "evil is") {
		t.Error("the address puts text into the page")
	}

	o.shows("/console/models?promote=2", "Promote version 2?", "it flags 20 more, and lets 4 pass",
		`name="version" value="2"`)
	for _, target := range []string{"promote=3", "promote=9", "demote=1", "card=7", "model=nope&card=1",
		"model=degas&card=1&shadow=1"} {
		if w := o.do("GET", "/console/models?"+target, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if len(b.moved) > 0 {
		t.Fatalf("GET moved: %v", b.moved)
	}
	val := o.as("val", accounts.Vetter)
	if body := val.shows("/console/models"); strings.Contains(body, "Promote version") {
		t.Error("a vetter may promote")
	}
	val.answers(403, "/console/models/promote", "version", "2")
	o.answers(400, "/console/models/promote", "version", "x")
	if to := o.answers(303, "/console/models/promote", "version", "2"); to != "/console/models?done=promoted&version=2" {
		t.Errorf("after promoting: %s", to)
	}
	b.fail = errors.New("version 4 is in force <b>")
	if body := o.answers(409, "/console/models/demote", "version", "2"); !strings.Contains(body,
		"Not done: version 4 is in force &lt;b&gt;") {
		t.Errorf("a failure: %s", body)
	}
	if want := []string{"promote 2", "demote 2"}; !slices.Equal(b.moved, want) {
		t.Errorf("moved %v, want %v", b.moved, want)
	}
	lines, err := o.ledger.Audits(t.Context(), "ann", 0, 2)
	if err != nil || len(lines) != 2 || lines[1].What != "promote version" ||
		lines[1].About != "degas 2; version 1 decided" ||
		lines[0].What != "take back version" || !strings.Contains(lines[0].About, "failed: version 4") {
		t.Errorf("the audit: %+v, %v", lines, err)
	}
}

// Without a Shadow, the page shows the versions alone.
func TestModelsWithoutShadow(t *testing.T) {
	o := newOffice(t, nil)
	o.shows("/console/models", "and decides", "export-model --to models/degas/1")
	o.answers(404, "/console/models/promote", "version", "2")
}
