package metrics

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/idna"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
	"github.com/degas-dns/degas/model/modeltest"
)

// differing counts the places in which two texts of one length differ; -1 where they have not one length.
func differing(a, b string) (n int) {
	if len(a) != len(b) {
		return -1
	}
	for i := range len(a) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// Every change does what its row in the report says, whatever is drawn.
func TestChanges(t *testing.T) {
	const name = "www.example.co.uk"
	others := []string{"shop.other.com"}
	checks := map[string]func(got string) bool{
		"www":          func(got string) bool { return got == "www."+name },
		"trailing dot": func(got string) bool { return got == name+"." },
		"mixed case":   func(got string) bool { return strings.EqualFold(got, name) && got != name },
		"hash host": func(got string) bool {
			host, rest, _ := strings.Cut(got, ".")
			return rest == name && len(host) == 12 && strings.Trim(host, "0123456789abcdef") == ""
		},
		"international": func(got string) bool {
			u, err := idna.ToUnicode(got)
			plain := strings.NewReplacer("á", "a", "é", "e", "í", "i", "ö", "o", "ü", "u").Replace(u)
			return err == nil && strings.HasPrefix(got, "www.xn--") && plain == name
		},
		"look-alike": func(got string) bool {
			return differing(got, name) == 1 && strings.NewReplacer("3", "e", "4", "a", "1", "l").Replace(got) == name
		},
		"CharBot": func(got string) bool {
			n := differing(got, name)
			return n >= 0 && n <= 2 && strings.HasPrefix(got, "www.") && strings.HasSuffix(got, ".co.uk")
		},
		"word pair":  func(got string) bool { return got == "exampleother.co.uk" },
		"hyphenated": func(got string) bool { return got == "www.exa-mple.co.uk" },
		"padded":     func(got string) bool { return got == "www.other-example.co.uk" },
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, ch := range changes {
		check := checks[ch.name]
		if check == nil {
			t.Fatalf("%s is not tested", ch.name)
		}
		delete(checks, ch.name)
		for range 20 {
			if got := ch.apply(rng, name, others); !check(got) {
				t.Errorf("%s of %s: %s", ch.name, name, got)
			}
		}
	}
	for change := range checks {
		t.Errorf("no %s", change)
	}
	for _, tc := range []struct {
		change string
		got    string
	}{
		{"accent", inLabel(accent)(rng, "xyz.com", nil)},
		{"look-alike", inLabel(lookAlike)(rng, "xyz.com", nil)},
		{"CharBot", inLabel(charBot)(rng, "short.com", nil)},
		{"hyphenated", inLabel(hyphenate)(rng, "abc.com", nil)},
		{"padded", inLabel(padWord)(rng, "abc.com", nil)},
	} {
		if tc.got != "" {
			t.Errorf("%s changed a name that it does not fit: %s", tc.change, tc.got)
		}
	}
}

// What changes nothing changes no score, every change is measured on the names it is for, and the same seed draws the
// same.
func TestProbes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	spec := modeltest.Spec(rng)
	spec = spec.WithLabels(model.BinaryLabels)
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	s := &Sample{Labels: model.BinaryLabels}
	for i, n := range modeltest.Names(rng, 300, 12) {
		if n, err = dnsname.Normalize("pre" + n + ".com"); err != nil {
			continue
		}
		s.Names, s.Truth, s.Class = append(s.Names, n), append(s.Truth, i%2), append(s.Class, datasets.Class(i%2))
	}
	got, err := Probes(context.Background(), c, s, 5)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Probes(context.Background(), c, s, 5)
	if err != nil || len(again) != len(got) {
		t.Fatal(err, len(again))
	}
	of := map[string]int{}
	for i, p := range got {
		of[p.Of]++
		if p != again[i] {
			t.Errorf("%+v, and %+v with the same seed", p, again[i])
		}
		if p.Names == 0 || p.Names > len(s.Names) || !(p.Before >= 0 && p.Before <= 1 && p.After >= 0 && p.After <= 1) {
			t.Errorf("%+v", p)
		}
		same := p.Name == "trailing dot" || p.Name == "mixed case"
		if same && (p.Before != p.After || p.FlaggedBefore != p.FlaggedAfter) {
			t.Errorf("what changes nothing changes scores: %+v", p)
		}
	}
	if of["benign"] != 8 || of["malicious"] != 5 {
		t.Errorf("%v changes, want 8 of benign names and 5 of malicious ones", of)
	}
}

// A change that means nothing must not move a score by more than a point; any other change may.
func TestProbeBroken(t *testing.T) {
	for _, tc := range []struct {
		probe Probe
		want  bool
	}{
		{Probe{Neutral: true, Before: 0.5, After: 0.505, FlaggedBefore: 0.96, FlaggedAfter: 0.82}, true},
		{Probe{Neutral: true, Before: 0.5, After: 0.6, FlaggedBefore: 1, FlaggedAfter: 1}, true},
		{Probe{Neutral: true, Before: 0.5, After: 0.505, FlaggedBefore: 0.96, FlaggedAfter: 0.955}, false},
		{Probe{Before: 0.1, After: 0.9, FlaggedBefore: 0, FlaggedAfter: 1}, false},
	} {
		if got := tc.probe.Broken(); got != tc.want {
			t.Errorf("%+v: broken %v, want %v", tc.probe, got, tc.want)
		}
	}
	neutral := map[string]bool{"www": true, "trailing dot": true, "mixed case": true}
	for _, c := range changes {
		if c.neutral != neutral[c.name] {
			t.Errorf("%s: neutral %v", c.name, c.neutral)
		}
	}
}
