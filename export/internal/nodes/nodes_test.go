package nodes

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
)

// The expected paddings are TensorFlow's: total = max(0, (ceil(n/p)-1)·p + p - n), the smaller half in front.
func TestPoolPadding(t *testing.T) {
	for _, tc := range []struct{ length, pool, before, after int }{
		{75, 2, 0, 1}, {76, 2, 0, 0}, {10, 3, 1, 1}, {11, 3, 0, 1}, {12, 3, 0, 0}, {9, 5, 0, 1}, {6, 5, 2, 2}, {7, 5, 1, 2}, {3, 1, 0, 0}, {2, 5, 1, 2},
	} {
		l := model.Layer{Kind: model.KindMaxPool, Pool: tc.pool, Padding: model.Same}
		if before, after := PoolPadding(l, tc.length); before != tc.before || after != tc.after {
			t.Errorf("%d steps in pools of %d: %d, %d, want %d, %d", tc.length, tc.pool, before, after, tc.before, tc.after)
		}
		l.Padding = model.Valid
		if before, after := PoolPadding(l, tc.length); before != 0 || after != 0 {
			t.Errorf("valid pooling is padded by %d, %d", before, after)
		}
	}
}

func TestRefused(t *testing.T) {
	spec := func(input string, pool int) model.Spec {
		return model.Spec{Version: model.SpecVersion, Name: "test", InputName: input, Labels: model.BinaryLabels,
			Encoder: model.Encoder{Alphabet: "ab", Base: 1, Window: 4, PadSide: model.Left, Keep: model.Last},
			Layers: []model.Layer{{Kind: model.KindEmbedding, Rows: 3, Dim: 2}, {Kind: model.KindMaxPool, Pool: pool, Padding: model.Same},
				{Kind: model.KindFlatten}, {Kind: model.KindDense, Units: 1, Activation: model.Sigmoid}}}
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
