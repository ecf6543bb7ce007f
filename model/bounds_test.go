package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
