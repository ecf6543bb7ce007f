package detect

import (
	"slices"
	"testing"
)

// TestExplain documents what a decision would be without what decided.
func TestExplain(t *testing.T) {
	one, two := NewEntries("one", true), NewEntries("two", false)
	one.Add("evil.com", Exact)
	one.Add(generated, Exact)
	two.Add("evil.com", Subtree)
	two.Add("only.evil.org", Exact)
	p := policy(t, Options{Classifier: builtin(), Action: Block, Allow: []string{"*.good.evil.com", "x.good.evil.com"}})
	p = p.With(join(t, one), join(t, two), nil)
	block := policy(t, Options{Classifier: builtin(), Action: Block}).With(nil, join(t, one, two), nil)
	for _, c := range []struct {
		policy        *Policy
		name          string
		by, without   Rule
		entry, next   string
		class         string // without
		allow, blocks int
	}{
		{p, generated, AllowList, Score, generated + " one", " ", "dga", 1, 0},
		{p, "evil.com", AllowList, BlockList, "evil.com one", "*.evil.com two", "blocked", 1, 1},
		{p, "y.good.evil.com", AllowList, BlockList, "*.good.evil.com ", "*.evil.com two", "blocked", 1, 1},
		{p, "x.good.evil.com", AllowList, AllowList, "x.good.evil.com ", "*.good.evil.com ", "allowed", 2, 1},
		{p, "only.evil.org", BlockList, Score, "only.evil.org two", " ", "benign", 0, 1},
		{p, "www." + generated, Score, NoRule, " ", " ", "benign", 0, 0},
		{p, "www.google.com", Score, NoRule, " ", " ", "benign", 0, 0},
		{p, "_dmarc." + generated, Score, NoRule, " ", " ", "benign", 0, 0},
		{p, "_dmarc.google.com", NeverScored, Score, " ", " ", "benign", 0, 0},
		{p, "a b.net", NoName, NoRule, " ", " ", "benign", 0, 0},
		{p, "a b.evil.com", BlockList, NoName, "*.evil.com two", " ", "invalid", 0, 1},
		{block, "evil.com", BlockList, BlockList, "evil.com one", "*.evil.com two", "blocked", 0, 2},
		{nil, "evil.com", NoRule, NoRule, " ", " ", "benign", 0, 0},
	} {
		x := c.policy.Explain(c.name)
		if x.Decision != c.policy.Decide(c.name) {
			t.Errorf("%s: %+v", c.name, x.Decision)
		}
		d, w := x.Decision, x.Without
		if d.Rule != c.by || d.Entry+" "+d.List != c.entry || w.Rule != c.without || w.Entry+" "+w.List != c.next ||
			w.Class != c.class || len(x.Allow) != c.allow || len(x.Block) != c.blocks {
			t.Errorf("%s:\ndecision %+v\nwithout %+v\n%v, %v", c.name, d, w, x.Allow, x.Block)
		}
	}
	want := []Match{{"x.good.evil.com", ""}, {"*.good.evil.com", ""}}
	if x := p.Explain("x.good.evil.com"); !slices.Equal(x.Allow, want) {
		t.Errorf("%+v", x.Allow)
	}
}

// Whoever blocks a name has to know what is allowed below it.
func TestAllowsBelow(t *testing.T) {
	listed := NewEntries("file", true)
	listed.Add("a.b.example.com", Exact)
	p := policy(t, Options{Allow: []string{"*.zone.net"}}).With(join(t, listed), nil, nil)
	for name, want := range map[string]bool{"example.com": true, "B.Example.COM.": true, "a.b.example.com": false,
		"net": true, "zone.net": true, "org": false, "": false, "we ird": false} {
		if p.AllowsBelow(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	if (*Policy)(nil).AllowsBelow("com") || policy(t, Options{}).AllowsBelow("com") {
		t.Error("nothing is allowed, and something below com")
	}
}
