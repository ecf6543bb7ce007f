package watch

import (
	"math"
	"testing"
)

func TestThresholdOfFalseAlarms(t *testing.T) {
	last := 1.0
	for _, rate := range []float64{2e-4, 1e-3, 2.1557993600133e-3, 1e-2, .1, .2} {
		got, err := shipped.Threshold(rate)
		if err != nil {
			t.Fatal(err)
		}
		if !(got < last && got > 0) {
			t.Errorf("rate %g: threshold %g, and %g at a lower rate", rate, got, last)
		}
		share := 0.0 // of the bins that are above as a whole
		for b := bin(got) + 1; b < bins; b++ {
			share += shipped.Clean[b]
		}
		if with := share + shipped.Clean[bin(got)]; share > rate*1.000001 || with < rate/1.000001 {
			t.Errorf("rate %g: between %g and %g of clean names reach %g", rate, share, with, got)
		}
		last = got
	}
	// The table says that 0.21558 % of clean names have log odds of 4 and more.
	if got, _ := shipped.Threshold(2.1557993600133e-3); math.Abs(got-1/(1+math.Exp(-4))) > 1e-6 {
		t.Errorf("threshold %g, want that of log odds 4", got)
	}
	for _, rate := range []float64{0, 1e-6, .21, math.NaN()} {
		if got, err := shipped.Threshold(rate); err == nil {
			t.Errorf("rate %g: threshold %g, want an error", rate, got)
		}
	}
	if _, err := (&Tables{}).Threshold(1e-3); err == nil {
		t.Error("tables of which nothing is known: no error")
	}
}
