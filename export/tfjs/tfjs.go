// Package tfjs exports a model as a TensorFlow.js layers model, in the directory tfjs:
//
//	model.json               the architecture as Keras has it, and the list of weights
//	group1-shard1of1.bin     the weights one after the other, float32, little-endian
//
// TensorFlow.js loads it: tf.loadLayersModel("…/tfjs/model.json"). Input and output are those of package hdf5.
package tfjs

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/keras"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// The format writes Dir with two files, which have the names that TensorFlow.js' converter gives them.
const (
	Dir       = "tfjs"
	modelFile = "model.json"
	shardFile = "group1-shard1of1.bin"
)

// Format is the TensorFlow.js format.
var Format = export.Register(export.Format{
	Name:    "tfjs",
	Files:   []string{Dir + "/"},
	Readers: "TensorFlow.js (loadLayersModel), in browsers and node",
	Holds:   "the whole model; codes in, the head's probabilities out",
	Write:   write,
})

// entry is one weight of the manifest.
type entry struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

func write(dir string, m *model.Model) error {
	m, err := withHardSigmoids(m)
	if err != nil {
		return err
	}
	layers, err := keras.Layers(m)
	if err != nil {
		return err
	}
	if err := adapt(m, layers); err != nil {
		return err
	}
	dir = filepath.Join(dir, Dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var entries []entry
	var tensors []*model.Tensor
	for _, l := range layers {
		for _, w := range l.Weights {
			entries = append(entries, entry{strings.TrimSuffix(w.Name, ":0"), w.Tensor.Shape, "float32"})
			tensors = append(tensors, w.Tensor)
		}
	}
	data, err := json.Marshal(keras.Object{
		"format":      "layers-model",
		"generatedBy": "degas",
		"convertedBy": nil,
		"modelTopology": keras.Object{
			"keras_version": "2.15.0",
			"backend":       "tensorflow",
			"model_config":  keras.Config(&m.Spec, layers),
		},
		"weightsManifest": []any{keras.Object{"paths": []string{shardFile}, "weights": entries}},
	})
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFunc(filepath.Join(dir, shardFile), func(w io.Writer) error {
		b := bufio.NewWriter(w)
		for _, t := range tensors {
			if err := binary.Write(b, binary.LittleEndian, t.Data); err != nil {
				return err
			}
		}
		return b.Flush()
	}); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, modelFile), append(data, '\n'))
}

// withHardSigmoids copies m with the weights of hard sigmoids, 0.2x + 0.5, where the gates of an LSTM or a GRU are
// clipped.
func withHardSigmoids(m *model.Model) (*model.Model, error) {
	list, err := m.Spec.Graph()
	if err != nil {
		return nil, err
	}
	hard := *m
	hard.Weights = m.Weights.Clone()
	for _, n := range list {
		if n.Layer.RecurrentActivation == model.Clip {
			hard.Weights.ScaleGates(n, 1/0.2, -0.5/0.2)
		}
	}
	return &hard, nil
}

// recurrent names the activation of clipped gates, and refuses what TensorFlow.js does not know.
func recurrent(config keras.Object) error {
	if config["reset_after"] == true {
		return errors.New("TensorFlow.js knows no GRU with reset_after")
	}
	if config["recurrent_activation"] != model.Sigmoid {
		config["recurrent_activation"] = "hard_sigmoid"
	}
	return nil
}

// adapt replaces layers that TensorFlow.js does not take. Its ReLU has no threshold, but there is a ThresholdedReLU. As
// an activation of gates, a ReLU loses its maximum in a Bidirectional. TensorFlow.js refuses a Flatten of a flat input,
// which becomes an activation that does nothing.
func adapt(m *model.Model, layers []keras.Layer) error {
	list, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	flat := map[string]bool{}
	for _, n := range list {
		flat[n.Name] = len(n.Shape) == 1 && n.Kind != model.KindInput
	}
	for i, l := range layers {
		config := keras.Object{"name": l.Name, "trainable": true, "dtype": "float32"}
		switch {
		case l.Class == "Flatten" && flat[l.Inputs[0]]:
			config["activation"] = "linear"
			layers[i].Class, layers[i].Config = "Activation", config
		case l.Class == "ReLU":
			config["theta"] = l.Config["threshold"]
			layers[i].Class, layers[i].Config = "ThresholdedReLU", config
		case l.Class == "LSTM" || l.Class == "GRU":
			err = recurrent(l.Config)
		case l.Class == "Bidirectional":
			err = recurrent(l.Config["layer"].(keras.Object)["config"].(keras.Object))
		}
		if err != nil {
			return fmt.Errorf("layer %s: %w", l.Name, err)
		}
	}
	return nil
}
