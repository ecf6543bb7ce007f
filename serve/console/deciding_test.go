package console_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// decidingPages are those where people look at names and decide.
var decidingPages = func() (all []string) {
	for _, name := range append([]string{"www.google.com", "xjpakmdcfuqe.biz"}, hostile...) {
		all = append(all, "/console/name?"+url.Values{"name": {name}}.Encode(),
			"/console/client?"+url.Values{"client": {name}}.Encode())
	}
	return append(all, "/console/client?client=192.0.2.1&range=7d", "/console/findings", "/console/findings?state=all",
		"/console/findings?mutes=all&mute_client=%3Cscript%3Ealert(1)", "/console/vet", "/console/vet?group=domain&range=7d",
		"/console/vet?status=all&q=%3Cscript%3Ealert(1)", "/console/lists", "/console/lists?state=all&hits=1",
		"/console/lists?q=%22onmouseover%3Dalert(1)&by=%3Cscript%3Ealert(1)")
}()

// evil is a text that wants to be more than text.
const evil = `<script>alert(1)</script>"onmouseover=alert(1) {{.}} =cmd|' /C calc'!A0`

// form posts a form, and gives the page that the answer leads to.
func (s *site) form(target string, pairs ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return s.do("POST", target, form)
}

// must posts a form that has to be taken, and gives where it leads.
func (s *site) must(target string, pairs ...string) string {
	s.t.Helper()
	w := s.form(target, pairs...)
	if w.Code != http.StatusSeeOther {
		s.t.Fatalf("POST %s %v: %d\n%.500s", target, pairs, w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// upload posts a list to be imported.
func (s *site) upload(text, verdict string) *httptest.ResponseRecorder {
	s.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", evil)
	if err == nil {
		_, err = part.Write([]byte(text))
	}
	if err == nil {
		err = w.WriteField("verdict", verdict)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/console/lists/import", &b)
	r.Host = "localhost"
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.AddCookie(&http.Cookie{Name: "degas", Value: s.cookie})
	out := httptest.NewRecorder()
	s.server.Handler().ServeHTTP(out, r)
	return out
}

// find keeps a finding about a client and one about a domain, with texts of strangers.
func (s *site) find() {
	s.t.Helper()
	now := time.Now().UTC()
	sink := s.ledger.Sink()
	for _, f := range []watch.Finding{
		{Kind: watch.DGAClient, Client: hostile[0], First: now.Add(-time.Hour), Last: now, Names: 20, Events: 40,
			Evidence: 8, Reason: evil, Next: evil, Examples: hostile, SharedWith: []string{evil},
			Timeline: watch.Timeline{Start: now.Add(-time.Hour), Seconds: 60, Counts: []uint32{1, 0, 7}}},
		{Kind: watch.Tunnel, Domain: "t.example.com", Client: "192.0.2.7", Clients: []string{"192.0.2.7", evil}, Last: now,
			Reason: evil, Next: evil, Evidence: 12, Examples: []string{"aaaa.t.example.com"}, BytesOut: 4096},
	} {
		if err := sink.Send(context.Background(), f); err != nil {
			s.t.Fatal(err)
		}
	}
}

// verdict is what the server says of a name now.
func (s *site) verdict(name string) string {
	s.t.Helper()
	body := s.do("GET", "/v1/names?name="+url.QueryEscape(name), nil).Body.String()
	_, rest, _ := strings.Cut(body, `"verdict":"`)
	verdict, _, _ := strings.Cut(rest, `"`)
	return verdict
}

func has(t *testing.T, body string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestDecisionActs(t *testing.T) {
	s := newSite(t)
	s.seed()
	const name = "xjpakmdcfuqe.biz"
	page := "/console/name?name=" + name
	has(t, s.page(page), `class="verdict malicious"`, "192.0.2.7", "Whole name", "degas/1")
	start := time.Now()
	back := s.must("/console/decide", "pattern", name, "verdict", "allow", "label", "model", "note", "ticket 7\nis fine",
		"expires", "1h", "back", page)
	if got := s.verdict(name); got != "allowed" {
		t.Errorf("after Allow it is %q", got)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the decision took %v", took)
	}
	body := s.page(back)
	has(t, body, "as benign", "It is in force", "decided by people", "ticket 7", "Without the entry")
	ids := strings.Split(strings.Split(back, "made=")[1], "&")[0]
	s.must("/console/revoke", "id", ids, "back", page)
	if got := s.verdict(name); got != "malicious" {
		t.Errorf("after Undo it is %q", got)
	}
	has(t, s.page(back), "It was undone", "revoked")
	s.must("/console/decide", "pattern", name, "scope", "domain", "verdict", "block", "label", "model", "back", page)
	d := s.decisions(ledger.Filter{State: ledger.InForce})[0]
	if d.Pattern != "*."+name || d.Label != "dga" || d.Score == nil || *d.Score < .5 || d.Version != "1" {
		t.Errorf("it was kept as %+v", d)
	}
	// A script gets the part with the undo.
	w := s.do("POST", "/console/decide", url.Values{"block": {"kqwjexhzvbma.info"}, "row": {"vet"}, "label": {"tunnel"},
		"pattern": {"www.google.com"}, "verdict": {"allow"}}, "HX-Request", "true")
	has(t, w.Body.String(), `action="/console/revoke"`, "as tunnel", "kqwjexhzvbma.info: block, in force")
	if got := s.verdict("www.google.com"); got != "benign" {
		t.Errorf("a button about one name decided about a selected one as well: %q", got)
	}
	d = s.decisions(ledger.Filter{Pattern: "kqwjexhzvbma.info"})[0]
	w = s.do("POST", "/console/revoke", url.Values{"id": {fmt.Sprint(d.ID)}, "row": {"vet"},
		"name": {"kqwjexhzvbma.info"}}, "HX-Request", "true")
	has(t, w.Body.String(), `form="vet"`, `data-key="b"`, "kqwjexhzvbma.info: undone")
}

func (s *site) decisions(f ledger.Filter) []ledger.Decision {
	s.t.Helper()
	page, err := s.ledger.Decisions(s.t.Context(), f, 0, ledger.MostPage)
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Decisions
}

// A name as it was asked for may look like a URL. A decision about it must not be one about another name.
func TestNameIsNoURL(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"google.com/x.evil.example", "http://google.com/.evil.example",
		"google.com?.evil.example",
		"google.com:80", "x@google.com"} {
		for _, scope := range []string{"name", "domain"} {
			if w := s.form("/console/decide", "pattern", name, "verdict", "block", "scope", scope); w.Code != 400 {
				t.Errorf("%s, %s: %d", name, scope, w.Code)
			}
		}
		s.page("/console/name?" + url.Values{"name": {name}}.Encode())
	}
	s.must("/console/decide", "pattern", "https://www.example.org/path", "verdict", "block", "typed", "1")
	if all := s.decisions(ledger.Filter{}); len(all) != 1 || all[0].Pattern != "www.example.org" {
		t.Errorf("%+v", all)
	}
}

func TestFind(t *testing.T) {
	s := newSite(t)
	for q, want := range map[string]string{"192.0.2.1": "/console/client?client=192.0.2.1",
		"::ffff:192.0.2.1": "/console/client?client=192.0.2.1", " WWW.Example.COM. ": "/console/name?name=www.example.com",
		"bücher.example": "/console/name?name=xn--bcher-kva.example", "": "/console/",
		"//evil.example": "/console/name?name=",
		"<script>":       "/console/name?name=%3Cscript%3E"} {
		w := s.do("GET", "/console/find?"+url.Values{"q": {q}}.Encode(), nil)
		if got := w.Header().Get("Location"); w.Code != 303 || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %d %s", q, w.Code, got)
		}
	}
}

func TestNameMarks(t *testing.T) {
	s := newSite(t)
	for name, want := range map[string]string{
		"xn--80ak6aa92e.com":     "Cyrillic letters", // аррӏе
		"xn--pple-43d.com":       "mixes scripts: Cyrillic and Latin",
		"xn--bcher-kva.example":  "bücher.example",
		"xn--a-0hc.example":      "no registry gives out",
		"xn--ab-g4t.example":     "turn the reading direction",
		"xn--999999999.example":  "cannot be read",
		`a\027[2j.example`:       "bytes that host names do not have",
		"xn--wgv71a119e.example": "日本語.example",
	} {
		has(t, s.page("/console/name?"+url.Values{"name": {name}}.Encode()), want)
	}
}

func TestFindings(t *testing.T) {
	s := newSite(t)
	s.seed()
	s.find()
	body := s.page("/console/findings")
	has(t, body, "dga-client", "t.example.com", "10^12.0")
	all, err := s.ledger.Findings(t.Context(), ledger.FindingFilter{Kind: watch.DGAClient}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(all[0].ID)
	body = s.page("/console/finding?id=" + id)
	has(t, body, "Questions over time: 8 in all", "What to look at next", "Close the finding", "False alarms")
	clean(t, body)
	s.must("/console/finding/close", "id", id, "note", evil)
	if w := s.form("/console/finding/close", "id", id); w.Code != http.StatusConflict {
		t.Errorf("closed twice: %d", w.Code)
	}
	clean(t, s.page("/console/findings?state=closed"))
	has(t, s.page("/console/findings?state=closed"), "closed by")
	if strings.Contains(s.page("/console/findings"), "dga-client</td>") {
		t.Error("a closed finding is among the open ones")
	}
	day := time.Now().AddDate(0, 0, 3).Format(time.DateOnly)
	s.must("/console/mute", "domain", "*.t.example.com", "reason", evil, "until", day)
	s.must("/console/mute", "client", "192.0.2.0/24", "reason", "lab", "until", day)
	f := watch.Finding{Kind: watch.Tunnel, Domain: "x.t.example.com", Client: "198.51.100.1"}
	if reason, ok := s.ledger.Mutes().Muted(&f, time.Now()); !ok || reason != evil {
		t.Errorf("not muted: %q", reason)
	}
	clean(t, s.page("/console/findings?mutes=all"))
	mutes, err := s.ledger.AllMutes(t.Context(), 0, 0)
	if err != nil || len(mutes) != 2 {
		t.Fatal(mutes, err)
	}
	s.must("/console/unmute", "id", fmt.Sprint(mutes[1].ID))
	if _, ok := s.ledger.Mutes().Muted(&f, time.Now()); ok {
		t.Error("muted still")
	}
	for _, bad := range []string{"0", "x", "9999", "9223372036854775807", "-1"} {
		if w := s.do("GET", "/console/finding?id="+bad, nil); w.Code != 400 && w.Code != 404 {
			t.Errorf("id %s: %d", bad, w.Code)
		}
	}
}

// clean fails if a text of a stranger is more than text on a page.
func clean(t *testing.T, body string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", `"onmouseover`, "\x1b", "\u202e", "<no value>", "ZgotmplZ"} {
		if i := strings.Index(body, bad); i >= 0 {
			t.Errorf("%q is on the page: %.200q", bad, body[max(0, i-80):])
		}
	}
}

func TestVet(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	var all []store.Event
	for i, name := range []string{"near.example.com", "xjpakmdcfuqe.biz", "a1.group.example", "a2.group.example"} {
		score := []float64{.5, .99, .9, .9}[i]
		for n := range []int{3, 1, 2, 2}[i] {
			all = append(all, store.Event{Time: now.Add(-time.Minute), Name: name, Domain: detect.Domain(name),
				Client: fmt.Sprintf("192.0.2.%d", n), Verdict: detect.Malicious, Rule: detect.Score, Score: score, Type: 1})
		}
	}
	s.store.Append(all)
	s.flush()
	body := s.page("/console/vet")
	has(t, body, "near.example.com", `data-left="4"`, "Block as dga", `data-key="a"`, `value="a1.group.example"`)
	body = s.page("/console/vet?group=domain")
	has(t, body, `value="group.example"`, `name="scope" value="domain"`, `data-left="3"`)
	// In bulk, by registered domain; then all of it is undone at once.
	back := s.must("/console/decide", "pattern", "group.example", "pattern", "example.com", "verdict", "block",
		"scope", "domain", "label", "model", "back", "/console/vet?group=domain")
	made := s.decisions(ledger.Filter{})
	if len(made) != 2 || made[1].Pattern != "*.group.example" || made[1].Label != "" { // the model takes it for benign
		t.Fatalf("%+v", made)
	}
	body = s.page(back)
	has(t, body, "and 2 in all", `data-left="1"`, "xjpakmdcfuqe.biz", "Block as dga", "<strong data-today=\"2\">")
	if strings.Contains(body, `value="group.example"`) {
		t.Error("a domain that was decided about is there still")
	}
	has(t, s.page("/console/vet?status=decided"), "*.group.example", "a1.group.example")
	s.must("/console/revoke", "id", strings.Split(back, "made=")[1])
	has(t, s.page("/console/vet"), `data-left="4"`)
	s.must("/console/decide", "unsure", "near.example.com", "back", "/console/vet")
	has(t, s.page("/console/vet?status=unsure"), "near.example.com")
	for _, bad := range []string{"status=x", "order=x", "group=x", "rows=1000000", "range=x"} {
		if w := s.do("GET", "/console/vet?"+bad, nil); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}
