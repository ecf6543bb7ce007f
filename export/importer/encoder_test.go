package importer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/importer"
)

// alphabetFile writes a file for ReadAlphabet.
func alphabetFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alphabet.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// cnn is a character CNN over 45 codes, and its file.
func cnn(t *testing.T, rows int) []byte {
	t.Helper()
	config := sequential(fmt.Sprintf(`{"class_name": "Embedding", "config": {"name": "e", "input_dim": %d, "output_dim": `+
		`3, "batch_input_shape": [null, 45]}}, {"class_name": "Conv1D", "config": {"name": "c", "filters": 2, `+
		`"kernel_size": [4], "activation": "relu"}}, {"class_name": "GlobalMaxPooling1D", "config": {"name": "g"}}, `+
		`{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "sigmoid"}}`, rows))
	return sineFile(t, "2.4.0", config, layerOf("e", "embeddings", []int{rows, 3}),
		layerOf("c", "kernel", []int{4, 3, 2}, "bias", []int{2}), layerOf("d", "kernel", []int{2, 1}, "bias", []int{1}))
}

// A model with an alphabet of its own scores as tf-keras 2.21.0 does on the codes that the alphabet's file describes.
func TestAlphabet(t *testing.T) {
	for _, tc := range []struct {
		text string
		rows int
		want []float64
	}{
		{`{"alphabet": "$abcdefghijklmnopqrstuvwxyz0123456789-_.", "first code": 0, "pad": 0, "window": 45, ` +
			`"pad_side": "right", "keep": "first"}`, 40, []float64{0.6827410, 0.6632678, 0.5561259, 0.2968470}},
		{`{"alphabet": "zyxwvutsrqponmlkjihgfedcba.-0123456789", "first code": 3, "pad": 1, "unknown": 2, "window": 45, ` +
			`"pad_side": "left", "keep": "last"}`, 41, []float64{0.1654327, 0.2086964, 0.4683281, 0.3573116}},
	} {
		own, err := importer.ReadAlphabet(alphabetFile(t, tc.text))
		if err != nil {
			t.Fatal(err)
		}
		checkScores(t, cnn(t, tc.rows), importer.Options{Alphabet: own}, tc.want...)
	}
}

// What an alphabet's file lacks is said, and what does not fit the model.
func TestAlphabetRefusals(t *testing.T) {
	file := cnn(t, 40)
	for text, want := range map[string]string{
		`[]`:                                   "cannot unmarshal array",
		`{"alphabet": "abc", "pad": 0}`:        `"first code" and "pad" are needed`,
		`{"alphabet": "ab", "firstcode": 1}`:   `unknown field "firstcode"`,
		`{"alphabet": "", %s}`:                 "the alphabet is empty",
		`{"alphabet": "abca", %s}`:             "has 'a' twice",
		`{"alphabet": "ab\u00e9", %s}`:         "not a printable ASCII character",
		`{"alphabet": "abc", "keep": "", %s}`:  "",
		`{"alphabet": "abc", %s, "keep": ""}`:  `keep "" is neither`,
		`{"alphabet": "abc", %s, "window": 9}`: "its input has 45 codes, the alphabet's window is 9",
		`{"alphabet": "abcdefghijklmnopqrstuvwxyz0123456789-_.+*", %s}`: "the embedding has 40 rows, the encoder makes 41",
	} {
		text = strings.Replace(text, "%s", `"first code": 0, "pad": 0, "window": 45, "pad_side": "right", "keep": "first"`, 1)
		own, err := importer.ReadAlphabet(alphabetFile(t, text))
		if err == nil {
			_, err = importer.Parse(file, importer.Options{Alphabet: own})
		}
		if fine := err == nil; fine != (want == "") || !fine && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A guess says how sure it is, and two encoders that make the same number of codes are no guess.
func TestGuess(t *testing.T) {
	dense := `{"class_name": "Flatten", "config": {"name": "f"}}, ` +
		`{"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "sigmoid"}}`
	file := func(rows, window int) []byte {
		config := sequential(fmt.Sprintf(`{"class_name": "Embedding", "config": {"name": "e", "input_dim": %d, `+
			`"output_dim": 2, "batch_input_shape": [null, %d]}}, `, rows, window) + dense)
		return sineFile(t, "2.4.0", config, layerOf("e", "embeddings", []int{rows, 2}),
			layerOf("d", "kernel", []int{2 * window, 1}, "bias", []int{1}))
	}
	for _, tc := range []struct {
		rows, window int
		options      importer.Options
		guess, err   string
	}{
		{rows: 41, window: 64, guess: "names, unsure: "},
		{rows: 101, window: 256, guess: "en2vec, unsure: "},
		{rows: 41, window: 64, options: importer.Options{Encoder: "names"}},
		{rows: 128, window: 75, err: "degas and mlbridge make that many. Try: --encoder with one of them"},
		{rows: 128, window: 75, options: importer.Options{Encoder: "degas"}},
		{rows: 40, window: 45, err: "its 45 codes below 40, and no known encoder fits. Try: --alphabet FILE"},
		{rows: 41, window: 63, err: "no known encoder fits"},
	} {
		path := filepath.Join(t.TempDir(), "x.h5")
		if err := os.WriteFile(path, file(tc.rows, tc.window), 0o644); err != nil {
			t.Fatal(err)
		}
		_, from, err := importer.Read(path, tc.options)
		if !strings.HasPrefix(from.Guess, tc.guess) || tc.guess == "" && from.Guess != "" {
			t.Errorf("%d codes below %d: guess %q, want %q", tc.window, tc.rows, from.Guess, tc.guess)
		}
		if fine := err == nil; fine != (tc.err == "") || !fine && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%d codes below %d: %v, want %q", tc.window, tc.rows, err, tc.err)
		}
	}
}

// The published models are known by their layers.
func TestGuessOfPublished(t *testing.T) {
	for file, want := range map[string]string{
		"degas/1/nyu_model.h5": "degas, almost certain: its layers are those of the preset degas",
		"dns_alert_model.hdf5": "mlbridge, almost certain: its layers are those of the preset mlbridge",
	} {
		shared(t, file)
		_, from, err := importer.Read(filepath.Join("../../../shared/data/models", file), importer.Options{})
		if err != nil || from.Guess != want {
			t.Errorf("%s: %q, %v, want %q", file, from.Guess, err, want)
		}
	}
}
