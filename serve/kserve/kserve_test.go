package kserve_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/kserve"
	"github.com/degas-dns/degas/serve/models"
)

var update = flag.Bool("update", false, "write the golden files anew")

func preset(t testing.TB, name string, labels []string) *model.Model {
	t.Helper()
	s, err := model.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	if labels != nil {
		s = s.WithLabels(labels)
	}
	return &model.Model{Spec: s, Weights: modeltest.Weights(&s, rand.New(rand.NewPCG(1, 2))), Threshold: 0.5}
}

// server has a model m with two versions: 1 takes 75 codes as main_input, 2 takes 64 as domain_ids.
func server(t testing.TB) (*kserve.Handler, []*model.Classifier) {
	t.Helper()
	var classifiers []*model.Classifier
	for _, m := range []*model.Model{preset(t, "degas", nil), preset(t, "cnn", []string{"benign", "dga", "tunnel"})} {
		c, err := model.NewClassifier(m)
		if err != nil {
			t.Fatal(err)
		}
		classifiers = append(classifiers, c)
	}
	set, err := models.Of("m", nil, classifiers...)
	if err != nil {
		t.Fatal(err)
	}
	return &kserve.Handler{Models: set, Version: "1.2.3"}, classifiers
}

const headerLength = "Inference-Header-Content-Length"

// ask sends a body and returns status, body and headers. The body's JSON has length bytes, -1 stands for no header.
func ask(t testing.TB, h http.Handler, method, path, body string, length int) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if length >= 0 {
		r.Header.Set(headerLength, strconv.Itoa(length))
	}
	h.ServeHTTP(w, r)
	return w
}

// probabilities scores names in one batch, as a request for them does.
func probabilities(t testing.TB, c *model.Classifier, names ...string) []float32 {
	t.Helper()
	p := make([]float32, len(names)*c.Width())
	if err := c.ProbabilitiesFolded(context.Background(), names, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// binaryNames is a BYTES tensor.
func binaryNames(names []string) (raw []byte) {
	for _, n := range names {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(n)))
		raw = append(raw, n...)
	}
	return raw
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every golden file is a request, its status and its answer.
func TestGolden(t *testing.T) {
	h, _ := server(t)
	const infer = "POST /v2/models/m/infer"
	for name, request := range map[string][]string{
		"server":          {"GET /v2"},
		"live":            {"GET /v2/health/live"},
		"ready":           {"GET /v2/health/ready"},
		"model":           {"GET /v2/models/m"},
		"model-version":   {"GET /v2/models/m/versions/1"},
		"model-ready":     {"GET /v2/models/m/versions/1/ready"},
		"unknown-model":   {"GET /v2/models/nope"},
		"unknown-version": {"GET /v2/models/m/versions/9"},
		"unknown-ready":   {"GET /v2/models/nope/ready"},
		"unknown-path":    {"GET /v2/nothing"},
		"wrong-method":    {"GET /v2/models/m/infer"},
		"index":           {"POST /v2/repository/index", `{"ready": true}`},
		"index-broken":    {"POST /v2/repository/index", `{"ready": true`},
		"address": {infer, `{"id": "a<b", "parameters": {"x": [1, {}]}, "inputs": [{"name": "name", "shape": [1],
			"datatype": "BYTES", "data": ["192.0.2.1"]}]}`},
		"empty": {infer, `{"id": null, "parameters": null, "outputs": null,
			"inputs": [{"name": "name", "shape": [0], "datatype": "BYTES", "parameters": null, "data": []}]}`},
		"chosen": {"POST /v2/models/m/versions/1/infer", `{"outputs": [{"name": "probabilities"}, {"name": "label"},
			{"name": "label"}], "inputs": [{"name": "name", "shape": [2, 1], "datatype": "BYTES",
			"data": [["#"], ["\u0031.2.3.4"]]}]}`},
		"wrong-name": {infer, `{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}`},
		"wrong-type": {infer, `{"inputs": [{"name": "name", "shape": [1], "datatype": "INT32", "data": [1]}]}`},
		"wrong-ids":  {infer, `{"inputs": [{"name": "domain_ids", "shape": [1, 64], "datatype": "FP32", "data": [1]}]}`},
		"wrong-shape": {infer,
			`{"inputs": [{"name": "domain_ids", "shape": [1, 63], "datatype": "INT64", "data": [1]}]}`},
		"wrong-count":  {infer, `{"inputs": [{"name": "name", "shape": [2], "datatype": "BYTES", "data": ["a"]}]}`},
		"wrong-output": {infer, `{"outputs": [{"name": "x"}], "inputs": []}`},
		"no-inputs":    {infer, `{"inputs": []}`},
		"broken":       {infer, `{"inputs": [`},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(request[0], " ")
			body := strings.Join(request[1:], "")
			w := ask(t, h, method, path, body, -1)
			got := fmt.Sprintf("%s\n%s\n\n%d %s\n%s", request[0], body, w.Code, w.Header().Get("Content-Type"), w.Body)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("got\n%s\nwant\n%s%v", got, want, err)
			}
		})
	}
}

// The answer is that of the model, whichever way the names come and the outputs go.
func TestInfer(t *testing.T) {
	h, c := server(t)
	names := []string{"google.com", "xcbeoysoqcbnlvje.eu", strings.Repeat("a", 63) + ".com"}
	p := probabilities(t, c[1], names...)
	var label []string
	var score []float32
	for row := range slices.Chunk(p, 3) {
		v := c[1].Verdict(row)
		label, score = append(label, v.Label), append(score, float32(v.Score))
	}
	want := fmt.Sprintf(`{"id":"7","model_name":"m","model_version":"2","outputs":[`+
		`{"name":"label","datatype":"BYTES","shape":[3],"data":%s},`+
		`{"name":"score","datatype":"FP32","shape":[3,1],"data":%s},`+
		`{"name":"scores","datatype":"FP32","shape":[3,3],"data":%s}]}`+"\n",
		asJSON(t, label), asJSON(t, score), asJSON(t, p))

	raw := binaryNames(names)
	codes := modeltest.Codes(&c[1].Model().Spec, names)
	window := len(codes) / len(names)
	in := func(name, datatype, shape, rest string) string {
		return fmt.Sprintf(`{"id": "7", "inputs": [{"name": %q, "datatype": %q, "shape": %s, %s}]}`,
			name, datatype, shape, rest)
	}
	size := func(n int) string { return fmt.Sprintf(`"parameters": {"binary_data_size": %d}`, n) }
	nested := asJSON(t, slices.Collect(slices.Chunk(codes, window)))
	rows := fmt.Sprintf("[3, %d]", window)
	var int32s, int8s []byte
	for _, x := range codes {
		int32s = binary.LittleEndian.AppendUint32(int32s, uint32(x))
		int8s = append(int8s, byte(x))
	}
	for name, tc := range map[string]struct{ header, binary string }{
		"names": {in("name", "BYTES", "[3]", `"data": `+asJSON(t, []string{"Google.COM.", names[1], names[2]})), ""},
		"column": {in("name", "BYTES", "[3, 1]", `"data": [["google\u002ecom"], [`+strconv.Quote(names[1])+`], [`+
			strconv.Quote(names[2])+`]]`), ""},
		"binary names":   {in("name", "BYTES", "[3]", size(len(raw))), string(raw)},
		"codes":          {in("domain_ids", "INT64", rows, `"data": `+asJSON(t, codes)), ""},
		"rows of codes":  {in("domain_ids", "UINT16", rows, `"data": `+nested), ""},
		"binary codes":   {in("domain_ids", "INT32", rows, size(len(int32s))), string(int32s)},
		"binary codes 8": {in("domain_ids", "INT8", rows, size(len(int8s))), string(int8s)},
	} {
		w := ask(t, h, "POST", "/v2/models/m/infer", tc.header+tc.binary, len(tc.header))
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", name, w.Code, w.Body, want)
		}
	}

	// Only what is asked for, and some of it binary.
	body := in("name", "BYTES", "[3]", `"data": `+asJSON(t, names))
	body = strings.TrimSuffix(body, "}") + `, "parameters": {"binary_data_output": true}, "outputs": [{"name": "scores"},
		{"name": "score", "parameters": {"binary_data": false}}, {"name": "label", "parameters": {"binary_data": true}}]}`
	w := ask(t, h, "POST", "/v2/models/m/infer", body, -1)
	n, err := strconv.Atoi(w.Header().Get(headerLength))
	if err != nil || w.Code != 200 || n > w.Body.Len() || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("%d %v %v", w.Code, w.Header(), err)
	}
	var out []byte
	for _, x := range p {
		out, _ = binary.Append(out, binary.LittleEndian, x)
	}
	floats := len(out)
	out = append(out, binaryNames(label)...)
	header := fmt.Sprintf(`{"id":"7","model_name":"m","model_version":"2","outputs":[`+
		`{"name":"scores","datatype":"FP32","shape":[3,3],"parameters":{"binary_data_size":%d}},`+
		`{"name":"score","datatype":"FP32","shape":[3,1],"data":%s},`+
		`{"name":"label","datatype":"BYTES","shape":[3],"parameters":{"binary_data_size":%d}}]}`,
		floats, asJSON(t, score), len(out)-floats)
	if got := w.Body.String(); got != header+string(out) {
		t.Errorf("%q\nwant\n%q", got, header+string(out))
	}
}

func TestCompressed(t *testing.T) {
	h, _ := server(t)
	const body = `{"inputs": [{"name": "name", "shape": [1], "datatype": "BYTES", "data": ["a.com"]}]}`
	plain := ask(t, h, "POST", "/v2/models/m/infer", body, -1).Body.String()
	pack := func(coding, text string) string {
		var b bytes.Buffer
		var w io.WriteCloser = gzip.NewWriter(&b)
		if coding == "deflate" {
			w = zlib.NewWriter(&b)
		}
		_, err := io.WriteString(w, text)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	bomb := body
	if !testing.Short() { // long under the race detector; go test ./... runs it
		bomb = strings.Repeat(" ", models.MaxBody+1)
	}
	for name, tc := range map[string]struct {
		coding, body string
		status       int
		want         string
	}{
		"gzip":    {"gzip", pack("gzip", body), 200, plain},
		"deflate": {"Deflate", pack("deflate", body), 200, plain},
		"none":    {"identity", body, 200, plain},
		"other":   {"br", body, 415, `Try: gzip or deflate`},
		"no gzip": {"gzip", body, 400, "decompressed"},
		"cut off": {"gzip", pack("gzip", body)[:40], 400, "decompressed"},
		"bomb":    {"gzip", pack("gzip", bomb), 413, "more than 67108864 bytes"},
	} {
		if name == "bomb" && testing.Short() {
			continue
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/v2/models/m/infer", strings.NewReader(tc.body))
		r.Header.Set("Content-Encoding", tc.coding)
		h.ServeHTTP(w, r)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, tc.status, tc.want)
		}
	}
}

func TestReady(t *testing.T) {
	h, _ := server(t)
	h.Ready = func() error { return errors.New("draining") }
	w := ask(t, h, "GET", "/v2/health/ready", "", -1)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "not ready") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "HEAD", "/v2/health/live", "", -1); w.Code != 200 {
		t.Errorf("live: %d", w.Code)
	}
}

func askLength(h http.Handler, body, length string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v2/models/m/infer", strings.NewReader(body))
	r.Header.Set(headerLength, length)
	h.ServeHTTP(w, r)
	return w
}
