package tensorflow

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// The messages of TensorFlow Serving's REST API, fields in the order in which they are written.

// modelStatus is a GetModelStatusResponse.
type modelStatus struct {
	Versions []versionStatus `json:"model_version_status"`
}

type versionStatus struct {
	number  int
	Version string `json:"version"`
	State   string `json:"state"`
	Status  struct {
		Code    string `json:"error_code"`
		Message string `json:"error_message"`
	} `json:"status"`
}

// status reports one version, or all in descending order.
func (h *Handler) status(which modelSpec) (*modelStatus, error) {
	m := &modelStatus{}
	for _, v := range slices.Backward(h.Models.States(which.name)) {
		if which.version >= 0 && which.version != int64(v.Number) {
			continue
		}
		one := versionStatus{number: v.Number, State: string(v.State), Version: strconv.Itoa(v.Number)}
		one.Status.Code = "OK"
		if v.Err != nil { // which may name files
			one.Status.Code, one.Status.Message = "UNKNOWN", "The version could not be loaded. The server's log says why."
		}
		m.Versions = append(m.Versions, one)
	}
	switch {
	case len(m.Versions) > 0:
		return m, nil
	case which.version >= 0:
		text := fmt.Sprintf("Could not find version %d of model %s", which.version, which.name)
		return nil, &reply.Failure{Status: http.StatusNotFound, Text: text}
	}
	text := "Could not find any versions of model " + which.name
	return nil, &reply.Failure{Status: http.StatusNotFound, Text: text}
}

// modelMetadata is a GetModelMetadataResponse.
type modelMetadata struct {
	ModelSpec struct {
		Name          string `json:"name"`
		SignatureName string `json:"signature_name"`
		Version       string `json:"version"`
	} `json:"model_spec"`
	Metadata struct {
		SignatureDef struct {
			SignatureDef map[string]signatureDef `json:"signature_def"`
		} `json:"signature_def"`
	} `json:"metadata"`
}

type signatureDef struct {
	Inputs  map[string]tensorInfo `json:"inputs"`
	Outputs map[string]tensorInfo `json:"outputs"`
	Method  string                `json:"method_name"`
}

type tensorInfo struct {
	Type  string `json:"dtype"`
	Shape struct {
		Dim         []dimension `json:"dim"`
		UnknownRank bool        `json:"unknown_rank"`
	} `json:"tensor_shape"`
	Name string `json:"name"`
}

type dimension struct {
	Size string `json:"size"`
	Name string `json:"name"`
}

func metadata(v *models.Version) modelMetadata {
	var m modelMetadata
	m.ModelSpec.Name, m.ModelSpec.Version = v.Model, strconv.Itoa(v.Number)
	defs := map[string]signatureDef{}
	for key, sig := range v.Signatures {
		defs[key] = signatureDef{tensorInfos(sig.Input), tensorInfos(sig.Outputs...), tfserving.Method}
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
