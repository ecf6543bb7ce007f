package export_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export"
	_ "github.com/degas-dns/degas/export/formats"
	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// TestRuntimes opens every preset and a few random Specs in Keras 3, tf-keras, TensorFlow and onnxruntime and compares
// their scores with degas' own. It needs the environment that scripts/venv makes:
//
//	DEGAS_VENV=$(scripts/venv) go test -run Runtimes ./export
func TestRuntimes(t *testing.T) {
	venv := os.Getenv("DEGAS_VENV")
	if venv == "" {
		t.Skip("DEGAS_VENV is not set")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	args := []string{"../scripts/verify_exports.py", "--expected", ".expected.json", "--random"}
	after := exporttest.GRUs(true)
	cases := append(exporttest.Cases(t, rng, 8), exporttest.Case{Name: "reset-after", Model: &model.Model{
		Spec: after, Weights: modeltest.Weights(&after, rng), Threshold: 0.5}})
	for _, c := range cases {
		to, formats := filepath.Join(dir, c.Name), []string{"hdf5", "keras", "onnx", "savedmodel", "tfjs"}
		if c.Name == "reset-after" {
			formats = formats[:4] // TensorFlow.js knows no such GRU
		}
		if _, err := export.Export(context.Background(), c.Model, to, export.Options{Formats: formats}); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		writeExpected(t, c.Model, to+".expected.json", rng)
		args = append(args, to)
	}
	cmd := exec.Command(filepath.Join(venv, "bin", "python"), args...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", strings.ReplaceAll(string(out), dir+string(filepath.Separator), ""))
	if err != nil {
		t.Error(err)
	}
}

// TestAgreement sends 2,000 ugly names through degas predict, a program that embeds the model, degas serve, the Python
// lines of the export's README.md and TensorFlow. It needs the environment of TestRuntimes.
func TestAgreement(t *testing.T) {
	venv := os.Getenv("DEGAS_VENV")
	if venv == "" {
		t.Skip("DEGAS_VENV is not set")
	}
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "1")
	if _, err := export.Export(t.Context(), m, dir, export.Options{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(venv, "bin", "python"), "../scripts/verify_exports.py", "--agree", "2000",
		"--root", "..", "--degas", "go run ./cmd/degas", dir)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// writeExpected writes degas' own answers in the form that verify_exports.py reads.
func writeExpected(t *testing.T, m *model.Model, path string, rng *rand.Rand) {
	t.Helper()
	names := modeltest.Names(rng, 300, m.Spec.Encoder.Window)
	names = append(
		names,
		"",
		"a",
		"a.",
		"...",
		"WWW.Example.COM.",
		"_srv._tcp.example.com",
		"xn--bcher-kva.example",
		"a\x00b",
		"\x00",
		"\xff\xfe.x",
		"b\u00fccher.example",
		"new\nline",
		strings.Repeat("a.", 126)+"b",
		strings.Repeat("0123456789", 30)+".",
	)
	clean := make([]string, len(names))
	raw := make([][]byte, len(names))
	for i, n := range names {
		raw[i] = []byte(n) // as bytes, JSON keeps them in base64
		clean[i] = strings.TrimRight(string(lower([]byte(n))), ".")
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := probabilities(c, clean)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Names         [][]byte    `json:"names"`
		Probabilities [][]float32 `json:"probabilities"`
		Labels        []string    `json:"labels"`
	}
	want.Names = raw
	for i := range clean {
		p := flat[i*c.Width() : (i+1)*c.Width()]
		want.Probabilities = append(want.Probabilities, p)
		want.Labels = append(want.Labels, c.Verdict(p).Label)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// probabilities of names, [len(names), labels]: from the plain pass where that is quick enough, else from the fast one.
func probabilities(c *model.Classifier, names []string) ([]float32, error) {
	m := c.Model()
	if m.Spec.Name == "cnn" || m.Spec.Name == "degas" || m.Spec.Name == "lstm" {
		out := make([]float32, len(names)*c.Width())
		return out, c.ProbabilitiesFolded(context.Background(), names, out)
	}
	logits, err := model.Forward(&m.Spec, m.Weights, modeltest.Codes(&m.Spec, names))
	if err != nil {
		return nil, err
	}
	var out []float32
	for z := range slices.Chunk(logits, m.Spec.Outputs()) {
		if len(z) == 1 { // a sigmoid is a softmax over its logit and 0
			z = []float64{0, z[0]}
		}
		sum, top := 0.0, slices.Max(z)
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		for _, v := range z {
			out = append(out, float32(math.Exp(v-top)/sum))
		}
	}
	return out, nil
}

// lower folds ASCII only and keeps every other byte.
func lower(b []byte) []byte {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
