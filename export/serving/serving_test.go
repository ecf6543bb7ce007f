package serving_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/serving"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
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

func server(t testing.TB, models ...*model.Model) (*serving.Server, []*model.Classifier) {
	t.Helper()
	var versions []serving.Version
	var all []*model.Classifier
	for i, m := range models {
		c, err := model.NewClassifier(m)
		if err != nil {
			t.Fatal(err)
		}
		versions, all = append(versions, serving.Version{Number: i + 1, Classifier: c}), append(all, c)
	}
	s, err := serving.New("m", versions)
	if err != nil {
		t.Fatal(err)
	}
	return s, all
}

func ask(t testing.TB, h http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return w.Code, out
}

func TestPredict(t *testing.T) {
	h, c := server(t, preset(t, "mlbridge", nil), preset(t, "cnn", []string{"benign", "dga", "tunnel"}))
	last := c[1].Predict("google.com")
	_, out := ask(t, h, "POST", "/v1/models/m:predict", `{"instances": ["Google.COM.", {"domain": "google.com"}, {"b64": "Z29vZ2xlLmNvbQ=="}]}`)
	rows := out["predictions"].([]any)
	if len(rows) != 3 || !reflect.DeepEqual(rows[0], rows[1]) || !reflect.DeepEqual(rows[0], rows[2]) {
		t.Fatalf("predictions %v", rows)
	}
	row := rows[0].(map[string]any)
	if row["label"] != last.Label || len(row["scores"].([]any)) != 3 || math.Abs(row["score"].([]any)[0].(float64)-last.Score) > 1e-7 {
		t.Errorf("%v, want %+v", row, last)
	}
	_, out = ask(t, h, "POST", "/v1/models/m/versions/1:predict", `{"signature_name": "names", "inputs": ["google.com"]}`)
	got := out["outputs"].(map[string]any)["score"].([]any)[0].([]any)[0].(float64)
	if want := c[0].Score("google.com"); math.Abs(got-want) > 1e-7 {
		t.Errorf("version 1 scores %g, want %g", got, want)
	}
	_, out = ask(t, h, "POST", "/v1/models/m:predict", `{"instances": []}`)
	if p := out["predictions"].([]any); len(p) != 0 {
		t.Errorf("an empty batch gives %v", p)
	}
}

// The clients of the original degas send codes as input_image and read a list of one probability.
func TestPredictCodesAsTheOriginalDid(t *testing.T) {
	h, c := server(t, preset(t, "degas", nil))
	names := []string{"xcbeoysoqcbnlvje.eu", "", "0.0", strings.Repeat("a", 100)}
	codes := modeltest.Codes(&c[0].Model().Spec, names)
	var rows [][]uint16
	for lo := 0; lo < len(codes); lo += 75 {
		rows = append(rows, codes[lo:lo+75])
	}
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"predictions": fmt.Sprintf(`{"instances": %s}`, data), "outputs": fmt.Sprintf(`{"inputs": {"input_image": %s}}`, data)} {
		status, out := ask(t, h, "POST", "/v1/models/m:predict", body)
		if status != 200 {
			t.Fatalf("%d %v", status, out)
		}
		for i, p := range out[path].([]any) {
			if got, want := p.([]any)[0].(float64), c[0].Score(names[i]); math.Abs(got-want) > 1e-7 {
				t.Errorf("%q scores %g by codes, %g by name", names[i], got, want)
			}
		}
	}
}

func TestStatusAndMetadata(t *testing.T) {
	h, _ := server(t, preset(t, "degas", nil), preset(t, "degas", nil))
	_, out := ask(t, h, "GET", "/v1/models/m", "")
	if list := out["model_version_status"].([]any); len(list) != 2 || list[0].(map[string]any)["version"] != "2" {
		t.Errorf("status %v", list)
	}
	_, out = ask(t, h, "GET", "/v1/models/m/versions/1/metadata", "")
	defs := out["metadata"].(map[string]any)["signature_def"].(map[string]any)["signature_def"].(map[string]any)
	in := defs["serving_default"].(map[string]any)["inputs"].(map[string]any)["input_image"].(map[string]any)
	if in["dtype"] != "DT_INT32" || in["name"] != "main_input:0" {
		t.Errorf("input %v", in)
	}
	if _, ok := defs["ids"].(map[string]any)["outputs"].(map[string]any)["dense_1/Sigmoid:0"]; !ok {
		t.Errorf("outputs %v", defs["ids"])
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
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1` + strings.Repeat(",1", 63) + `], [null` + strings.Repeat(",1", 63) + `]]}`, 400, "row 1: it must be a list of 64 codes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [null]}`, 400, "row 0: it must be a list"},
		{"POST", "/v1/models/m:predict", `{"instances": [1` + strings.Repeat(",1", 100_000) + `]}`, 400, "may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"inputs": {"domain": [1` + strings.Repeat(",1", 100_000) + `]}}`, 400, "may have 100000 rows"},
		{"POST", "/v1/models/m:predict", `{"instances": [` + strings.Repeat(" ", 64<<20) + `]}`, 413, "more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"instances": []}` + strings.Repeat(" ", 64<<20), 413, "more than 67108864 bytes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "x", "instances": []}`, 400, `signature name: "x" not found`},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[1, 2]]}`, 400, "2 codes"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `41]]}`, 400, "code 41"},
		{"POST", "/v1/models/m:predict", `{"signature_name": "ids", "instances": [[` + strings.Repeat("0,", 63) + `-1]]}`, 400, "code -1"},
	} {
		status, out := ask(t, h, tc.method, tc.path, tc.body)
		if text, _ := out["error"].(string); status != tc.status || !strings.Contains(text, tc.want) {
			t.Errorf("%s %s %.200s: %d %q, want %d %q", tc.method, tc.path, tc.body, status, text, tc.status, tc.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	for _, v := range []string{"2", "10"} {
		sub := filepath.Join(dir, v)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := preset(t, "mlbridge", nil).Save(sub); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("10", filepath.Join(dir, "11")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "12"), nil, 0o644); err != nil { // no version
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "model") // a run's
	if err := preset(t, "mlbridge", nil).Save(damaged); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(damaged, model.WeightsFile), 100); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir      string
		versions int
		want     string
	}{{dir, 3, ""}, {filepath.Join(dir, "2"), 1, ""}, {t.TempDir(), 0, "neither a model nor numbered versions"},
		{filepath.Dir(damaged), 0, "read " + filepath.Join(damaged, model.WeightsFile)}} {
		name, versions, err := serving.Load(tc.dir)
		switch {
		case tc.want != "":
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", tc.dir, err)
			}
		case err != nil || name != "shop" || len(versions) != tc.versions:
			t.Errorf("%s: %q, %d versions, %v", tc.dir, name, len(versions), err)
		}
	}
}

// Any body gets an answer in JSON, and no panic.
func FuzzPredict(f *testing.F) {
	h, _ := server(f, preset(f, "mlbridge", nil))
	for _, body := range []string{`{"instances": ["a"]}`, `{"inputs": {"domain": ["a"]}}`, `{"signature_name": "ids", "instances": [[1]]}`,
		`{"instances": [{"b64": "YQ=="}]}`, `{"instances": [null, 1, {}]}`, `[]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if status, out := ask(t, h, "POST", "/v1/models/m:predict", body); status != 200 && status != 400 || len(out) != 1 {
			t.Errorf("%d %v", status, out)
		}
	})
}
