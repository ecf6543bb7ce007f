package tfjs

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
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
