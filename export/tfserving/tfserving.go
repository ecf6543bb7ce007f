// Package tfserving says how clients of TensorFlow Serving see an exported model: which signatures it has.
//
// There are three signatures:
//
//	names            domain: string [batch]                  names as they are, encoded inside the graph
//	ids              <input name>: int32 [batch, window]     codes
//	serving_default  names
//
// Each answers score, float [batch, 1], the probability that a name is not benign; scores, float [batch, labels] in the
// order of the labels; and label, string [batch].
//
// A model whose input is called main_input serves the clients of the original degas: there ids takes the key
// "input_image", answers the head's tensor alone under the tensor's name ("dense_1/Sigmoid:0"), and is serving_default.
package tfserving

import (
	"github.com/degas-dns/degas/export/internal/nodes"
	"github.com/degas-dns/degas/model"
)

// Keys of the signatures.
const (
	DefaultSignature = "serving_default"
	NamesSignature   = "names"
	IDsSignature     = "ids"
)

// Method is the API that the signatures belong to.
const Method = "tensorflow/serving/predict"

// The original degas calls its input originalInput. Its clients use originalKey and expect one output.
const (
	originalInput = "main_input"
	originalKey   = "input_image"
)

// DataType is TensorFlow's DataType.
type DataType int

// Types of a signature's tensors.
const (
	Float  DataType = 1
	Int32  DataType = 3
	String DataType = 7
)

// String returns the type's name, such as DT_FLOAT.
func (d DataType) String() string {
	return map[DataType]string{Float: "DT_FLOAT", Int32: "DT_INT32", String: "DT_STRING"}[d]
}

// Signature is what a model can be asked under a key.
type Signature struct {
	Key     string
	Input   Tensor
	Outputs []Tensor // one, or score, scores and label
}

// Tensor is an input or output of a signature.
type Tensor struct {
	Key   string // how requests and answers call it
	Name  string // its operation in the graph
	Kind  DataType
	Shape []int // -1 is the batch
}

// NamesPrefix begins the names of all operations of the names signature. The graph holds the network once for names and
// once for ids.
const NamesPrefix = "names/"

// Signatures returns the signatures of m's export: ids, names and the default one.
func Signatures(m *model.Model) ([]Signature, error) {
	list, err := nodes.Of(m)
	if err != nil {
		return nil, err
	}
	input, head := list[0].Name, list[len(list)-1]
	ids := Tensor{input, input, Int32, []int{-1, m.Spec.Encoder.Window}}
	byID := Signature{IDsSignature, ids, answers(m, head, "")}
	names := Tensor{"domain", NamesPrefix + "domain", String, []int{-1}}
	byName := Signature{NamesSignature, names, answers(m, head, NamesPrefix)}
	standard := byName
	if input == originalInput {
		p := headTensor(head)
		byID.Input.Key = originalKey
		byID.Outputs = []Tensor{{p + ":0", p, Float, []int{-1, head.Shape[0]}}}
		standard = byID
	}
	standard.Key = DefaultSignature
	return []Signature{byID, byName, standard}, nil
}

// headTensor names the operation that gives the head's probabilities.
func headTensor(head model.Node) string {
	return head.Name + "/" + nodes.Operators[head.Layer.Activation]
}

// answers are the outputs of a signature whose operations begin with prefix.
func answers(m *model.Model, head model.Node, prefix string) []Tensor {
	score, scores := prefix+"answers/score", prefix+headTensor(head)
	if head.Layer.Activation == model.Sigmoid {
		score, scores = scores, prefix+"answers/scores"
	}
	return []Tensor{
		{"score", score, Float, []int{-1, 1}},
		{"scores", scores, Float, []int{-1, len(m.Spec.Labels)}},
		{"label", prefix + "answers/label", String, []int{-1}},
	}
}
