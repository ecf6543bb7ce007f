package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

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
