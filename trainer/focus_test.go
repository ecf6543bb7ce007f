package trainer

import (
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

// Names of the focus are repeated until they have their share, and never fewer than once.
func TestFocusChoice(t *testing.T) {
	split := &datasets.SplitReport{Rows: 1020, BySource: map[string]int64{"console": 20, "sample": 1000}}
	for _, tc := range []struct {
		focus  string
		share  float64
		names  int
		repeat int
	}{{"", 0, 0, 1}, {"console", 0, 0, 1}, {"console", 0.1, 0, 6}, {"console", 0.5, 0, 50}, {"console", 0.5, 200, 10},
		{"console", 0.001, 0, 1}, {"sample", 0.1, 0, 1}} {
		c := Config{Options: Options{Focus: tc.focus, FocusShare: tc.share, Names: tc.names}}
		got, err := c.choice(split)
		if want := (Choice{Limit: tc.names, Focus: tc.focus, Repeat: tc.repeat}); err != nil || got != want {
			t.Errorf("%+v: %+v, %v", tc, got, err)
		}
	}
	c := Config{Data: "d", Options: Options{Focus: "consol"}}
	want := "focus consol: no training name of d is of that source. Sources: console, sample"
	if _, err := c.choice(split); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// The teacher has a say about all names but those of the focus.
func TestFocusIsUntaught(t *testing.T) {
	b := NewBuilder()
	b.add("a.example", kind{1, datasets.DGA, "", true})
	b.add("b.example", kind{1, datasets.DGA, "", false}) // else just as the first
	b.add("c.example", kind{0, datasets.Benign, "", true})
	taught := []float32{.8, .2, .7, .3, .6, .4}
	untaught(taught, 2, Portion{Set: b.Set()}, []uint32{1, 0, 2})
	if want := []float32{.8, .2, 0, 1, 1, 0}; !slices.Equal(taught, want) {
		t.Errorf("%v, want %v", taught, want)
	}
}

func TestFocusOptions(t *testing.T) {
	for share, want := range map[float64]string{1: "must be at least 0 and below 1", -1: "must be at least 0",
		0.1: "needs a focus"} {
		o := DefaultOptions()
		o.FocusShare = share
		if err := o.Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%g: %v, want %s", share, err, want)
		}
	}
}
