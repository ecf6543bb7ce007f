package tensorflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/tensorflow"
)

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

func server(t testing.TB, all ...*model.Model) (*tensorflow.Handler, []*model.Classifier) {
	t.Helper()
	var classifiers []*model.Classifier
	for _, m := range all {
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
	return &tensorflow.Handler{Models: set}, classifiers
}

func ask(t testing.TB, h http.Handler, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

// asJSON is how encoding/json writes v.
func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// probabilities scores names in one batch, as a request for them does.
func probabilities(t testing.TB, c *model.Classifier, names ...string) (rows [][]float32) {
	t.Helper()
	p := make([]float32, len(names)*c.Width())
	if err := c.ProbabilitiesFolded(context.Background(), names, p); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(p, c.Width()))
}

func TestPredict(t *testing.T) {
	h, c := server(t, preset(t, "mlbridge", nil), preset(t, "cnn", []string{"benign", "dga", "tunnel"}))
	const google = "google.com"
	p := probabilities(t, c[1], google, google, google)[0]
	row := fmt.Sprintf(`{"label":%q,"score":[%s],"scores":%s}`,
		c[1].Verdict(p).Label, asJSON(t, float32(model.ScoreOf(p))), asJSON(t, p))
	first := probabilities(t, c[0], google)[0]
	for _, tc := range []struct{ path, body, want string }{
		{"/v1/models/m:predict",
			`{"instances": ["Google.COM.", {"domain": "google.com"}, {"b64": "Z29vZ2xlLmNvbQ=="}]}`,
			`{"predictions":[` + row + "," + row + "," + row + `]}`},
		{"/v1/models/m/versions/1:predict",
			`{"signature_name": "names", "inputs": ["google.com"]}`,
			fmt.Sprintf(`{"outputs":{"label":[%q],"score":[[%s]],"scores":[%s]}}`,
				c[0].Verdict(first).Label, asJSON(t, first[1]), asJSON(t, first))},
		{"/v1/models/m:predict", `{"instances": ["192.0.2.1"]}`,
			`{"predictions":[{"label":"invalid","score":[0],"scores":[0,0,0]}]}`},
		{"/v1/models/m:predict", `{"instances": []}`, `{"predictions":[]}`},
		{"/v1/models/m:predict", `{"inputs": []}`, `{"outputs":{"label":[],"score":[],"scores":[]}}`},
	} {
		if status, got := ask(t, h, "POST", tc.path, tc.body); status != 200 || got != tc.want {
			t.Errorf("%s %s: %d\n%s\nwant\n%s", tc.path, tc.body, status, got, tc.want)
		}
	}
}

// The clients of the original degas send codes as input_image and read a list of one probability.
func TestPredictCodesAsTheOriginalDid(t *testing.T) {
	h, c := server(t, preset(t, "degas", nil))
	names := []string{"xcbeoysoqcbnlvje.eu", "", "0.0", strings.Repeat("a", 100)}
	codes := modeltest.Codes(&c[0].Model().Spec, names)
	data := asJSON(t, slices.Collect(slices.Chunk(codes, 75)))
	var want [][]float32
	for _, p := range probabilities(t, c[0], names...) {
		want = append(want, p[1:])
	}
	for body, key := range map[string]string{
		fmt.Sprintf(`{"instances": %s}`, data):                                     "predictions",
		fmt.Sprintf(`{"inputs": {"input_image": %s}}`, data):                       "outputs",
		fmt.Sprintf(`{"instances": [{"input_image": %s}]}`, asJSON(t, codes[:75])): "",
	} {
		status, got := ask(t, h, "POST", "/v1/models/m:predict", body)
		if key == "" { // one row, whose rounding may differ
			if status != 200 || !strings.HasPrefix(got, `{"predictions":[[0.`) {
				t.Errorf("%d %s", status, got)
			}
			continue
		}
		if status != 200 || got != fmt.Sprintf(`{%q:%s}`, key, asJSON(t, want)) {
			t.Errorf("%d %s, want %v", status, got, want)
		}
	}
}

func TestStatusAndMetadata(t *testing.T) {
	h, _ := server(t, preset(t, "degas", nil), preset(t, "degas", nil))
	const (
		ids = `{"inputs":{"input_image":{"dtype":"DT_INT32","name":"main_input:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"},{"name":"","size":"75"}],"unknown_rank":false}}},` +
			`"method_name":"tensorflow/serving/predict",` +
			`"outputs":{"dense_1/Sigmoid:0":{"dtype":"DT_FLOAT","name":"dense_1/Sigmoid:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"},{"name":"","size":"1"}],"unknown_rank":false}}}}`
		names = `{"inputs":{"domain":{"dtype":"DT_STRING","name":"names/domain:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"}],"unknown_rank":false}}},` +
			`"method_name":"tensorflow/serving/predict",` +
			`"outputs":{"label":{"dtype":"DT_STRING","name":"names/answers/label:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"}],"unknown_rank":false}},` +
			`"score":{"dtype":"DT_FLOAT","name":"names/dense_1/Sigmoid:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"},{"name":"","size":"1"}],"unknown_rank":false}},` +
			`"scores":{"dtype":"DT_FLOAT","name":"names/answers/scores:0",` +
			`"tensor_shape":{"dim":[{"name":"","size":"-1"},{"name":"","size":"2"}],"unknown_rank":false}}}}`
		available = `{"state":"AVAILABLE","status":{"error_code":"OK","error_message":""},"version":`
	)
	for path, want := range map[string]string{
		"/v1/models/m":            `{"model_version_status":[` + available + `"2"},` + available + `"1"}]}`,
		"/v1/models/m/versions/1": `{"model_version_status":[` + available + `"1"}]}`,
		"/v1/models/m/versions/1/metadata": `{"metadata":{"signature_def":{"signature_def":{` +
			`"ids":` + ids + `,"names":` + names + `,"serving_default":` + ids + `}}},` +
			`"model_spec":{"name":"m","signature_name":"","version":"1"}}`,
	} {
		if status, got := ask(t, h, "GET", path, ""); status != 200 || got != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", path, status, got, want)
		}
	}
}

// A client is told what it did wrong. What went wrong here goes to the log, and a client that left gets nothing.
func TestFailuresAreLogged(t *testing.T) {
	broken := preset(t, "mlbridge", []string{"benign", "dga", "tunnel"})
	for _, w := range broken.Weights {
		for i := range w.Data {
			w.Data[i] = 3e38 // logits without a number
		}
	}
	c, err := model.NewClassifier(broken)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tc := range []struct {
		name      string
		ctx       context.Context
		body      io.Reader
		status    int
		want, log string
	}{
		{"mistake", context.Background(), strings.NewReader("{}"), 400,
			`{"error":"Missing 'inputs' or 'instances' key, or both are there"}`,
			"level=DEBUG msg=\"request failed\" method=POST path=/v1/models/m:predict status=400 cause=\"Missing"},
		{"read error", context.Background(), iotest.ErrReader(errors.New("read tcp 10.0.0.1: reset")), 400,
			`{"error":"The request's body could not be read"}`,
			"level=DEBUG msg=\"request failed\" method=POST path=/v1/models/m:predict status=400 cause=\"read tcp"},
		{"internal error", context.Background(), strings.NewReader(`{"instances":["a"]}`), 500,
			`{"error":"internal error"}`,
			"level=ERROR msg=\"request failed\" method=POST path=/v1/models/m:predict status=500 cause=\"json: unsupp"},
		{"cancelled", gone, strings.NewReader(`{"instances":["a"]}`), 200, "",
			"level=DEBUG msg=\"request failed\" method=POST path=/v1/models/m:predict status=499 cause=\"context cancel"},
	} {
		var log strings.Builder
		set, err := models.Of("m", nil, c)
		if err != nil {
			t.Fatal(err)
		}
		h := &tensorflow.Handler{Models: set, Reply: reply.Writer{
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/models/m:predict", tc.body).WithContext(tc.ctx))
		got := strings.TrimSuffix(w.Body.String(), "\n")
		if w.Code != tc.status || got != tc.want || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: %d %s, want %d %s\nlog %s", tc.name, w.Code, got, tc.status, tc.want, log.String())
		}
	}
}

func TestRefusals(t *testing.T) {
	h, _ := server(t, preset(t, "cnn", nil))
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/", "", 400, "Malformed request: GET /"},
		{"GET", "/v1/models/m:predict", "", 400, "Malformed request"},
		{"POST", "/v1/models/m", "", 400, "Malformed request"},
		{"GET", "/v1/models/x", "", 404, "Servable not found for request: Latest(x)"},
		{"POST", "/v1/models/m/versions/3:predict", "{}", 404, "Specific(m, 3)"},
		{"POST", "/v1/models/m:predict", "{", 400, "JSON Parse error"},
		{"POST", "/v1/models/m:predict", "{} {}", 400, "JSON Parse error"},
		{"POST", "/v1/models/m:predict", "{}", 400, "Missing 'inputs' or 'instances'"},
		{"POST", "/v1/models/m:predict", `{"instances": [], "inputs": []}`, 400, "Missing 'inputs' or 'instances'"},
		{"POST", "/v1/models/m:predict", `{"instances": "a"}`, 400, "must be a list"},
		{"POST", "/v1/models/m:predict", `{"inputs": 3}`, 400, "no list"},
		{"POST", "/v1/models/m:predict", `{"instances": [["a"]]}`, 400, "row 0: it must be a string"},
		{"POST", "/v1/models/m:predict", `{"instances": [{"b64": "?"}]}`, 400, "b64"},
		{"POST", "/v1/models/m:predict", `{"instances": [{"name": "a"}]}`, 400, `called "domain"`},
		{"POST", "/v1/models/m:predict", `{"instances": ["a", null]}`, 400, "row 1: it must be a string"},
		{"POST", "/v1/models/m:predict", `{"instances": [{"domain": null}]}`, 400, "row 0: it must be a string"},
		{"POST", "/v1/models/m:predict", `{"instances": null}`, 400, "must be a list"},
		{"POST", "/v1/models/m:predict", `{"inputs": {"domain": null}}`, 400, "no list"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1` + strings.Repeat(",1", 63) +
			`], [null` + strings.Repeat(",1", 63) + `]]}`, 400, "row 1: it must be a list of 64 codes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [null]}`, 400, "row 0: it must be a list"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": ["a.com"]}`, 400,
			`for names, add "signature_name": "names"`},
		{"POST", "/v1/models/m:predict", `{"instances": [1` + strings.Repeat(",1", 100_000) + `]}`, 400,
			"may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"inputs": {"domain": [1` + strings.Repeat(",1", 100_000) + `]}}`, 400,
			"may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"instances": [` + strings.Repeat(" ", 64<<20) + `]}`, 413,
			"more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"instances": []}` + strings.Repeat(" ", 64<<20), 413, "more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "x", "instances": []}`, 400, `signature name: "x" not found`},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1, 2]]}`, 400, "2 codes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `41]]}`,
			400, "code 41"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `-1]]}`,
			400, "code -1"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 64) + `0]]}`,
			400, "row 0: more than the 64 codes"},
		{"POST", "/v1/models/m:predict", `{"instances": ["a"` + strings.Repeat(`,"a"`, 3000) + `, 1]}`, 400,
			"row 3001: it must be a string"},
		{"POST", "/v1/models/m:predict", `{"instances": [{"domain": "a", "x": 1}]}`, 400, `called "domain"`},
		{"POST", "/v1/models/m:predict", `{"instances": [{}]}`, 400, `called "domain"`},
		{"POST", "/v1/models/m:predict", `{"instances": [{"domain": "a", "b64": "YQ=="}]}`, 400, `called "domain"`},
	} {
		status, out := ask(t, h, tc.method, tc.path, tc.body)
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatal(err)
		}
		if text := answer.Error; status != tc.status || !strings.Contains(text, tc.want) {
			t.Errorf("%s %s %.200s: %d %q, want %d %q", tc.method, tc.path, tc.body, status, text, tc.status, tc.want)
		}
	}
}

// New, changed and removed versions are noticed. What cannot be loaded, and an empty directory, change nothing.
func TestWatch(t *testing.T) {
	store := filepath.Join(t.TempDir(), "m")
	put := func(version string, m *model.Model) {
		t.Helper()
		if err := m.Save(filepath.Join(store, version)); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(version string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(store, version)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := preset(t, "mlbridge", nil), preset(t, "mlbridge", []string{"benign", "dga", "tunnel"})
	put("1", one)
	set, err := models.Open(nil, models.Source{Dir: store})
	if err != nil {
		t.Fatal(err)
	}
	s := &tensorflow.Handler{Models: set}
	go set.Watch(t.Context(), 5*time.Millisecond)
	// wait is for an answer that has a text; then a broken version may try for a while to change it.
	wait := func(step, path, body, want string) {
		t.Helper()
		var got string
		for range 1000 {
			method := "GET"
			if body != "" {
				method = "POST"
			}
			if _, got = ask(t, s, method, path, body); strings.Contains(got, want) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%s: %s, want %s", step, got, want)
	}
	const status, predict, address = "/v1/models/m", "/v1/models/m:predict", `{"instances": ["192.0.2.1"]}`
	wait("at first", predict, address, `"scores":[0,0]`)
	put("2", two)
	wait("a new version", predict, address, `"scores":[0,0,0]`)
	put("2", one)
	wait("a changed version", predict, address, `"scores":[0,0]`)
	if err := os.MkdirAll(filepath.Join(store, "3"), 0o755); err != nil {
		t.Fatal(err)
	}
	remove("1")
	for range 1000 {
		if _, got := ask(t, s, "GET", status, ""); !strings.Contains(got, `"version":"1"`) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, got := ask(t, s, "GET", status, ""); strings.Contains(got, `"version":"1"`) ||
		strings.Contains(got, `"version":"3"`) || !strings.Contains(got, `"version":"2"`) {
		t.Errorf("after a removal and beside a broken version: %s", got)
	}
	// A link that leads nowhere is a broken version, too, and keeps nothing from being noticed.
	remove("3")
	if err := os.Symlink("nowhere", filepath.Join(store, "3")); err != nil {
		t.Fatal(err)
	}
	put("1", two)
	wait("beside a broken link", status, "", `"version":"1"`)
	remove("3")
	if err := errors.Join(os.Rename(store, store+"-before"), os.Mkdir(store, 0o755)); err != nil { // all at once
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	wait("without any version", predict, address, `"scores":[0,0]`)
	if _, got := ask(t, s, "GET", status, ""); !strings.Contains(got, `"version":"1"`) ||
		!strings.Contains(got, `"version":"2"`) {
		t.Errorf("without any version: %s", got)
	}
}

// Any body gets an answer in JSON, and no panic.
func FuzzPredict(f *testing.F) {
	h, _ := server(f, preset(f, "mlbridge", nil))
	for _, body := range []string{`{"instances": ["a"]}`, `{"inputs": {"domain": ["a"]}}`,
		`{"signature_name": "ids", "instances": [[1]]}`,
		`{"instances": [{"b64": "YQ=="}]}`, `{"instances": [null, 1, {}]}`, `[]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		status, out := ask(t, h, "POST", "/v1/models/m:predict", body)
		var answer map[string]json.RawMessage
		if err := json.Unmarshal([]byte(out), &answer); err != nil || status != 200 && status != 400 || len(answer) != 1 {
			t.Errorf("%d %s %v", status, out, err)
		}
	})
}
