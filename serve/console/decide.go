package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// decideScreens make and revoke decisions.
func (c *Console) decideScreens() []screen {
	return []screen{
		{"POST /console/decide", accounts.Vetter, false, c.decide},
		{"POST /console/revoke", accounts.Vetter, false, c.revoke},
	}
}

// decidedPart is what takes the buttons' place after a decision. Its template is "decided" in parts.html.
type decidedPart struct {
	Name    string // the buttons' one
	Row     string // "vet" for a row of the vet page, which has buttons of its own
	Class   string // that a block by these buttons gives
	Made    *ledger.Decision
	Revoked *ledger.Decision
	Again   *ledger.Decision // in force again
	Back    string
	// NoEffect is the allow entry for which a block has no effect.
	NoEffect string
}

// decide answers POST /console/decide: pattern (several) and verdict, or one of allow, block and unsure with a pattern.
// If wanted, there are scope; label, of which "model" stands for what the model says; note; expires, of which "date"
// stands for until, the last day; and typed for a pattern that may be a URL. back is the page to go to.
func (c *Console) decide(v *visit) (*view, error) {
	verdict, patterns := chosen(v.q)
	if len(patterns) == 0 || len(patterns) > ledger.MostPage {
		return nil, reply.BadRequest("Choose at least one name, and at most %d", ledger.MostPage)
	}
	expires, err := expiry(v.q, time.Now())
	if err != nil {
		return nil, err
	}
	names := make([]string, len(patterns))
	for i, text := range patterns {
		pattern, err := pattern(text, ledger.Scope(v.q.Get("scope")), v.q.Has("typed"))
		if err != nil {
			return nil, err
		}
		patterns[i], names[i] = pattern, strings.TrimPrefix(pattern, "*.")
	}
	label := v.q.Get("label")
	if verdict != ledger.Block && label != "" {
		label = "model" // a class that a form has is for what is blocked
	}
	d := ledger.Decision{Verdict: verdict, Label: label, Note: v.q.Get("note"), Expires: expires}
	made, err := c.decideAll(v, d, patterns, names)
	if err != nil {
		return nil, err
	}
	p := decidedPart{Name: cmp.Or(v.q.Get("name"), patterns[0]), Row: v.q.Get("row"), Made: &made[0],
		Back: localPath(v.q.Get("back"))}
	if made[0].Verdict == ledger.Block {
		p.NoEffect = c.o.Ledger.InForce(time.Now()).AllowedBy(made[0].Pattern)
	}
	if v.partial() && len(made) == 1 {
		return part(p), nil
	}
	return &view{to: madeBy(p.Back, made)}, nil
}

// chosen are the verdict and the patterns of a form. A button about one name alone takes precedence over the names that
// are chosen.
func chosen(q url.Values) (ledger.Verdict, []string) {
	for _, verdict := range []ledger.Verdict{ledger.Allow, ledger.Block, ledger.Unsure} {
		if one := q[string(verdict)]; len(one) > 0 {
			return verdict, one
		}
	}
	return ledger.Verdict(q.Get("verdict")), q["pattern"]
}

// pattern is ledger.Pattern of a name that a page has shown. Such a name may have any byte, and must not be cut as a
// URL is: of google.com/x.evil.example, only google.com would be left. typed says that a person wrote it.
func pattern(text string, scope ledger.Scope, typed bool) (string, error) {
	if !typed && strings.ContainsAny(text, "/:?#@[]") {
		return "", reply.BadRequest("%q has a character that no list can hold. Try: its registered domain", short(text))
	}
	return ledger.Pattern(text, scope)
}

// decideAll keeps a decision about each pattern, with what the model says of the names, and puts them in force.
func (c *Console) decideAll(v *visit, d ledger.Decision, patterns, names []string) ([]ledger.Decision, error) {
	said, version, err := c.score(v.ctx(), names)
	if err != nil {
		return nil, err
	}
	all := make([]ledger.Decision, len(patterns))
	for i := range all {
		all[i] = d
		all[i].Pattern, all[i].By = patterns[i], v.by()
		if d.Label == "model" {
			all[i].Label = labelFor(d.Verdict, &said[i])
		}
		if said[i].Scored() {
			all[i].Score = &said[i].Score
			all[i].Model, all[i].Version = version.Model, strconv.Itoa(version.Number)
		}
	}
	made, err := c.o.Ledger.DecideAll(v.ctx(), all)
	if err != nil {
		return nil, err
	}
	c.refresh()
	return made, nil
}

// refresh puts in force what is decided. The engine tries again by itself.
func (c *Console) refresh() {
	if err := c.o.Engine.Refresh(); err != nil {
		c.log.Warn("console: what was decided is kept, but not in force yet", "error", err)
	}
}

// score asks the model in force alone about names, whatever lists say of them.
func (c *Console) score(ctx context.Context, names []string) ([]detect.Decision, *models.Version, error) {
	policy, version := c.o.Engine.Policy()
	said, err := scoreBy(ctx, version.Classifier, policy.Threshold(), names)
	return said, version, err
}

// scoreBy asks a model about names. A threshold of 0 is its own.
func scoreBy(ctx context.Context, m *model.Classifier, threshold float64, names []string) ([]detect.Decision, error) {
	alone, err := detect.New(detect.Options{Classifier: m, Threshold: threshold})
	if err != nil {
		return nil, err
	}
	said, names := make([]detect.Decision, len(names)), slices.Clone(names)
	for i, name := range names {
		names[i] = asAsked(name)
	}
	return said, alone.DecideAll(ctx, names, said)
}

// asAsked is a name of a kept event as a Policy read it when it was asked for: with the bytes that \DDD stands for, as
// events.AppendEscaped writes them.
func asAsked(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	raw := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], 10, 8); err == nil {
				raw = append(raw, byte(n))
				i += 3
				continue
			}
		}
		raw = append(raw, name[i])
	}
	return string(detect.AppendAsked(nil, raw))
}

// labelFor is the class for training that a verdict gives a name if nobody says otherwise: of what is blocked, the one
// that the model leans to. Of a name that it calls benign without much doubt, only a person can say what it is.
func labelFor(verdict ledger.Verdict, said *detect.Decision) string {
	switch {
	case verdict == ledger.Allow:
		return "benign"
	case verdict != ledger.Block:
		return ""
	case said.Verdict == detect.Malicious && (said.Class == "dga" || said.Class == "tunnel"):
		return said.Class
	case said.Score < 0.5 || said.DGA == said.Tunnel:
		return ""
	case said.DGA > said.Tunnel:
		return "dga"
	}
	return "tunnel"
}

// madeBy is a page to go back to after decisions, which then says so and can undo them.
func madeBy(back string, made []ledger.Decision) string {
	u, err := url.Parse(back)
	if err != nil {
		return back
	}
	q := u.Query()
	q.Set("made", fmt.Sprintf("%d-%d", made[0].ID, made[len(made)-1].ID))
	u.RawQuery = q.Encode()
	return u.String()
}

// notice says what was decided just now, above a page. Its template is "notice" in parts.html.
type notice struct {
	IDs     string // as revoke takes them
	N       int
	First   ledger.Decision
	Revoked bool
	Back    string
}

// noticeOf is what madeBy has put into a page's address, nil if it is nothing of this person.
func (c *Console) noticeOf(v *visit) *notice {
	ids, err := parseIDs([]string{v.q.Get("made")})
	if err != nil || len(ids) == 0 {
		return nil
	}
	// The address may be anybody's: only a person's own decisions can be undone by it, and all of them are looked at.
	var all []ledger.Decision
	for before := ids[len(ids)-1] + 1; before > ids[0]; {
		page, err := c.o.Ledger.Decisions(v.ctx(), ledger.Filter{By: v.by()}, before, ledger.MostPage)
		if err != nil || len(page.Decisions) == 0 {
			break
		}
		all = append(all, page.Decisions...)
		before = page.Decisions[len(page.Decisions)-1].ID
	}
	all = slices.DeleteFunc(all, func(d ledger.Decision) bool { return d.ID < ids[0] })
	if len(all) != len(ids) {
		return nil
	}
	back := v.r.URL.Query()
	back.Del("made")
	d := all[len(all)-1]
	return &notice{IDs: v.q.Get("made"), N: len(ids), First: d, Revoked: d.State == ledger.Revoked,
		Back: v.r.URL.Path + "?" + back.Encode()}
}

// mostRevoked bounds the decisions that are revoked at once.
const mostRevoked = mostImported

// parseIDs reads IDs of decisions, each of which may be a range: "7", "12-24".
func parseIDs(texts []string) (ids []int64, err error) {
	for _, text := range texts {
		from, to, ok := strings.Cut(text, "-")
		if !ok {
			to = from
		}
		first, err1 := strconv.ParseInt(from, 10, 64)
		last, err2 := strconv.ParseInt(to, 10, 64)
		switch {
		case err1 != nil || err2 != nil || first <= 0 || last < first:
			return nil, reply.BadRequest("id: %q is no number", short(text))
		case last-first >= mostRevoked || len(ids)+int(last-first) >= mostRevoked:
			return nil, reply.BadRequest("At most %d decisions can be revoked at once", mostRevoked)
		}
		for id := first; id <= last; id++ {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// revoke answers POST /console/revoke: id (several, or ranges of them), name, row and back.
func (c *Console) revoke(v *visit) (*view, error) {
	ids, err := parseIDs(v.q["id"])
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, reply.BadRequest("Choose at least one decision")
	}
	p := decidedPart{Name: v.q.Get("name"), Row: v.q.Get("row"), Back: localPath(v.q.Get("back"))}
	if len(ids) > 1 || !v.partial() {
		if _, err := c.o.Ledger.RevokeAll(v.ctx(), ids, v.by()); err != nil {
			return nil, err
		}
		c.refresh()
		return &view{to: p.Back}, nil
	}
	revoked, again, err := c.o.Ledger.Revoke(v.ctx(), ids[0], v.by())
	if err != nil {
		return nil, err
	}
	c.refresh()
	p.Revoked, p.Again = &revoked, again
	if p.Row == "vet" {
		said, _, err := c.score(v.ctx(), []string{p.Name})
		if err != nil {
			return nil, err
		}
		p.Class = labelFor(ledger.Block, &said[0])
	}
	return part(p), nil
}

// part is what a script puts in the place of buttons.
func part(p decidedPart) *view {
	if p.Row == "vet" && p.Revoked != nil {
		return &view{page: "vet", part: "undone", data: p}
	}
	return &view{page: "overview", part: "decided", data: p}
}

// expiry reads when a decision ends: "" for never, a duration such as "24h", "date" for the field until, or a day or a
// time as forms have them, in UTC.
func expiry(q url.Values, now time.Time) (time.Time, error) {
	text := q.Get("expires")
	if text == "date" {
		last, err := time.Parse(time.DateOnly, q.Get("until"))
		if err != nil {
			return time.Time{}, reply.BadRequest("Choose the last day of the decision")
		}
		return notZero(last.AddDate(0, 0, 1))
	}
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return notZero(t)
		}
	}
	return time.Time{}, fmt.Errorf("expires: %q is neither a time nor a duration such as 24h: %w", text, ledger.ErrInput)
}

// notZero refuses the time that would stand for never.
func notZero(t time.Time) (time.Time, error) {
	if t.IsZero() {
		return t, reply.BadRequest("expires: this day is over")
	}
	return t, nil
}

// ruling is the decision in force about a name: its own, or that of a domain that it is in. It is nil if there is none.
// An allow comes first, because it wins, and then a block.
func (c *Console) ruling(ctx context.Context, name string) (*ledger.Decision, error) {
	if _, _, ok := c.o.Ledger.Ruling(name, time.Now()); !ok { // memory knows; a page has hundreds of names without one
		return nil, nil
	}
	page, err := c.o.Ledger.Decisions(ctx, ledger.Filter{About: name, State: ledger.InForce}, 0, ledger.MostPage)
	if errors.Is(err, ledger.ErrInput) { // no name that somebody could decide about
		return nil, nil
	}
	var first *ledger.Decision
	rank := func(d *ledger.Decision) int {
		return slices.Index([]ledger.Verdict{ledger.Allow, ledger.Block, ledger.Unsure}, d.Verdict)
	}
	for i := range page.Decisions {
		if d := &page.Decisions[i]; first == nil || rank(d) < rank(first) {
			first = d
		}
	}
	return first, err
}
