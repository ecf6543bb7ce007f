package onnx

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

func texts(list []exporttest.Field) []string {
	var out []string
	for _, f := range list {
		out = append(out, string(f.Data))
	}
	return out
}

// TestStructure reads every case back: versions, inputs and outputs, and that each value is made once, before its use.
func TestStructure(t *testing.T) {
	for _, c := range exporttest.Cases(t, rand.New(rand.NewPCG(7, 8)), 12) {
		data, err := encode(c.Model)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		file := exporttest.Fields(t, data)
		if ir, op := file[1][0].Value, exporttest.Fields(t, file[8][0].Data)[2][0].Value; ir != irVersion || op != opset {
			t.Errorf("%s: IR version %d, opset %d", c.Name, ir, op)
		}
		graph := exporttest.Fields(t, file[7][0].Data)
		made := map[string]bool{}
		name := func(f exporttest.Field, field int) string { return string(exporttest.Fields(t, f.Data)[field][0].Data) }
		add := func(name string) {
			if made[name] {
				t.Errorf("%s: %q is made twice", c.Name, name)
			}
			made[name] = true
		}
		for _, f := range graph[5] {
			add(name(f, 8))
		}
		if in := name(graph[11][0], 1); len(graph[11]) != 1 || in != c.Model.Spec.Input() {
			t.Errorf("%s: input %q", c.Name, in)
		} else {
			add(in)
		}
		for _, f := range graph[1] {
			node := exporttest.Fields(t, f.Data)
			for _, in := range texts(node[1]) {
				if !made[in] {
					t.Errorf("%s: %s reads %q, which nothing made", c.Name, name(f, 3), in)
				}
			}
			for _, out := range texts(node[2]) {
				if out != "" {
					add(out)
				}
			}
		}
		outputs := []string{name(graph[12][0], 1), name(graph[12][1], 1)}
		if !slices.Equal(outputs, []string{OutputScore, OutputProbabilities}) || !made[OutputScore] ||
			!made[OutputProbabilities] {
			t.Errorf("%s: outputs %v", c.Name, outputs)
		}
	}
}

func TestMetadata(t *testing.T) {
	spec := exporttest.Branches()
	spec.Labels = []string{"benign", "a, b"}
	m := exporttest.Untrained(t, spec)
	m.Threshold, m.Dataset, m.Producer = 0.25, "abc", "v1"
	m.Sources = map[string]int64{"sample": 3, "tranco": 4}
	data, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	file := exporttest.Fields(t, data)
	for _, f := range file[14] {
		entry := exporttest.Fields(t, f.Data)
		got[string(entry[1][0].Data)] = string(entry[2][0].Data)
	}
	for key, want := range map[string]string{
		"degas.alphabet": model.NameAlphabet, "degas.base": "2", "degas.pad": "0", "degas.unknown": "1",
		"degas.window": "20", "degas.pad_side": "left",
		"degas.keep": "last", "degas.lower": "true", "degas.threshold": "0.25", "degas.dataset": "abc",
		"degas.name": m.Spec.Name, "degas.sources": `{"sample":3,"tranco":4}`,
		"degas.warning": model.SampleWarning(m.Sources),
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	var labels []string
	if err := json.Unmarshal([]byte(got["degas.labels"]), &labels); err != nil || !slices.Equal(labels, m.Spec.Labels) {
		t.Errorf("labels %q: %v", got["degas.labels"], err)
	}
	if producer := texts(append(file[2], file[3]...)); !slices.Equal(producer, []string{"degas", "v1"}) {
		t.Errorf("producer %q", producer)
	}
}

// ONNX' checker refuses a graph without a name, which a Spec need not have.
func TestNameless(t *testing.T) {
	spec := exporttest.Branches()
	spec.Name = ""
	m := exporttest.Untrained(t, spec)
	data, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(exporttest.Fields(t, exporttest.Fields(t, data)[7][0].Data)[2]); !slices.Equal(
		got,
		[]string{"degas"},
	) {
		t.Errorf("the graph's name is %q", got)
	}
}

// TestLayouts checks the two transpositions on values that show their place.
func TestLayouts(t *testing.T) {
	// Keras kernel [2, 1, 3]: offset j of filter f is 10j + f.
	shape, data := convKernel(&model.Tensor{Shape: []int{2, 1, 3}, Data: []float32{0, 1, 2, 10, 11, 12}})
	if !slices.Equal(shape, []int{3, 1, 2}) || !slices.Equal(data, []float32{0, 10, 1, 11, 2, 12}) {
		t.Errorf("kernel %v %v", shape, data)
	}
	// Keras [2, 4·1] with gates i, f, c, o in the columns.
	rows := gateRows(&model.Tensor{Shape: []int{2, 4}, Data: []float32{1, 2, 3, 4, 5, 6, 7, 8}}, lstmGates)
	if want := []float32{1, 5, 4, 8, 2, 6, 3, 7}; !slices.Equal(rows, want) {
		t.Errorf("gates %v, want %v", rows, want)
	}
}
