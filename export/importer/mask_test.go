package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/importer"
)

// masked is the start of a model whose embedding has mask_zero, before layers and a head.
func masked(rows, window int, layers string) string {
	return sequential(fmt.Sprintf(`{"class_name": "Embedding", "config": {"name": "e", "input_dim": %d, "output_dim": 3, `+
		`"mask_zero": true, "batch_input_shape": [null, %d]}}, %s, `+
		`{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "sigmoid"}}`, rows, window, layers))
}

const maskedLSTM = `{"class_name": "LSTM", "config": {"name": "l", "units": 4}}`

// lstmFile is a file of an embedding, an LSTM of four units and a head.
func lstmFile(t *testing.T, version, config string, rows int) []byte {
	t.Helper()
	return sineFile(t, version, config, layerOf("e", "table", []int{rows, 3}),
		layerOf("l", "kernel", []int{3, 16}, "recurrent", []int{4, 16}, "bias", []int{16}),
		layerOf("d", "kernel", []int{4, 1}, "bias", []int{1}))
}

// own is an alphabet of 39 characters whose models pad on the right.
const own = `{"alphabet": "zyxwvutsrqponmlkjihgfedcba.-0123456789_", "first code": 1, "pad": 0, "window": 45, ` +
	`"pad_side": "right", "keep": "first"}`

// LSTMs skip what mask_zero masks, on whichever side it is. The scores are those of tf-keras 2.21.0 and Keras 3.15.1.
func TestMaskZero(t *testing.T) {
	right, err := importer.ReadAlphabet(alphabetFile(t, own))
	if err != nil {
		t.Fatal(err)
	}
	hard := strings.Replace(maskedLSTM, `"units"`, `"recurrent_activation": "hard_sigmoid", "units"`, 1)
	dropped := `{"class_name": "Dropout", "config": {"name": "drop", "rate": 0.2}}, ` + maskedLSTM
	for _, tc := range []struct {
		name, version, layers string
		own                   bool
		want                  []float64
	}{
		{"left", "2.4.0", dropped, false, []float64{0.2660503, 0.2517972, 0.2394924, 0.2587934}},
		{"left, hard sigmoid", "2.2.4", hard, false, []float64{0.2680211, 0.2540367, 0.2396977, 0.2605208}},
		{"right", "3.15.1", maskedLSTM, true, []float64{0.6939216, 0.6849320, 0.7079052, 0.6870711}},
		{"right, hard sigmoid", "3.15.1", hard, true, []float64{0.6871976, 0.6780792, 0.7043760, 0.6812956}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows, window, o := 41, 64, importer.Options{}
			if tc.own {
				rows, window, o.Alphabet = 40, 45, right
			}
			checkScores(t, lstmFile(t, tc.version, masked(rows, window, tc.layers), rows), o, tc.want...)
		})
	}
}

// A convolution ignores the mask, also beside an LSTM. The scores are those of tf-keras 2.21.0 and Keras 3.15.1.
func TestMaskZeroBesideConvolutions(t *testing.T) {
	conv := layerOf("c", "kernel", []int{3, 3, 2}, "bias", []int{2})
	alone := masked(41, 64, `{"class_name": "Conv1D", "config": {"name": "c", "filters": 2, "kernel_size": 3, `+
		`"activation": "relu"}}, {"class_name": "GlobalMaxPooling1D", "config": {"name": "g"}}`)
	checkScores(t, sineFile(t, "2.4.0", alone, layerOf("e", "table", []int{41, 3}), conv,
		layerOf("d", "kernel", []int{2, 1}, "bias", []int{1})),
		importer.Options{}, 0.4799327, 0.4862992, 0.7303638, 0.5062253)
	beside := `{"class_name": "Functional", "config": {"output_layers": [["d", 0, 0]], "layers": [
		{"class_name": "InputLayer", "name": "i", "config": {"batch_input_shape": [null, 64]}, "inbound_nodes": []},
		{"class_name": "Embedding", "name": "e", "config": {"input_dim": 41, "output_dim": 3, "mask_zero": true}, ` +
		`"inbound_nodes": [[["i", 0, 0, {}]]]},
		{"class_name": "Conv1D", "name": "c", "config": {"filters": 2, "kernel_size": 3}, ` +
		`"inbound_nodes": [[["e", 0, 0, {}]]]},
		{"class_name": "GlobalMaxPooling1D", "name": "g", "config": {}, "inbound_nodes": [[["c", 0, 0, {}]]]},
		{"class_name": "LSTM", "name": "l", "config": {"units": 2}, "inbound_nodes": [[["e", 0, 0, {}]]]},
		{"class_name": "Concatenate", "name": "j", "config": {}, "inbound_nodes": [[["l", 0, 0, {}], ["g", 0, 0, {}]]]},
		{"class_name": "Dense", "name": "d", "config": {"units": 1, "activation": "sigmoid"}, ` +
		`"inbound_nodes": [[["j", 0, 0, {}]]]}]}}`
	checkScores(t, sineFile(t, "2.4.0", beside, layerOf("e", "table", []int{41, 3}), conv,
		layerOf("l", "kernel", []int{3, 8}, "recurrent", []int{2, 8}, "bias", []int{8}),
		layerOf("d", "kernel", []int{4, 1}, "bias", []int{1})),
		importer.Options{}, 0.1962727, 0.2361446, 0.9115397, 0.2486676)
}

func TestMaskZeroRefusals(t *testing.T) {
	both := `{"class_name": "Bidirectional", "config": {"name": "l", "layer": ` + maskedLSTM + `}}`
	file := sineFile(t, "2.4.0", masked(41, 64, both), layerOf("e", "table", []int{41, 3}),
		layerOf("l", "fk", []int{3, 16}, "fr", []int{4, 16}, "fb", []int{16},
			"bk", []int{3, 16}, "br", []int{4, 16}, "bb", []int{16}),
		layerOf("d", "kernel", []int{8, 1}, "bias", []int{1}))
	stacked := strings.Replace(maskedLSTM, `"units"`, `"return_sequences": true, "units"`, 1) +
		`, {"class_name": "GlobalMaxPooling1D", "config": {"name": "g"}}`
	for _, tc := range []struct {
		file     []byte
		alphabet string
		want     string
	}{
		{lstmFile(t, "2.4.0", masked(41, 64, stacked), 41), "", "mask_zero: it is not read in front of a layer with " +
			"return_sequences, such as l"},
		{file, "", "mask_zero: it is not read in front of a Bidirectional, such as l"},
		{lstmFile(t, "2.4.0", masked(41, 45, maskedLSTM), 41), strings.Replace(own, `"pad": 0`, `"pad": 40`, 1),
			"mask_zero: it skips code 0, but the encoder pads with code 40"},
		{lstmFile(t, "2.4.0", masked(40, 45, maskedLSTM), 40), strings.Replace(own, `"first code": 1`, `"first code": 0`, 1),
			"mask_zero: it skips code 0, which the encoder gives to 'z' too"},
	} {
		o := importer.Options{}
		if tc.alphabet != "" {
			var err error
			if o.Alphabet, err = importer.ReadAlphabet(alphabetFile(t, tc.alphabet)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := importer.Parse(tc.file, o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}
