// Package savedmodel exports a model as a TensorFlow SavedModel: saved_model.pb with the weights frozen into the graph,
// and an empty variables directory, which some loaders expect. TensorFlow 2 loads it (tf.saved_model.load), as do
// TensorFlow Serving and keras.layers.TFSMLayer.
//
// Package tfserving describes its signatures.
//
// The graph encodes a name as [model.Encoder] does after folding A-Z and dropping final dots. It does no IDNA:
// international names must be A-labels (xn--).
package savedmodel

import (
	"errors"
	"math"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/protowire"
	"github.com/degas-dns/degas/model"
)

// Write makes a file and an empty directory.
const (
	File         = "saved_model.pb"
	VariablesDir = "variables"
)

// tensorFlowVersion is the version that the graph is meant for. Loaders only print it. producer is the version of its
// graphs, which decides how TensorFlow reads the attributes.
const (
	tensorFlowVersion = "2.15.0"
	producer          = 1645
)

// Format is the SavedModel format.
var Format = export.Register(export.Format{
	Name:    "savedmodel",
	Files:   []string{File, VariablesDir + "/"},
	Readers: "TensorFlow 2, TensorFlow Serving, keras.layers.TFSMLayer",
	Holds:   "the network and the encoder; names or codes in, score, scores and label out",
	Write:   write,
})

// write writes dir/saved_model.pb and the empty directory dir/variables.
func write(dir string, m *model.Model) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, VariablesDir), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, File), data)
}

// encode returns the SavedModel message. Field numbers are those of saved_model.proto and meta_graph.proto.
func encode(m *model.Model) ([]byte, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	signatures, err := tfserving.Signatures(m)
	if err != nil {
		return nil, err
	}
	g := &graph{seen: map[string]bool{}}
	if err := g.networks(m, list, signatures); err != nil {
		return nil, err
	}
	var out message
	out.Int(1, 1) // saved_model_schema_version
	out.Message(2, func(meta *message) {
		meta.Message(1, func(info *message) {
			info.String(4, "serve")
			info.String(5, tensorFlowVersion)
			info.Bool(7, true) // attributes that have their default value are left out
		})
		meta.Message(2, g.encode)
		for _, s := range signatures {
			meta.Entry(5, s.Key, func(d *message) { encodeSignature(d, s) })
		}
	})
	if len(out.Encoded()) > math.MaxInt32 {
		return nil, errors.New("the graph is over 2 GiB, more than protocol buffers hold")
	}
	return out.Encoded(), nil
}

// networks adds the network once for codes and once for names. The two share only constants: a loader cuts each
// signature out of the graph and refuses one that reaches another's input.
func (g *graph) networks(m *model.Model, list []model.Node, signatures []tfserving.Signature) error {
	head := list[len(list)-1]
	ids := &builder{graph: g, m: m, values: map[string]value{}}
	if err := ids.network(list, g.placeholder(signatures[0].Input)); err != nil {
		return err
	}
	names := &builder{graph: g, m: m, prefix: tfserving.NamesPrefix, values: map[string]value{}}
	if err := names.network(list, names.codes(g.placeholder(signatures[1].Input))); err != nil {
		return err
	}
	names.answers(head)
	if len(signatures[0].Outputs) > 1 { // else it answers the head alone
		ids.answers(head)
	}
	return nil
}

// encodeSignature writes a SignatureDef.
func encodeSignature(d *message, s tfserving.Signature) {
	for field, tensors := range [][]tfserving.Tensor{1: {s.Input}, 2: s.Outputs} {
		for _, t := range tensors {
			d.Entry(field, t.Key, func(v *message) {
				v.String(1, t.Name+":0")
				v.Int(2, int64(t.Kind))
				v.Message(3, func(shape *message) { encodeShape(shape, t.Shape) })
			})
		}
	}
	d.String(3, tfserving.Method)
}

// message is a protobuf message under construction.
type message = protowire.Message
