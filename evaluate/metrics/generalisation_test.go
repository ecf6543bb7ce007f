package metrics

import "testing"

// Needed is the share of one source's names above the score that one in 1,000 names of another reaches.
func TestNeeded(t *testing.T) {
	var known, held []float64
	for i := range 10_000 {
		known = append(known, float64(i)/10_000) // evenly spread
		held = append(held, float64(i)/10_000+0.05)
	}
	if got := Needed(known, held); got != 0 {
		t.Errorf("every known name is below: %v, want 0", got)
	}
	if got := Needed(held, known); got < 0.0505 || got > 0.0515 {
		t.Errorf("names that score lower allow more: %v, want 0.051", got)
	}
	g := Generalisation{Groups: []HeldOut{{Name: "a", Needed: 5e-4}, {Name: "b", Needed: 2e-4}, {Name: "c", Needed: 9e-4}}}
	if w := g.WorstSource(); w.Name != "b" {
		t.Errorf("worst source %s, want b", w.Name)
	}
}
