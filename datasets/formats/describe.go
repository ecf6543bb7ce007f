package formats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/userfile"
)

// Describe gives a sidecar to start from for the file at path: what degas reads in it, with "?" where a person has to
// say more. open is set if there is such a place.
func Describe(ctx context.Context, path string) (text []byte, open bool, err error) {
	s, err := proposal(ctx, path)
	if err != nil {
		return nil, false, fmt.Errorf("describe %s: %w", path, err)
	}
	open = s["class"] == "?"
	if classes, ok := s["classes"].(map[string]string); ok {
		for _, c := range classes {
			open = open || c == "?"
		}
	}
	text, err = json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), open, err
}

func proposal(ctx context.Context, path string) (map[string]any, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(userfile.NoFile(info.Mode()))
	}
	stamp, err := userfile.StampOf(path)
	if err != nil {
		return nil, err
	}
	// The file's folder may tell the class, as below the input folder of process-data.
	rel := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
	temp, err := os.MkdirTemp("", "degas-describe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	inputs, skipped, err := (&diskFile{path: path, rel: rel, stamp: stamp}).inputs(ctx, temp)
	if u, ok := errors.AsType[*unclearError](err); ok && u.columns != nil {
		return map[string]any{"columns": u.columns, "classes": u.classes}, nil
	}
	if err != nil {
		return nil, err
	}
	defer Close(inputs)
	switch {
	case len(inputs) == 1:
		return inputs[0].proposal(ctx, temp)
	case len(inputs) > 1:
		return nil, fmt.Errorf("%d files are in it, and a sidecar stands for one", len(inputs))
	case len(skipped) == 0:
		return nil, errors.New("there is no file in it")
	case skipped[0].Detail == "":
		return nil, errors.New(skipped[0].Reason)
	}
	return map[string]any{"format": "list", "class": "?"}, nil
}

func (in *Input) proposal(ctx context.Context, temp string) (map[string]any, error) {
	r, err := in.Survey(ctx, temp)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"format": r.Reader}
	if len(r.Columns) > 0 {
		out["columns"] = r.Columns
	}
	classes := map[string]string{}
	for _, v := range r.Values {
		classes[v.Value] = v.Class
	}
	if len(classes) > 0 && r.Columns["class"] != "" {
		out["classes"] = classes
	}
	if len(r.Rows) == 1 && r.Columns["class"] == "" {
		for class := range r.Rows { // all rows are of the class that the path says
			if _, err := datasets.ParseClass(class); err == nil {
				out["class"] = class
			}
		}
	}
	return out, nil
}
