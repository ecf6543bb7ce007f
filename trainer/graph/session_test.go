package graph

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// A step that would take more than the bound is refused before any memory is taken.
func TestStepWithinBounds(t *testing.T) {
	spec, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine{}.Start(t.Context(), trainer.Setup{Spec: &spec, Weights: weights, BatchSize: 1 << 20, Workers: 1,
		LearningRate: 1})
	if err == nil || !strings.Contains(err.Error(), "Try: --batch-size ") {
		t.Error(err)
	}
}
