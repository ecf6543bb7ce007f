package kserve_test

import (
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/alloctest"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/kserve"
	"github.com/degas-dns/degas/serve/models"
)

// What is allocated for a request, freed or not, is bounded by its size: no list of a stranger's grows without a bound.
func TestHostileBodiesTakeLittle(t *testing.T) {
	h, _ := server(t)
	const size = 128 << 10
	for name, parts := range map[string][3]string{ // the middle comes again and again
		"inputs":     {`{"inputs": [`, `{},`, `{}]}`},
		"keys":       {`{"inputs": [{`, `"name": "a",`, `"name": "b"}]}`},
		"parameters": {`{"inputs": [], "parameters": {`, `"binary_data_output": true,`, `"x": {}}}`},
		"outputs":    {`{"inputs": [], "outputs": [`, `{"name": "score"},`, `{}]}`},
		"shape":      {`{"inputs": [{"name": "name", "datatype": "BYTES", "data": [], "shape": [`, `1,`, `1]}]}`},
		"names":      {`{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [100000], "data": [`, `"",`, `""]}]}`},
		"escapes":    {`{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [1], "data": ["`, `\u0061`, `"]}]}`},
		"lists":      {`{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [1], "data": [`, `[],`, `[]]}]}`},
		"depth":      {``, `[`, ``},
		"nothing":    {``, ` `, ``},
		"codes": {`{"inputs": [{"name": "domain_ids", "datatype": "INT8", "shape": [100000, 64], "data": [`, `0,`,
			`0]}]}`},
	} {
		body := parts[0] + strings.Repeat(parts[1], size/len(parts[1])) + parts[2]
		reading := alloctest.Bytes(func() { _, _ = io.ReadAll(strings.NewReader(body)) })
		var status int
		took := alloctest.Bytes(func() { status = ask(t, h, "POST", "/v2/models/m/infer", body, -1).Code })
		if status != 400 && status != 200 || took > reading+16*size {
			t.Errorf("%s: %d, %d bytes beside the %d of reading it", name, status, took-reading, reading)
		}
	}
}

// An answer may take more than its request: 100,000 names, and 300 labels for each.
func TestAnswerTooLarge(t *testing.T) {
	m := preset(t, "cnn", nil)
	m.Spec.Labels = nil
	for i := range 300 {
		m.Spec.Labels = append(m.Spec.Labels, "family"+strconv.Itoa(i))
	}
	m.Spec.Layers = []model.Layer{m.Spec.Layers[0], {Kind: model.KindGlobalMaxPool},
		{Kind: model.KindDense, Units: 300, Activation: model.Softmax}}
	m.Weights = modeltest.Weights(&m.Spec, rand.New(rand.NewPCG(1, 2)))
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	set, err := models.Of("m", nil, c)
	if err != nil {
		t.Fatal(err)
	}
	h := &kserve.Handler{Models: set}
	header := `{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [100000],
		"parameters": {"binary_data_size": 400000}}]}`
	w := ask(t, h, "POST", "/v2/models/m/infer", header+strings.Repeat("\x00", 400_000), len(header))
	if w.Code != 413 || !strings.Contains(w.Body.String(), "send fewer rows") {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
}

// While large requests take all memory, another one is told to try again, and small ones are answered.
func TestMemoryIsShared(t *testing.T) {
	h, _ := server(t)
	others := h.Models.Lease()
	if err := others.Take(1 << 30); err != nil {
		t.Fatal(err)
	}
	const small = `{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [1], "data": ["a.com"]}]}`
	large := strings.Repeat(" ", 1<<20) + small
	w := ask(t, h, "POST", "/v2/models/m/infer", large, -1)
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("the memory is taken: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(t, h, "POST", "/v2/models/m/infer", small, -1); w.Code != 200 {
		t.Errorf("a small request: %d %s", w.Code, w.Body)
	}
	others.Release()
	if w := ask(t, h, "POST", "/v2/models/m/infer", large, -1); w.Code != 200 {
		t.Errorf("when the others are done: %d %s", w.Code, w.Body)
	}
}
