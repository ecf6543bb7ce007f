package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/model"
)

// Who reads a score must know from which one on the built-in model calls a name malicious: README says it, and show
// prints the rate that it was chosen for in few digits.
func TestThresholdOfTheBuiltinModel(t *testing.T) {
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Join(strings.Fields(string(readme)), " ")
	if want := fmt.Sprintf("This model labels names below %.3f `benign`.", m.Threshold); !strings.Contains(words, want) {
		t.Errorf("README.md does not say: %s", want)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"degas", "show"}, nil, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	if want := fmt.Sprintf("false-positive rate of %.3g\n", m.ThresholdFPR); !strings.Contains(out.String(), want) {
		t.Errorf("%.600s\nwant %q", out.String(), want)
	}
}

// The help of evaluate-model and the reference of config keys explain every metric of a condition.
func TestMetricsOfConditionsAreExplained(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(reference), "### gate")
	_, row, _ = strings.Cut(row, "| `fail_if` |")
	row, _, _ = strings.Cut(row, "\n")
	for where, text := range map[string]string{"config.md": row, "help": (&command{}).evaluate().Description} {
		for _, metric := range metrics.GateMetrics() {
			if !regexp.MustCompile(`[\s(]` + regexp.QuoteMeta(metric) + `[\s,]`).MatchString(text) {
				t.Errorf("%s does not explain %s", where, metric)
			}
		}
		if !strings.Contains(strings.Join(strings.Fields(text), " "), "at the model's own threshold") {
			t.Errorf("%s does not say which threshold", where)
		}
	}
}
