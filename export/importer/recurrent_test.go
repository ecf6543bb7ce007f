package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/importer"
)

// embedded is the start of a model that reads names as degas' own presets do, before layers and a head.
func embedded(layers string) string {
	return sequential(`{"class_name": "Embedding", "config": {"name": "e", "input_dim": 41, "output_dim": 3, ` +
		`"batch_input_shape": [null, 64]}}, ` + layers +
		`, {"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "sigmoid"}}`)
}

// Keras before 2.3 saves every LSTM with hard sigmoids, and Keras 3 has another function of that name. The scores are
// those of tf-keras 2.21.0 and Keras 3.15.1.
func TestHardSigmoid(t *testing.T) {
	one := func(setting string) string {
		return fmt.Sprintf(`{"class_name": "LSTM", "config": {"name": "l", "units": 4, %q: "hard_sigmoid"}}`, setting)
	}
	both := `{"class_name": "Bidirectional", "config": {"name": "l", "layer": ` + one("recurrent_activation") + `}}`
	lstm := func(prefix string) []any {
		return []any{prefix + "kernel", []int{3, 16}, prefix + "recurrent", []int{4, 16}, prefix + "bias", []int{16}}
	}
	for _, tc := range []struct {
		name, version, layer string
		want                 []float64
	}{
		{"Keras 1", "", one("inner_activation"), []float64{0.2685290, 0.2540445, 0.2410223, 0.2605208}},
		{"Keras 2", "2.2.4-tf", one("recurrent_activation"), []float64{0.2685290, 0.2540445, 0.2410223, 0.2605208}},
		{"Keras 3", "3.15.1", one("recurrent_activation"), []float64{0.2699154, 0.2557895, 0.2437698, 0.2613009}},
		{"Keras 2, both ways", "2.2.4", both, []float64{0.3539889, 0.3495917, 0.3433670, 0.3511941}},
		{"Keras 3, both ways", "3.0.0", both, []float64{0.3520661, 0.3468178, 0.3388370, 0.3482751}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			params, width := lstm(""), 4
			if tc.layer == both {
				params, width = append(lstm("f"), lstm("b")...), 8
			}
			file := sineFile(t, tc.version, embedded(tc.layer), layerOf("e", "embeddings", []int{41, 3}),
				layerOf("l", params...), layerOf("d", "kernel", []int{width, 1}, "bias", []int{1}))
			checkScores(t, file, importer.Options{}, tc.want...)
		})
	}
}

// Keras 1 keeps the variables of each gate apart. The scores are those of tf-keras 2.21.0, which still converts them.
func TestKeras1LSTM(t *testing.T) {
	lstm := `{"class_name": "LSTM", "config": {"name": "l", "output_dim": 4, "inner_activation": "hard_sigmoid"}}`
	var gates []any
	for _, g := range []string{"i", "c", "f", "o"} {
		gates = append(gates, "l_W_"+g, []int{3, 4}, "l_U_"+g, []int{4, 4}, "l_b_"+g, []int{4})
	}
	file := func(kernel []int) []byte {
		gates[1] = kernel
		return sineFile(t, "1.2.2", embedded(lstm), layerOf("e", "e_W", []int{41, 3}), layerOf("l", gates...),
			layerOf("d", "d_W", []int{4, 1}, "d_b", []int{1}))
	}
	checkScores(t, file([]int{3, 4}), importer.Options{}, 0.4000938, 0.3946851, 0.3005873, 0.3492371)
	_, err := importer.Parse(file([]int{2, 6}), importer.Options{})
	if err == nil || !strings.Contains(err.Error(), "layer l: l_W_i has shape [2 6], the layer needs [3 4]") {
		t.Error(err)
	}
}

// LSTMs upon LSTMs: the scores are those of tf-keras 2.21.0.
func TestStackedLSTM(t *testing.T) {
	lstm := func(name string, units int, more string) string {
		return fmt.Sprintf(`{"class_name": "LSTM", "config": {"name": %q, "units": %d%s}}`, name, units, more)
	}
	config := embedded(lstm("l1", 4, `, "return_sequences": true`) + `,
		{"class_name": "Bidirectional", "config": {"name": "l2", "layer": ` +
		lstm("l2", 2, `, "return_sequences": true, "recurrent_activation": "hard_sigmoid"`) + `}}, ` + lstm("l3", 3, ""))
	variablesOf := func(prefix string, in, units int) []any {
		gates := 4 * units
		return []any{prefix + "k", []int{in, gates}, prefix + "r", []int{units, gates}, prefix + "b", []int{gates}}
	}
	checkScores(t, sineFile(t, "2.15.0", config, layerOf("e", "table", []int{41, 3}),
		layerOf("l1", variablesOf("", 3, 4)...),
		layerOf("l2", append(variablesOf("f", 4, 2), variablesOf("b", 4, 2)...)...), layerOf("l3", variablesOf("", 4, 3)...),
		layerOf("d", "kernel", []int{3, 1}, "bias", []int{1})),
		importer.Options{}, 0.3439949, 0.3440748, 0.3444613, 0.3441289)
}

// What a GPU trained before Keras 2.3: the scores are those of tf-keras 2.21.0 with the weights as it converts them.
func TestCuDNNLSTM(t *testing.T) {
	one := `{"class_name": "CuDNNLSTM", "config": {"name": "l", "units": 4}}`
	both := `{"class_name": "Bidirectional", "config": {"name": "l", "layer": ` + one + `}}`
	checkScores(t, sineFile(t, "2.2.4", embedded(one), layerOf("e", "table", []int{41, 3}),
		layerOf("l", "kernel", []int{3, 16}, "recurrent", []int{4, 16}, "bias", []int{32}),
		layerOf("d", "kernel", []int{4, 1}, "bias", []int{1})),
		importer.Options{}, 0.7029687, 0.7765845, 0.8586914, 0.7881033)
	checkScores(t, sineFile(t, "2.2.4", embedded(both), layerOf("e", "table", []int{41, 3}),
		layerOf("l", "fk", []int{3, 16}, "fr", []int{4, 16}, "fb", []int{32},
			"bk", []int{3, 16}, "br", []int{4, 16}, "bb", []int{32}),
		layerOf("d", "kernel", []int{8, 1}, "bias", []int{1})),
		importer.Options{}, 0.3693094, 0.3513409, 0.5412473, 0.3890255)
}
