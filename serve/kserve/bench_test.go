package kserve_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/kserve"
	"github.com/degas-dns/degas/serve/models"
)

// discard is a ResponseWriter whose answers nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// Names a second of the built-in model, through the handler and, as "model", without it.
func BenchmarkInfer(b *testing.B) {
	m, err := model.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, m)
}

// The same with a model that costs next to nothing: what is left is the protocol.
func BenchmarkProtocol(b *testing.B) {
	m := preset(b, "cnn", nil)
	m.Spec.Layers = []model.Layer{{Kind: model.KindEmbedding, Rows: m.Spec.Codes(), Dim: 1},
		{Kind: model.KindGlobalMaxPool}, {Kind: model.KindDense, Units: 2, Activation: model.Softmax}}
	m.Weights = modeltest.Weights(&m.Spec, rand.New(rand.NewPCG(1, 2)))
	benchmark(b, m)
}

func benchmark(b *testing.B, m *model.Model) {
	c, err := model.NewClassifier(m)
	if err != nil {
		b.Fatal(err)
	}
	set, err := models.Of("m", nil, c)
	if err != nil {
		b.Fatal(err)
	}
	h := &kserve.Handler{Models: set}
	for _, n := range []int{1, 16, 256} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("name%d-of-a-host.example.com", i)
		}
		v, _ := set.Find("m", "")
		measure(b, "model", n, func() error { _, err := v.Names(b.Context(), names); return err })
		header := func(in, datatype, shape, rest string) string {
			return fmt.Sprintf(`{"inputs":[{"name":%q,"datatype":%q,"shape":%s,%s}]`, in, datatype, shape, rest)
		}
		shape := fmt.Sprintf("[%d]", n)
		data, _ := json.Marshal(names)
		post(b, h, "json", n, header("name", "BYTES", shape, `"data":`+string(data))+"}", "")
		raw := binaryNames(names)
		size := fmt.Sprintf(`"parameters":{"binary_data_size":%d}`, len(raw))
		post(b, h, "binary", n, header("name", "BYTES", shape, size)+`,"parameters":{"binary_data_output":true}}`,
			string(raw))
		window := m.Spec.Encoder.Window
		codes := modeltest.Codes(&m.Spec, names)
		data, _ = json.Marshal(slices.Collect(slices.Chunk(codes, window)))
		post(b, h, "codes", n, header(m.Spec.Input(), "INT64", fmt.Sprintf("[%d,%d]", n, window),
			`"data":`+string(data))+"}", "")
	}
}

func post(b *testing.B, h http.Handler, name string, n int, header, raw string) {
	if w := ask(b, h, "POST", "/v2/models/m/infer", header+raw, len(header)); w.Code != 200 {
		b.Fatal(w.Body)
	}
	r := httptest.NewRequest("POST", "/v2/models/m/infer", nil)
	r.Header.Set(headerLength, fmt.Sprint(len(header)))
	body := header + raw
	measure(b, name, n, func() error {
		r.Body = io.NopCloser(strings.NewReader(body))
		h.ServeHTTP(discard{http.Header{}}, r)
		return nil
	})
}

func measure(b *testing.B, name string, n int, f func() error) {
	b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
		for b.Loop() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "names/s")
	})
}
