package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/export"
)

// Names in MLflow. The tag has the SHA-256 of a version's SHA256SUMS, and so stands for all its files.
const (
	mlflowExperiment = "degas"
	mlflowTag        = "degas.sha256sums"
	mlflowFolder     = "model" // below the run's artifacts
	mlflowArtifacts  = "api/2.0/mlflow-artifacts/artifacts"
)

// Codes of MLflow's errors that are no errors here.
const (
	mlflowMissing = "RESOURCE_DOES_NOT_EXIST"
	mlflowExists  = "RESOURCE_ALREADY_EXISTS"
)

// mlflow is a tracking server's REST API, 2.0, which MLflow 2 and 3 have: https://mlflow.org/docs/latest/rest-api.html.
type mlflow struct {
	base *url.URL
	o    Options
	// sum is mlflowTag's value.
	sum string
}

// keyValue is a tag or a parameter.
type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// mlflowMetric is a number of a run.
type mlflowMetric struct {
	Key       string  `json:"key"`
	Value     float64 `json:"value"`
	Timestamp int64   `json:"timestamp"` // milliseconds
	Step      int64   `json:"step"`
}

// mlflowVersion is a version of a registered model.
type mlflowVersion struct {
	Version string `json:"version"`
	Status  string `json:"status"`
	Message string `json:"status_message"`
}

// toMLflow makes a run with the version's numbers and files, and a version of the registered model o.Name from it. A
// version with the same files is found by mlflowTag and stays the only one, unless o.Force is set. MLflow numbers
// versions itself; the directory's number becomes a tag.
func toMLflow(ctx context.Context, e *exported, base *url.URL, o Options) (r Result, err error) {
	if !slices.ContainsFunc(e.files, func(f export.File) bool { return f.Path == onnxFile }) {
		return r, fmt.Errorf("the directory holds no %s. Try: export-model --format onnx", onnxFile)
	}
	sums, err := e.read(export.File{Path: export.SumsFile})
	if err != nil {
		return r, err
	}
	hash := sha256.Sum256(sums)
	m := mlflow{withCredentials(base, &o), o, hex.EncodeToString(hash[:])}
	version, err := m.find(ctx)
	if err != nil {
		return r, err
	}
	r.Existed = version != "" && !o.Force
	if !r.Existed {
		if r, err = m.publish(ctx, e); err != nil {
			return r, err
		}
		version = strconv.Itoa(r.Version)
	}
	r.Name = o.Name
	if r.Version, err = strconv.Atoi(version); err != nil {
		return r, fmt.Errorf("version %q is no number", version)
	}
	r.URL = base.JoinPath().Redacted() + "#/models/" + url.PathEscape(o.Name) + "/versions/" + version
	if o.Alias != "" {
		err = m.post(ctx, "registered-models/alias",
			map[string]string{"name": o.Name, "alias": o.Alias, "version": version}, nil)
	}
	return r, err
}

// withCredentials fills in what MLflow's own clients read from the environment, where neither o nor the URL has
// credentials. It returns a copy of base, with a name and a password if these are used.
func withCredentials(base *url.URL, o *Options) *url.URL {
	u := *base
	if u.User != nil || o.Token != "" {
		return &u
	}
	if user := os.Getenv("MLFLOW_TRACKING_USERNAME"); user != "" {
		u.User = url.UserPassword(user, os.Getenv("MLFLOW_TRACKING_PASSWORD"))
	} else {
		o.Token = os.Getenv("MLFLOW_TRACKING_TOKEN")
	}
	return &u
}

// publish makes the run, uploads the files and registers them.
func (m mlflow) publish(ctx context.Context, e *exported) (r Result, err error) {
	experiment, err := m.experiment(ctx)
	if err != nil {
		return r, err
	}
	description := cmp.Or(m.o.Description, e.describe())
	err = m.post(ctx, "registered-models/create", map[string]any{"name": m.o.Name, "description": description}, nil)
	if err != nil && mlflowCode(err) != mlflowExists {
		return r, err
	}
	run, err := m.createRun(ctx, e, experiment, description)
	if err != nil {
		return r, err
	}
	r, err = m.upload(ctx, e, run)
	status, end := "FINISHED", ctx
	if err != nil {
		// A run that stays RUNNING for ever helps nobody, also after Ctrl-C.
		var cancel func()
		end, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		status = "FAILED"
	}
	ended := m.post(end, "runs/update",
		map[string]any{"run_id": run.ID, "status": status, "end_time": time.Now().UnixMilli()}, nil)
	if err = cmp.Or(err, ended); err != nil {
		return r, err
	}
	var made struct {
		Version mlflowVersion `json:"model_version"`
	}
	err = m.post(ctx, "model-versions/create", map[string]any{
		"name": m.o.Name, "source": run.Artifacts + "/" + mlflowFolder, "run_id": run.ID, "description": description,
		"tags": m.tags(e),
	}, &made)
	if err != nil {
		return r, err
	}
	if made.Version.Status == "FAILED_REGISTRATION" {
		return r, fmt.Errorf("version %s is not ready: %s", made.Version.Version, made.Version.Message)
	}
	r.Version, err = strconv.Atoi(made.Version.Version)
	return r, err
}

// find gives the registered version that has the same files, "" when there is none.
func (m mlflow) find(ctx context.Context) (string, error) {
	var found struct {
		Versions []mlflowVersion `json:"model_versions"`
	}
	filter := fmt.Sprintf("name='%s' and tags.`%s`='%s'", m.o.Name, mlflowTag, m.sum) // validName has no quotes
	if err := m.get(ctx, "model-versions/search", url.Values{"filter": {filter}}, &found); err != nil {
		return "", err
	}
	for _, v := range found.Versions {
		if v.Status != "FAILED_REGISTRATION" {
			return v.Version, nil
		}
	}
	return "", nil
}

// mlflowExperimentInfo is an experiment: where runs are listed, and where their files go.
type mlflowExperimentInfo struct {
	ID       string `json:"experiment_id"`
	Location string `json:"artifact_location"`
	Stage    string `json:"lifecycle_stage"`
}

// experiment finds the experiment or makes it. Its files must go through the server: degas has no other way to them.
func (m mlflow) experiment(ctx context.Context) (id string, err error) {
	name := cmp.Or(m.o.Experiment, mlflowExperiment)
	var found struct {
		Experiment mlflowExperimentInfo `json:"experiment"`
	}
	query := url.Values{"experiment_name": {name}}
	err = m.get(ctx, "experiments/get-by-name", query, &found)
	if mlflowCode(err) == mlflowMissing {
		err = m.post(ctx, "experiments/create", map[string]string{"name": name}, nil)
		if err == nil || mlflowCode(err) == mlflowExists { // another publisher was quicker
			err = m.get(ctx, "experiments/get-by-name", query, &found)
		}
	}
	if err != nil {
		return "", err
	}
	if found.Experiment.Stage == "deleted" {
		return "", fmt.Errorf("the experiment %s is deleted. Try: mlflow experiments restore, or --experiment NAME", name)
	}
	if _, err := artifactPath(found.Experiment.Location); err != nil {
		return "", fmt.Errorf("experiment %s: %w", name, err)
	}
	return found.Experiment.ID, nil
}

// mlflowRun is a run that has been made.
type mlflowRun struct {
	ID        string `json:"run_id"`
	Artifacts string `json:"artifact_uri"`
	start     time.Time
}

// createRun makes a run with all that the manifest knows.
func (m mlflow) createRun(ctx context.Context, e *exported, experiment, description string) (run mlflowRun, err error) {
	var made struct {
		Run struct {
			Info mlflowRun `json:"info"`
		} `json:"run"`
	}
	start := time.Now().UTC()
	err = m.post(ctx, "runs/create", map[string]any{
		"experiment_id": experiment, "run_name": m.o.Name, "start_time": start.UnixMilli(),
		"tags": append(m.tags(e), keyValue{"mlflow.source.name", "degas publish-model"},
			keyValue{"mlflow.source.type", "LOCAL"}, keyValue{"mlflow.note.content", description}),
	}, &made)
	if err != nil {
		return run, err
	}
	run = made.Run.Info
	run.start = start
	err = m.post(ctx, "runs/log-batch", map[string]any{
		"run_id": run.ID, "params": params(e.manifest), "metrics": metrics(e.manifest, start),
	}, nil)
	return run, err
}

// tags tell where a run or a version comes from.
func (m mlflow) tags(e *exported) []keyValue {
	tags := []keyValue{{mlflowTag, m.sum}, {"degas.producer", e.manifest.Producer}}
	for _, f := range e.files {
		if f.Path == onnxFile {
			tags = append(tags, keyValue{"degas.onnx.sha256", f.SHA256})
		}
	}
	if m.o.Version > 0 {
		tags = append(tags, keyValue{"degas.version", strconv.Itoa(m.o.Version)})
	}
	return tags
}

// params are what the model is made of. MLflow takes values of 500 characters at least.
func params(c export.Manifest) []keyValue {
	sources := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		sources[i] = s.Name
	}
	all := []keyValue{
		{"architecture", c.Name},
		{"labels", strings.Join(c.Labels, ", ")},
		{"parameters", strconv.Itoa(c.Parameters)},
		{"window", strconv.Itoa(c.Encoder.Window)},
		{"threshold", strconv.FormatFloat(c.Threshold, 'g', -1, 64)},
		{"threshold_fpr", strconv.FormatFloat(c.ThresholdFPR, 'g', -1, 64)},
		{"training_data", c.TrainingData},
		{"training_rows", strconv.FormatInt(c.Rows, 10)},
		{"sources", strings.Join(sources, ", ")},
	}
	all = slices.DeleteFunc(all, func(p keyValue) bool { return p.Value == "" || p.Value == "0" })
	for i, p := range all {
		if runes := []rune(p.Value); len(runes) > 500 {
			all[i].Value = string(runes[:497]) + "..."
		}
	}
	return all
}

// notInMetric is what MLflow allows in no metric's name.
var notInMetric = regexp.MustCompile(`[^\w\-. /]`)

// metrics are the evaluation's numbers, without those that JSON has no word for.
func metrics(c export.Manifest, at time.Time) []mlflowMetric {
	out := []mlflowMetric{}
	for _, name := range slices.Sorted(maps.Keys(c.Metrics)) {
		if v := c.Metrics[name]; !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, mlflowMetric{Key: notInMetric.ReplaceAllString(name, "_"), Value: v, Timestamp: at.UnixMilli()})
		}
	}
	return out
}

// upload puts the version's files and MLflow's own beside each other, MLmodel last: it makes a model of them.
func (m mlflow) upload(ctx context.Context, e *exported, run mlflowRun) (Result, error) {
	r := e.result("", m.o)
	path, err := artifactPath(run.Artifacts)
	if err != nil {
		return r, err
	}
	to := m.base.JoinPath(mlflowArtifacts, path, mlflowFolder)
	put := func(name string, data []byte) error {
		_, err := m.send(ctx, http.MethodPut, to.JoinPath(name), data, "application/octet-stream")
		return err
	}
	for _, f := range e.all() {
		data, err := e.read(f)
		if err != nil {
			return r, err
		}
		if err := put(f.Path, data); err != nil {
			return r, err
		}
	}
	describes := mlmodel{Manifest: e.manifest, Bytes: r.Bytes, RunID: run.ID, ID: m.sum[:32], Created: run.start}
	for _, name := range []string{"requirements.txt", "python_env.yaml", "conda.yaml", "MLmodel"} {
		data, err := describes.file(name)
		if err != nil {
			return r, err
		}
		if err := put(name, data); err != nil {
			return r, err
		}
		r.Files++
		r.Bytes += int64(len(data))
	}
	return r, nil
}

// artifactPath is where the server's proxy has what lies at uri.
func artifactPath(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "mlflow-artifacts" {
		return "", fmt.Errorf("its files go to %s, and not through the server. "+
			"Try: mlflow server --serve-artifacts, and --experiment with a new name", uri)
	}
	return u.Path, nil
}

func (m mlflow) get(ctx context.Context, path string, query url.Values, out any) error {
	to := m.base.JoinPath("api/2.0/mlflow", path)
	to.RawQuery = query.Encode()
	answer, err := m.send(ctx, http.MethodGet, to, nil, "")
	return decoded(path, answer, err, out)
}

func (m mlflow) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := m.send(ctx, http.MethodPost, m.base.JoinPath("api/2.0/mlflow", path), body, "application/json")
	return decoded(path, answer, err, out)
}

func decoded(path string, answer []byte, err error, out any) error {
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer is not MLflow's: %w. Try: the address that the browser shows", path, err)
	}
	return nil
}

// mlflowError is an error that MLflow answered with.
type mlflowError struct {
	Code    string `json:"error_code"`
	Message string `json:"message"`
	err     error
}

func (e *mlflowError) Error() string {
	return fmt.Sprintf("MLflow says: %s (%s): %v", e.Message, e.Code, e.err)
}

func (e *mlflowError) Unwrap() error { return e.err }

// mlflowCode is the code of an error that MLflow answered with, "" for any other.
func mlflowCode(err error) string {
	var said *mlflowError
	if errors.As(err, &said) {
		return said.Code
	}
	return ""
}

func (m mlflow) send(ctx context.Context, method string, to *url.URL, body []byte, kind string) ([]byte, error) {
	header := http.Header{}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	answer, err := send(ctx, method, to, body, m.o, header)
	said := &mlflowError{err: err}
	if err != nil && json.Unmarshal(answer, said) == nil && said.Code != "" {
		var status *statusError
		if errors.As(err, &status) {
			status.text = "" // it is the answer's first line, which Message says better
		}
		return nil, said
	}
	return answer, err
}
