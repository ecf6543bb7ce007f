package importer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/hdf5"
	"github.com/degas-dns/degas/export/importer"
	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/internal/alloctest"
	"github.com/degas-dns/degas/model"
)

// What degas exports comes back as it was: Spec, weights, threshold.
func TestOwnExportsComeBack(t *testing.T) {
	for _, tc := range exporttest.Cases(t, rand.New(rand.NewPCG(7, 7)), 5) {
		t.Run(tc.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := hdf5.Format.Write(dir, tc.Model); err != nil {
				t.Fatal(err)
			}
			m, _, err := importer.Read(filepath.Join(dir, hdf5.File), importer.Options{Producer: tc.Model.Producer})
			if err != nil {
				t.Fatal(err)
			}
			spec, weights, err := m.Files()
			if err != nil {
				t.Fatal(err)
			}
			wantSpec, wantWeights, err := tc.Model.Files()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(spec, wantSpec) {
				t.Errorf("spec is\n%s\nwant\n%s", spec, wantSpec)
			}
			if !bytes.Equal(weights, wantWeights) {
				t.Error("weights differ")
			}
		})
	}
}

// shared is a file of the project's shared folder, which a clone need not have.
func shared(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../shared/data/models", path))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs ../shared")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The original degas' released weights score names as their author's code does.
func TestOriginalDegas(t *testing.T) {
	m, err := importer.Parse(shared(t, "degas/1/nyu_model.h5"), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := model.Preset("degas")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Spec.Layers) != len(want.Layers) || m.Spec.Encoder != want.Encoder {
		t.Errorf("the spec is not the degas preset's: %+v", m.Spec)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, score := range map[string]float64{
		"xcbeoysoqcbnlvje.eu": 0.999815, "gnqqmcj.pw": 0.882593, "yeiesmomgeso.org": 0.744909, "google.com": 1e-6,
		"kingwhichtotallyadminis.biz": 0.503694,
	} {
		if got := c.Score(name); math.Abs(got-score) > 1e-5 {
			t.Errorf("%s scores %.6f, want %.6f", name, got, score)
		}
	}
}

// The CoreDNS plugin's released weights score as tf-keras 2.21.0 says they do.
func TestOriginalMLBridge(t *testing.T) {
	m, err := importer.Parse(shared(t, "dns_alert_model.hdf5"), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Spec.Layers, want.Layers) || m.Spec.Encoder != want.Encoder {
		t.Errorf("the spec is not the mlbridge preset's: %+v", m.Spec)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, score := range map[string]float64{
		"google.com": 0.0119263, "0-covid.example": 0.3572086, "1st-mask.ru": 0.5175811, "gnqqmcj.pw": 0.0199807,
		"www.wikipedia.org": 0.0085211,
	} {
		if got := c.Score(name); math.Abs(got-score) > 1e-6 {
			t.Errorf("%s scores %.7f, want %.7f", name, got, score)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"no json":    {"{", "model_config"},
		"subclassed": {`{"class_name": "MyModel", "config": {}}`, `class "MyModel"`},
		"empty":      {`{"class_name": "Sequential", "config": []}`, "no layers"},
		"unknown": {`{"class_name": "Sequential", "config": [{"class_name": "SimpleRNN", "config": {"name": "rnn"}}]}`,
			"layer rnn: a layer of class SimpleRNN is not read"},
		"masking": {sequential(`{"class_name": "Masking", "config": {"name": "m", "batch_input_shape": [null, 64]}}`),
			"layer m: a layer of class Masking is not read"},
		"soft gates": {sequential(`{"class_name": "LSTM", "config": {"name": "l", "recurrent_activation": "softsign"}}`),
			"layer l: recurrent_activation softsign is not read"},
		"gates up to 6": {sequential(`{"class_name": "LSTM", "config": {"name": "l", "recurrent_activation": ` +
			`{"class_name": "ReLU", "config": {"max_value": 6}}}}`), `layer l: recurrent_activation {"class_name": "ReLU"`},
		"loop": {`{"class_name": "Model", "config": {"layers": [{"class_name": "Flatten", "name": "a", "inbound_nodes": ` +
			`[[["b", 0, 0, {}]]]},
			{"class_name": "Flatten", "name": "b", "inbound_nodes": [[["a", 0, 0, {}]]]}], "output_layers": [["a", 0, 0]]}}`,
			"feeds itself"},
		"oblong": {`{"class_name": "Sequential", "config": [{"class_name": "Conv2D", "config": {"name": "c", "filters": ` +
			`2, "kernel_size": [2, 3],
			"batch_input_shape": [null, 4, 4, 1]}}]}`, "layer c: kernel_size of 2 and 3"},
		"colours": {`{"class_name": "Sequential", "config": [{"class_name": "Conv2D", "config": {"name": "c", "filters": ` +
			`2, "kernel_size": [2, 2],
			"batch_input_shape": [null, 4, 4, 3]}}, {"class_name": "Flatten", "config": {"name": "f"}},
			{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "sigmoid"}}]}`, "--encoder"},
		"activation as an object": {sequential(`{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": ` +
			`{"class_name": "LeakyReLU"}}}`),
			`layer d: activation {"class_name": "LeakyReLU"} is not read`},
		"activation layer of an object": {sequential(`{"class_name": "Dense", "config": {"name": "d", "units": 1}}, ` +
			`{"class_name": "Activation", "config": {"name": "a", "activation": {}}}`),
			"layer a: activation {} is not read"},
		"LSTM's activation": {sequential(`{"class_name": "LSTM", "config": {"name": "l", "units": 2, "activation": ` +
			`["relu"]}}`), `layer l: activation ["relu"] is not read`},
		"wrapped LSTM's activation": {sequential(`{"class_name": "Bidirectional", "config": {"name": "b", "layer": ` +
			`{"class_name": "LSTM", "config": {"activation": {}}}}}`),
			"layer b: activation {} is not read"},
		"unmerged": {sequential(`{"class_name": "Bidirectional", "config": {"name": "b", "merge_mode": null, "layer": ` +
			`{"class_name": "LSTM"}}}`), "layer b: merge_mode null"},
		"strides": {sequential(`{"class_name": "Conv1D", "config": {"name": "c", "filters": 2, "kernel_size": ` +
			`2, "strides": [2, 1]}}`), "layer c: strides [2, 1] is not read"},
		"dilation": {sequential(`{"class_name": "Conv2D", "config": {"name": "c", "filters": 2, "kernel_size": ` +
			`2, "dilation_rate": "2"}}`), `layer c: dilation_rate "2" is not read`},
		"maximum": {sequential(`{"class_name": "ReLU", "config": {"name": "r", "max_value": {"value": 6}}}`),
			`layer r: max_value {"value": 6} is not read`},
		"input shape": {sequential(`{"class_name": "Flatten", "config": {"name": "f", "batch_input_shape": "75"}}`),
			`layer f_input: batch_input_shape "75" is not read`},
		"return state": {sequential(`{"class_name": "LSTM", "config": {"name": "l", "units": 2, "return_state": true}}`),
			"layer l: return_state is not read"},
		"second output": {`{"class_name": "Model", "config": {"layers": ` +
			`[{"class_name": "Flatten", "name": "b", "inbound_nodes": [[["a", 0, 1, {}]]]}], "output_layers": [["b", 0, 0]]}}`,
			"layer b: inbound_nodes: output 1 of call 0 of layer a is not read"},
		"second output at the end": {`{"class_name": "Model", "config": {"layers": [], "output_layers": ["a", 0, 2]}}`,
			"output_layers: output 2"},
		"initial state": {`{"class_name": "Model", "config": {"layers": ` +
			`[{"class_name": "LSTM", "name": "l", "inbound_nodes": [[["a", 0, 0, {"training": false,
			"initial_state": [["h", 0, 0], ["c", 0, 0]]}]]]}], "output_layers": [["l", 0, 0]]}}`,
			"layer l: inbound_nodes: a call with initial_state is not read"},
		"initial state of Keras 3": {`{"class_name": "Functional", "config": {"layers": ` +
			`[{"class_name": "LSTM", "name": "l", "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
			"config": {"keras_history": ["a", 0, 0]}}], "kwargs": {"mask": null, "initial_state": []}}]}], "output_layers": ` +
			`["l", 0, 0]}}`, "a call with initial_state is not read"},
		"two outputs": {`{"class_name": "Model", "config": {"layers": [], "output_layers": [["a", 0, 0], ["b", 0, 0]]}}`,
			"2 outputs"},
		"no encoder": {`{"class_name": "Sequential", "config": [{"class_name": "Embedding", "config": ` +
			`{"name": "e", "input_dim": 7, "output_dim": 2, "batch_input_shape": [null, 9]}},
			{"class_name": "Flatten", "config": {"name": "f"}}, {"class_name": "Dense", "config": {"name": "d", "units": ` +
			`1, "activation": "sigmoid"}}]}`, "--encoder"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := importer.Parse(kerasFile(t, tc.config, nil), importer.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	if _, err := importer.Parse([]byte("no"), importer.Options{}); err == nil {
		t.Error("no HDF5 file, no error")
	}
}

func sequential(layers string) string {
	return `{"class_name": "Sequential", "config": [` + layers + `]}`
}

// Layers that take pictures or sequences of the other order of axes are refused.
func TestChannelsFirst(t *testing.T) {
	for _, class := range []string{"Conv1D", "Conv2D", "MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "Flatten"} {
		for _, setting := range []string{`"data_format": "channels_first"`, `"dim_ordering": "th"`} {
			config := sequential(`{"class_name": "` + class + `", "config": {"name": "x", "kernel_size": 2, ` + setting + `}}`)
			if _, err := importer.Parse(kerasFile(t, config, nil), importer.Options{}); err == nil ||
				!strings.Contains(err.Error(), "layer x: data_format") {
				t.Errorf("%s with %s: %v", class, setting, err)
			}
		}
	}
}

// Two layers that join each other's and their own history double what is laid out at every step.
func TestLayoutIsBounded(t *testing.T) {
	layer := func(class, name string, inputs ...string) string {
		var from []string
		for _, in := range inputs {
			from = append(from, `["`+in+`", 0, 0, {}]`)
		}
		return `{"class_name": "` + class + `", "name": "` + name + `", "config": {"units": 2}, "inbound_nodes": [[` +
			strings.Join(
				from,
				", ",
			) + `]]}`
	}
	layers := []string{
		`{"class_name": "InputLayer", "name": "in"}`,
		layer("Dense", "x0", "in"),
		layer("Dense", "y0", "in"),
	}
	for i := range 60 {
		x, y, next := fmt.Sprint("x", i), fmt.Sprint("y", i), fmt.Sprint(i+1)
		layers = append(layers, layer("Concatenate", "cx"+next, x, y), layer("Dense", "x"+next, "cx"+next),
			layer("Concatenate", "cy"+next, y, x), layer("Dense", "y"+next, "cy"+next))
	}
	config := `{"class_name": "Model", "config": {"layers": [` + strings.Join(
		layers,
		", ",
	) + `], "output_layers": [["x60", 0, 0]]}}`
	if _, err := importer.Parse(kerasFile(t, config, nil), importer.Options{}); err == nil ||
		!strings.Contains(err.Error(), "more than 1000 layers") {
		t.Error(err)
	}
}

// Keras' convert_kernel turns the kernels of a model that Theano trained; so must the import, and leave others alone.
func TestTheanoKernels(t *testing.T) {
	config := sequential(`
		{"class_name": "Embedding", "config": {"name": "e", "input_dim": 128, "output_dim": 2, "batch_input_shape": [null, ` +
		`75]}},
		{"class_name": "Conv1D", "config": {"name": "c", "filters": 1, "kernel_size": [3], "activation": "relu"}},
		{"class_name": "Flatten", "config": {"name": "f"}}, {"class_name": "Dense", "config": {"name": "d", "units": ` +
		`1, "activation": "sigmoid"}}`)
	for backend, want := range map[string][]float32{"": {1, 2, 3, 4, 5, 6}, "tensorflow": {1, 2, 3, 4, 5, 6},
		"theano": {5, 6, 3, 4, 1, 2}} {
		root := &h5.Group{}
		root.SetString("model_config", config)
		for _, l := range []struct {
			name   string
			kernel []int
			data   []float32
			bias   []int
		}{{"e", []int{128, 2}, make([]float32, 256), nil}, {"c", []int{3, 2, 1}, []float32{1, 2, 3, 4, 5, 6}, []int{1}},
			{"d", []int{73, 1}, make([]float32, 73), []int{1}}} {
			g, err := root.Group("model_weights/" + l.name)
			if err != nil {
				t.Fatal(err)
			}
			names, err := []string{"kernel:0"}, g.Float32("kernel:0", l.kernel, l.data)
			if l.bias != nil && err == nil {
				names, err = append(names, "bias:0"), g.Float32("bias:0", l.bias, make([]float32, 1))
			}
			if err != nil {
				t.Fatal(err)
			}
			g.SetStrings("weight_names", names)
		}
		g, err := root.Group("model_weights")
		if err != nil {
			t.Fatal(err)
		}
		if backend != "" {
			g.SetString("backend", backend)
		}
		var file bytes.Buffer
		if _, err := root.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		m, err := importer.Parse(file.Bytes(), importer.Options{Encoder: "degas"})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Weights["conv1d/kernel"].Data; !slices.Equal(got, want) {
			t.Errorf("backend %q: kernel %v, want %v", backend, got, want)
		}
	}
}

// A tensor of the wrong shape is refused by layer, name and shape.
func TestWrongShape(t *testing.T) {
	config := `{"class_name": "Sequential", "config": [
		{"class_name": "Embedding", "config": {"name": "e", "input_dim": 128, "output_dim": 2, "batch_input_shape": [null, ` +
		`75]}},
		{"class_name": "Flatten", "config": {"name": "f"}},
		{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "linear"}},
		{"class_name": "Activation", "config": {"name": "a", "activation": "sigmoid"}}]}`
	good := map[string][]int{"e/e/embeddings:0": {128, 2}, "d/d/kernel:0": {150, 1}, "d/d/bias:0": {1}}
	if _, err := importer.Parse(kerasFile(t, config, good), importer.Options{Encoder: "degas"}); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]int{"e/e/embeddings:0": {128, 2}, "d/d/kernel:0": {15, 10}, "d/d/bias:0": {1}}
	_, err := importer.Parse(kerasFile(t, config, bad), importer.Options{Encoder: "degas"})
	if err == nil || !strings.Contains(err.Error(), "layer d: d/kernel:0 has shape [15 10], the layer needs [150 1]") {
		t.Error(err)
	}
}

// FuzzParse: no file makes a panic, or an allocation above 64 MiB and sixteen times its size: a Spec of a few bytes may
// describe weights that the file would have to hold, but its graph is small.
func FuzzParse(f *testing.F) {
	dir := f.TempDir()
	for _, tc := range exporttest.Cases(f, rand.New(rand.NewPCG(8, 8)), 3) {
		if n := tc.Model.Spec.Encoder.Window; n > 64 {
			continue // large files make a fuzzer slow
		}
		if err := hdf5.Format.Write(dir, tc.Model); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, hdf5.File))
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 200<<10 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m *model.Model
		var err error
		if used := alloctest.Bytes(func() { m, err = importer.Parse(data, importer.Options{}) }); used > uint64(
			64<<20+16*len(data),
		) {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
		if err == nil && m.Weights.Check(&m.Spec) != nil {
			t.Fatal("a model that cannot be used was accepted")
		}
	})
}

// FuzzConfig reads architectures alone, which a fuzzer of whole files hardly reaches.
func FuzzConfig(f *testing.F) {
	for _, tc := range exporttest.Cases(f, rand.New(rand.NewPCG(9, 9)), 10) {
		f.Add(kerasConfig(f, tc.Model))
	}
	f.Fuzz(func(t *testing.T, config string) {
		if len(config) > 60<<10 {
			return
		}
		_, _ = importer.Parse(kerasFile(t, config, nil), importer.Options{})
	})
}
