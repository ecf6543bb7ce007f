package tensorflow

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/models"
)

// writer writes numbers and labels.
type writer struct {
	version *models.Version
	p       []float32 // [rows, labels]
	out     []byte
	labels  map[string][]byte // as JSON
}

func newWriter(v *models.Version, p []float32, start string) *writer {
	return &writer{v, p, append(make([]byte, 0, 64+16*len(p)), start...), map[string][]byte{}}
}

// rows calls write for each row, with commas between.
func (w *writer) rows(write func(p []float32)) {
	width := w.version.Classifier.Width()
	w.out = append(w.out, '[')
	for i := 0; i < len(w.p); i += width {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		write(w.p[i : i+width])
	}
	w.out = append(w.out, ']')
}

// number writes v as TensorFlow Serving does (WriteDecimal in json_tensor.cc): with six significant digits if they read
// back as v, else with nine. Six do if the shortest text that reads back as v has no more.
func (w *writer) number(v float32) {
	switch {
	case v != v:
		w.out = append(w.out, "NaN"...)
		return
	case math.IsInf(float64(v), 1):
		w.out = append(w.out, "Infinity"...)
		return
	case math.IsInf(float64(v), -1):
		w.out = append(w.out, "-Infinity"...)
		return
	}
	start := len(w.out)
	w.out = strconv.AppendFloat(w.out, float64(v), 'g', -1, 32)
	digits := 6
	if significant(w.out[start:]) > digits {
		digits = 9
	}
	w.out = strconv.AppendFloat(w.out[:start], float64(v), 'g', digits, 32)
	if bytes.IndexByte(w.out[start:], '.') < 0 && bytes.IndexByte(w.out[start:], 'e') < 0 {
		w.out = append(w.out, ".0"...)
	}
}

// significant counts the digits of a number without the zeros in front and the exponent.
func significant(number []byte) (n int) {
	for _, c := range number {
		switch {
		case c == 'e':
			return n
		case c >= '1' && c <= '9', c == '0' && n > 0:
			n++
		}
	}
	return n
}

func (w *writer) numbers(p []float32) {
	w.out = append(w.out, '[')
	for i, v := range p {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.number(v)
	}
	w.out = append(w.out, ']')
}

func (w *writer) label(label string) {
	text, ok := w.labels[label]
	if !ok {
		text, _ = json.Marshal(label) // a string cannot fail
		text = printable.JSON(text)
		w.labels[label] = text
	}
	w.out = append(w.out, text...)
}

func (w *writer) score(p []float32) { w.number(float32(w.version.Classifier.Verdict(p).Score)) }

// answerOf turns probabilities, [n, labels], into a signature's answer by rows or by columns. A signature with one
// output has the head's values, [n, units], without the output's name.
func answerOf(v *models.Version, sig tfserving.Signature, p []float32, byRows bool) []byte {
	start := `{"outputs":`
	if byRows {
		start = `{"predictions":`
	}
	w := newWriter(v, p, start)
	score := func(p []float32) {
		w.out = append(w.out, '[')
		w.score(p)
		w.out = append(w.out, ']')
	}
	label := func(p []float32) { w.label(v.Classifier.Verdict(p).Label) }
	switch first := sig.Outputs[0]; {
	case len(sig.Outputs) == 1 && first.Shape[1] == v.Classifier.Width():
		w.rows(w.numbers)
	case len(sig.Outputs) == 1:
		w.rows(score)
	case byRows:
		w.rows(func(p []float32) {
			w.out = append(w.out, `{"label":`...)
			label(p)
			w.out = append(w.out, `,"score":`...)
			score(p)
			w.out = append(w.out, `,"scores":`...)
			w.numbers(p)
			w.out = append(w.out, '}')
		})
	default:
		w.out = append(w.out, `{"label":`...)
		w.rows(label)
		w.out = append(w.out, `,"score":`...)
		w.rows(score)
		w.out = append(w.out, `,"scores":`...)
		w.rows(w.numbers)
		w.out = append(w.out, '}')
	}
	return append(w.out, "}\n"...)
}
