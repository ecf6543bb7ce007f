package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/importer"
)

// norm has the variables of a BatchNormalization of a number of features.
func norm(layer string, features int, names ...string) variables {
	if names == nil {
		names = []string{"gamma", "beta", "mean", "variance"}
	}
	v := variables{layer: layer}
	for _, n := range names {
		v.names, v.shapes = append(v.names, n), append(v.shapes, []int{features})
	}
	return v
}

// BatchNormalization before and behind an activation, over an embedding, and between convolutions that pad: the scores
// are those of tf-keras 2.21.0 and Keras 3.15.1.
func TestNormOfSequences(t *testing.T) {
	config := embedded(`{"class_name": "BatchNormalization", "config": {"name": "n1", "axis": [2]}},
		{"class_name": "Conv1D", "config": {"name": "c1", "filters": 2, "kernel_size": [4], "padding": "same"}},
		{"class_name": "BatchNormalization", "config": {"name": "n2", "axis": -1, "scale": false}},
		{"class_name": "Activation", "config": {"name": "a", "activation": "relu"}},
		{"class_name": "BatchNormalization", "config": {"name": "n3", "axis": 2, "center": false, "epsilon": 0.01}},
		{"class_name": "Conv1D", "config": {"name": "c2", "filters": 2, "kernel_size": 3, "padding": "same", ` +
		`"activation": "tanh"}}, {"class_name": "GlobalMaxPooling1D", "config": {"name": "g"}},
		{"class_name": "Dense", "config": {"name": "d1", "units": 3, "activation": "relu"}},
		{"class_name": "BatchNormalization", "config": {"name": "n4", "axis": 1}},
		{"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}}`)
	checkScores(t, sineFile(t, "2.15.0", config, layerOf("e", "table", []int{41, 3}), norm("n1", 3),
		layerOf("c1", "kernel", []int{4, 3, 2}, "bias", []int{2}), norm("n2", 2, "beta", "mean", "variance"),
		norm("n3", 2, "gamma", "mean", "variance"), layerOf("c2", "kernel", []int{3, 2, 2}, "bias", []int{2}),
		layerOf("d1", "kernel", []int{2, 3}, "bias", []int{3}), norm("n4", 3),
		layerOf("d", "kernel", []int{3, 1}, "bias", []int{1})),
		importer.Options{}, 0.1131845, 0.1133638, 0.1477940, 0.1075136)
}

// Over pictures, values laid flat and a head's logits. The scores are those of tf-keras 2.21.0.
func TestNormOfPictures(t *testing.T) {
	config := sequential(`{"class_name": "BatchNormalization", "config": {"name": "n1", "axis": [3], "epsilon": 1e4, ` +
		`"batch_input_shape": [null, 16, 16, 1]}},
		{"class_name": "Conv2D", "config": {"name": "c", "filters": 2, "kernel_size": [2, 2], "activation": "relu"}},
		{"class_name": "BatchNormalization", "config": {"name": "n2", "axis": [3], "epsilon": 1}},
		{"class_name": "MaxPooling2D", "config": {"name": "p", "pool_size": [3, 3]}},
		{"class_name": "Flatten", "config": {"name": "f"}}, {"class_name": "BatchNormalization", "config": {"name": "n3", ` +
		`"axis": [1], "epsilon": 10, "scale": false, "center": false}},
		{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "linear"}},
		{"class_name": "BatchNormalization", "config": {"name": "n4", "axis": [1], "epsilon": 1}},
		{"class_name": "Activation", "config": {"name": "a", "activation": "sigmoid"}}`)
	checkScores(t, sineFile(t, "2.15.0", config, norm("n1", 1),
		layerOf("c", "kernel", []int{2, 2, 1, 2}, "bias", []int{2}), norm("n2", 2),
		norm("n3", 50, "mean", "variance"), layerOf("d", "kernel", []int{50, 1}, "bias", []int{1}),
		norm("n4", 1)), importer.Options{}, 0.9799413, 0.9801350, 0.9799283, 0.9796821)
}

// Layers that others read too keep their parameters: the embedding and the convolution here. The scores are those of
// tf-keras 2.21.0.
func TestNormOfBranches(t *testing.T) {
	layer := func(class, name, config string, inputs ...string) string {
		var from []string
		for _, in := range inputs {
			from = append(from, fmt.Sprintf("[%q, 0, 0, {}]", in))
		}
		return fmt.Sprintf(`{"class_name": %q, "name": %q, "config": {%s}, "inbound_nodes": [[%s]]}`,
			class, name, config, strings.Join(from, ", "))
	}
	layers := []string{
		`{"class_name": "InputLayer", "name": "i", "config": {"batch_input_shape": [null, 64]}, "inbound_nodes": []}`,
		layer("Embedding", "e", `"input_dim": 41, "output_dim": 3`, "i"),
		layer("Conv1D", "c", `"filters": 2, "kernel_size": 3`, "e"),
		layer("BatchNormalization", "n1", ``, "c"), layer("Activation", "a", `"activation": "relu"`, "n1"),
		layer("BatchNormalization", "n2", ``, "e"), layer("GlobalMaxPooling1D", "g1", ``, "a"),
		layer("GlobalMaxPooling1D", "g2", ``, "c"), layer("LSTM", "l", `"units": 3`, "n2"),
		layer("Concatenate", "j", ``, "g1", "g2", "l"), layer("BatchNormalization", "n3", ``, "j"),
		layer("Dense", "d", `"units": 1, "activation": "sigmoid"`, "n3"),
	}
	config := `{"class_name": "Functional", "config": {"output_layers": [["d", 0, 0]], "layers": [` +
		strings.Join(layers, ", ") + `]}}`
	checkScores(t, sineFile(t, "2.15.0", config, layerOf("e", "table", []int{41, 3}),
		layerOf("c", "kernel", []int{3, 3, 2}, "bias", []int{2}), norm("n1", 2), norm("n2", 3),
		layerOf("l", "kernel", []int{3, 12}, "recurrent", []int{3, 12}, "bias", []int{12}), norm("n3", 7),
		layerOf("d", "kernel", []int{7, 1}, "bias", []int{1})),
		importer.Options{}, 0.0005149, 0.0010529, 0.5323616, 0.0007899)
}

func TestNormRefusals(t *testing.T) {
	for _, tc := range []struct {
		config    string
		variables variables
		want      string
	}{
		{`, "axis": 1`, norm("n", 3), "layer n: axis 1 is not read, only the last"},
		{`, "mode": 1`, norm("n", 3), "layer n: mode 1 is not read, only 0"},
		{`, "scale": false`, norm("n", 3), "layer n: has 4 variables, a BatchNormalization of these settings has 3"},
		{``, norm("n", 4), "layer n: is over 4 features, the layer before it gives 3"},
		{`, "epsilon": "small"`, norm("n", 3), `layer n: epsilon "small" is not read`},
		{``, layerOf("n", "gamma", []int{3}, "beta", []int{3}, "mean", []int{1}, "variance", []int{3}), "mean has shape [1]"},
	} {
		config := embedded(`{"class_name": "BatchNormalization", "config": {"name": "n"` + tc.config +
			`}}, {"class_name": "Flatten", "config": {"name": "f"}}`)
		file := sineFile(t, "2.15.0", config, layerOf("e", "table", []int{41, 3}), tc.variables,
			layerOf("d", "kernel", []int{192, 1}, "bias", []int{1}))
		if _, err := importer.Parse(file, importer.Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.config, err, tc.want)
		}
	}
}

// A layer of its own is a square of its features: beyond 4096 they are refused.
func TestNormOfManyFeatures(t *testing.T) {
	config := embedded(`{"class_name": "MaxPooling1D", "config": {"name": "p", "pool_size": 1}},
		{"class_name": "BatchNormalization", "config": {"name": "n"}}`)
	file := sineFile(t, "2.15.0", config, layerOf("e", "table", []int{41, 3}), norm("n", 4097))
	want := "layer n: over 4097 features is only read behind a linear layer"
	if _, err := importer.Parse(file, importer.Options{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
