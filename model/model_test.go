package model_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// Parameter counts: degas from the original's Keras summary (reference A4), lstm from Woodbridge's layers at 41 codes.
func TestPresetParameters(t *testing.T) {
	want := map[string]int{
		"gta1":         1785858,
		"degas":        254337,
		"cnn":          727681,
		"hybrid-small": 414913,
		"lstm":         136961,
		"mlbridge":     1913,
		"hybrid":       711553,
	}
	for _, name := range model.Presets() {
		spec, err := model.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		params, err := spec.Params()
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, p := range params {
			got += p.Size()
		}
		if got != want[name] {
			t.Errorf("%s has %d parameters, want %d", name, got, want[name])
		}
		if about, err := model.AboutPreset(name); err != nil || about == "" {
			t.Errorf("%s: nothing is said about it, error %v", name, err)
		}
	}
}

func TestUnknownPresetListsKnown(t *testing.T) {
	if _, err := model.Preset("transformer"); err == nil || !strings.Contains(err.Error(), "cnn") {
		t.Errorf("got %v", err)
	}
}

// The folded, batched pass must be the plain one to rounding, for presets and for random compositions.
func TestClassifierEqualsForward(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	specs := []model.Spec{}
	for _, name := range model.Presets() {
		spec, _ := model.Preset(name)
		specs = append(specs, spec)
	}
	random := 150
	if testing.Short() { // one goroutine does it all: the race detector has little to find
		specs, random = nil, 30
	}
	for range random {
		specs = append(specs, modeltest.Spec(rng))
	}
	for _, spec := range specs {
		checkClassifier(t, spec, rng)
	}
}

// checkClassifier compares a Spec's classifier with its plain pass, for names and weights by chance.
func checkClassifier(t *testing.T, spec model.Spec, rng *rand.Rand) {
	t.Helper()
	w := modeltest.Weights(&spec, rng)
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: w, Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	names := append(modeltest.Names(rng, 9, spec.Encoder.Window), "", "a", "google.com")
	if spec.Name == "random" {
		names = append(names, modeltest.Names(rng, 60, spec.Encoder.Window)...)
	}
	logits, err := model.Forward(&spec, w, modeltest.Codes(&spec, names))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(names)*c.Width())
	if err := c.ProbabilitiesFolded(context.Background(), names, got); err != nil {
		t.Fatal(err)
	}
	for i := range names {
		want := probabilities(logits[i*spec.Outputs() : (i+1)*spec.Outputs()])
		for j, p := range want {
			if d := math.Abs(p - float64(got[i*c.Width()+j])); !(d < 2e-5) {
				t.Fatalf("%+v\nname %q label %d: classifier %v, forward %v", spec, names[i], j, got[i*c.Width()+j], p)
			}
		}
		together := model.ScoreOf(got[i*c.Width() : (i+1)*c.Width()])
		if alone := c.ScoreFolded(names[i]); math.Abs(alone-together) > 2e-5 {
			t.Fatalf("%q alone scores %v, in a batch %v", names[i], alone, together)
		}
	}
}

func probabilities(z []float64) []float64 {
	if len(z) == 1 {
		p := 1 / (1 + math.Exp(-z[0]))
		return []float64{1 - p, p}
	}
	var out []float64
	sum := 0.0
	for _, v := range z {
		out = append(out, math.Exp(v))
		sum += out[len(out)-1]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func TestSaveLoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	spec := modeltest.Spec(rng)
	m := &model.Model{
		Spec:      spec,
		Weights:   modeltest.Weights(&spec, rng),
		Threshold: 0.25,
		Dataset:   "abc",
		Producer:  "test",
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, b, _ := m.Files()
	c, d, _ := got.Files()
	if !bytes.Equal(a, c) || !bytes.Equal(b, d) {
		t.Error("a saved and loaded model differs")
	}
}

// LoadAny tells of the model that is there, in a run as in a version directory.
func TestLoadAny(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	spec := modeltest.Spec(rng)
	m := &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5}
	for name, tc := range map[string]struct {
		harm func(dir string) error
		want string // of the error; "" for none
		none bool   // it is ErrNoModel
	}{
		"whole":    {func(string) error { return nil }, "", false},
		"no model": {func(dir string) error { return os.Remove(filepath.Join(dir, "model.json")) }, "holds no model", true},
		"no weights": {func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) },
			"model.safetensors", false},
		"truncated": {func(dir string) error { return os.Truncate(filepath.Join(dir, "model.safetensors"), 100) },
			"model.safetensors", false},
		"newer": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "model.json"), []byte(`{"format_version": 2}`), 0o644)
		}, "format version 2, this degas reads 1", false},
	} {
		for _, inner := range []string{"", "model"} {
			dir := t.TempDir()
			if err := m.Save(filepath.Join(dir, inner)); err != nil {
				t.Fatal(err)
			}
			if err := tc.harm(filepath.Join(dir, inner)); err != nil {
				t.Fatal(err)
			}
			_, err := model.LoadAny(dir)
			switch {
			case errors.Is(err, model.ErrNoModel) != tc.none, (err == nil) != (tc.want == ""):
				t.Errorf("%s in %q: error %v", name, inner, err)
			case err != nil && (!strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), filepath.Join(dir,
				inner))) && !tc.none:
				t.Errorf("%s in %q: error %v does not name %q", name, inner, err, tc.want)
			}
		}
	}
}

// A layer that reads codes can only be the first: behind another one it would read that one's output.
func TestCodesAreReadFirst(t *testing.T) {
	spec, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	embedding, pool := model.Layer{
		Kind: model.KindEmbedding,
		Rows: 300,
		Dim:  4,
	}, model.Layer{
		Kind: model.KindGlobalMaxPool,
	}
	image := model.Layer{Kind: model.KindImage, Height: 16, Width: 16}
	flatten, head := model.Layer{
		Kind: model.KindFlatten,
	}, model.Layer{
		Kind:       model.KindDense,
		Units:      1,
		Activation: model.Sigmoid,
	}
	for _, tc := range []struct {
		layers []model.Layer
		want   string // "" for a good one
	}{
		{[]model.Layer{embedding, pool, head}, ""},
		{[]model.Layer{image, flatten, head}, ""},
		{[]model.Layer{image, flatten, embedding, pool, head}, "layer 2 (embedding): it reads codes"},
		{[]model.Layer{embedding, pool, embedding, pool, head}, "layer 2 (embedding): it reads codes"},
		{[]model.Layer{image, flatten, image, flatten, head}, "layer 2 (image): it reads codes"},
		{[]model.Layer{image, flatten, {Kind: model.KindParallel, Branches: [][]model.Layer{{embedding, pool}, {head}}},
			head}, "layer 0 (embedding): it reads codes"},
	} {
		spec.Layers = tc.layers
		if err := spec.Validate(); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: error %v, want %q", tc.layers, err, tc.want)
		}
	}
}

func FuzzReadWeights(f *testing.F) {
	var buf bytes.Buffer
	if _, err := (model.Weights{"a": model.NewTensor(2, 3), "b": model.NewTensor(1)}).WriteTo(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	// Of float16, two steps of the smallest size, an infinity and the largest number.
	f.Add([]byte("\x38\x00\x00\x00\x00\x00\x00\x00" + `{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}  ` +
		"\x02\x00\x00\x7c\xff\x7b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := model.ReadWeights(data)
		if err != nil {
			return
		}
		for n, v := range w {
			size := 1
			for _, d := range v.Shape {
				size *= d
			}
			if size != len(v.Data) {
				t.Fatalf("%s: shape %v with %d values", n, v.Shape, len(v.Data))
			}
		}
	})
}

func TestScoreAllocatesNothing(t *testing.T) {
	for _, preset := range model.Presets() {
		c := classifier(t, preset)
		want := c.Predict("mail-7.shop.example.com").Score
		if got := c.Score("mail-7.shop.example.com"); got != want {
			t.Errorf("%s: Score %v, Predict %v", preset, got, want)
		}
		if raceEnabled {
			continue // the race detector empties pools at random
		}
		if n := testing.AllocsPerRun(200, func() { c.Score("mail-7.shop.example.com") }); n >= 1 {
			t.Errorf("%s: %v allocations a name", preset, n)
		}
	}
}

// However a name is written, it scores as its folded form, and what is no name gets no score.
func TestClassifierFolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	for len(spec.Labels) < 3 { // of which 1 less P(benign) is the score
		spec = modeltest.Spec(rng)
	}
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	written := []string{"xn--mnchen-3ya.de", "m\u00fcnchen.de", "M\u00dcNCHEN.de.", " xn--mnchen-3ya.de:443",
		"https://m\u00fcnchen.de/a", "\t", "192.0.2.1", "# comment", "bad name", "a\x00.com"}
	const names = 5 // of written
	p := make([]float32, len(written)*c.Width())
	if err := c.Probabilities(t.Context(), written, p); err != nil {
		t.Fatal(err)
	}
	want := c.ScoreFolded(written[0])
	for i, name := range written {
		v, together, alone := c.Predict(name), c.Verdict(p[i*c.Width():(i+1)*c.Width()]), c.Score(name)
		if i < names && (v.Invalid != nil || v.Label == model.InvalidLabel || v.Score != want || alone != want ||
			math.Abs(together.Score-want) > 1e-6) {
			t.Errorf("%q: %+v, %v in a batch, %v alone, want %v", name, v, together, alone, want)
		}
		if i >= names && (v.Invalid == nil || v.Label != model.InvalidLabel || v.Score != 0 || alone != 0 ||
			together.Label != model.InvalidLabel || together.Invalid == nil ||
			model.ScoreOf(together.Probabilities) != 0) {
			t.Errorf("%q, which is no name: %+v, %+v in a batch, %v alone", name, v, together, alone)
		}
	}
}

// Codes score as the names they are of.
func TestProbabilitiesOfCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 13))
	for range 30 {
		s := modeltest.Spec(rng)
		c, err := model.NewClassifier(&model.Model{Spec: s, Weights: modeltest.Weights(&s, rng), Threshold: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		names := modeltest.Names(rng, 250, s.Encoder.Window)
		want, got := make([]float32, len(names)*c.Width()), make([]float32, len(names)*c.Width())
		if err := c.ProbabilitiesFolded(t.Context(), names, want); err != nil {
			t.Fatal(err)
		}
		codes := modeltest.Codes(&s, names)
		if err := c.ProbabilitiesOfCodes(t.Context(), codes, got); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(float64(want[i]-got[i])) > 1e-6 {
				t.Fatalf("%q: %g by codes, %g by name", names[i/c.Width()], got[i], want[i])
			}
		}
		codes[1] = uint16(s.Codes())
		if err := c.ProbabilitiesOfCodes(t.Context(), codes, got); err == nil {
			t.Error("an unknown code is scored")
		}
	}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		p         []float32
		threshold float64
		want      int
	}{
		{[]float32{0.6, 0.4}, 0.5, 0},
		{[]float32{0.5, 0.5}, 0.5, 1},
		{[]float32{0.6, 0.4}, 0.4, 1}, // the score is 0.4 of a float32, a little more
		{[]float32{0.4, 0.35, 0.25}, 0.5, 1},
		{[]float32{0.4, 0.35, 0.25}, 0.61, 0},
		{[]float32{0.2, 0.4, 0.4}, 0.5, 1}, // the first among equals
		{[]float32{0.25, 0.25, 0.5}, 0.75, 2},
	} {
		if got := model.LabelOf(tc.p, tc.threshold); got != tc.want {
			t.Errorf("%v at %g: label %d, want %d", tc.p, tc.threshold, got, tc.want)
		}
	}
}

// Fresh weights of an LSTM with Clip are those of one with Keras 2's hard sigmoid, 0.2x + 0.5; candidates have no gate.
func TestInitialHardSigmoid(t *testing.T) {
	spec, err := model.Preset("lstm")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	spec.Layers[1].RecurrentActivation = model.Clip
	clipped, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name         string
		slope, shift [4]float32 // by gate: i, f, c, o
	}{
		{"lstm/kernel", [4]float32{0.2, 0.2, 1, 0.2}, [4]float32{}},
		{"lstm/recurrent_kernel", [4]float32{0.2, 0.2, 1, 0.2}, [4]float32{}},
		{"lstm/bias", [4]float32{0.2, 0.2, 1, 0.2}, [4]float32{0.5, 0.5, 0, 0.5}},
	} {
		for i, v := range plain[tc.name].Data {
			gate := i / 128 % 4
			if got, want := clipped[tc.name].Data[i], tc.slope[gate]*v+tc.shift[gate]; math.Abs(float64(got-want)) > 1e-6 {
				t.Fatalf("%s[%d] is %g, want %g", tc.name, i, got, want)
			}
		}
	}
	spec.Layers[1].RecurrentActivation = "hard_sigmoid"
	const want = `unknown recurrent_activation "hard_sigmoid"`
	if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

// A model that another process replaces while it is read is read as the one or the other.
func TestLoadWhileReplaced(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	spec := modeltest.Spec(rng)
	models, digests := [2]*model.Model{}, [2]string{}
	for i := range models {
		models[i] = &model.Model{Spec: spec, Weights: modeltest.Weights(&spec, rng), Threshold: 0.25 * float64(i+1)}
		var err error
		if digests[i], err = models[i].Digest(); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "m")
	defer func() { *model.AfterSpec = func() {} }()
	for _, replacements := range []int{1, 2, 100} {
		done := 0
		*model.AfterSpec = func() {}
		if err := models[0].Save(dir); err != nil {
			t.Fatal(err)
		}
		*model.AfterSpec = func() {
			if done < replacements {
				done++
				if err := models[done%2].Save(dir); err != nil {
					t.Error(err)
				}
			}
		}
		m, err := model.Load(dir)
		if replacements == 100 {
			if err == nil || !strings.Contains(err.Error(), "replaces it again and again") {
				t.Errorf("replaced each time: error %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if digest, err := m.Digest(); err != nil || digest != digests[done%2] {
			t.Errorf("replaced %d times: neither model, %v", replacements, err)
		}
	}
	*model.AfterSpec = func() {}
	_, weights, err := models[0].Files()
	if err := errors.Join(err, models[1].Save(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, model.WeightsFile), weights, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(dir); err == nil || !strings.Contains(err.Error(), "of another model") {
		t.Errorf("weights of another model: error %v", err)
	}
}

// GRUs of every kind, which no engine trains and so no random Spec has.
func TestGRUEqualsForward(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for i := range 32 {
		on := func(bit int) bool { return i>>bit&1 == 1 }
		first := model.Layer{Kind: model.KindGRU, Units: 5, Bidirectional: on(0), ResetAfter: on(1), ReturnSequences: true}
		last := model.Layer{Kind: model.KindGRU, Units: 17, Bidirectional: on(2), ResetAfter: on(3)}
		if on(4) {
			first.RecurrentActivation, last.RecurrentActivation = model.Clip, model.Clip
		}
		spec := model.Spec{Name: "gru", Encoder: modeltest.Encoder(12), Labels: model.BinaryLabels}
		spec.Layers = []model.Layer{{Kind: model.KindEmbedding, Rows: 41, Dim: 3}, first, last,
			{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid}}
		checkClassifier(t, spec, rng)
	}
}
