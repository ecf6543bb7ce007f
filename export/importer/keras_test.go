package importer_test

import (
	"bytes"
	"encoding/json"
	"math"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/importer"
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

// variables are those of one layer: names and shapes, in Keras' order.
type variables struct {
	layer  string
	names  []string
	shapes [][]int
}

// layerOf is a layer with the variables of a name and a shape each: "kernel", []int{3, 1}, ….
func layerOf(layer string, namesAndShapes ...any) variables {
	v := variables{layer: layer}
	for i := 0; i < len(namesAndShapes); i += 2 {
		v.names = append(v.names, namesAndShapes[i].(string))
		v.shapes = append(v.shapes, namesAndShapes[i+1].([]int))
	}
	return v
}

// sineFile is an HDF5 file of a Keras version whose weights are the sines of 1, 2, 3 and so on, in the file's order:
// weights that are the same in Python. A variance is a sine without its sign.
func sineFile(t testing.TB, version, config string, layers ...variables) []byte {
	t.Helper()
	root := &h5.Group{}
	root.SetString("model_config", config)
	if version != "" {
		root.SetString("keras_version", version)
	}
	n := 0
	for _, l := range layers {
		g, err := root.Group("model_weights/" + l.layer)
		if err != nil {
			t.Fatal(err)
		}
		for i, shape := range l.shapes {
			data := model.NewTensor(shape...).Data
			for k := range data {
				n++
				data[k] = float32(math.Sin(float64(n)))
				if l.names[i] == "variance" {
					data[k] = max(data[k], -data[k])
				}
			}
			if err := g.Float32(l.names[i], shape, data); err != nil {
				t.Fatal(err)
			}
		}
		g.SetStrings("weight_names", l.names)
	}
	var b bytes.Buffer
	if _, err := root.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkScores imports a file and compares the scores of four names with what Keras gave for them.
func checkScores(t *testing.T, file []byte, o importer.Options, want ...float64) {
	t.Helper()
	m, err := importer.Parse(file, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"google.com", "xcbeoysoqcbnlvje.eu", "a",
		"www.a-very-long-label-of-a-name.that-no-window-of-45-codes-can-hold.example.org"} {
		if got := c.Score(name); math.Abs(got-want[i]) > 1e-6 {
			t.Errorf("%s scores %.7f, Keras gives %.7f", name, got, want[i])
		}
	}
}
