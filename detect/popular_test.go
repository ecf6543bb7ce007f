package detect

import (
	"fmt"
	"iter"
	"slices"
	"testing"
)

// numbered are n names.
func numbered(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("site%d.example", i)) {
				return
			}
		}
	}
}

// Popular has all its names, hardly another one, and takes two bytes for each.
func TestPopular(t *testing.T) {
	for _, n := range []int{1, 2, 3, 127, 128, 1000, 30_000} {
		p := NewPopular(numbered(n))
		if p.Len() != n {
			t.Errorf("%d of %d names", p.Len(), n)
		}
		for name := range numbered(n) {
			if !p.Has(name) {
				t.Fatalf("of %d: %s is missing", n, name)
			}
		}
		wrong := 0
		for i := range 50_000 { // 4.6 expected
			if p.Has(fmt.Sprintf("other%d.example", i)) {
				wrong++
			}
		}
		if wrong > 25 {
			t.Errorf("of %d: %d of 50,000 other names", n, wrong)
		}
		if n >= 1000 && float64(p.Bytes()) > 2*float64(n) {
			t.Errorf("%d names take %d bytes", n, p.Bytes())
		}
	}
	var none *Popular
	if none.Has("a") || NewPopular(slices.Values([]string(nil))).Has("a") || none.Len()+none.Bytes() != 0 {
		t.Error("an empty Popular is not empty")
	}
	if p := NewPopular(slices.Values([]string{"a", "b", "a"})); p.Len() != 2 {
		t.Errorf("%d names", p.Len())
	}
}

// TestPopularNames documents rule PopularName.
func TestPopularNames(t *testing.T) {
	other := "qwkjzxvbnmpl.info" // a DGA's that is not popular
	o := Options{Classifier: builtin(), Action: Block, Block: []string{"blocked.com"},
		Popular: NewPopular(slices.Values([]string{generated, "ddns.net", "blocked.com", "evil-zone.net",
			"whole.0001b4gqzoszzdvaywyqo5caxcyz4pmpmnrcvmlwgjqmdmkpwnwrhkaaqxqx2.t.evil-zone.net"}))}
	p, plain := policy(t, o), policy(t, Options{Classifier: o.Classifier, Action: Block})
	for _, c := range []struct {
		name    string
		verdict Verdict
		rule    Rule
		class   string
	}{
		{generated, Benign, PopularName, "benign"},
		{"www." + generated, Benign, PopularName, "benign"}, // its registered domain is popular
		{"www." + other, Malicious, Score, "dga"},
		{"fffggvmktswcjs.ddns.net", Malicious, Score, "dga"},  // the zone hands out names, and is nobody's domain
		{tunnelled, Malicious, Score, "tunnel"},               // a tunnel below a popular domain
		{"whole." + tunnelled, Benign, PopularName, "benign"}, // but not if the whole name is popular
		{"blocked.com", Blocked, BlockList, "blocked"},        // no list is overruled
		{"www.google.com", Benign, Score, "benign"},           // nothing to excuse
	} {
		d, without := p.Decide(c.name), plain.Decide(c.name)
		if d.Verdict != c.verdict || d.Rule != c.rule || d.Class != c.class {
			t.Errorf("%s: %+v, want %v by %v", c.name, d, c.verdict, c.rule)
		}
		if d.Rule == PopularName {
			if d.Action != Pass || d.Score != without.Score || d.Score < p.threshold || without.Verdict != Malicious {
				t.Errorf("%s: %+v, without the popular names %+v", c.name, d, without)
			}
			if x := p.Explain(c.name); x.Without != without {
				t.Errorf("%s: without the rule %+v, want %+v", c.name, x.Without, without)
			}
		}
		out := make([]Decision, 1)
		if err := p.DecideAll(t.Context(), []string{c.name}, out); err != nil || out[0].Rule != d.Rule {
			t.Errorf("%s: %+v in a batch, %v", c.name, out[0], err)
		}
	}
	if d := p.With(nil, nil, nil).Decide(generated); d.Verdict != Malicious {
		t.Errorf("with other popular names: %+v", d)
	}
}

func BenchmarkPopular(b *testing.B) {
	p := NewPopular(numbered(1_000_000))
	names := slices.Collect(numbered(1 << 16))
	for i := range names {
		if i%2 == 0 {
			names[i] = "other" + names[i]
		}
	}
	wrong := 0
	const asked = 5_000_000
	buf := make([]byte, 0, 64)
	for i := range asked {
		buf = fmt.Appendf(buf[:0], "unknown%d.example", i)
		if p.Has(string(buf)) {
			wrong++
		}
	}
	for i := 0; b.Loop(); i++ {
		p.Has(names[i%len(names)])
	}
	b.ReportMetric(float64(wrong)/asked, "false-positives")
	b.ReportMetric(float64(p.Bytes())/1_000_000, "bytes/name")
}
