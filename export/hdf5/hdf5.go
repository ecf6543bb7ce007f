// Package hdf5 exports a model as the Keras file model.h5, in the "legacy" layout that holds the whole model:
//
//	/                              attributes keras_version, backend, model_config (JSON), degas_model (model.json)
//	/model_weights                 attributes layer_names, keras_version, backend
//	/model_weights/<layer>         attribute weight_names
//	/model_weights/<layer>/<name>  float32 data sets, the names of weight_names split at '/'
//
// Keras 2 and tf-keras, Keras 3 and TensorFlow.js' converter load it: keras.models.load_model("model.h5",
// compile=False). The input is int32 codes, [batch, window]; the output is the head's, [batch, 1] for a sigmoid (the
// probability of Labels[1]) and [batch, labels] for a softmax.
package hdf5

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/export/internal/keras"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// File is the file that the format writes.
const File = "model.h5"

// kerasVersion is the version whose layout the file follows. Keras 2 takes a file without one for Keras 1's.
const kerasVersion = "2.15.0"

// Format is the Keras HDF5 format.
var Format = export.Register(export.Format{
	Name:    "hdf5",
	Files:   []string{File},
	Readers: "Keras 3, tf-keras and Keras 2 (load_model), h5py",
	Holds:   "the whole model; codes in, the head's probabilities out",
	Write:   write,
})

func write(dir string, m *model.Model) error {
	root, err := tree(m)
	if err != nil {
		return err
	}
	return atomicfile.WriteFunc(filepath.Join(dir, File), func(w io.Writer) error {
		_, err := root.WriteTo(w)
		return err
	})
}

func tree(m *model.Model) (*h5.Group, error) {
	layers, err := keras.Layers(m)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(keras.Config(&m.Spec, layers))
	if err != nil {
		return nil, err
	}
	own, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	root := &h5.Group{}
	stamp(root)
	root.SetString("model_config", string(config))
	root.SetString(keras.OwnAttribute, string(own))
	weights, err := root.Group("model_weights")
	if err != nil {
		return nil, err
	}
	stamp(weights)
	var names []string
	for _, l := range layers {
		names = append(names, l.Name)
		if err := addLayer(weights, l); err != nil {
			return nil, fmt.Errorf("%s: %w", l.Name, err)
		}
	}
	weights.SetStrings("layer_names", names)
	top, err := weights.Group("top_level_model_weights")
	if err != nil {
		return nil, err
	}
	top.SetStrings("weight_names", nil)
	return root, nil
}

func stamp(g *h5.Group) {
	g.SetString("keras_version", kerasVersion)
	g.SetString("backend", "tensorflow")
}

func addLayer(weights *h5.Group, l keras.Layer) error {
	g, err := weights.Group(l.Name)
	if err != nil {
		return err
	}
	var names []string
	for _, w := range l.Weights {
		names = append(names, w.Name)
		dir, base := path.Split(w.Name)
		parent, err := g.Group(path.Clean(dir))
		if err != nil {
			return err
		}
		if err := parent.Float32(base, w.Tensor.Shape, w.Tensor.Data); err != nil {
			return err
		}
	}
	g.SetStrings("weight_names", names)
	return nil
}
