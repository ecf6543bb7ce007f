package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/degas-dns/degas/serve/accounts"
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
	Made    *ledger.Decision
	Revoked *ledger.Decision
	Again   *ledger.Decision // in force again
	Back    string
	// NoEffect is the allow entry for which a block has no effect.
	NoEffect string
}

// decide answers POST /console/decide: pattern (several), verdict, and if wanted scope, label, note, expires; back is
// the page to go to.
func (c *Console) decide(v *visit) (*view, error) {
	patterns := v.q["pattern"]
	if len(patterns) == 0 || len(patterns) > ledger.MostPage {
		return nil, reply.BadRequest("Choose at least one name, and at most %d", ledger.MostPage)
	}
	expires, err := expiry(v.q.Get("expires"), time.Now())
	if err != nil {
		return nil, err
	}
	policy, version := c.o.Engine.Policy()
	all := make([]ledger.Decision, len(patterns))
	for i, pattern := range patterns {
		all[i] = ledger.Decision{Pattern: pattern, Verdict: ledger.Verdict(v.q.Get("verdict")), Label: v.q.Get("label"),
			Scope: ledger.Scope(v.q.Get("scope")), By: v.by(), Note: v.q.Get("note"), Expires: expires}
		if x := policy.Explain(pattern); x.Whole != nil { // what the model says, whatever lists say
			d := x.Decision
			if !d.Scored() {
				d = x.Without
			}
			if d.Scored() {
				all[i].Score, all[i].Model, all[i].Version = &d.Score, version.Model, strconv.Itoa(version.Number)
			}
		}
	}
	made, err := c.o.Ledger.DecideAll(v.ctx(), all)
	if err != nil {
		return nil, err
	}
	p := decidedPart{Name: patterns[0], Made: &made[0], Back: localPath(v.q.Get("back"))}
	if made[0].Verdict == ledger.Block {
		p.NoEffect = c.o.Ledger.InForce(time.Now()).AllowedBy(made[0].Pattern)
	}
	return decided(v, p)
}

// revoke answers POST /console/revoke: id, name and back.
func (c *Console) revoke(v *visit) (*view, error) {
	id, err := strconv.ParseInt(v.q.Get("id"), 10, 64)
	if err != nil {
		return nil, reply.BadRequest("id: %q is no number", v.q.Get("id"))
	}
	p := decidedPart{Name: v.q.Get("name"), Back: localPath(v.q.Get("back"))}
	revoked, again, err := c.o.Ledger.Revoke(v.ctx(), id, v.by())
	if err != nil {
		return nil, err
	}
	p.Revoked, p.Again = &revoked, again
	return decided(v, p)
}

func decided(v *visit, p decidedPart) (*view, error) {
	if v.partial() {
		return &view{page: "overview", part: "decided", data: p}, nil
	}
	return &view{to: p.Back}, nil
}

// expiry reads when a decision ends: "" for never, a duration such as "24h", or a day or a time as forms have them, in
// UTC.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("expires: %q is neither a time nor a duration such as 24h: %w", text, ledger.ErrInput)
}

// ruling is the decision in force about a name: its own, or that of a domain that it is in. It is nil if there is none.
// An allow comes first, because it wins, and then a block.
func (c *Console) ruling(ctx context.Context, name string) (*ledger.Decision, error) {
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
