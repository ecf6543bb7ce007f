package evaluate_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/model"
)

// The threshold is kept, and at it the share of benign names called malicious is at most what was wanted, and one name
// more would exceed it.
func TestChooseThreshold(t *testing.T) {
	rates := []float64{0.1, 0.3, 0.02}
	if testing.Short() {
		rates = rates[:1]
	}
	for _, target := range targets() {
		run, _ := newRun(t, 4, target)
		calm(t, run)
		for _, fpr := range rates {
			th, err := evaluate.ChooseThreshold(context.Background(), evaluate.RunOptions{RunDir: run}, fpr)
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.Load(filepath.Join(run, "model"))
			if err != nil {
				t.Fatal(err)
			}
			if m.Threshold != th.Value || m.ThresholdFPR != fpr {
				t.Errorf("%s: the model has threshold %g for a rate of %g, chosen was %g for %g",
					target, m.Threshold, m.ThresholdFPR, th.Value, fpr)
			}
			out := filepath.Join(t.TempDir(), "e")
			measured, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Split: "validation", Out: out})
			if err != nil {
				t.Fatal(err)
			}
			again := fmt.Sprintf("degas choose-threshold %s --split validation --fpr %g\n", run, fpr)
			if page, err := os.ReadFile(filepath.Join(out, "report.md")); err != nil || !strings.Contains(string(page), again) {
				t.Errorf("%s: %v: the report lacks %q", target, err, again)
			}
			alarms := 0
			for _, n := range measured.Confusion[0][1:] {
				alarms += n
			}
			if alarms != th.Alarms || measured.Benign != th.Benign || float64(alarms) > fpr*float64(th.Benign) {
				t.Errorf("%s: at FPR %g %d of %d benign names are called malicious, said were %d of %d",
					target, fpr, alarms, measured.Benign, th.Alarms, th.Benign)
			}
			if float64(alarms+1) <= fpr*float64(th.Benign)*0.9 {
				t.Errorf("%s: at FPR %g only %d of %d benign names are called malicious", target, fpr, alarms, th.Benign)
			}
		}
	}
}

// Calibration makes an overconfident model likelier and leaves order and verdicts alone.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("TestUncalibrateRestores calibrates for the race detector; go test ./... runs it")
	}
	for _, target := range targets() {
		run, _ := newRun(t, 4, target)
		calm(t, run)
		before, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Split: "validation"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := evaluate.Calibrate(context.Background(), evaluate.RunOptions{RunDir: run}, false)
		if err != nil {
			t.Fatal(err)
		}
		after, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: run, Split: "validation"})
		if err != nil {
			t.Fatal(err)
		}
		if c.Temperature < 1.5 || c.NLLAfter >= c.NLLBefore || c.ECEAfter >= c.ECEBefore {
			t.Errorf("%s: %+v", target, c)
		}
		if math.Abs(float64(after.ECE)-c.ECEAfter) > 1e-9 || !reflect.DeepEqual(after.Confusion, before.Confusion) ||
			target == "binary" && math.Abs(float64(after.ROCAUC-before.ROCAUC)) > 1e-9 {
			t.Errorf("%s: ECE %g, AUC %g, confusion %v; before AUC %g, confusion %v",
				target, after.ECE, after.ROCAUC, after.Confusion, before.ROCAUC, before.Confusion)
		}
		if c.ECEHeldOut >= c.ECEBefore {
			t.Errorf("%s: calibrated, though names that it was not fitted on lose: %+v", target, c)
		}
		again, err := evaluate.Uncalibrate(t.Context(), evaluate.RunOptions{RunDir: run})
		if err != nil || math.Abs(again.ECEAfter-c.ECEBefore) > 1e-4 || math.Abs(again.Threshold-0.5) > 1e-6 {
			t.Errorf("%s: taken back: %+v, %v; before %+v", target, again, err, c)
		}
		if _, err := evaluate.Uncalibrate(t.Context(), evaluate.RunOptions{RunDir: run}); err == nil {
			t.Errorf("%s: taken back twice", target)
		}
	}
	run, _ := newRun(t, 4, "binary")
	if _, err := evaluate.Calibrate(t.Context(), evaluate.RunOptions{RunDir: run, Split: "test"}, true); err == nil {
		t.Error("calibrated on the test split")
	}
}

// Undoing calibrations gives the model's bytes again. A threshold that was chosen since moves along.
func TestUncalibrateRestores(t *testing.T) {
	run, _ := newRun(t, 4, "family") // of few weights, all may round back by chance
	calm(t, run)
	o := evaluate.RunOptions{RunDir: run}
	digest := func() string {
		m, err := model.Load(filepath.Join(run, "model"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if _, err := evaluate.ChooseThreshold(t.Context(), o, 0.1); err != nil {
		t.Fatal(err)
	}
	before := digest()
	for _, chosen := range []bool{false, true} {
		for range 2 { // the second finds a temperature near 1, and changes bits all the same
			if _, err := evaluate.Calibrate(t.Context(), o, true); err != nil {
				t.Fatal(err)
			}
		}
		if chosen {
			if _, err := evaluate.SetThreshold(t.Context(), o, 0.3); err != nil {
				t.Fatal(err)
			}
		}
		if digest() == before {
			t.Error("calibrate changed nothing")
		}
		c, err := evaluate.Uncalibrate(t.Context(), o)
		if err != nil || c.Restored == chosen || (digest() == before) == chosen {
			t.Errorf("threshold chosen since: %v; taken back: %+v, %v", chosen, c, err)
		}
		if _, err := os.Stat(filepath.Join(run, rundir.UncalibratedFile)); !os.IsNotExist(err) {
			t.Errorf("%s stays: %v", rundir.UncalibratedFile, err)
		}
	}
}

// targets are what a model may tell apart; for the race detector one is enough.
func targets() []string {
	if testing.Short() {
		return []string{"binary"}
	}
	return []string{"binary", "family"}
}

// calm takes a random model's scores away from 0 and 1, where many are equal.
func calm(t *testing.T, run string) {
	t.Helper()
	m, err := model.Load(filepath.Join(run, "model"))
	if err != nil {
		t.Fatal(err)
	}
	params, err := m.Spec.Params()
	if err != nil {
		t.Fatal(err)
	}
	head := m.Weights[params[len(params)-2].Name]
	for i := range head.Data {
		head.Data[i] *= 0.1
	}
	if err := m.Save(filepath.Join(run, "model")); err != nil {
		t.Fatal(err)
	}
}

// A threshold that is given is kept as it is, and measured.
func TestSetThreshold(t *testing.T) {
	run, _ := newRun(t, 4, "binary")
	calm(t, run)
	o := evaluate.RunOptions{RunDir: run}
	chosen, err := evaluate.ChooseThreshold(t.Context(), o, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	set, err := evaluate.SetThreshold(t.Context(), o, chosen.Value)
	if err != nil || set.Alarms != chosen.Alarms || set.TPR != chosen.TPR || set.FPR95 != chosen.FPR95 {
		t.Errorf("set %+v, %v; chosen %+v", set, err, chosen)
	}
	if _, err := evaluate.SetThreshold(t.Context(), o, 0.5); err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(filepath.Join(run, "model"))
	if err != nil || m.Threshold != 0.5 || m.ThresholdFPR != 0 {
		t.Errorf("threshold %g for %g, %v", m.Threshold, m.ThresholdFPR, err)
	}
	if _, err := evaluate.SetThreshold(t.Context(), o, 1); err == nil {
		t.Error("a threshold of 1 was set")
	}
}

func TestChooseThresholdRefusals(t *testing.T) {
	run, _ := newRun(t, 3, "binary")
	before, err := os.ReadFile(filepath.Join(run, "model", model.SpecFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		o    evaluate.RunOptions
		fpr  float64
		want string
	}{
		{evaluate.RunOptions{RunDir: run}, 0, "not between 0 and 1"},
		{evaluate.RunOptions{RunDir: run}, 1, "not between 0 and 1"},
		{evaluate.RunOptions{RunDir: run, Split: "test"}, 0.1, "for measuring"},
		{evaluate.RunOptions{RunDir: t.TempDir()}, 0.1, "is no run"},
	} {
		_, err := evaluate.ChooseThreshold(context.Background(), tc.o, tc.fpr)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v at %g: %v, want %q", tc.o, tc.fpr, err, tc.want)
		}
	}
	after, err := os.ReadFile(filepath.Join(run, "model", model.SpecFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("a refusal changed the model: %v", err)
	}
}
