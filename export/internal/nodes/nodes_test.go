package nodes

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
)

func TestRefused(t *testing.T) {
	spec := func(input string, pool int) model.Spec {
		return model.Spec{Version: model.SpecVersion, Name: "test", InputName: input, Labels: model.BinaryLabels,
			Encoder: model.Encoder{Alphabet: "ab", Base: 1, Window: 4, PadSide: model.Left, Keep: model.Last},
			Layers: []model.Layer{
				{Kind: model.KindEmbedding, Rows: 3, Dim: 2},
				{Kind: model.KindMaxPool, Pool: pool, Padding: model.Same},
				{Kind: model.KindFlatten},
				{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
			}}
	}
	for _, tc := range []struct {
		input string
		pool  int
		want  string
	}{
		{"", 2, ""}, {"main_input", 2, ""}, {"a/b", 2, "input name"}, {"_x", 2, "input name"}, {"score", 2, "something else"},
		{"dense", 2, "both called"}, {"", 3, ""},
	} {
		m := &model.Model{Spec: spec(tc.input, tc.pool)}
		var err error
		if m.Weights, err = model.Initial(&m.Spec, 1); err != nil {
			t.Fatal(err)
		}
		_, err = Of(m)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("input %q, pool %d: %v, want %q", tc.input, tc.pool, err, tc.want)
		}
	}
}
