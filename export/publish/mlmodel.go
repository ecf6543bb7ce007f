package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"text/template"
	"time"

	"github.com/degas-dns/degas/export"
)

// onnxFile is the only file of a version that MLflow and Devo run.
const onnxFile = "model.onnx"

// mlmodel is what MLflow wants to know of a model, and what a page about the model shows.
type mlmodel struct {
	Manifest export.Manifest
	Bytes    int64     // of the version directory
	RunID    string    // the run that the model belongs to
	ID       string    // 32 hexadecimal digits
	Created  time.Time // in UTC
}

// tensor is an entry of a signature: https://mlflow.org/docs/latest/model/signatures.
type tensor struct {
	Name string     `json:"name"`
	Type string     `json:"type"`
	Spec tensorSpec `json:"tensor-spec"`
}

type tensorSpec struct {
	DType string `json:"dtype"`
	Shape []int  `json:"shape"` // -1 for the batch
}

// Inputs is the signature's input: one row of codes a name.
func (m mlmodel) Inputs() []tensor {
	return []tensor{{m.Manifest.Input, "tensor", tensorSpec{"int64", []int{-1, m.Manifest.Encoder.Window}}}}
}

// Outputs are those that package onnx writes.
func (m mlmodel) Outputs() []tensor {
	return []tensor{
		{"score", "tensor", tensorSpec{"float32", []int{-1, 1}}},
		{"probabilities", "tensor", tensorSpec{"float32", []int{-1, len(m.Manifest.Labels)}}},
	}
}

// The files that MLflow reads, beside those of the version directory. Values are JSON, which YAML reads as it is.
// Requirements are lower bounds: the file needs opset 13, which onnxruntime has had since 1.6, and MLflow warns of
// each package that is another version than a pin.
var mlflowFiles = func() *template.Template {
	t := template.New("mlflow").Funcs(template.FuncMap{"json": inJSON, "text": func(v any) (string, error) {
		inner, err := inJSON(v)
		if err != nil {
			return "", err
		}
		return inJSON(inner)
	}})
	for _, f := range []struct{ name, text string }{
		{"MLmodel", `artifact_path: model
flavors:
  onnx:
    code: null
    data: {{.File}}
    onnx_session_options: null
    onnx_version: 1.16.0
    providers:
    - CPUExecutionProvider
  python_function:
    data: {{.File}}
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
    python_version: 3.11.7
metadata:
  labels: {{json .Manifest.Labels}}
  threshold: {{json .Manifest.Threshold}}
  producer: {{json .Manifest.Producer}}
model_size_bytes: {{.Bytes}}
model_uuid: {{json .ID}}
run_id: {{json .RunID}}
signature:
  inputs: {{text .Inputs}}
  outputs: {{text .Outputs}}
  params: null
utc_time_created: '{{.Created.Format "2006-01-02 15:04:05.000000"}}'
`},
		{"requirements.txt", `mlflow>=2.10
onnx>=1.16
onnxruntime>=1.17
numpy
idna
`},
		{"conda.yaml", `channels:
- conda-forge
dependencies:
- python=3.11
- pip
- pip:
  - mlflow>=2.10
  - onnx>=1.16
  - onnxruntime>=1.17
  - numpy
  - idna
name: mlflow-env
`},
		{"python_env.yaml", `python: 3.11.7
build_dependencies:
- pip
- setuptools
- wheel
dependencies:
- -r requirements.txt
`},
	} {
		template.Must(t.New(f.name).Parse(f.text))
	}
	return t
}()

// File is the model's file beside MLmodel.
func (mlmodel) File() string { return onnxFile }

func inJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// file is one of mlflowFiles.
func (m mlmodel) file(name string) ([]byte, error) {
	var b bytes.Buffer
	if err := mlflowFiles.ExecuteTemplate(&b, name, m); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return b.Bytes(), nil
}
