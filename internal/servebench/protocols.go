package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/degas-dns/degas/model"
)

// request is a POST as it is sent.
type request struct {
	url    string
	header map[string]string
	body   []byte
}

// protocols make the request for a batch of names.
var protocols = map[string]func(base string, batch []string) (request, error){
	"names":     degasNames,
	"instances": instances,
	"v2":        v2JSON,
	"v2-binary": v2Binary,
	"v2-codes":  v2Codes,
	"coredns":   coreDNS,
}

// build makes the requests for all names, the last ones aside that fill no batch.
func build(list []string) (out []request, err error) {
	protocol := protocols[*speak]
	if protocol == nil {
		return nil, fmt.Errorf("protocol %q is none of %s", *speak,
			strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
	}
	if *speak == "v2-codes" { // half a kilobyte a name
		list = list[:max(*batch, min(len(list), 1<<16))]
	}
	for batch := range slices.Chunk(list[:len(list) / *batch * *batch], *batch) {
		q, err := protocol(*url, batch)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

func inJSON(url string, body any) (request, error) {
	data, err := json.Marshal(body)
	return request{url, map[string]string{"Content-Type": "application/json"}, data}, err
}

// degasNames is degas' own /v1/names.
func degasNames(base string, batch []string) (request, error) {
	return inJSON(base+"/v1/names", map[string]any{"names": batch})
}

// instances is TensorFlow Serving's predict.
func instances(base string, batch []string) (request, error) {
	return inJSON(base+"/v1/models/"+*modelName+":predict", map[string]any{"instances": batch})
}

// coreDNS is what the plugin mlbridge sends to its Flask server: one name, and who asked.
func coreDNS(base string, batch []string) (request, error) {
	if len(batch) != 1 {
		return request{}, fmt.Errorf("the server of the CoreDNS project takes one name a request, not %d", len(batch))
	}
	return inJSON(base+"/", struct {
		Name   string `json:"Domain Name"`
		Client string `json:"IP"`
	}{batch[0] + ".", "127.0.0.1"})
}

// tensor is an input or an output of the Open Inference Protocol.
type tensor struct {
	Name       string         `json:"name"`
	Type       string         `json:"datatype,omitempty"`
	Shape      []int          `json:"shape,omitempty"`
	Data       []string       `json:"data,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

func inferURL(base string) string { return base + "/v2/models/" + *modelName + "/infer" }

// v2JSON asks for scores and labels in JSON.
func v2JSON(base string, batch []string) (request, error) {
	return inJSON(inferURL(base), map[string]any{
		"inputs":  []tensor{{Name: "name", Type: "BYTES", Shape: []int{len(batch)}, Data: batch}},
		"outputs": []tensor{{Name: "label"}, {Name: "score"}},
	})
}

// binaryRequest is a request as tritonclient sends it: JSON, and the tensor behind it.
func binaryRequest(base string, input tensor, raw []byte) (request, error) {
	input.Parameters = map[string]any{"binary_data_size": len(raw)}
	binary := map[string]any{"binary_data": true}
	head, err := json.Marshal(map[string]any{
		"inputs":  []tensor{input},
		"outputs": []tensor{{Name: "label", Parameters: binary}, {Name: "score", Parameters: binary}},
	})
	return request{inferURL(base), map[string]string{
		"Content-Type":                    "application/octet-stream",
		"Inference-Header-Content-Length": strconv.Itoa(len(head)),
	}, append(head, raw...)}, err
}

func v2Binary(base string, batch []string) (request, error) {
	var raw []byte
	for _, name := range batch {
		raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(name))), name...)
	}
	return binaryRequest(base, tensor{Name: "name", Type: "BYTES", Shape: []int{len(batch)}}, raw)
}

// encoder is that of the exported model, with the name of its input.
var encoder = sync.OnceValues(func() (e exportedEncoder, err error) {
	m, err := model.Load(*export)
	if err != nil {
		return e, err
	}
	return exportedEncoder{m.Spec.Encoder.Coder(), m.Spec.Input()}, nil
})

type exportedEncoder struct {
	*model.Coder
	input string
}

// v2Codes sends what the network takes, so that the server need not know what a name is.
func v2Codes(base string, batch []string) (request, error) {
	coder, err := encoder()
	if err != nil {
		return request{}, err
	}
	codes, raw := make([]uint16, coder.Window()), []byte(nil)
	for _, name := range batch {
		coder.Encode(codes, name)
		for _, c := range codes {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(c))
		}
	}
	return binaryRequest(base, tensor{Name: coder.input, Type: "INT64", Shape: []int{len(batch), coder.Window()}}, raw)
}
