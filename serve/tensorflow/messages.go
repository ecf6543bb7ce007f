package tensorflow

import (
	"slices"
	"strconv"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/serve/models"
)

// The messages of TensorFlow Serving's REST API, fields in the order in which they are written.

// predictResponse has Predictions in answer to instances, by rows, and Outputs in answer to inputs, by columns. A
// signature with one output goes without its name: [][]float32.
type predictResponse struct {
	Outputs     any `json:"outputs,omitempty"`
	Predictions any `json:"predictions,omitempty"`
}

type answerRow struct {
	Label  string    `json:"label"`
	Score  []float32 `json:"score"` // [1]
	Scores []float32 `json:"scores"`
}

type answerColumns struct {
	Label  []string    `json:"label"`
	Score  [][]float32 `json:"score"` // [rows, 1]
	Scores [][]float32 `json:"scores"`
}

// modelStatus is a GetModelStatusResponse.
type modelStatus struct {
	Versions []versionStatus `json:"model_version_status"`
}

type versionStatus struct {
	State  string `json:"state"`
	Status struct {
		Code    string `json:"error_code"`
		Message string `json:"error_message"`
	} `json:"status"`
	Version string `json:"version"`
}

// statusOf reports versions, which are in ascending order, in descending order.
func statusOf(versions ...*models.Version) modelStatus {
	var m modelStatus
	for _, v := range slices.Backward(versions) {
		one := versionStatus{State: "AVAILABLE", Version: strconv.Itoa(v.Number)}
		one.Status.Code = "OK"
		m.Versions = append(m.Versions, one)
	}
	return m
}

// modelMetadata is a GetModelMetadataResponse.
type modelMetadata struct {
	Metadata struct {
		SignatureDef struct {
			SignatureDef map[string]signatureDef `json:"signature_def"`
		} `json:"signature_def"`
	} `json:"metadata"`
	ModelSpec struct {
		Name          string `json:"name"`
		SignatureName string `json:"signature_name"`
		Version       string `json:"version"`
	} `json:"model_spec"`
}

type signatureDef struct {
	Inputs  map[string]tensorInfo `json:"inputs"`
	Method  string                `json:"method_name"`
	Outputs map[string]tensorInfo `json:"outputs"`
}

type tensorInfo struct {
	Type  string `json:"dtype"`
	Name  string `json:"name"`
	Shape struct {
		Dim         []dimension `json:"dim"`
		UnknownRank bool        `json:"unknown_rank"`
	} `json:"tensor_shape"`
}

type dimension struct {
	Name string `json:"name"`
	Size string `json:"size"`
}

func metadata(v *models.Version) modelMetadata {
	var m modelMetadata
	m.ModelSpec.Name, m.ModelSpec.Version = v.Model, strconv.Itoa(v.Number)
	defs := map[string]signatureDef{}
	for key, sig := range v.Signatures {
		defs[key] = signatureDef{tensorInfos(sig.Input), tfserving.Method, tensorInfos(sig.Outputs...)}
	}
	m.Metadata.SignatureDef.SignatureDef = defs
	return m
}

func tensorInfos(tensors ...tfserving.Tensor) map[string]tensorInfo {
	out := map[string]tensorInfo{}
	for _, t := range tensors {
		info := tensorInfo{Type: t.Kind.String(), Name: t.Name + ":0"}
		for _, d := range t.Shape {
			info.Shape.Dim = append(info.Shape.Dim, dimension{Size: strconv.Itoa(d)})
		}
		out[t.Key] = info
	}
	return out
}
