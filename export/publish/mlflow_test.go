package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/export"
)

// tracking is MLflow's tracking server as far as publishing needs it.
type tracking struct {
	t        *testing.T
	location string            // of a new experiment's artifacts
	auth     string            // the header Authorization that is let in
	busy     int               // so many requests are answered with 503 first
	refuse   map[string]string // errors by path: code and message
	calls    []string
	places   map[string]string            // experiments: artifact locations by name
	runs     map[string]map[string]string // status and what else is set, by run
	numbers  map[string]float64           // metrics of the last batch
	models   map[string][]map[string]any  // versions by model
	files    map[string][]byte
	aliases  map[string]string
}

func newTracking(t *testing.T) (*tracking, string) {
	t.Helper()
	m := &tracking{
		t: t, location: "mlflow-artifacts:/1", refuse: map[string]string{}, places: map[string]string{},
		runs: map[string]map[string]string{}, models: map[string][]map[string]any{}, files: map[string][]byte{},
		aliases: map[string]string{},
	}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return m, "mlflow+" + s.URL + "/registry"
}

func (m *tracking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/registry/api/2.0/")
	m.calls = append(m.calls, r.Method+" "+path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.t.Error(err)
	}
	fail := func(status int, code, message string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error_code": %q, "message": %q}`, code, message)
	}
	if m.busy--; m.busy >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Header.Get("Authorization") != m.auth {
		http.Error(w, "You are not authenticated.", http.StatusUnauthorized)
		return
	}
	if text, ok := m.refuse[path]; ok {
		code, message, _ := strings.Cut(text, " ")
		fail(http.StatusBadRequest, code, message)
		return
	}
	if file, ok := strings.CutPrefix(path, "mlflow-artifacts/artifacts/"); ok && r.Method == http.MethodPut {
		m.files[file] = body
		fmt.Fprint(w, "{}")
		return
	}
	var in map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			m.t.Error(err)
		}
	}
	m.answer(w, r, strings.TrimPrefix(path, "mlflow/"), in, fail)
}

func (m *tracking) answer(
	w http.ResponseWriter,
	r *http.Request,
	path string,
	in map[string]any,
	fail func(status int, code, message string),
) {
	text := func(key string) string { return fmt.Sprint(in[key]) }
	switch r.Method + " " + path {
	case "GET experiments/get-by-name":
		name := r.URL.Query().Get("experiment_name")
		if m.places[name] == "" {
			fail(http.StatusNotFound, mlflowMissing, "no experiment")
			return
		}
		fmt.Fprintf(w, `{"experiment": {"experiment_id": "1", "lifecycle_stage": "active", "artifact_location": %q}}`,
			m.places[name])
	case "POST experiments/create":
		m.places[text("name")] = m.location
	case "POST runs/create":
		id := fmt.Sprintf("run%d", len(m.runs)+1)
		m.runs[id] = map[string]string{"status": "RUNNING"}
		fmt.Fprintf(w, `{"run": {"info": {"run_id": %q, "artifact_uri": "%s/%s/artifacts"}}}`, id, m.location, id)
	case "POST runs/log-batch":
		m.numbers = map[string]float64{}
		for _, v := range in["metrics"].([]any) {
			one := v.(map[string]any)
			m.numbers[one["key"].(string)] = one["value"].(float64)
		}
		for _, v := range in["params"].([]any) {
			one := v.(map[string]any)
			m.runs[text("run_id")][one["key"].(string)] = one["value"].(string)
		}
	case "POST runs/update":
		m.runs[text("run_id")]["status"] = text("status")
	case "POST registered-models/create":
		if _, ok := m.models[text("name")]; ok {
			fail(http.StatusBadRequest, mlflowExists, "name in use")
			return
		}
		m.models[text("name")] = nil
	case "GET model-versions/search":
		found := []map[string]any{}
		filter := r.URL.Query().Get("filter")
		for name, versions := range m.models {
			for _, v := range versions {
				tag := v["tags"].([]any)[0].(map[string]any)
				if filter == fmt.Sprintf("name='%s' and tags.`%s`='%s'", name, tag["key"], tag["value"]) {
					found = append(found, v)
				}
			}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"model_versions": found}); err != nil {
			m.t.Error(err)
		}
	case "POST model-versions/create":
		in["version"], in["status"] = fmt.Sprint(len(m.models[text("name")])+1), "READY"
		m.models[text("name")] = append(m.models[text("name")], in)
		if err := json.NewEncoder(w).Encode(map[string]any{"model_version": in}); err != nil {
			m.t.Error(err)
		}
	case "POST registered-models/alias":
		m.aliases[text("alias")] = text("version")
	default:
		fail(http.StatusNotFound, "ENDPOINT_NOT_FOUND", "no such path "+path)
	}
}

// measured exports a small model with metrics as NAME/number.
func measured(t *testing.T, name, number string) string {
	t.Helper()
	return exportSmall(t, name, number, export.Options{Metrics: map[string]float64{"roc_auc": 0.75, "recall@1e-3": 0.5}})
}

func TestMLflow(t *testing.T) {
	defer func(d time.Duration) { firstWait = d }(firstWait)
	firstWait = time.Millisecond
	m, to := newTracking(t)
	m.auth, m.busy = "Bearer secret", 2
	ctx, dir, o := context.Background(), measured(t, "dga", "4"), Options{Token: "secret", Alias: "champion"}
	r, err := Publish(ctx, dir, to, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 1 || r.Existed || !strings.HasSuffix(r.URL, "/registry#/models/dga/versions/1") {
		t.Errorf("published %+v", r)
	}
	run := m.runs["run1"]
	if run["status"] != "FINISHED" || run["threshold"] == "" || m.numbers["roc_auc"] != 0.75 {
		t.Errorf("run %v, metrics %v", run, m.numbers)
	}
	if m.numbers["recall_1e-3"] != 0.5 {
		t.Errorf("MLflow takes no @ in a name: %v", m.numbers)
	}
	for _, name := range []string{"model.onnx", "SHA256SUMS", "README.md", "manifest.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(m.files["1/run1/artifacts/model/"+name]) != string(want) {
			t.Errorf("%s differs, %v", name, err)
		}
	}
	if len(m.files) != r.Files {
		t.Errorf("%d files of %d", len(m.files), r.Files)
	}
	version := m.models["dga"][0]
	if version["source"] != "mlflow-artifacts:/1/run1/artifacts/model" || version["run_id"] != "run1" {
		t.Errorf("version %v", version)
	}

	// The same files are not doubled, but get the alias. By force they are.
	m.calls = nil
	r, err = Publish(ctx, dir, to, Options{Token: "secret", Alias: "old"})
	if err != nil || !r.Existed || r.Version != 1 || len(m.calls) != 2 || m.aliases["old"] != "1" {
		t.Errorf("again: %+v, %v, %v", r, err, m.calls)
	}
	o.Force = true
	if r, err = Publish(ctx, dir, to, o); err != nil || r.Version != 2 || r.Existed {
		t.Errorf("by force: %+v, %v", r, err)
	}
	o.Force = false
	if r, err = Publish(ctx, measured(t, "dga", "5"), to, o); err != nil || r.Version != 1 || !r.Existed {
		t.Errorf("the same files in another folder: %+v, %v", r, err)
	}
	if m.aliases["champion"] != "1" {
		t.Errorf("aliases %v", m.aliases)
	}
}

// The files that MLflow reads are YAML, with the shapes of this model.
func TestMLmodel(t *testing.T) {
	m, to := newTracking(t)
	if _, err := Publish(context.Background(), measured(t, "dga", "4"), to, Options{}); err != nil {
		t.Fatal(err)
	}
	var described struct {
		Flavors map[string]map[string]any `yaml:"flavors"`
		RunID   string                    `yaml:"run_id"`
		Bytes   int64                     `yaml:"model_size_bytes"`
		Created string                    `yaml:"utc_time_created"`
		Meta    struct {
			Labels    []string `yaml:"labels"`
			Threshold float64  `yaml:"threshold"`
		} `yaml:"metadata"`
		Signature struct {
			Inputs, Outputs string
		} `yaml:"signature"`
	}
	file := m.files["1/run1/artifacts/model/MLmodel"]
	if err := yaml.Unmarshal(file, &described); err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	var manifest export.Manifest
	if err := json.Unmarshal(m.files["1/run1/artifacts/model/manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`[{"name":%q,"type":"tensor","tensor-spec":{"dtype":"int64","shape":[-1,%d]}}]`,
		manifest.Input, manifest.Encoder.Window)
	if described.Signature.Inputs != want {
		t.Errorf("inputs %s, want %s", described.Signature.Inputs, want)
	}
	want = fmt.Sprintf(`[{"name":"score","type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,1]}},`+
		`{"name":"probabilities","type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,%d]}}]`,
		len(manifest.Labels))
	if described.Signature.Outputs != want {
		t.Errorf("outputs %s, want %s", described.Signature.Outputs, want)
	}
	if described.Flavors["onnx"]["data"] != "model.onnx" ||
		described.Flavors["python_function"]["loader_module"] != "mlflow.onnx" {
		t.Errorf("flavours %v", described.Flavors)
	}
	if described.RunID != "run1" || described.Bytes == 0 || len(described.Meta.Labels) != len(manifest.Labels) ||
		described.Meta.Threshold != manifest.Threshold {
		t.Errorf("described as %+v", described)
	}
	if _, err := time.Parse("2006-01-02 15:04:05.000000", described.Created); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"conda.yaml", "python_env.yaml"} {
		var any map[string]any
		if err := yaml.Unmarshal(m.files["1/run1/artifacts/model/"+name], &any); err != nil || len(any) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMLflowRefuses(t *testing.T) {
	dir := measured(t, "dga", "4")
	const last = "mlflow-artifacts/artifacts/1/run1/artifacts/model/MLmodel"
	for _, tc := range []struct {
		name   string
		change func(*tracking)
		want   string
		status string // of the run, "" for no run
	}{
		{"files elsewhere", func(m *tracking) { m.location = "s3://bucket/1" }, "--serve-artifacts", ""},
		{"deleted experiment", func(m *tracking) {
			m.refuse["mlflow/experiments/get-by-name"] = "INVALID_STATE it is deleted"
		}, "MLflow says: it is deleted (INVALID_STATE)", ""},
		{"no rights", func(m *tracking) {
			m.refuse["mlflow/registered-models/create"] = "PERMISSION_DENIED not you"
		}, "not you", ""},
		{"failed upload", func(m *tracking) { m.refuse[last] = "INTERNAL_ERROR the disk is full" }, "disk is full", "FAILED"},
		{"no version", func(m *tracking) {
			m.refuse["mlflow/model-versions/create"] = "INVALID_PARAMETER_VALUE bad source"
		}, "bad source", "FINISHED"},
		{"not signed in", func(m *tracking) { m.auth = "Bearer secret" }, "401 Unauthorized: You are not", ""},
	} {
		m, to := newTracking(t)
		tc.change(m)
		_, err := Publish(context.Background(), dir, to, Options{})
		wantError(t, err, tc.want)
		if got := m.runs["run1"]["status"]; got != tc.status {
			t.Errorf("%s: the run is %q, want %q", tc.name, got, tc.status)
		}
	}
	_, err := Publish(context.Background(), dir, "mlflow+"+page(t), Options{})
	wantError(t, err, "the answer is not MLflow's")
}

// page is a server that answers everything with a page.
func page(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	t.Cleanup(s.Close)
	return s.URL
}

// Credentials come from the options, the URL, or MLflow's variables, in this order.
func TestMLflowCredentials(t *testing.T) {
	const basic = "Basic dXNlcjpwYXNz" // user:pass
	dir := measured(t, "dga", "4")
	for _, tc := range []struct {
		env  map[string]string
		user string
		o    Options
		want string
	}{
		{map[string]string{"MLFLOW_TRACKING_TOKEN": "env"}, "", Options{Token: "o"}, "Bearer o"},
		{map[string]string{"MLFLOW_TRACKING_TOKEN": "env"}, "", Options{}, "Bearer env"},
		{map[string]string{"MLFLOW_TRACKING_TOKEN": "env"}, "user:pass@", Options{}, basic},
		{map[string]string{"MLFLOW_TRACKING_USERNAME": "user", "MLFLOW_TRACKING_PASSWORD": "pass"}, "", Options{}, basic},
		{nil, "", Options{}, ""},
	} {
		for _, key := range []string{"TOKEN", "USERNAME", "PASSWORD"} {
			t.Setenv("MLFLOW_TRACKING_"+key, tc.env["MLFLOW_TRACKING_"+key])
		}
		m, to := newTracking(t)
		m.auth = tc.want
		r, err := Publish(context.Background(), dir, strings.Replace(to, "//", "//"+tc.user, 1), tc.o)
		if err != nil || strings.Contains(r.URL, "pass") {
			t.Errorf("%v %q %+v: %v, %s", tc.env, tc.user, tc.o, err, r.URL)
		}
	}
}
