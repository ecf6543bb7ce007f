package keras3

import (
	"archive/zip"
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/export/internal/h5"
)

func TestSnake(t *testing.T) {
	for class, want := range map[string]string{"Conv1D": "conv1d", "GlobalMaxPooling1D": "global_max_pooling1d",
		"LSTM": "lstm", "ReLU": "re_lu",
		"InputLayer": "input_layer", "MaxPooling1D": "max_pooling1d", "Dense": "dense", "Bidirectional": "bidirectional"} {
		if got := snake(class); got != want {
			t.Errorf("%s is %s, want %s", class, got, want)
		}
	}
}

// Every tensor is in the file once, and the same model gives the same bytes.
func TestWrite(t *testing.T) {
	for _, tc := range exporttest.Cases(t, rand.New(rand.NewPCG(1, 2)), 4) {
		t.Run(tc.Name, func(t *testing.T) {
			dir, again := t.TempDir(), t.TempDir()
			for _, d := range []string{dir, again} {
				if err := write(d, tc.Model); err != nil {
					t.Fatal(err)
				}
			}
			a, _ := os.ReadFile(filepath.Join(dir, File))
			b, _ := os.ReadFile(filepath.Join(again, File))
			if !bytes.Equal(a, b) {
				t.Error("two exports differ")
			}
			z, err := zip.NewReader(bytes.NewReader(a), int64(len(a)))
			if err != nil {
				t.Fatal(err)
			}
			f, err := z.Open("model.weights.h5")
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			file, err := h5.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			root, err := file.Root()
			if err != nil {
				t.Fatal(err)
			}
			layer, tensor := exporttest.First(t, tc.Model)
			e, err := root.Child("layers/" + layer + "/vars/0")
			if err != nil {
				t.Fatal(err)
			}
			if _, values, err := e.Float32(); err != nil || values[0] != tensor.Data[0] {
				t.Errorf("%s: %v", layer, err)
			}
		})
	}
}
