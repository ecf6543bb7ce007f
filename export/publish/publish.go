// Package publish brings an exported version directory to where models are served from: a store in the layout of
// TensorFlow Serving, in a folder or in object storage, any server that takes HTTP PUT, Devo's ML Model Manager, or
// MLflow's registry.
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model/versions"
)

// Options say under which name, version and rights a model is published. The zero Options take name and version from
// the directory.
type Options struct {
	// Name of the model; "" takes the directory's, the one above where the directory is a number.
	Name string
	// Version; 0 takes the directory's name where that is a number, else the one after the highest in a store. In the
	// shadow, 0 is always the one after the highest. The highest that there can be is 2^31-1.
	Version int
	// Shadow makes the version a candidate of a store, which decides nothing: NAME/shadow/VERSION. Its number must be
	// above those of the versions in force. Keep counts the candidates alone.
	Shadow bool
	// Keep is how many versions a store keeps, the newest ones; 0 keeps all.
	Keep int
	// Force replaces what is there under the same name and version.
	Force bool
	// Token authorises requests: of HTTP and MLflow as "Authorization: Bearer", of Devo as Auth says. Where it is "",
	// MLflow's own variables count: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.
	Token string
	// Auth is how Devo gets the token: "standalone" (default) or "bearer".
	Auth string
	// Description is Devo's and MLflow's; "" takes name, producer and threshold from the manifest.
	Description string
	// Domain is put before the paths of Devo's servers before 2.4.0.
	Domain string
	// Experiment is MLflow's, which gets the run; "" is degas.
	Experiment string
	// Alias is what MLflow calls this version besides, such as champion; "" for none.
	Alias string
}

// Result says where the model is now.
type Result struct {
	URL     string   `json:"url"`
	Name    string   `json:"name"`
	Version int      `json:"version,omitempty"`
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`
	Removed []string `json:"removed,omitempty"` // old versions
	// Existed says that MLflow, or the shadow, had these very files as Version already, so that nothing was uploaded.
	Existed bool `json:"existed,omitempty"`
}

// Publish checks the version directory dir against its SHA256SUMS and brings it to the target:
//
//	file:///srv/models, or a path      /srv/models/NAME/VERSION, whole or not at all; see also Options.Shadow
//	s3://bucket/models, gs://…         /NAME/VERSION in object storage, SHA256SUMS last; see internal/bucket
//	https://host/models                PUT of every file below /models/NAME/VERSION, SHA256SUMS last
//	devo+https://host/mlmodelmanager/  model.onnx, and the model that uses it
//	mlflow+https://host                a run with all files, and a version of the registered model NAME
//
// Publishing the same files to MLflow or into the shadow again finds the version that is there. Elsewhere the
// error wraps export.ErrExists if a model of that name and version, or at Devo of that name, is there already.
func Publish(ctx context.Context, dir, target string, o Options) (Result, error) {
	e, err := open(dir)
	if err != nil {
		return Result{}, fmt.Errorf("publish %s: %w", dir, err)
	}
	u, err := url.Parse(target)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err // without the URL, which may have a password
		}
		return Result{}, fmt.Errorf("publish %s: the target is no URL: %w", dir, err)
	}
	if o.Name == "" {
		o.Name = e.name
	}
	if !validName.MatchString(o.Name) {
		return Result{}, fmt.Errorf("publish %s: %q is no model's name: letters, digits, '.', '_' and '-'", dir, o.Name)
	}
	if o.Version == 0 && !o.Shadow {
		o.Version = e.version
	}
	if o.Version > math.MaxInt32 { // see versions.Number: a server would pass it over
		return Result{}, fmt.Errorf("publish %s: version %d is above %d, the highest that servers read. Try: a lower "+
			"--version", dir, o.Version, math.MaxInt32)
	}
	if o.Shadow && !HasShadow(u.Scheme) {
		return Result{}, fmt.Errorf("publish to %s: only a store has a shadow. Try: file:///srv/models, or "+
			"s3://bucket/models", u.Redacted())
	}
	var r Result
	switch u.Scheme {
	case "", "file":
		if u.Scheme == "file" {
			if u.Host != "" || u.Path == "" { // file:store has neither
				return Result{}, fmt.Errorf("publish to %s: no file URL of a path on this machine. "+
					"Try: file:///srv/models, or a path", u.Redacted())
			}
			target = u.Path
		}
		r, err = toStore(ctx, e, target, o)
	case "s3", "gs":
		r, err = toBucket(ctx, e, target, o)
	case "http", "https":
		r, err = put(ctx, e, u, o)
	case "devo+http", "devo+https":
		u.Scheme = strings.TrimPrefix(u.Scheme, "devo+")
		r, err = toDevo(ctx, e, u, o)
	case "mlflow+http", "mlflow+https":
		u.Scheme = strings.TrimPrefix(u.Scheme, "mlflow+")
		r, err = toMLflow(ctx, e, u, o)
	default:
		return Result{}, fmt.Errorf("publish to %s: scheme %q is none of %s", target, u.Scheme,
			strings.Join(Schemes, ", "))
	}
	if err != nil {
		return Result{}, fmt.Errorf("publish %s to %s: %w", dir, u.Redacted(), err)
	}
	return r, nil
}

// Schemes of targets; a path on this machine has none.
var Schemes = []string{"file", "s3", "gs", "http", "https", "devo+http", "devo+https", "mlflow+http", "mlflow+https"}

// HasShadow tells whether targets of a scheme are stores, which have candidates.
func HasShadow(scheme string) bool { return slices.Contains([]string{"", "file", "s3", "gs"}, scheme) }

var validName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

// exported is a version directory whose files have been checked.
type exported struct {
	dir      string
	name     string
	version  int // 0 if the directory's name is no number
	manifest export.Manifest
	files    []export.File // without SHA256SUMS
}

// open reads dir's list of files and checks every one.
func open(dir string) (*exported, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	e := &exported{dir: abs}
	data, err := userfile.Read(filepath.Join(abs, export.ManifestFile), userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it is no version directory of export-model: %w", err)
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &e.manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", export.ManifestFile, err)
	}
	if e.files, err = export.CheckSums(abs); err != nil {
		return nil, err
	}
	e.name = filepath.Base(abs)
	if n, ok := versions.Number(e.name); ok && n > 0 {
		e.version, e.name = n, filepath.Base(filepath.Dir(abs))
	}
	return e, nil
}

// all lists the files with SHA256SUMS last: who sees that sees all.
func (e *exported) all() []export.File {
	return append(slices.Clone(e.files), export.File{Path: export.SumsFile})
}

// read reads one of all.
func (e *exported) read(f export.File) ([]byte, error) {
	return userfile.Bytes(filepath.Join(e.dir, filepath.FromSlash(f.Path)), max(f.Bytes, userfile.Text))
}

// describe is a description in one line.
func (e *exported) describe() string {
	return fmt.Sprintf("%s by %s, threshold %g", e.manifest.Name, e.manifest.Producer, e.manifest.Threshold)
}

// result starts a Result with what is published.
func (e *exported) result(url string, o Options) Result {
	r := Result{URL: url, Name: o.Name, Version: o.Version, Files: len(e.files) + 1}
	for _, f := range e.files {
		r.Bytes += f.Bytes
	}
	return r
}
