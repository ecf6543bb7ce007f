package savedmodel

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/model"
)

// parsed is what the tests look at: the inputs of each operation, and each signature's tensors by key.
type parsed struct {
	order   []string
	inputs  map[string][]string
	kinds   map[string]string
	in, out map[string]map[string]string
}

func parse(t *testing.T, data []byte) parsed {
	t.Helper()
	meta := exporttest.Fields(t, exporttest.Fields(t, data)[2][0].Data)
	p := parsed{
		inputs: map[string][]string{},
		kinds:  map[string]string{},
		in:     map[string]map[string]string{},
		out:    map[string]map[string]string{},
	}
	for _, f := range exporttest.Fields(t, meta[2][0].Data)[1] {
		node := exporttest.Fields(t, f.Data)
		name := string(node[1][0].Data)
		p.order = append(p.order, name)
		p.kinds[name] = string(node[2][0].Data)
		for _, in := range node[3] {
			p.inputs[name] = append(p.inputs[name], string(in.Data))
		}
	}
	for _, f := range meta[5] {
		entry := exporttest.Fields(t, f.Data)
		key, def := string(entry[1][0].Data), exporttest.Fields(t, entry[2][0].Data)
		if method := string(def[3][0].Data); method != tfserving.Method {
			t.Errorf("signature %s has method %q", key, method)
		}
		p.in[key], p.out[key] = tensors(t, def[1]), tensors(t, def[2])
	}
	return p
}

func tensors(t *testing.T, list []exporttest.Field) map[string]string {
	out := map[string]string{}
	for _, f := range list {
		entry := exporttest.Fields(t, f.Data)
		out[string(entry[1][0].Data)] = string(exporttest.Fields(t, entry[2][0].Data)[1][0].Data)
	}
	return out
}

// placeholders are those that the tensors reach.
func (p parsed) placeholders(outputs map[string]string) []string {
	seen, found := map[string]bool{}, map[string]bool{}
	var walk func(string)
	walk = func(tensor string) {
		name, _, _ := strings.Cut(tensor, ":")
		if seen[name] {
			return
		}
		seen[name] = true
		if p.kinds[name] == "Placeholder" {
			found[name+":0"] = true
		}
		for _, in := range p.inputs[name] {
			walk(in)
		}
	}
	for _, tensor := range outputs {
		walk(tensor)
	}
	return slices.Sorted(maps.Keys(found))
}

// TestStructure reads every case back: each operation follows what it reads, and each signature reaches its own input
// only, without which tf.saved_model.load refuses it.
func TestStructure(t *testing.T) {
	for _, c := range exporttest.Cases(t, rand.New(rand.NewPCG(9, 10)), 12) {
		data, err := encode(c.Model)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		p := parse(t, data)
		made := map[string]bool{}
		for _, name := range p.order {
			for _, in := range p.inputs[name] {
				if from, _, _ := strings.Cut(in, ":"); !made[from] {
					t.Errorf("%s: %s reads %q, which nothing made", c.Name, name, in)
				}
			}
			if made[name] {
				t.Errorf("%s: two operations are called %q", c.Name, name)
			}
			made[name] = true
		}
		if got := slices.Sorted(maps.Keys(p.in)); !slices.Equal(
			got,
			[]string{tfserving.IDsSignature, tfserving.NamesSignature, tfserving.DefaultSignature},
		) {
			t.Errorf("%s: signatures %v", c.Name, got)
		}
		for key, in := range p.in {
			if got, want := p.placeholders(p.out[key]), slices.Collect(maps.Values(in)); !slices.Equal(got, want) {
				t.Errorf("%s: signature %s takes %v and reaches %v", c.Name, key, want, got)
			}
		}
		if in := p.in[tfserving.NamesSignature]["domain"]; in != "names/domain:0" {
			t.Errorf("%s: names are read from %q", c.Name, in)
		}
	}
}

// TestOriginalSignature holds the degas preset to the original's saved_model.pb: TF Serving clients send the key and
// read the only output.
func TestOriginalSignature(t *testing.T) {
	for _, tc := range []struct {
		preset     string
		labels     []string
		in, out    map[string]string
		defaultsTo string
	}{
		{"degas", model.BinaryLabels, map[string]string{"input_image": "main_input:0"},
			map[string]string{"dense_1/Sigmoid:0": "dense_1/Sigmoid:0"}, tfserving.IDsSignature},
		{"degas", []string{"benign", "dga", "tunnel"}, map[string]string{"input_image": "main_input:0"},
			map[string]string{"dense_1/Softmax:0": "dense_1/Softmax:0"}, tfserving.IDsSignature},
		{"lstm", model.BinaryLabels, map[string]string{"domain_ids": "domain_ids:0"},
			map[string]string{"score": "dense/Sigmoid:0", "scores": "answers/scores:0", "label": "answers/label:0"},
			tfserving.NamesSignature},
	} {
		spec, err := model.Preset(tc.preset)
		if err != nil {
			t.Fatal(err)
		}
		m := &model.Model{Spec: spec.WithLabels(tc.labels), Threshold: 0.5}
		if m.Weights, err = model.Initial(&m.Spec, 1); err != nil {
			t.Fatal(err)
		}
		data, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, data)
		if !maps.Equal(p.in[tfserving.IDsSignature], tc.in) || !maps.Equal(p.out[tfserving.IDsSignature], tc.out) {
			t.Errorf("%s: ids takes %v, gives %v", tc.preset, p.in[tfserving.IDsSignature], p.out[tfserving.IDsSignature])
		}
		if !maps.Equal(p.in[tfserving.DefaultSignature], p.in[tc.defaultsTo]) ||
			!maps.Equal(p.out[tfserving.DefaultSignature], p.out[tc.defaultsTo]) {
			t.Errorf("%s: serving_default is not %s", tc.preset, tc.defaultsTo)
		}
	}
}

// The table in the graph folds A-Z for an encoder that does not: degas folds before it encodes.
func TestNamesFoldCase(t *testing.T) {
	spec := exporttest.Branches()
	spec.Encoder.Lower = false
	m := exporttest.Untrained(t, spec)
	data, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	want := m.Spec.Encoder.Table()
	for c := 'A'; c <= 'Z'; c++ {
		want[c] = want[c-'A'+'a']
	}
	for _, f := range exporttest.Fields(t, exporttest.Fields(t, exporttest.Fields(t, data)[2][0].Data)[2][0].Data)[1] {
		node := exporttest.Fields(t, f.Data)
		if string(node[1][0].Data) != "const/codes" {
			continue
		}
		for _, a := range node[5] {
			if entry := exporttest.Fields(t, a.Data); string(entry[1][0].Data) == "value" {
				raw := exporttest.Fields(t, exporttest.Fields(t, entry[2][0].Data)[8][0].Data)[4][0].Data
				for i := range want {
					if got := binary.LittleEndian.Uint32(raw[4*i:]); got != uint32(want[i]) {
						t.Errorf("byte %q has code %d, want %d", rune(i), got, want[i])
					}
				}
				return
			}
		}
	}
	t.Error("no table of codes")
}

func TestNotBelow(t *testing.T) {
	for _, x := range []float64{0.5, 0.1, 0.3, 0.7, 0.999999999, 1e-9} {
		f := notBelow(x)
		if float64(f) < x || float64(f)-x > 1e-7 {
			t.Errorf("%v becomes %v", x, f)
		}
	}
}

// The bound on P(benign) splits float32 values exactly where their score, in float64, reaches the threshold.
func TestBenignUpTo(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 10_000 {
		threshold := rng.Float64()
		switch i % 4 {
		case 1:
			threshold = 1 - float64(rng.Float32()) // a score itself
		case 2:
			threshold = math.Pow(threshold, 8)
		case 3:
			threshold = 1 - math.Pow(threshold, 8)
		}
		threshold = min(max(threshold, math.SmallestNonzeroFloat32), 1-1e-12)
		p := benignUpTo(threshold)
		if next := math.Nextafter32(p, 2); 1-float64(p) < threshold || 1-float64(next) >= threshold {
			t.Fatalf("threshold %v: bound %v, scores %v and, of the next, %v", threshold, p, 1-float64(p), 1-float64(next))
		}
	}
}
