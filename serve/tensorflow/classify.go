package tensorflow

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// classify answers a request for all labels of examples with their probabilities, or with regress for scores alone.
// Examples have names, or codes, under the same keys as instances of the same signature; the context has what all of
// them share.
//
// An exported model has signatures for predict alone, with which TensorFlow Serving refuses both. So this is a gift.
func classify(
	ctx context.Context,
	v *models.Version,
	req *request,
	memory *models.Lease,
	regress bool,
) ([]byte, error) {
	if req.context != nil {
		if err := checkExample(req.context); err != nil {
			return nil, err
		}
	}
	switch {
	case req.examples == nil:
		return nil, req.wrong("When method is classify, key 'examples' is expected and was not found")
	case req.examples[0] != '[':
		return nil, req.wrong("Expecting 'examples' value to be an list/array")
	case req.examples[next(req.examples, 1)] == ']':
		return nil, req.wrong("'examples' value is an empty array")
	}
	for _, e := range elements(req.examples) {
		if err := checkExample(e); err != nil {
			return nil, err
		}
	}
	key := cmp.Or(req.signature, tfserving.DefaultSignature)
	sig, ok := v.Signatures[key]
	if !ok {
		return nil, reply.BadRequest("No signature was found with the name: %s", key)
	}
	in := newInput(v, sig)
	if err := in.readExamples(req, memory); err != nil {
		return nil, err
	}
	p, err := in.score(ctx)
	if err != nil {
		return nil, err
	}
	w := newWriter(v, p, `{"results":`)
	if regress {
		w.rows(w.score)
	} else {
		labels := v.Classifier.Model().Spec.Labels
		w.rows(func(p []float32) {
			w.out = append(w.out, '[')
			for i, x := range p {
				if i > 0 {
					w.out = append(w.out, ',')
				}
				w.out = append(w.out, '[')
				w.label(labels[i])
				w.out = append(w.out, ',')
				w.number(x)
				w.out = append(w.out, ']')
			}
			w.out = append(w.out, ']')
		})
	}
	return append(w.out, "}\n"...), nil
}

// readExamples reads a feature of examples that have been checked.
func (in *input) readExamples(req *request, memory *models.Lease) error {
	first := next(req.examples, 1)
	if req.context != nil {
		in.chooseByKey(req.context)
	}
	in.chooseByKey(req.examples[first:endOf(req.examples, first)])
	if err := in.rows(req.examples, memory); err != nil {
		return err
	}
	for i, example := range elements(req.examples) {
		value, ok := member(example, in.tensor.Key)
		if !ok && req.context != nil {
			value, ok = member(req.context, in.tensor.Key)
		}
		if !ok {
			return reply.BadRequest("example %d has no feature %q", i, in.tensor.Key)
		}
		if in.tensor.Kind == tfserving.String && value[0] == '[' { // a feature is always a list
			only := next(value, 1)
			if value[only] == ']' || value[next(value, endOf(value, only))] != ']' {
				return reply.BadRequest("example %d: the feature %q must have one name", i, in.tensor.Key)
			}
			value = value[only:endOf(value, only)]
		}
		if err := in.add(i, value); err != nil {
			return told(fmt.Sprintf("example %d: ", i), err)
		}
	}
	return nil
}

// checkExample checks that all features of an example are lists of one type, or a value.
func checkExample(example []byte) error {
	if example[0] != '{' {
		return reply.BadRequest("Example must be JSON object but got JSON %s", typeOf(example))
	}
	for key, value := range members(example) {
		kind := ""
		if value[0] != '[' {
			if _, err := featureKind(key, value, kind); err != nil {
				return err
			}
			continue
		}
		for _, v := range elements(value) {
			var err error
			if kind, err = featureKind(key, v, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// featureKind is the kind of a feature's element. before is that of the elements before it, "" for the first.
func featureKind(key, value []byte, before string) (string, error) {
	var kind string
	switch t := typeOf(value); {
	case t == "String", isBase64(value):
		kind = "bytes"
	case t == "True", t == "False":
		kind = "int64"
	case t == "Number" && (bytes.ContainsAny(value, ".eENI")):
		kind = "float"
	case t == "Number":
		kind = "int64"
	default:
		return "", reply.BadRequest("Feature: %s has element with unexpected JSON type: %s", unescaped(key), t)
	}
	if before != "" && kind != before {
		return "", reply.BadRequest("Unexpected element type in feature: %s expecting type: %s", unescaped(key), before)
	}
	return kind, nil
}
