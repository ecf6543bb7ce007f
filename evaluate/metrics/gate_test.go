package metrics

import (
	"errors"
	"strings"
	"testing"
)

func TestGates(t *testing.T) {
	m := &Metrics{Benign: 400, Confusion: [][]int{{396, 4}, {10, 90}}, Names: 500, ROCAUC: 0.99, PRAUC: none, F1: 0.9,
		Operating: []OperatingPoint{{FPR: 1e-3, TPR: 0.8}}}
	for text, fails := range map[string]bool{
		"auc<0.98": false, "auc<0.99": false, "auc<0.999": true, "auc > 0.98": true, "f1<0.9": false, "names<1000": true,
		"fpr>0.001": true, "fpr>0.01": false, "fpr > 0.02": false,
		"tpr@fpr=1e-3<0.7": false, "tpr@fpr=0.001<0.9": true, "pr-auc<0.1": true,
	} {
		g, err := ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(m, []Gate{g}); errors.Is(err, ErrBar) != fails {
			t.Errorf("%s: %v", text, err)
		} else if text == "pr-auc<0.1" && !strings.Contains(err.Error(), "not defined here. Try: ") {
			t.Errorf("%s of no number: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"":               "is none",
		"auc":            "is none",
		"auc=1":          "is none",
		"aucc<1":         "no such metric",
		"auc@fpr=1e-3<1": "no such metric",
		"tpr<1":          "write recall",
		"tpr@fpr=0.5<1":  "not measured",
		"auc<1e":         "no number",
	} {
		if _, err := ParseGate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Conditions on a comparison are about the first run minus each of the others.
func TestComparisonGates(t *testing.T) {
	c := &Comparison{Runs: []Compared{
		{Run: "new", ROCAUC: 0.99, Recall: 0.7, FPR: 0.002, Operating: []OperatingPoint{{FPR: 1e-3, TPR: 0.8}}},
		{Run: "builtin", ROCAUC: 0.995, Recall: 0.6, FPR: 0.001, Operating: []OperatingPoint{{FPR: 1e-3, TPR: 0.8}}},
		{Run: "other", ROCAUC: 0.98, Recall: 0.6, FPR: none, Operating: []OperatingPoint{{FPR: 1e-3, TPR: 0.9}}},
	}}
	for text, want := range map[string]string{
		"auc<-0.001":         "auc<-0.001: it is 0.99, and 0.995 for builtin",
		"auc<-0.01":          "",
		"recall<0.05":        "",
		"recall<0.2":         "0.7, and 0.6 for builtin; recall<0.2: it is 0.7, and 0.6 for other",
		"fpr>0.0005":         "0.002, and 0.001 for builtin; fpr>0.0005: it is not defined here. Try: ",
		"tpr@fpr=1e-3<-0.05": "0.8, and 0.9 for other",
		"tpr@fpr=1e-3<-0.15": "",
		"tpr@fpr=1e-2<-0.15": "not defined here",
	} {
		g, err := ParseChange(text)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckChange(c, []Gate{g})
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrBar) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"f1<0", "names<1", "auc", "tpr<0"} {
		if _, err := ParseChange(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}

// A gate on a rate says when too few benign names are behind it.
func TestGuesses(t *testing.T) {
	m := &Metrics{Benign: 2000}
	for text, want := range map[string]string{
		"auc<0.9": "", "recall<0.9": "", "fpr>0.005": "", "tpr@fpr=1e-2<0.9": "", "fpr>0": "",
		"fpr>0.001":        "rests on 2000 benign names, which makes it little more than a guess. Measure at least 10000",
		"tpr@fpr=1e-4<0.9": "Measure at least 100000",
	} {
		g, err := ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(Guesses(m, []Gate{g}), "")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
