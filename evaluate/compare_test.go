package evaluate_test

import (
	"context"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/report"
	"github.com/degas-dns/degas/model"
)

// opposite copies a run and turns its head round, so that its scores are one minus the other's.
func opposite(t *testing.T, run string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "opposite")
	if err := os.CopyFS(to, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(filepath.Join(to, "model"))
	if err != nil {
		t.Fatal(err)
	}
	params, err := m.Spec.Params()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range params[len(params)-2:] {
		for i := range m.Weights[p.Name].Data {
			m.Weights[p.Name].Data[i] *= -1
		}
	}
	if err := m.Save(filepath.Join(to, "model")); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCompare(t *testing.T) {
	run, data := newRun(t, 3, "binary")
	calm(t, run)
	other, out := opposite(t, run), filepath.Join(t.TempDir(), "c")
	c, err := evaluate.Compare(context.Background(), []string{run, other, run}, evaluate.RunOptions{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != data || c.Split != "test" || len(c.Runs) != 3 || len(c.Pairs) != 2 {
		t.Fatalf("%+v", c)
	}
	for _, r := range c.Runs {
		if !(r.ROCAUC95[0] < r.ROCAUC && r.ROCAUC < r.ROCAUC95[1]) {
			t.Errorf("%s: area %g, interval %v", r.Run, float64(r.ROCAUC), r.ROCAUC95)
		}
		for _, o := range r.Operating {
			if !(o.TPR95[0] <= o.TPR && o.TPR <= o.TPR95[1]) {
				t.Errorf("%s at %g: %g, interval %v", r.Run, o.FPR, float64(o.TPR), o.TPR95)
			}
		}
	}
	first, turned := float64(c.Runs[0].ROCAUC), float64(c.Runs[1].ROCAUC)
	if d := c.Pairs[0]; math.Abs(first+turned-1) > 1e-6 || math.Abs(float64(d.AUC)-(turned-first)) > 1e-9 ||
		!(d.AUC95[0] < d.AUC && d.AUC < d.AUC95[1]) || d.OnlyRunRight+d.OnlyFirstRight != c.Names {
		t.Errorf("the opposite of AUC %g: %+v", first, d)
	}
	zero := [2]metrics.Number{}
	if d := c.Pairs[1]; d.AUC != 0 || d.AUC95 != zero || d.TPR95 != zero || d.OnlyRunRight+d.OnlyFirstRight != 0 ||
		d.McNemar != 1 {
		t.Errorf("a run beside itself: %+v", d)
	}
	f, err := os.Open(filepath.Join(out, "roc.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	err = report.PrintComparison(&text, c)
	if table := text.String(); err != nil || strings.Count(table, "\n") != 19 || strings.Count(table, "(TOO FEW)") != 3 ||
		!strings.Contains(table, "\nMCNEMAR P  ") {
		t.Errorf("%v:\n%s", err, table)
	}
}

// A run that was trained on these very data is not said to be from elsewhere: the model that it began with is.
func TestCompareSaysWhatMayHaveSeenTheNames(t *testing.T) {
	run, data := newRun(t, 3, "binary")
	m, err := datasets.ReadManifest(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(run, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"":                                     "",
		"from: runs/original\n":                "The training of RUN began with the weights of runs/original, which may",
		"from: a\nfrom_dataset: FINGERPRINT\n": "",
	} {
		text := strings.ReplaceAll(from, "FINGERPRINT", m.Fingerprint)
		write(t, filepath.Join(run, "config.yaml"), string(config)+"fingerprint: "+m.Fingerprint+"\n"+text)
		c, err := evaluate.Compare(context.Background(), []string{run, run}, evaluate.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(report.ComparisonWarnings(c), "\n")
		if want = strings.ReplaceAll(want, "RUN", run); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}

func TestCompareRefusals(t *testing.T) {
	run, _ := newRun(t, 3, "binary")
	families, _ := newRun(t, 4, "family") // its last family is unknown, and so left out
	for _, tc := range []struct {
		runs []string
		want string
	}{
		{[]string{run}, "needs two"},
		{[]string{run, t.TempDir()}, "is no run"},
		{[]string{families, run}, "only runs that judge the same names"},
	} {
		_, err := evaluate.Compare(context.Background(), tc.runs, evaluate.RunOptions{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.runs, err, tc.want)
		}
	}
}
