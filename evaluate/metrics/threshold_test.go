package metrics

import "testing"

// A score at the threshold is above it, as for a deployed model.
func TestAtThreshold(t *testing.T) {
	s := &Sample{Labels: []string{"benign", "malicious"}, Names: []string{"a", "b", "c", "d", "e"},
		Truth:         []int{0, 0, 0, 1, 1},
		Probabilities: []float32{0.9, 0.1, 0.5, 0.5, 0.25, 0.75, 0.75, 0.25, 0.125, 0.875}}
	got := AtThreshold(s, "validation", 0.5)
	if want := (Threshold{Value: 0.5, Split: "validation", FPR: 2. / 3, TPR: 0.5, Benign: 3, Alarms: 2}); *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
}
