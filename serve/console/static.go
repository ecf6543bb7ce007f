package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var static embed.FS

// file is a file that browsers keep forever: its address contains its hash.
type file struct {
	kind          string // its Content-Type
	plain, packed []byte
	address       string
}

// files are those of static/ by their path there, and by their address.
type files struct {
	byPath, byAddress map[string]*file
}

const staticPath = "/console/static/"

// readFiles reads and packs what is embedded.
func readFiles() (files, error) {
	f := files{byPath: map[string]*file{}, byAddress: map[string]*file{}}
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "static/")
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		x := &file{kind: mime.TypeByExtension(ext), plain: data,
			address: strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext}
		if ext == ".js" { // whatever the machine's tables say
			x.kind = "text/javascript; charset=utf-8"
		}
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if _, err := w.Write(data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if b.Len() < len(data) {
			x.packed = b.Bytes()
		}
		f.byPath[name], f.byAddress[x.address] = x, x
		return nil
	})
	return f, err
}

// path is the address of a file, for templates.
func (f files) path(name string) (string, error) {
	x := f.byPath[name]
	if x == nil {
		return "", fmt.Errorf("static/%s is not there", name)
	}
	return staticPath + x.address, nil
}

// serve answers GET /console/static/….
func (f files) serve(w http.ResponseWriter, r *http.Request) {
	guardHeaders(w.Header())
	x := f.byAddress[r.PathValue("file")]
	if x == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	x.write(w, r)
}

// serveIcon answers what browsers ask for by themselves.
func (f files) serveIcon(w http.ResponseWriter, r *http.Request) { f.byPath["icon.svg"].write(w, r) }

func (x *file) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", x.kind)
	h.Set("Vary", "Accept-Encoding")
	data := x.plain
	if x.packed != nil && packs(r) {
		h.Set("Content-Encoding", "gzip")
		data = x.packed
	}
	_, _ = w.Write(data)
}
