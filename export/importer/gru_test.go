package importer_test

import (
	"fmt"
	"testing"

	"github.com/degas-dns/degas/export/importer"
)

// gru is a layer, and gruVariables are its variables, whose names begin with prefix.
func gru(name, settings string) string {
	return fmt.Sprintf(`{"class_name": "GRU", "config": {"name": %q, %s}}`, name, settings)
}

func gruVariables(prefix string, in, units int, after bool) []any {
	bias := []int{3 * units}
	if after {
		bias = []int{2, 3 * units}
	}
	return []any{prefix + "k", []int{in, 3 * units}, prefix + "r", []int{units, 3 * units}, prefix + "b", bias}
}

// GRUs upon GRUs: the scores are those of tf-keras 2.21.0 and Keras 3.15.1, which differ in hard_sigmoid alone.
func TestGRU(t *testing.T) {
	for _, tc := range []struct {
		version string
		after   bool
		gates   string
		want    []float64
	}{
		{"2.15.0", false, "sigmoid", []float64{0.3745450, 0.4025289, 0.3639451, 0.3768447}},
		{"2.15.0", true, "sigmoid", []float64{0.6104589, 0.5445002, 0.6404467, 0.6268381}},
		{"2.15.0", false, "hard_sigmoid", []float64{0.3779631, 0.4074087, 0.4891944, 0.3783790}},
		{"2.15.0", true, "hard_sigmoid", []float64{0.6082382, 0.5205208, 0.6421226, 0.6338056}},
		{"3.15.1", false, "hard_sigmoid", []float64{0.3788565, 0.4082574, 0.3641841, 0.3801304}},
		{"3.15.1", true, "hard_sigmoid", []float64{0.5939253, 0.5071266, 0.6361876, 0.6209258}},
	} {
		t.Run(fmt.Sprint(tc.version, tc.after, tc.gates), func(t *testing.T) {
			settings := fmt.Sprintf(`"reset_after": %v, "recurrent_activation": %q, "units": `, tc.after, tc.gates)
			config := embedded(`{"class_name": "Bidirectional", "config": {"name": "g1", "layer": ` +
				gru("g", settings+`2, "return_sequences": true`) + `}}, ` + gru("g2", settings+`3`))
			checkScores(t, sineFile(t, tc.version, config, layerOf("e", "table", []int{41, 3}),
				layerOf("g1", append(gruVariables("f", 3, 2, tc.after), gruVariables("b", 3, 2, tc.after)...)...),
				layerOf("g2", gruVariables("", 4, 3, tc.after)...),
				layerOf("d", "kernel", []int{3, 1}, "bias", []int{1})), importer.Options{}, tc.want...)
		})
	}
}

// GRUs skip what mask_zero masks. The scores are those of both Keras.
func TestMaskZeroOfGRU(t *testing.T) {
	right, err := importer.ReadAlphabet(alphabetFile(t, own))
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[bool][]float64{
		false: {0.1046842, 0.1115888, 0.1668107, 0.1150841}, true: {0.8207774, 0.8112001, 0.7598404, 0.8100978},
	} {
		config := masked(40, 45, gru("g", fmt.Sprintf(`"units": 3, "reset_after": %v`, after)))
		checkScores(t, sineFile(t, "2.15.0", config, layerOf("e", "table", []int{40, 3}),
			layerOf("g", gruVariables("", 3, 3, after)...), layerOf("d", "kernel", []int{3, 1}, "bias", []int{1})),
			importer.Options{Alphabet: right}, want...)
	}
}

// Keras 1 keeps the variables of each gate apart. The scores are those of tf-keras 2.21.0, which still converts them.
func TestKeras1GRU(t *testing.T) {
	var gates []any
	for _, g := range []string{"z", "r", "h"} {
		gates = append(gates, "g_W_"+g, []int{3, 3}, "g_U_"+g, []int{3, 3}, "g_b_"+g, []int{3})
	}
	config := embedded(gru("g", `"output_dim": 3, "inner_activation": "hard_sigmoid"`))
	checkScores(t, sineFile(t, "1.2.2", config, layerOf("e", "table", []int{41, 3}), layerOf("g", gates...),
		layerOf("d", "d_W", []int{3, 1}, "d_b", []int{1})),
		importer.Options{}, 0.3492689, 0.3648199, 0.3892519, 0.3671302)
}
