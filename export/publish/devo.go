package publish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/userfile"
)

// standAloneToken is the header of a token made for the ML Model Manager.
const standAloneToken = "standAloneToken"

// devoEngine is the only engine of the manager that runs a file that degas exports, devoFile.
const (
	devoEngine = "ONNX"
	devoFile   = onnxFile
)

// devoImage is what the manager found in an uploaded file.
type devoImage struct {
	Valid       bool            `json:"valid"`
	ErrorDetail string          `json:"errorDetail"`
	ImageID     json.RawMessage `json:"imageId"` // passed on as it came, a number or a string
	Size        json.RawMessage `json:"size"`
	OutputType  json.RawMessage `json:"outputType"`
	Fields      json.RawMessage `json:"fields"`
	Clusters    json.RawMessage `json:"clusters"`
	Category    json.RawMessage `json:"category"`
	RuntimeSize json.RawMessage `json:"runtimeSize"`
}

// devo is a manager's REST API.
type devo struct {
	base *url.URL
	o    Options
}

// toDevo uploads model.onnx and makes a model of it. A model of that name is an error unless o.Force is set, which
// gives it the new file.
func toDevo(ctx context.Context, e *exported, base *url.URL, o Options) (r Result, err error) {
	i := slices.IndexFunc(e.files, func(f export.File) bool { return f.Path == devoFile })
	if i < 0 {
		return r, fmt.Errorf("the directory holds no %s. Try: export-model --format onnx", devoFile)
	}
	if o.Token == "" {
		return r, errors.New("no token. Try: DEGAS_PUBLISH_TOKEN")
	}
	o.Description = cmp.Or(o.Description, e.describe())
	d := devo{base, o}
	if o.Domain != "" {
		d.base = base.JoinPath("domains", o.Domain)
	}
	id, err := d.find(ctx)
	if err != nil {
		return r, err
	}
	if id != nil && !o.Force {
		return r, fmt.Errorf("model %s: %w. Try: another --name, or --force", o.Name, export.ErrExists)
	}
	image, err := d.upload(ctx, filepath.Join(e.dir, devoFile), e.files[i].Bytes)
	if err != nil {
		return r, err
	}
	if err := d.create(ctx, image, id); err != nil {
		return r, err
	}
	return Result{URL: d.base.JoinPath("models", o.Name).Redacted(), Name: o.Name, Files: 1, Bytes: e.files[i].Bytes}, nil
}

// find gives the id of the model of that name; nil when there is none.
func (d devo) find(ctx context.Context) (id json.RawMessage, err error) {
	answer, err := d.send(ctx, http.MethodGet, "models", nil, "")
	if err != nil {
		return nil, err
	}
	var list []struct {
		ID   json.RawMessage `json:"id"`
		Name string          `json:"name"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	for _, m := range list {
		if m.Name == d.o.Name {
			return m.ID, nil
		}
	}
	return nil, nil
}

// upload gives the manager the model's file of size bytes and returns what the manager found in it.
func (d devo) upload(ctx context.Context, path string, size int64) (*devoImage, error) {
	data, err := userfile.Bytes(path, size)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("engine", devoEngine); err != nil {
		return nil, err
	}
	part, err := form.CreateFormFile("fileName", filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if _, err := part.Write(data); err != nil {
		return nil, err
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	answer, err := d.send(ctx, http.MethodPost, "models/images/upload", body.Bytes(), form.FormDataContentType())
	if err != nil {
		return nil, err
	}
	image := &devoImage{}
	if err := json.Unmarshal(answer, image); err != nil {
		return nil, fmt.Errorf("upload %s: %w", path, err)
	}
	if !image.Valid {
		return nil, fmt.Errorf("upload %s: the manager refuses it: %s", path, image.ErrorDetail)
	}
	return image, nil
}

// create makes a model that uses image or, if id is not nil, gives the model of that id the image.
func (d devo) create(ctx context.Context, image *devoImage, id json.RawMessage) error {
	model := map[string]any{
		"name": d.o.Name, "engine": devoEngine, "description": d.o.Description, "hidden": false,
		"image":      map[string]any{"id": image.ImageID, "size": image.Size},
		"outputType": image.OutputType, "fields": image.Fields, "clusters": image.Clusters, "category": image.Category,
		"runtimeSize": image.RuntimeSize,
	}
	if id != nil {
		model["id"] = id
	}
	body, err := json.Marshal(model)
	if err != nil {
		return err
	}
	_, err = d.send(ctx, http.MethodPost, "models", body, "application/json")
	return err
}

// send sends a request with the token. The manager's own errors have a code and a message.
func (d devo) send(ctx context.Context, method, path string, body []byte, kind string) ([]byte, error) {
	header := http.Header{}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	switch d.o.Auth {
	case "", "standalone":
		header.Set(standAloneToken, d.o.Token)
	case "bearer":
		header.Set("Authorization", "Bearer "+d.o.Token)
	default:
		return nil, fmt.Errorf("auth %q is neither standalone nor bearer", d.o.Auth)
	}
	answer, err := send(ctx, method, d.base.JoinPath(path), body, d.o, header)
	var said struct {
		Code *int   `json:"code"`
		Msg  string `json:"msg"`
	}
	if err != nil && json.Unmarshal(answer, &said) == nil && said.Code != nil {
		return nil, fmt.Errorf("the manager says: %s (code %d): %w", said.Msg, *said.Code, err)
	}
	return answer, err
}
