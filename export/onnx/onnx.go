// Package onnx exports a model as model.onnx: opset 13 in IR version 7 (ONNX 1.8, 2020), which every runtime in use
// reads. https://github.com/onnx/onnx/blob/main/docs/IR.md describes the format.
//
// Input: the Spec's input name, int64 codes [batch, window]. Outputs: "score", float [batch, 1], the probability that
// the name is not benign, and "probabilities", float [batch, labels], in the order of the labels. ONNX has no portable
// string operations, so the caller encodes names; metadata_props say how:
//
//	degas.alphabet    the known bytes; the i-th has code base + i
//	degas.base, degas.pad, degas.unknown, degas.window   decimal integers
//	degas.pad_side    left or right
//	degas.keep        first or last: which end of a longer name stays
//	degas.reverse     true or false: write the characters that stay last to first
//	degas.lower       true or false: fold A-Z before look-up (degas always folds names before it encodes them)
//	degas.labels      JSON array in output order
//	degas.threshold   the score from which a name is called not benign
//	degas.sources     JSON object: training names by source, where known
//	degas.warning     what a user must know of the training data, where there is something
//	degas.name        the Spec's name
//	degas.dataset     fingerprint of the data it was trained on, where known
package onnx

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"strconv"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// File is the file that the format writes.
const File = "model.onnx"

// Names of the outputs.
const (
	OutputScore         = "score"
	OutputProbabilities = "probabilities"
)

// Format is the ONNX format.
var Format = export.Register(export.Format{
	Name:    "onnx",
	Files:   []string{File},
	Readers: "onnxruntime and other ONNX runtimes (opset 13)",
	Holds:   "the network; codes in, score and probabilities out, the encoder as metadata",
	Write:   write,
})

func write(dir string, m *model.Model) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, File), data)
}

// encode is the whole file.
func encode(m *model.Model) ([]byte, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	b := &builder{weights: m.Weights, values: map[string]value{}, pads: isRecurrent(list)}
	for i, n := range list {
		if err := b.node(n, i == len(list)-1); err != nil {
			return nil, err
		}
	}
	b.outputs(list[len(list)-1], len(m.Spec.Labels))
	meta, err := metadata(m)
	if err != nil {
		return nil, err
	}
	return b.file(cmp.Or(m.Spec.Name, "degas"), m.Producer, meta), nil // checkers refuse a graph without a name
}

// property is one entry of metadata_props.
type property struct{ key, value string }

func metadata(m *model.Model) ([]property, error) {
	e := m.Spec.Encoder
	labels, err := json.Marshal(m.Spec.Labels)
	if err != nil {
		return nil, err
	}
	out := []property{
		{"degas.name", m.Spec.Name},
		{"degas.alphabet", e.Alphabet},
		{"degas.base", strconv.Itoa(e.Base)},
		{"degas.pad", strconv.Itoa(e.Pad)},
		{"degas.unknown", strconv.Itoa(e.Unknown)},
		{"degas.window", strconv.Itoa(e.Window)},
		{"degas.pad_side", e.PadSide},
		{"degas.keep", e.Keep},
		{"degas.reverse", strconv.FormatBool(e.Reverse)},
		{"degas.lower", strconv.FormatBool(e.Lower)},
		{"degas.labels", string(labels)},
		{"degas.threshold", strconv.FormatFloat(m.Threshold, 'g', -1, 64)},
	}
	if m.Dataset != "" {
		out = append(out, property{"degas.dataset", m.Dataset})
	}
	if m.Sources != nil {
		sources, err := json.Marshal(m.Sources)
		if err != nil {
			return nil, err
		}
		out = append(out, property{"degas.sources", string(sources)})
	}
	if warning := model.SampleWarning(m.Sources); warning != "" {
		out = append(out, property{"degas.warning", warning})
	}
	return out, nil
}
