// Package savedmodel exports a model as a TensorFlow SavedModel: saved_model.pb with the weights frozen into the graph,
// and an empty variables directory, which some loaders expect. TensorFlow 2 loads it (tf.saved_model.load), as do
// TensorFlow Serving and keras.layers.TFSMLayer.
//
// There are two signatures, and serving_default is one of them:
//
//	names   domain: string [batch]                       names as they are, encoded inside the graph
//	ids     <input name>: int32 [batch, window]          codes
//
// Both answer score, float [batch, 1], the probability that a name is not benign; scores, float [batch, labels] in the
// order of the labels; and label, string [batch]. serving_default is names.
//
// A model whose input is called main_input serves the clients of the original degas: there ids takes the key
// "input_image", answers the head's tensor alone under the tensor's name ("dense_1/Sigmoid:0"), and is serving_default.
//
// Encoding inside the graph equals [model.Encoder] on the name's bytes after A-Z are folded and final dots dropped. It does
// no IDNA: international names go in as A-labels (xn--).
package savedmodel

import (
	"errors"
	"math"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/export/internal/protowire"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// File is what Write makes, beside the directory VariablesDir.
const (
	File         = "saved_model.pb"
	VariablesDir = "variables"
)

// Keys of the signatures.
const (
	DefaultSignature = "serving_default"
	NamesSignature   = "names"
	IDsSignature     = "ids"
)

// originalInput is the input's name in the original degas; its clients use originalKey and expect one output.
const (
	originalInput = "main_input"
	originalKey   = "input_image"
)

// predictMethod tells TensorFlow Serving which API the signatures belong to.
const predictMethod = "tensorflow/serving/predict"

// tensorFlowVersion is the version the graph is meant for; loaders only print it. producer is that of its graphs, which
// decides how TensorFlow reads the attributes.
const (
	tensorFlowVersion = "2.15.0"
	producer          = 1645
)

func init() { export.Register(Format{}) }

// Format is the SavedModel format.
type Format struct{}

// Name is "savedmodel".
func (Format) Name() string { return "savedmodel" }

// Describe tells what the format is for.
func (Format) Describe() export.Description {
	return export.Description{Files: []string{File, VariablesDir + "/"}, Readers: "TensorFlow 2, TensorFlow Serving, keras.layers.TFSMLayer",
		Holds: "the network and the encoder; names or codes in, score, scores and label out"}
}

// Write writes dir/saved_model.pb and the empty directory dir/variables.
func (Format) Write(dir string, m *model.Model) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, VariablesDir), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, File), data)
}

// Signature is a SignatureDef: what the exported model can be asked under a key.
type Signature struct {
	Key             string
	Inputs, Outputs []TensorInfo
}

// TensorInfo is what a signature says of a tensor: its key, its name in the graph, and -1 for the batch in its shape.
type TensorInfo struct {
	Key, Tensor string
	Kind        DataType
	Shape       []int
}

// Signatures are those of m's export, the default one last.
func Signatures(m *model.Model) ([]Signature, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	return sign(&graph{seen: map[string]bool{}}, m, list)
}

// encode is the SavedModel message. Field numbers are those of saved_model.proto and meta_graph.proto.
func encode(m *model.Model) ([]byte, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	g := &graph{seen: map[string]bool{}}
	signatures, err := sign(g, m, list)
	if err != nil {
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
			meta.Entry(5, s.Key, s.encode)
		}
	})
	if len(out.Encoded()) > math.MaxInt32 {
		return nil, errors.New("the graph is over 2 GiB, more than protocol buffers hold")
	}
	return out.Encoded(), nil
}

// sign builds the graph once for codes and once for names and describes both. The two share constants only: a loader
// cuts each signature out of the graph and refuses one that reaches another's input.
func sign(g *graph, m *model.Model, list []model.Node) ([]Signature, error) {
	ids := &builder{graph: g, m: m, values: map[string]value{}}
	names := &builder{graph: g, m: m, prefix: "names/", values: map[string]value{}}
	window := m.Spec.Encoder.Window
	idsIn := TensorInfo{list[0].Name, g.placeholder(list[0].Name, typeInt32, -1, window), typeInt32, []int{-1, window}}
	if err := ids.network(list, idsIn.Tensor); err != nil {
		return nil, err
	}
	namesIn := TensorInfo{"domain", g.placeholder("names/domain", typeString, -1), typeString, []int{-1}}
	if err := names.network(list, names.codes(namesIn.Tensor)); err != nil {
		return nil, err
	}
	byName := Signature{NamesSignature, []TensorInfo{namesIn}, names.answers(list)}
	var byID, standard Signature
	if list[0].Name == originalInput {
		idsIn.Key = originalKey
		byID = Signature{IDsSignature, []TensorInfo{idsIn}, ids.originalAnswer(list)}
		standard = byID
	} else {
		byID = Signature{IDsSignature, []TensorInfo{idsIn}, ids.answers(list)}
		standard = byName
	}
	standard.Key = DefaultSignature
	return []Signature{byID, byName, standard}, nil
}

func (s Signature) encode(d *message) {
	for field, infos := range [][]TensorInfo{1: s.Inputs, 2: s.Outputs} {
		for _, t := range infos {
			d.Entry(field, t.Key, func(v *message) {
				v.String(1, t.Tensor+":0")
				v.Int(2, int64(t.Kind))
				v.Message(3, func(shape *message) { encodeShape(shape, t.Shape) })
			})
		}
	}
	d.String(3, predictMethod)
}

// message is a protobuf message under construction.
type message = protowire.Message
