package tensorflow

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	wire "github.com/degas-dns/degas/internal/protowire"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/grpc"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

func original(t testing.TB) *models.Set {
	spec, err := model.Preset("degas")
	if err != nil {
		t.Fatal(err)
	}
	weights := modeltest.Weights(&spec, rand.New(rand.NewPCG(1, 2)))
	c, err := model.NewClassifier(&model.Model{Spec: spec, Weights: weights, Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	set, err := models.Of("m", nil, c)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// caller calls methods of a server over HTTP/2 without TLS, as gRPC's clients do.
func caller(
	t *testing.T, h http.Handler,
) func(method string, message []byte, header ...string) (code, text string, answer []byte) {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	transport := &http.Transport{Protocols: s.Config.Protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return func(method string, message []byte, header ...string) (code, text string, answer []byte) {
		frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
		r, err := http.NewRequest("POST", s.URL+"/tensorflow.serving."+method, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc+proto")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if r.Header.Get("Grpc-Encoding") == "gzip" {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			_, _ = w.Write(message)
			_ = w.Close()
			frame = append(binary.BigEndian.AppendUint32([]byte{1}, uint32(packed.Len())), packed.Bytes()...)
		}
		r.Body = io.NopCloser(bytes.NewReader(frame))
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.Status, err)
		}
		if code = resp.Trailer.Get("Grpc-Status"); code != "" {
			if data[0] != 0 || int(binary.BigEndian.Uint32(data[1:])) != len(data)-5 {
				t.Fatalf("frame %x", data)
			}
			return code, "", data[5:]
		}
		text, err = url.PathUnescape(resp.Header.Get("Grpc-Message"))
		if err != nil || len(data) > 0 {
			t.Fatal(err, data)
		}
		return resp.Header.Get("Grpc-Status"), text, nil
	}
}

// message builds a message that begins with a ModelSpec.
func message(name string, rest func(m *wire.Message)) []byte {
	var m wire.Message
	m.Message(1, func(m *wire.Message) { m.String(1, name) })
	rest(&m)
	return m.Encoded()
}

// inputOf adds an input of names to a PredictRequest, [rows] or of codes, [rows, 75].
func inputOf(key string, kind, rows int, fill func(m *wire.Message)) func(m *wire.Message) {
	return func(m *wire.Message) {
		m.Entry(2, key, func(m *wire.Message) {
			m.Int(1, int64(kind))
			m.Message(2, func(m *wire.Message) {
				m.Message(2, func(m *wire.Message) { m.Int(1, int64(rows)) })
				if kind == 3 {
					m.Message(2, func(m *wire.Message) { m.Int(1, 75) })
				}
			})
			fill(m)
		})
	}
}

// at are the contents of the fields at a path of field numbers.
func at(t *testing.T, message []byte, path ...int) (found [][]byte) {
	t.Helper()
	if len(path) == 0 {
		return [][]byte{message}
	}
	err := each("answer", message, func(f field) error {
		if int(f.number) == path[0] {
			found = append(found, at(t, f.data, path[1:]...)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWirePredict(t *testing.T) {
	set := original(t)
	call := caller(t, &grpc.Handler{Models: set, Methods: Methods(set)})
	v, _ := set.Find("m", "")
	names := []string{"google.com", "GOOGLE.com", "192.0.2.1"}
	p, err := v.Names(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(m *wire.Message) { m.Strings(8, names) }
	codes := modeltest.Codes(&v.Classifier.Model().Spec, []string{"google.com"})
	var wide []int32
	var ints []int
	for _, c := range codes {
		wide, ints = append(wide, int32(c)), append(ints, int(c))
	}
	for name, tc := range map[string]struct {
		rest   func(m *wire.Message)
		header []string
		want   []float32
	}{
		"names":             {inputOf("domain", 7, 3, byName), nil, []float32{p[1], p[3], 0}},
		"packed with gzip":  {inputOf("domain", 7, 3, byName), []string{"Grpc-Encoding", "gzip"}, []float32{p[1], p[3], 0}},
		"the last repeated": {inputOf("domain", 7, 2, func(m *wire.Message) { m.String(8, names[2]) }), nil, []float32{0, 0}},
		"codes as content": {inputOf("input_image", 3, 1, func(m *wire.Message) { m.Bytes(4, wire.Raw(wide...)) }), nil,
			p[1:2]},
		"codes as integers": {inputOf("input_image", 3, 1, func(m *wire.Message) { m.Packed(7, ints...) }), nil, p[1:2]},
		"no rows":           {inputOf("domain", 7, 0, func(*wire.Message) {}), nil, nil},
	} {
		code, text, answer := call("PredictionService/Predict", message("m", tc.rest), tc.header...)
		if code != "0" {
			t.Errorf("%s: %s %s", name, code, text)
			continue
		}
		values := at(t, answer, 1, 2, 5)[0]
		near := func(i int, want float32) bool { // a batch of another size rounds otherwise
			got := math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:]))
			return math.Abs(float64(got-want)) < 1e-5
		}
		if len(values) != 4*len(tc.want) || string(at(t, answer, 1, 1)[0]) != "dense_1/Sigmoid:0" {
			t.Errorf("%s: %x", name, answer)
			continue
		}
		for i, want := range tc.want {
			if !near(i, want) {
				t.Errorf("%s: row %d is not %v", name, i, want)
			}
		}
	}
}

func TestWireRefusals(t *testing.T) {
	set := original(t)
	call := caller(t, &grpc.Handler{Models: set, Methods: Methods(set)})
	none := func(*wire.Message) {}
	for _, tc := range []struct {
		method     string
		message    []byte
		code, want string
		header     []string
	}{
		{"PredictionService/Nope", nil, "12", "no method", nil},
		{"PredictionService/Predict", nil, "3", "Missing ModelSpec", nil},
		{"PredictionService/Predict", []byte{0xff}, "3", "no message of Protocol Buffers", nil},
		{"PredictionService/Predict", message("", none), "3", "ModelSpec has no name specified.", nil},
		{"PredictionService/Predict", message("ä%", none), "5", "Servable not found for request: Latest(ä%)", nil},
		{"PredictionService/Predict", message("m", none), "3", "no input", nil},
		{"PredictionService/Predict", message("m", inputOf("x", 7, 1, none)), "3",
			"input tensor alias not found in signature: x. Inputs expected to be in the set {input_image}.", nil},
		{"PredictionService/Predict", message("m", inputOf("domain", 7, 1, none)), "3", "do not fill", nil},
		{"PredictionService/Predict", message("m", inputOf("domain", 3, 1, none)), "3", "takes DT_STRING", nil},
		{"PredictionService/Predict", message("m", inputOf("domain", 7, 100_001, none)), "3", "may have 100000 rows", nil},
		{"PredictionService/Predict", message("m", inputOf("input_image", 3, 1, func(m *wire.Message) {
			m.Packed(7, 999)
		})), "3", "code 999 is none", nil},
		{"PredictionService/Predict", message("m", inputOf("input_image", 3, 2, func(m *wire.Message) {
			m.Bytes(4, make([]byte, 4*75))
		})), "3", "do not fill", nil},
		{"PredictionService/Predict", make([]byte, 64<<20), "8", "more than 67108864 bytes", nil},
		{"PredictionService/Predict", message("m", none), "3", "grpc-timeout", []string{"Grpc-Timeout", "x"}},
		{"PredictionService/Predict", message("m", inputOf("domain", 7, 100_000, func(m *wire.Message) {
			m.String(8, "a.b")
		})), "4", "too long", []string{"Grpc-Timeout", "1n"}},
		{"PredictionService/Classify", message("m", none), "3", "Input is empty", nil},
		{"PredictionService/GetModelMetadata", message("m", none), "3", "must specify at least one metadata_field", nil},
		{"PredictionService/GetModelMetadata", message("m", func(m *wire.Message) { m.String(2, "x") }), "3",
			"Metadata field x is not supported", nil},
		{"ModelService/GetModelStatus", message("x", none), "5", "Could not find any versions of model x", nil},
	} {
		if code, text, _ := call(tc.method, tc.message, tc.header...); code != tc.code || !strings.Contains(text, tc.want) {
			t.Errorf("%s %.50x: %s %q, want %s %q", tc.method, tc.message, code, text, tc.code, tc.want)
		}
	}
}

func TestWireOthers(t *testing.T) {
	set := original(t)
	call := caller(t, &grpc.Handler{Models: set, Methods: Methods(set)})
	examples := func(m *wire.Message) {
		m.Message(2, func(m *wire.Message) {
			m.Message(2, func(m *wire.Message) {
				m.Message(1, func(*wire.Message) {})
				m.Message(2, func(m *wire.Message) {
					m.Message(1, func(m *wire.Message) {
						m.Entry(1, "domain", func(m *wire.Message) {
							m.Message(1, func(m *wire.Message) { m.String(1, "google.com") })
						})
					})
				})
			})
		})
	}
	code, text, answer := call("PredictionService/Classify", message("m", examples))
	if labels := at(t, answer, 1, 1, 1, 1); code != "0" || len(labels) != 2 || string(labels[0]) != "benign" {
		t.Errorf("classify: %s %s %q", code, text, answer)
	}
	if code, text, answer = call("PredictionService/Regress", message("m", examples)); code != "0" ||
		len(at(t, answer, 1, 1)) != 1 {
		t.Errorf("regress: %s %s %q", code, text, answer)
	}
	code, text, answer = call("PredictionService/GetModelMetadata",
		message("m", func(m *wire.Message) { m.String(2, "signature_def") }))
	if keys := at(t, answer, 2, 2, 2, 1, 1); code != "0" || len(keys) != 3 || string(keys[0]) != "ids" {
		t.Errorf("metadata: %s %s %q", code, text, answer)
	}
	code, text, answer = call("ModelService/GetModelStatus", message("m", func(*wire.Message) {}))
	if len(at(t, answer, 1)) != 1 || code != "0" {
		t.Errorf("status: %s %s %q", code, text, answer)
	}
}

// Any message gets an answer or a refusal that is told.
func FuzzWire(f *testing.F) {
	set := original(f)
	methods := Methods(set)
	f.Add(message("m", inputOf("domain", 7, 1, func(m *wire.Message) { m.String(8, "a.com") })))
	f.Add(message("m", inputOf("input_image", 3, 1, func(m *wire.Message) { m.Packed(7, 1) })))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, method := range methods {
			memory := set.Lease()
			_, err := method(t.Context(), data, memory)
			memory.Release()
			var told *reply.Failure
			if err != nil && !errors.As(err, &told) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
