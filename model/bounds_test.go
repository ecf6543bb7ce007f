package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/alloctest"
)

// Architectures that ask for more than a machine has are refused before any memory is taken.
func TestSpecsWithinBounds(t *testing.T) {
	embedding, pool := Layer{Kind: KindEmbedding, Rows: 41, Dim: 8}, Layer{Kind: KindGlobalMaxPool}
	head := Layer{Kind: KindDense, Units: 1, Activation: Sigmoid}
	for name, tc := range map[string]struct {
		layers []Layer
		want   string
	}{
		"filters that overflow": {[]Layer{embedding, {Kind: KindConv1D, Filters: 1 << 62, Kernel: 3}, pool, head},
			"a size of"},
		"dim that overflows":  {[]Layer{{Kind: KindEmbedding, Rows: 41, Dim: 1 << 61}, pool, head}, "a size of"},
		"units that overflow": {[]Layer{embedding, {Kind: KindLSTM, Units: 1 << 62}, head}, "a size of"},
		"a kernel that wraps": {[]Layer{embedding, {Kind: KindConv1D, Filters: 1, Kernel: 1 << 62}, pool, head},
			"a size of"},
		"wide activations": {
			[]Layer{embedding, {Kind: KindConv1D, Filters: 1 << 20, Kernel: 1}, pool, head},
			"one name takes 6.71e+07 values",
		},
		"a folded table": {
			[]Layer{{Kind: KindEmbedding, Rows: 1 << 20, Dim: 1}, {Kind: KindConv1D, Filters: 1 << 12, Kernel: 1}, pool, head},
			"4.3e+09 parameters up to here, more than",
		},
		"gates of every step": {
			[]Layer{embedding, {Kind: KindConv1D, Filters: 1, Kernel: 1}, {Kind: KindLSTM, Units: 1 << 17}, head},
			"one name takes 3.37e+07 values",
		},
		"patches of pictures": {
			[]Layer{{Kind: KindImage, Height: 8, Width: 8}, {Kind: KindConv2D, Filters: 1 << 16, Kernel: 1},
				{Kind: KindConv2D, Filters: 1, Kernel: 4}, {Kind: KindFlatten}, head},
			"one name takes 3.04e+07 values",
		},
		"many parameters": {
			[]Layer{embedding, {Kind: KindLSTM, Units: 1 << 14}, {Kind: KindDense, Units: 1 << 14, Activation: ReLU}, head},
			"parameters up to here, more than",
		},
	} {
		s := &Spec{Version: SpecVersion, Name: "x", Encoder: nameEncoder(), Layers: tc.layers, Labels: BinaryLabels}
		var err error
		used := alloctest.Bytes(func() { err = s.Validate() })
		if err == nil || !strings.Contains(err.Error(), tc.want) || used > 1<<20 {
			t.Errorf("%s: %v with %d bytes, want %q", name, err, used, tc.want)
		}
	}
}

// wide is a Spec of many activations: a name takes 64 times as many as there are filters.
func wide(filters int) *Spec {
	return &Spec{Version: SpecVersion, Name: "x", Encoder: nameEncoder(), Labels: BinaryLabels, Layers: []Layer{
		{Kind: KindEmbedding, Rows: 41, Dim: 1}, {Kind: KindConv1D, Filters: filters, Kernel: 1, Activation: Tanh},
		{Kind: KindGlobalMaxPool}, {Kind: KindDense, Units: 1, Activation: Sigmoid}}}
}

// The environment sets another bound.
func TestActivationsEnv(t *testing.T) {
	for _, tc := range []struct{ value, want string }{
		{"", ActivationsEnv}, {"1000", "more than 1000"}, {"100000000", ""}, {"many", `is "many"`}, {"-1", `is "-1"`},
	} {
		t.Setenv(ActivationsEnv, tc.value)
		if err := wide(1 << 18).Validate(); (err == nil) != (tc.want == "") ||
			err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.value, err, tc.want)
		}
	}
}

// A model of the most activations is scored with few names at once.
func TestScoringWideModel(t *testing.T) {
	s := wide(1 << 17)
	w, err := Initial(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClassifier(&Model{Spec: *s, Weights: w, Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a.com", "b.com", "c.com", "d.com", "e.com"}
	all := make([]float32, 2*len(names))
	used := alloctest.Bytes(func() { err = c.ProbabilitiesFolded(t.Context(), names, all) })
	if err != nil || used > uint64(runtime.GOMAXPROCS(0))<<27 {
		t.Errorf("%v with %d MiB", err, used>>20)
	}
	for i, n := range names {
		if p := c.Predict(n).Probabilities[1]; p != all[2*i+1] {
			t.Errorf("%s: %g alone, %g among others", n, p, all[2*i+1])
		}
	}
}

// Tensors that share bytes would take more memory than the file that they are in.
func TestReadWeightsSharedBytes(t *testing.T) {
	const size = 1 << 20
	header := map[string]tensorHeader{}
	for i := range 500 {
		header[fmt.Sprint("t", i)] = tensorHeader{DType: "F32", Shape: []int{size / 4}, Offsets: [2]int64{0, size}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	data = append(data, make([]byte, size)...)
	used := alloctest.Bytes(func() { _, err = ReadWeights(data) })
	if err == nil || !strings.Contains(err.Error(), "share bytes") || used > 8*size {
		t.Errorf("%v with %d MiB", err, used>>20)
	}
}

// Files that are holes have gigabytes and take no disk.
func TestLoadHoles(t *testing.T) {
	spec, err := Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{SpecFile, WeightsFile} {
		dir := t.TempDir()
		if err := (&Model{Spec: spec, Weights: w, Threshold: 0.5}).Save(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.Truncate(path, 40<<30); err != nil {
			t.Skip(err)
		}
		used := alloctest.Bytes(func() { _, err = Load(dir) })
		if err == nil || !strings.Contains(err.Error(), path+": it has more than") || used > 256<<20 {
			t.Errorf("%s: %v with %d MiB", name, err, used>>20)
		}
	}
}
