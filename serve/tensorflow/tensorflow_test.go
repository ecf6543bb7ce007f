package tensorflow_test

import (
	"bytes"
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
	"strconv"
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

// number is how TensorFlow Serving writes v.
func number(v float32) string {
	text := fmt.Sprintf("%.6g", v)
	if back, _ := strconv.ParseFloat(text, 32); float32(back) != v {
		text = fmt.Sprintf("%.9g", v)
	}
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// numbers is how TensorFlow Serving writes a list.
func numbers(p []float32) string {
	var texts []string
	for _, v := range p {
		texts = append(texts, number(v))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// compact is JSON without white space.
func compact(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return b.String()
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
		c[1].Verdict(p).Label, number(float32(model.ScoreOf(p))), numbers(p))
	first := probabilities(t, c[0], google)[0]
	for _, tc := range []struct{ path, body, want string }{
		{"/v1/models/m:predict",
			`{"instances": ["Google.COM.", {"b64": "Z29vZ2xlLmNvbQ=="}, "google\u002ecom"]}`,
			`{"predictions":[` + row + "," + row + "," + row + `]}`},
		{"/V1/Models/m/VERSIONS/2:Predict", `{"instances": [{"domain": "google.com"}, {"domain": "google.com"},
			{"domain": {"b64": "Z29vZ2xlLmNvbQ"}}]}`, `{"predictions":[` + row + "," + row + "," + row + `]}`},
		{"/v1/models/m/versions/1:predict",
			`{"signature_name": "names", "inputs": ["google.com"]}`,
			fmt.Sprintf(`{"outputs":{"label":[%q],"score":[[%s]],"scores":[%s]}}`,
				c[0].Verdict(first).Label, number(first[1]), numbers(first))},
		{"/v1/models/m:predict", `{"instances": ["192.0.2.1"]}`,
			`{"predictions":[{"label":"invalid","score":[0.0],"scores":[0.0,0.0,0.0]}]}`},
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
	var rows []string
	for _, p := range probabilities(t, c[0], names...) {
		rows = append(rows, numbers(p[1:]))
	}
	want := "[" + strings.Join(rows, ",") + "]"
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
		if status != 200 || got != fmt.Sprintf(`{%q:%s}`, key, want) {
			t.Errorf("%d %s, want %v", status, got, want)
		}
	}
	// They may send names instead.
	google := numbers(probabilities(t, c[0], "google.com")[0][1:])
	for body, want := range map[string]string{
		`{"instances": ["google.com"]}`:                        `{"predictions":[` + google + `]}`,
		`{"instances": [{"domain": "GOOGLE.com"}]}`:            `{"predictions":[` + google + `]}`,
		`{"instances": [{"b64": "Z29vZ2xlLmNvbQ=="}]}`:         `{"predictions":[` + google + `]}`,
		`{"inputs": ["google.com"]}`:                           `{"outputs":[` + google + `]}`,
		`{"inputs": {"domain": ["google.com"]}}`:               `{"outputs":[` + google + `]}`,
		`{"inputs": []}`:                                       `{"outputs":[]}`,
		`{"instances": ["192.0.2.1"], "instances": "ignored"}`: `{"predictions":[[0.0]]}`,
	} {
		if status, got := ask(t, h, "POST", "/v1/models/m:predict", body); status != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", body, status, got, want)
		}
	}
}

func TestStatusAndMetadata(t *testing.T) {
	h, _ := server(t, preset(t, "degas", nil), preset(t, "degas", nil))
	const (
		rows = `{"size":"-1","name":""}`
		ids  = `{"inputs":{"input_image":{"dtype":"DT_INT32",` +
			`"tensor_shape":{"dim":[` + rows + `,{"size":"75","name":""}],"unknown_rank":false},"name":"main_input:0"}},` +
			`"outputs":{"dense_1/Sigmoid:0":{"dtype":"DT_FLOAT",` +
			`"tensor_shape":{"dim":[` + rows + `,{"size":"1","name":""}],"unknown_rank":false},` +
			`"name":"dense_1/Sigmoid:0"}},"method_name":"tensorflow/serving/predict"}`
		names = `{"inputs":{"domain":{"dtype":"DT_STRING",` +
			`"tensor_shape":{"dim":[` + rows + `],"unknown_rank":false},"name":"names/domain:0"}},` +
			`"outputs":{"label":{"dtype":"DT_STRING",` +
			`"tensor_shape":{"dim":[` + rows + `],"unknown_rank":false},"name":"names/answers/label:0"},` +
			`"score":{"dtype":"DT_FLOAT",` +
			`"tensor_shape":{"dim":[` + rows + `,{"size":"1","name":""}],"unknown_rank":false},` +
			`"name":"names/dense_1/Sigmoid:0"},` +
			`"scores":{"dtype":"DT_FLOAT",` +
			`"tensor_shape":{"dim":[` + rows + `,{"size":"2","name":""}],"unknown_rank":false},` +
			`"name":"names/answers/scores:0"}},"method_name":"tensorflow/serving/predict"}`
		available = `"state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}`
	)
	for path, want := range map[string]string{
		"/v1/models/m": `{"model_version_status":[{"version":"2",` + available +
			`,{"version":"1",` + available + `]}`,
		"/v1/models/%6D/versions/01": `{"model_version_status":[{"version":"1",` + available + `]}`,
		"/v1/models/m/versions/1/metadata": `{"model_spec":{"name":"m","signature_name":"","version":"1"},` +
			`"metadata":{"signature_def":{"signature_def":{` +
			`"ids":` + ids + `,"names":` + names + `,"serving_default":` + ids + `}}}}`,
	} {
		if status, got := ask(t, h, "GET", path, ""); status != 200 || compact(t, got) != want {
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
			`{"error":"Missing 'inputs' or 'instances' key"}`,
			"level=DEBUG msg=\"request failed\" method=POST path=/v1/models/m:predict status=400 cause=\"Missing"},
		{"read error", context.Background(), iotest.ErrReader(errors.New("read tcp 10.0.0.1: reset")), 400,
			`{"error":"The request's body could not be read"}`,
			"level=DEBUG msg=\"request failed\" method=POST path=/v1/models/m:predict status=400 cause=\"read tcp"},
		{"no number", context.Background(), strings.NewReader(`{"instances":["a"]}`), 200,
			`{"predictions":[{"label":"dga","score":[NaN],"scores":[NaN,NaN,NaN]}]}`, ""},
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
		got := w.Body.String()
		if tc.status != 200 {
			got = compact(t, got)
		}
		got = strings.TrimSuffix(got, "\n")
		if w.Code != tc.status || got != tc.want || !strings.Contains(log.String(), tc.log) {
			t.Errorf("%s: %d %s, want %d %s\nlog %s", tc.name, w.Code, got, tc.status, tc.want, log.String())
		}
	}
}

func TestRefusals(t *testing.T) {
	h, _ := server(t, preset(t, "cnn", nil))
	for _, tc := range []struct { // of texts that are ours; TensorFlow Serving's are in testdata
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/models/m:predict", `{"instances": [["a"]]}`, 400,
			`JSON Value: "a" Type: String is not of expected type: int32`},
		{"POST", "/v1/models/m:predict", `{"signature_name": "names", "instances": [["a"]]}`, 400,
			"row 0: it must be a string"},
		{"POST", "/v1/models/m:predict", `{"inputs": "a"}`, 400, `The input "domain" takes a list`},
		{"POST", "/v1/models/m:predict", `{"inputs": {"b64": "YQ=="}}`, 400, `The input "domain" takes a list`},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1` + strings.Repeat(",1", 63) +
			`], [null` + strings.Repeat(",1", 63) + `]]}`, 400, "Failed to process element: 1 of 'instances' list. " +
			"Error: INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: int32"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [1]}`, 400, "row 0: it must be a list"},
		{"POST", "/v1/models/m:predict", `{"instances": [1` + strings.Repeat(",1", 100_000) + `]}`, 400,
			"may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"inputs": {"domain": [1` + strings.Repeat(",1", 100_000) + `]}}`, 400,
			"may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"instances": [` + strings.Repeat(" ", 64<<20) + `]}`, 413,
			"more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"instances": []}` + strings.Repeat(" ", 64<<20), 413, "more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1, 2]]}`, 400, "2 codes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `41]]}`,
			400, "code 41"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `-1]]}`,
			400, "code -1"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 64) + `0]]}`,
			400, "row 0: more than the 64 codes"},
		{"POST", "/v1/models/m:predict", `{"instances": ["a"` + strings.Repeat(`,"a"`, 3000) + `, 1]}`, 400,
			"Failed to process element: 3001 of 'instances' list"},
		{"POST", "/v1/models/m:predict", strings.Repeat(`[`, 2_000_000), 400, "more than 1000 deep"},
		{"POST", "/v1/models/m:classify", `{"examples": [{}]}`, 400, `example 0 has no feature "domain"`},
		{"POST", "/v1/models/m:classify", `{"examples": [{"domain": []}]}`, 400, "must have one name"},
		{"POST", "/v1/models/m:regress", `{"examples": [{"domain": ["a", "b"]}]}`, 400, "must have one name"},
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
			if _, got = ask(t, s, method, path, body); strings.Contains(compact(t, got), want) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%s: %s, want %s", step, got, want)
	}
	const status, predict, address = "/v1/models/m", "/v1/models/m:predict", `{"instances": ["192.0.2.1"]}`
	wait("at first", predict, address, `"scores":[0.0,0.0]`)
	put("2", two)
	wait("a new version", predict, address, `"scores":[0.0,0.0,0.0]`)
	put("2", one)
	wait("a changed version", predict, address, `"scores":[0.0,0.0]`)
	if err := os.MkdirAll(filepath.Join(store, "3"), 0o755); err != nil {
		t.Fatal(err)
	}
	remove("1")
	const healthy, failed = `"status":{"error_code":"OK","error_message":""}`, `"status":{"error_code":"UNKNOWN",`
	wait("after a removal", status, "", `{"version":"1","state":"END",`+healthy)
	wait("beside it", status, "", `{"version":"2","state":"AVAILABLE",`+healthy)
	wait("beside a broken version", status, "", `{"version":"3","state":"END",`+failed)
	// A link that leads nowhere is a broken version, too, and keeps nothing from being noticed.
	remove("3")
	if err := os.Symlink("nowhere", filepath.Join(store, "3")); err != nil {
		t.Fatal(err)
	}
	put("1", two)
	wait("beside a broken link", status, "", `{"version":"1","state":"AVAILABLE"`)
	remove("3")
	if err := errors.Join(os.Rename(store, store+"-before"), os.Mkdir(store, 0o755)); err != nil { // all at once
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	wait("without any version", predict, address, `"scores":[0.0,0.0]`)
	wait("still there", status, "", `{"version":"1","state":"AVAILABLE"`)
	wait("still there", status, "", `{"version":"2","state":"AVAILABLE"`)
}

// Any body gets an answer in JSON, and no panic.
func FuzzPredict(f *testing.F) {
	h, _ := server(f, preset(f, "mlbridge", nil))
	for _, body := range []string{`{"instances": ["a"]}`, `{"inputs": {"domain": ["a"]}}`,
		`{"signature_name": "ids", "instances": [[1]]}`,
		`{"instances": [{"b64": "YQ=="}]}`, `{"instances": [null, 1, {}]}`, `[]`, `{"inputs": [NaN, -Infinity, 1e400]}`,
		`{"examples": [{"domain": ["a"]}], "context": {"x": [1, 2.5, true]}}`, "{\"instances\": [\"\\ud83d\\ude00\\x\"]}"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, method := range []string{"predict", "classify", "regress"} {
			status, out := ask(t, h, "POST", "/v1/models/m:"+method, body)
			var answer map[string]json.RawMessage
			if err := json.Unmarshal([]byte(out), &answer); err != nil || status != 200 && status != 400 || len(answer) != 1 {
				t.Errorf("%s: %d %s %v", method, status, out, err)
			}
		}
	})
}
