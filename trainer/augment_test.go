package trainer

import (
	"strings"
	"testing"
)

// The same draw every time, another in another epoch; the asked share changes and every name keeps its end.
func TestAugmented(t *testing.T) {
	const n = 4000
	changed, moved := 0, 0
	for i := range uint32(n) {
		a := augmented("example.com", 0.3, 1, 1, i)
		if a != augmented("example.com", 0.3, 1, 1, i) {
			t.Fatalf("name %d: drawn anew", i)
		}
		if a != augmented("example.com", 0.3, 1, 2, i) {
			moved++
		}
		if a == "example.com" {
			continue
		}
		changed++
		host, found := strings.CutSuffix(a, ".example.com")
		if !found || host == "" || strings.Contains(host, ".") {
			t.Fatalf("name %d became %q", i, a)
		}
	}
	if changed < n*27/100 || changed > n*33/100 {
		t.Errorf("%d of %d changed, want 30 %%", changed, n)
	}
	if moved < n/4 {
		t.Errorf("only %d of %d differ in the next epoch", moved, n)
	}
	if got := augmented("www.example.com", 1, 1, 1, 0); got != "www.example.com" {
		t.Errorf("www. was doubled: %q", got)
	}
}
