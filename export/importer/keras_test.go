package importer_test

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/export/internal/keras"
	"github.com/degas-dns/degas/model"
)

// kerasConfig is m's model_config.
func kerasConfig(t testing.TB, m *model.Model) string {
	t.Helper()
	layers, err := keras.Layers(m)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(keras.Config(&m.Spec, layers))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// kerasFile is an HDF5 file with a model_config and zero weights of the given shapes by path below /model_weights, of
// which the first element is the layer.
func kerasFile(t testing.TB, config string, shapes map[string][]int) []byte {
	t.Helper()
	root := &h5.Group{}
	root.SetString("model_config", config)
	names := map[string][]string{}
	for name, shape := range shapes {
		dir, base := path.Split("model_weights/" + name)
		g, err := root.Group(path.Clean(dir))
		if err != nil {
			t.Fatal(err)
		}
		size := 1
		for _, d := range shape {
			size *= d
		}
		if err := g.Float32(base, shape, make([]float32, size)); err != nil {
			t.Fatal(err)
		}
		layer, weight, _ := strings.Cut(name, "/")
		names[layer] = append(names[layer], weight)
	}
	for layer, list := range names {
		g, err := root.Group("model_weights/" + layer)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(list)
		slices.Reverse(list) // kernel before bias
		g.SetStrings("weight_names", list)
	}
	var b bytes.Buffer
	if _, err := root.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
