package report

import (
	"testing"

	"github.com/degas-dns/degas/evaluate/metrics"
)

func TestPValue(t *testing.T) {
	for p, want := range map[metrics.Number]string{0: "< 1e-6", 3e-200: "< 1e-6", 0.00002: "2e-05", 0.78: "0.78", 1: "1"} {
		if got := pValue(p); got != want {
			t.Errorf("%g: %q, want %q", float64(p), got, want)
		}
	}
}

// What a model does at its own threshold is what the confusion of its verdicts says.
func TestOwnPoint(t *testing.T) {
	for _, tc := range []struct {
		confusion [][]int
		benign    int
		rate      string
		aDay      string
		few       bool
	}{
		{[][]int{{1721, 0}, {10, 90}}, 1721, "none", "fewer than 1,744", true},
		{[][]int{{1701, 20}, {10, 90}}, 1721, "1 in 86", "about 11,621", false},
		{[][]int{{90, 6, 4}, {1, 2, 3}, {1, 2, 3}}, 100, "1 in 10", "about 100,000", false},
		{[][]int{{95, 5, 0}, {1, 2, 3}, {1, 2, 3}}, 100, "1 in 20", "about 50,000", true},
		{nil, 0, "none", "an unknown number of", true},
	} {
		p := ownPoint(&metrics.Metrics{Confusion: tc.confusion, Benign: tc.benign, Malicious: 100, Recall: 0.9})
		if p.Rate() != tc.rate || p.ADay() != tc.aDay || p.TooFew() != tc.few || p.Recall95[0].Missing() {
			t.Errorf("%v: %s, %s a day, too few %v, %v", tc.confusion, p.Rate(), p.ADay(), p.TooFew(), p.Recall95)
		}
	}
}
