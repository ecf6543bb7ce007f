package tensorflow

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/degas-dns/degas/export/tfserving"
	wire "github.com/degas-dns/degas/internal/protowire"
	"github.com/degas-dns/degas/serve/grpc"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Methods are those of TensorFlow Serving's PredictionService and ModelService that a grpc.Handler can answer with set.
// They take and give what the REST API does; a SavedModel's warm-up, MultiInference and SessionRun are not among them.
func Methods(set *models.Set) map[string]grpc.Method {
	h := &Handler{Models: set}
	return map[string]grpc.Method{
		"/tensorflow.serving.PredictionService/Predict": h.wirePredict,
		"/tensorflow.serving.PredictionService/Classify": func(
			ctx context.Context, message []byte, memory *models.Lease,
		) ([]byte, error) {
			return h.wireClassify(ctx, message, memory, false)
		},
		"/tensorflow.serving.PredictionService/Regress": func(
			ctx context.Context, message []byte, memory *models.Lease,
		) ([]byte, error) {
			return h.wireClassify(ctx, message, memory, true)
		},
		"/tensorflow.serving.PredictionService/GetModelMetadata": h.wireMetadata,
		"/tensorflow.serving.ModelService/GetModelStatus":        h.wireStatus,
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// wireModel reads a ModelSpec.
func (h *Handler) wireModel(data []byte) (spec modelSpec, signature string, err error) {
	spec.version = -1
	label := ""
	err = each("ModelSpec", data, func(f field) error {
		switch f.number {
		case 1:
			spec.name = string(f.data)
		case 2:
			spec.version = 0
			return each("version", f.data, func(f field) error {
				if f.number == 1 {
					spec.version = int64(f.value)
				}
				return nil
			})
		case 3:
			signature = string(f.data)
		case 4:
			label = string(f.data)
		}
		return nil
	})
	switch {
	case err != nil:
		return spec, "", err
	case spec.name == "":
		return spec, "", reply.BadRequest("ModelSpec has no name specified.")
	case label != "":
		number, ok := h.Models.Labelled(spec.name, label)
		if !ok {
			return spec, "", reply.BadRequest("Unrecognized servable version label: %s", label)
		}
		spec.version = int64(number)
	}
	return spec, signature, nil
}

// wireRequest reads the ModelSpec of a message, and gives its other fields to visit.
func (h *Handler) wireRequest(message []byte, visit func(f field) error) (spec modelSpec, signature string, err error) {
	var data []byte
	if err := each("request", message, func(f field) error {
		if f.number == 1 {
			data = f.data
			return nil
		}
		return visit(f)
	}); err != nil {
		return spec, "", err
	}
	if data == nil {
		return spec, "", reply.BadRequest("Missing ModelSpec")
	}
	return h.wireModel(data)
}

// wirePredict answers a PredictRequest.
func (h *Handler) wirePredict(ctx context.Context, message []byte, memory *models.Lease) ([]byte, error) {
	inputs, filter := map[string][]byte{}, map[string]bool{}
	spec, key, err := h.wireRequest(message, func(f field) error {
		switch f.number {
		case 2:
			alias, value, err := entry("input", f.data)
			if inputs[alias] = value; len(inputs) > 1 {
				return reply.BadRequest("A request has one input, this one has more")
			}
			return err
		case 3:
			if filter[string(f.data)] = true; len(filter) > 16 {
				return reply.BadRequest("The output_filter has more outputs than there are")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	v, err := h.find(spec)
	if err != nil {
		return nil, err
	}
	key = cmp.Or(key, tfserving.DefaultSignature)
	sig, ok := v.Signatures[key]
	if !ok {
		return nil, reply.BadRequest("Serving signature name: %s not found in signature def", doubleQuoted(key))
	}
	in := newInput(v, sig)
	if err := in.readTensors(inputs, memory); err != nil {
		return nil, err
	}
	p, err := in.score(ctx)
	if err != nil {
		return nil, err
	}
	var answer wire.Message
	all := len(filter) == 0
	for _, out := range sig.Outputs {
		if all || filter[out.Key] {
			answer.Entry(1, out.Key, wireTensor(v, out, p))
		}
		delete(filter, out.Key)
	}
	for _, unknown := range sortedKeys(filter) {
		return nil, reply.BadRequest("The signature %q has no output %q", key, unknown)
	}
	answer.Message(2, wireSpec(v, key))
	return answer.Encoded(), nil
}

// readTensors reads the one input of a request.
func (in *input) readTensors(inputs map[string][]byte, memory *models.Lease) error {
	for alias, data := range inputs {
		t, err := readTensor(data, in.window)
		if err != nil {
			return err
		}
		for _, choice := range in.choice {
			if choice.Key == alias {
				in.tensor = choice
			}
		}
		if alias != in.tensor.Key {
			return reply.BadRequest("input tensor alias not found in signature: %s. Inputs expected to be in the set {%s}.",
				alias, in.tensor.Key)
		}
		if t.kind != in.tensor.Kind {
			return reply.BadRequest("The input %q takes %v, not type %d", alias, in.tensor.Kind, int(t.kind))
		}
		if err := memory.Take(int64(t.rows) * in.version.CostOfRow()); err != nil {
			return err
		}
		if t.kind == tfserving.String {
			in.names, err = t.names()
		} else {
			in.codes, err = t.codes(in.window, in.known)
		}
		return err
	}
	return reply.BadRequest("The request has no input. Try: %q", in.tensor.Key)
}

// wireClassify answers a ClassificationRequest, or a RegressionRequest.
func (h *Handler) wireClassify(
	ctx context.Context, message []byte, memory *models.Lease, regress bool,
) ([]byte, error) {
	var examples [][]byte
	var shared []byte
	spec, key, err := h.wireRequest(message, func(f field) error {
		if f.number != 2 {
			return nil
		}
		return each("input", f.data, func(f field) error { // example_list, example_list_with_context
			return each("list of examples", f.data, func(e field) error {
				switch {
				case e.number == 2 && f.number == 2:
					shared = e.data
				case e.number == 1:
					if examples = append(examples, e.data); len(examples) > models.MaxRows {
						return tooManyRows()
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	v, err := h.find(spec)
	if err != nil {
		return nil, err
	}
	key = cmp.Or(key, tfserving.DefaultSignature)
	sig, ok := v.Signatures[key]
	switch {
	case !ok:
		return nil, reply.BadRequest("No signature was found with the name: %s", key)
	case len(examples) == 0:
		return nil, reply.BadRequest("Input is empty")
	}
	in := newInput(v, sig)
	if err := memory.Take(int64(len(examples)) * v.CostOfRow()); err != nil {
		return nil, err
	}
	if err := in.readWireExamples(examples, shared); err != nil {
		return nil, err
	}
	p, err := in.score(ctx)
	if err != nil {
		return nil, err
	}
	var answer wire.Message
	answer.Message(1, func(m *wire.Message) {
		labels := v.Classifier.Model().Spec.Labels
		for row := range slices.Chunk(p, v.Classifier.Width()) {
			m.Message(1, func(m *wire.Message) {
				if regress {
					m.Float(1, float32(v.Classifier.Verdict(row).Score))
					return
				}
				for i, x := range row {
					m.Message(1, func(m *wire.Message) {
						m.String(1, labels[i])
						m.Float(2, x)
					})
				}
			})
		}
	})
	answer.Message(2, wireSpec(v, key))
	return answer.Encoded(), nil
}

// readWireExamples reads names or codes of examples. What an example has not is in shared, which may be nil.
func (in *input) readWireExamples(examples [][]byte, shared []byte) error {
	for _, t := range in.choice { // what the first has is what all have
		for _, from := range [][]byte{examples[0], shared} {
			if _, ok, err := feature(from, t.Key); err != nil {
				return err
			} else if ok {
				in.tensor = t
			}
		}
	}
	for i, example := range examples {
		data, ok, err := feature(example, in.tensor.Key)
		if err == nil && !ok {
			data, ok, err = feature(shared, in.tensor.Key)
		}
		switch {
		case err != nil:
			return err
		case !ok:
			return reply.BadRequest("example %d has no feature %q", i, in.tensor.Key)
		}
		var texts [][]byte
		var numbers []uint64
		err = each("feature", data, func(list field) error {
			return each("feature", list.data, func(f field) error {
				switch {
				case list.number == 1 && f.number == 1:
					texts = append(texts, f.data)
				case list.number == 3 && f.number == 1:
					return varints(f, in.window+1, func(v uint64) { numbers = append(numbers, v) })
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if in.tensor.Kind == tfserving.String {
			if len(texts) != 1 {
				return reply.BadRequest("example %d: the feature %q must have one name", i, in.tensor.Key)
			}
			in.names = append(in.names, string(texts[0]))
			continue
		}
		t := tensor{rows: 1, columns: len(numbers), ints: numbers}
		codes, err := t.codes(in.window, in.known)
		if err != nil {
			return reply.BadRequest("example %d: %v", i, err)
		}
		in.codes = append(in.codes, codes...)
	}
	return nil
}

// feature is a feature of an example, which may be nil.
func feature(example []byte, name string) (data []byte, ok bool, err error) {
	err = each("example", example, func(f field) error {
		if f.number != 1 {
			return nil
		}
		return each("example", f.data, func(f field) error {
			if f.number != 1 || f.kind != protowire.BytesType {
				return nil
			}
			key, value, err := entry("feature", f.data)
			if key == name {
				data, ok = value, true
			}
			return err
		})
	})
	return data, ok, err
}

// wireMetadata answers a GetModelMetadataRequest.
func (h *Handler) wireMetadata(_ context.Context, message []byte, _ *models.Lease) ([]byte, error) {
	asked := false
	spec, _, err := h.wireRequest(message, func(f field) error {
		if f.number == 2 {
			asked = true
			if string(f.data) != "signature_def" {
				return reply.BadRequest("Metadata field %s is not supported", f.data)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !asked {
		return nil, reply.BadRequest("GetModelMetadataRequest must specify at least one metadata_field")
	}
	v, err := h.find(spec)
	if err != nil {
		return nil, err
	}
	var answer wire.Message
	answer.Message(1, wireSpec(v, ""))
	answer.Entry(2, "signature_def", func(m *wire.Message) { // an Any
		m.String(1, "type.googleapis.com/tensorflow.serving.SignatureDefMap")
		m.Bytes(2, wireSignatures(v))
	})
	return answer.Encoded(), nil
}

// wireStatus answers a GetModelStatusRequest.
func (h *Handler) wireStatus(_ context.Context, message []byte, _ *models.Lease) ([]byte, error) {
	spec, _, err := h.wireRequest(message, func(field) error { return nil })
	if err != nil {
		return nil, err
	}
	status, err := h.status(spec)
	if err != nil {
		return nil, err
	}
	numbers := map[models.State]int64{models.Start: 10, models.Loading: 20, models.Available: 30, models.Unloading: 40,
		models.End: 50}
	var answer wire.Message
	for _, one := range status.Versions {
		answer.Message(1, func(m *wire.Message) {
			m.Int(1, int64(one.number))
			m.Int(2, numbers[models.State(one.State)])
			m.Message(3, func(m *wire.Message) {
				if one.Status.Message != "" {
					m.Int(1, 2) // unknown
					m.String(2, one.Status.Message)
				}
			})
		})
	}
	return answer.Encoded(), nil
}
