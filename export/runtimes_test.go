package export_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export"
	_ "github.com/degas-dns/degas/export/formats"
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
	args := []string{"../scripts/verify_exports.py", "--expected", ".expected.json"}
	for _, c := range cases(t, rng, 24) {
		to := filepath.Join(dir, c.name)
		if _, err := export.Export(context.Background(), c.model, to, export.Options{}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		writeExpected(t, c.model, to+".expected.json", rng)
		args = append(args, to)
	}
	cmd := exec.Command(filepath.Join(venv, "bin", "python"), args...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", strings.ReplaceAll(string(out), dir+string(filepath.Separator), ""))
	if err != nil {
		t.Error(err)
	}
}

type testCase struct {
	name  string
	model *model.Model
}

// cases are all presets, each with both kinds of head, hand-made Specs for what is hard to hit by chance, and random
// ones.
func cases(t testing.TB, rng *rand.Rand, random int) []testCase {
	t.Helper()
	var out []testCase
	add := func(name string, s model.Spec) {
		if err := s.Validate(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, testCase{name, &model.Model{Spec: s, Weights: modeltest.Weights(&s, rng), Threshold: 0.5, Dataset: "test", Producer: "test"}})
	}
	for _, name := range model.Presets() {
		s, err := model.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, s)
		add(name+"-softmax", s.WithLabels([]string{"benign", "dga", "tunnel"}))
	}
	add("branches", branches())
	for _, side := range []string{model.Left, model.Right} {
		for _, keep := range []string{model.First, model.Last} {
			s := branches()
			s.Encoder.PadSide, s.Encoder.Keep, s.Encoder.Lower = side, keep, false
			s.Layers[len(s.Layers)-1] = model.Layer{Kind: model.KindDense, Units: 2, Activation: model.Softmax}
			add(side+"-"+keep, s)
		}
	}
	for i := 0; i < random; {
		s := modeltest.Spec(rng)
		if !poolsAlike(s) {
			continue
		}
		add(fmt.Sprintf("random-%02d", i), s)
		i++
	}
	return out
}

// branches is a Spec whose branches have unequal depths and equal shapes, the order of which only Keras' own rule gets
// right, with every activation, paddings of even and odd kernels and both kinds of LSTM.
func branches() model.Spec {
	enc := model.Encoder{Alphabet: model.NameAlphabet, Base: 2, Pad: 0, Unknown: 1, Window: 20, PadSide: model.Left, Keep: model.Last, Lower: true}
	conv := func(kernel int, padding, activation string) model.Layer {
		return model.Layer{Kind: model.KindConv1D, Filters: 6, Kernel: kernel, Padding: padding, Activation: activation}
	}
	top := model.Layer{Kind: model.KindGlobalMaxPool}
	return model.Spec{Version: model.SpecVersion, Name: "branches/of unequal depth", Encoder: enc, Labels: model.BinaryLabels, Layers: []model.Layer{
		{Kind: model.KindEmbedding, Rows: enc.Codes(), Dim: 6},
		{Kind: model.KindParallel, Branches: [][]model.Layer{
			{conv(3, model.Same, model.Tanh), top},
			{conv(3, model.Same, ""), {Kind: model.KindThresholdedReLU, Theta: 0.25}, top},
			{conv(3, model.Same, model.ReLU), conv(3, model.Same, model.ReLU), top},
			{{Kind: model.KindMaxPool, Pool: 3, Padding: model.Valid}, conv(4, model.Same, model.ReLU), {Kind: model.KindFlatten}, {Kind: model.KindDense, Units: 6, Activation: model.Softmax}},
			{{Kind: model.KindLSTM, Units: 6}},
			{{Kind: model.KindMaxPool, Pool: 2, Padding: model.Same}, {Kind: model.KindDropout, Rate: 0.2}, {Kind: model.KindLSTM, Units: 6, Bidirectional: true}},
			{{Kind: model.KindLSTM, Units: 6, Bidirectional: true}, {Kind: model.KindThresholdedReLU}, {Kind: model.KindDense, Units: 6, Activation: model.Sigmoid}},
		}},
		{Kind: model.KindFlatten},
		{Kind: model.KindDense, Units: 6, Activation: model.Tanh},
		{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
	}}
}

// poolsAlike leaves out the pooling in which degas differs from all other runtimes, which Export refuses.
func poolsAlike(s model.Spec) bool {
	list, err := s.Graph()
	if err != nil {
		return false
	}
	shapes := map[string][]int{}
	for _, n := range list {
		shapes[n.Name] = n.Shape
		if n.Kind != model.KindMaxPool || n.Layer.Padding != model.Same {
			continue
		}
		if missing := n.Shape[0]*n.Layer.Pool - shapes[n.Inputs[0]][0]; missing > 1 {
			return false
		}
	}
	return true
}

// writeExpected writes degas' own answers in the form that verify_exports.py reads.
func writeExpected(t *testing.T, m *model.Model, path string, rng *rand.Rand) {
	t.Helper()
	names := modeltest.Names(rng, 300, m.Spec.Encoder.Window)
	names = append(names, "", "a", "a.", "...", "WWW.Example.COM.", "_srv._tcp.example.com", "xn--bcher-kva.example", "a\x00b", "\x00", "\xff\xfe.x", "b\u00fccher.example",
		"new\nline", strings.Repeat("a.", 126)+"b", strings.Repeat("0123456789", 30)+".")
	clean := make([]string, len(names))
	raw := make([][]byte, len(names))
	for i, n := range names {
		raw[i] = []byte(n) // as bytes, JSON keeps them in base64
		if !m.Spec.Encoder.Lower {
			raw[i] = lower(raw[i])
		}
		clean[i] = strings.TrimRight(string(raw[i]), ".")
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	flat := make([]float32, len(clean)*c.Width())
	if err := c.Probabilities(context.Background(), clean, flat); err != nil {
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

// lower folds ASCII only and keeps every other byte.
func lower(b []byte) []byte {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
