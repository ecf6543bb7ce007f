package hdf5

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

func read(t *testing.T, m *model.Model) *fileTree {
	t.Helper()
	dir := t.TempDir()
	if err := write(dir, m); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := readTree(data)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestLayout reads every case back as Keras does: layer_names, each layer's weight_names, then the data sets.
func TestLayout(t *testing.T) {
	for _, c := range exporttest.Cases(t, rand.New(rand.NewPCG(5, 6)), 12) {
		tree := read(t, c.Model)
		for _, at := range []string{"/@", "/model_weights/@"} {
			if tree.Strings[at+"keras_version"] != kerasVersion || tree.Strings[at+"backend"] != "tensorflow" {
				t.Errorf("%s: no version at %s", c.Name, at)
			}
		}
		var tensors []dataSet
		for _, layer := range tree.Arrays["/model_weights/@layer_names"] {
			names, ok := tree.Arrays["/model_weights/"+layer+"/@weight_names"]
			if !ok {
				t.Errorf("%s: %s has no weight_names", c.Name, layer)
			}
			for _, name := range names {
				set, ok := tree.Datasets["/model_weights/"+layer+"/"+name]
				if !ok {
					t.Errorf("%s: no data set for %s", c.Name, name)
				}
				tensors = append(tensors, set)
			}
		}
		if len(tensors) != len(c.Model.Weights) || len(tree.Datasets) != len(tensors) {
			t.Errorf(
				"%s: %d tensors in %d data sets, the model has %d",
				c.Name,
				len(tensors),
				len(tree.Datasets),
				len(c.Model.Weights),
			)
		}
		for name, w := range c.Model.Weights {
			if !slices.ContainsFunc(
				tensors,
				func(d dataSet) bool { return slices.Equal(d.Shape, w.Shape) && slices.Equal(d.Data, w.Data) },
			) {
				t.Errorf("%s: %s is not in the file", c.Name, name)
			}
		}
		checkConfig(t, c.Name, tree)
	}
}

// checkConfig compares model_config's layers with layer_names.
func checkConfig(t *testing.T, name string, tree *fileTree) {
	t.Helper()
	var config struct {
		Class  string `json:"class_name"`
		Config struct {
			Layers []struct {
				Name    string  `json:"name"`
				Inbound [][]any `json:"inbound_nodes"`
			} `json:"layers"`
		} `json:"config"`
	}
	if err := json.Unmarshal([]byte(tree.Strings["/@model_config"]), &config); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var layers []string
	for i, l := range config.Config.Layers {
		layers = append(layers, l.Name)
		if (len(l.Inbound) == 0) != (i == 0) {
			t.Errorf("%s: layer %d (%s) has inputs %v", name, i, l.Name, l.Inbound)
		}
	}
	if config.Class != "Functional" || !slices.Equal(layers, tree.Arrays["/model_weights/@layer_names"]) {
		t.Errorf("%s: %s with layers %v", name, config.Class, layers)
	}
}

// TestOriginalPaths holds the degas preset to the paths of the original's nyu_model.h5.
func TestOriginalPaths(t *testing.T) {
	spec, err := model.Preset("degas")
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Spec: spec}
	if m.Weights, err = model.Initial(&spec, 1); err != nil {
		t.Fatal(err)
	}
	tree := read(t, m)
	want := []string{
		"main_input",
		"embedding",
		"conv1d",
		"thresholded_re_lu",
		"max_pooling1d",
		"conv1d_1",
		"thresholded_re_lu_1",
		"max_pooling1d_1",
		"flatten",
		"dense",
		"thresholded_re_lu_2",
		"dropout",
		"dense_1",
	}
	if got := tree.Arrays["/model_weights/@layer_names"]; !slices.Equal(got, want) {
		t.Errorf("layers %v, want %v", got, want)
	}
	for path, shape := range map[string][]int{
		"embedding/embedding/embeddings:0": {128, 128}, "conv1d/conv1d/kernel:0": {3, 128, 128},
		"conv1d_1/conv1d_1/kernel:0": {2, 128, 128},
		"dense/dense/kernel:0":       {2432, 64}, "dense_1/dense_1/bias:0": {1},
	} {
		if got := tree.Datasets["/model_weights/"+path].Shape; !slices.Equal(got, shape) {
			t.Errorf("%s is %v, want %v", path, got, shape)
		}
	}
}
