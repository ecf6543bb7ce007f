package tfjs

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

// The manifest and the shard agree, and hold every tensor.
func TestWrite(t *testing.T) {
	for _, tc := range exporttest.Cases(t, rand.New(rand.NewPCG(1, 2)), 3) {
		t.Run(tc.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := write(dir, tc.Model); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(dir, Dir, modelFile))
			if err != nil {
				t.Fatal(err)
			}
			var file struct {
				WeightsManifest []struct {
					Paths   []string
					Weights []entry
				}
			}
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			shard, err := os.ReadFile(filepath.Join(dir, Dir, file.WeightsManifest[0].Paths[0]))
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			_, tensor := exporttest.First(t, tc.Model)
			for i, w := range file.WeightsManifest[0].Weights {
				n := 4
				for _, d := range w.Shape {
					n *= d
				}
				if first := math.Float32frombits(binary.LittleEndian.Uint32(shard[size:])); i == 0 && first != tensor.Data[0] {
					t.Errorf("%s begins with %g", w.Name, first)
				}
				size += n
			}
			if size != len(shard) || len(file.WeightsManifest[0].Weights) != len(tc.Model.Weights) {
				t.Errorf("%d bytes in the manifest, %d in the shard", size, len(shard))
			}
		})
	}
}

// TensorFlow.js keeps no settings of a recurrent activation: clipped gates become its hard sigmoid, 0.2x + 0.5, by
// other weights. The model stays as it is.
func TestClippedGates(t *testing.T) {
	for _, both := range []bool{false, true} {
		spec, err := model.Preset("lstm")
		if err != nil {
			t.Fatal(err)
		}
		spec.Layers[1].Bidirectional, spec.Layers[1].RecurrentActivation = both, model.Clip
		m, dir := exporttest.Untrained(t, spec), t.TempDir() // biases 0.5, 0.7, 0 and 0.5
		if err := write(dir, m); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, Dir, modelFile))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), `"recurrent_activation":"hard_sigmoid"`) {
			t.Errorf("%s", data)
		}
		hard, err := withHardSigmoids(m)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][4]float32{"was": {0.5, 0.7, 0, 0.5}, "hard": {0, 1, 0, 0}} {
			weights := map[string]model.Weights{"was": m.Weights, "hard": hard.Weights}[name]
			bias := weights[map[bool]string{false: "lstm/bias", true: "bidirectional/backward/bias"}[both]].Data
			for gate, v := range want {
				if math.Abs(float64(bias[gate*128]-v)) > 1e-6 {
					t.Errorf("%s: gate %d has bias %g, want %g", name, gate, bias[gate*128], v)
				}
			}
		}
	}
}

func TestResetAfter(t *testing.T) {
	m := exporttest.Untrained(t, exporttest.GRUs(true))
	want := "layer gru: TensorFlow.js knows no GRU with reset_after"
	if err := write(t.TempDir(), m); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
