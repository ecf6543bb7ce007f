// Package keras3 exports a model as Keras 3's own file, model.keras: a zip of
//
//	metadata.json      the Keras version whose layout it is
//	config.json        the architecture
//	model.weights.h5   /layers/<layer>/vars/<n>, float32; layers named by class and number, not by their own names
//
// Keras 3 loads it: keras.models.load_model("model.keras", compile=False). Input and output are those of package hdf5.
package keras3

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/export/internal/keras"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// File is the file that the format writes.
const File = "model.keras"

// version is the Keras whose layout the file has.
const version = "3.6.0"

// Format is the Keras 3 format.
var Format = export.Register(export.Format{
	Name:    "keras",
	Files:   []string{File},
	Readers: "Keras 3 (load_model), on any of its backends",
	Holds:   "the whole model; codes in, the head's probabilities out",
	Write:   write,
})

func write(dir string, m *model.Model) error {
	layers, err := keras.Layers(m)
	if err != nil {
		return err
	}
	config := keras.Config(&m.Spec, layers)
	config["module"], config["registered_name"] = "keras.src.models.functional", "Functional"
	weights, err := weightsFile(layers)
	if err != nil {
		return err
	}
	return atomicfile.WriteFunc(filepath.Join(dir, File), func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, part := range []struct {
			name    string
			content any
		}{{"metadata.json", keras.Object{"keras_version": version}}, {"config.json", config}, {"model.weights.h5", weights}} {
			// Stored, as Keras does, and without a time: equal models give equal bytes.
			f, err := z.CreateHeader(&zip.FileHeader{Name: part.name, Method: zip.Store})
			if err != nil {
				return err
			}
			if raw, ok := part.content.([]byte); ok {
				_, err = f.Write(raw)
			} else {
				err = json.NewEncoder(f).Encode(part.content)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
		return z.Close()
	})
}

// weightsFile lays out model.weights.h5.
func weightsFile(layers []keras.Layer) ([]byte, error) {
	root, seen := &h5.Group{}, map[string]int{}
	for _, l := range layers {
		name := snake(l.Class)
		n := seen[name]
		seen[name]++
		if n > 0 {
			name += "_" + strconv.Itoa(n)
		}
		for i, w := range l.Weights {
			holder, number := place(l.Class, i)
			group, err := root.Group("layers/" + name + holder + "/vars")
			if err != nil {
				return nil, err
			}
			if err := group.Float32(strconv.Itoa(number), w.Tensor.Shape, w.Tensor.Data); err != nil {
				return nil, fmt.Errorf("%s: %w", w.Name, err)
			}
		}
	}
	var b bytes.Buffer
	if _, err := root.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// place is where variable i of a layer is: the three of an LSTM or a GRU belong to its cell, a bidirectional layer's to
// the cells of the two layers that it wraps.
func place(class string, i int) (holder string, number int) {
	switch {
	case class == "LSTM" || class == "GRU":
		return "/cell", i
	case class == "Bidirectional" && i < 3:
		return "/forward_layer/cell", i
	case class == "Bidirectional":
		return "/backward_layer/cell", i - 3
	}
	return "", i
}

// Where Keras begins another word: before a capital with small letters behind it, and between small and capital.
var wordStarts = []*regexp.Regexp{regexp.MustCompile(`(.)([A-Z][a-z]+)`), regexp.MustCompile(`([a-z])([A-Z])`)}

// snake writes a class as Keras does in paths: GlobalMaxPooling1D is global_max_pooling1d, LSTM lstm, ReLU re_lu.
func snake(class string) string {
	for _, start := range wordStarts {
		class = start.ReplaceAllString(class, "${1}_$2")
	}
	return strings.ToLower(class)
}
