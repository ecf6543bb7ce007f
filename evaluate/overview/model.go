package overview

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/degas-dns/degas/model"
)

// Model is what a classifier is.
type Model struct {
	Name   string   `json:"name"`
	Hash   string   `json:"hash"`   // model.Digest, which a report's metrics.json has too
	Labels []string `json:"labels"` // in output order, the benign one first
	// Threshold is the lowest score that is not labelled benign. ThresholdFPR is the false-positive rate that it was
	// chosen for, 0 if there is none.
	Threshold    float64 `json:"threshold"`
	ThresholdFPR float64 `json:"threshold_fpr,omitempty"`
	// Temperature is the number that calibration divided the logits by, 0 without calibration.
	Temperature float64       `json:"temperature,omitempty"`
	Epoch       int           `json:"epoch,omitempty"`
	Dataset     string        `json:"dataset,omitempty"` // fingerprint of the training data
	Producer    string        `json:"producer,omitempty"`
	Encoder     model.Encoder `json:"encoder"`
	Layers      []Layer       `json:"layers"`
	Parameters  int           `json:"parameters"`
}

// Layer is one layer as the network computes it: the branches of a parallel layer are layers of their own, and
// concatenate joins them.
type Layer struct {
	Name   string   `json:"name"`
	Reads  []string `json:"reads,omitempty"` // names of the layers whose output it takes
	Detail string   `json:"detail,omitempty"`
	// Shape is the output's for one name: [time, features], [height, width, features] or [features].
	Shape      []int `json:"shape"`
	Parameters int   `json:"parameters"`
}

func describe(m *model.Model) (*Model, error) {
	hash, err := m.Digest()
	if err != nil {
		return nil, err
	}
	layers, err := layersOf(&m.Spec)
	if err != nil {
		return nil, err
	}
	return &Model{
		Name: m.Spec.Name, Hash: hash, Labels: m.Spec.Labels, Threshold: m.Threshold, ThresholdFPR: m.ThresholdFPR,
		Temperature: m.Temperature, Epoch: m.Epoch, Dataset: m.Dataset, Producer: m.Producer, Encoder: m.Spec.Encoder,
		Layers: layers, Parameters: m.Weights.Size(),
	}, nil
}

func layersOf(spec *model.Spec) ([]Layer, error) {
	nodes, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	var out []Layer
	for _, n := range nodes {
		l := Layer{Name: n.Name, Reads: n.Inputs, Shape: n.Shape, Detail: detail(n.Layer)}
		for _, p := range n.Params {
			l.Parameters += p.Size()
		}
		out = append(out, l)
	}
	return out, nil
}

// detail is what of a layer's settings its shape does not say.
func detail(l model.Layer) string {
	var parts []string
	number := func(what string, n int) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", what, n))
		}
	}
	number("kernel", l.Kernel)
	number("pool", l.Pool)
	if l.Rate > 0 {
		parts = append(parts, fmt.Sprintf("rate %g", l.Rate))
	}
	for _, word := range []string{l.Padding, l.Activation} {
		if word = cmp.Or(word, model.Linear); word != model.Linear && word != model.Valid {
			parts = append(parts, word)
		}
	}
	return strings.Join(parts, ", ")
}
