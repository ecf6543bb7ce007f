package tensorflow_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/tensorflow"
)

// Each file of testdata/golden is a request and the answer to it: a line with the method and the path, headers, an
// empty line, the body, a line of dashes, the status and the answer's body. The texts of errors were copied by hand
// from TensorFlow Serving's source (http_rest_api_handler.cc, http_rest_api_util.cc, json_tensor.cc, server_core.cc,
// get_model_status_impl.cc, classifier.cc) and RapidJSON's (error/en.h), never from an answer of ours.
func TestGolden(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	for _, version := range []string{"1", "2"} {
		if err := preset(t, "mlbridge", nil).Save(filepath.Join(dir, version)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := models.Open(nil, models.Source{Dir: dir, Labels: map[string]int{"stable": 1, "gone": 50}})
	if err != nil {
		t.Fatal(err)
	}
	h := &tensorflow.Handler{Models: set}
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, h, file) })
	}
}

func golden(t *testing.T, h http.Handler, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked, want, _ := strings.Cut(string(data), "\n----\n")
	first, rest, _ := strings.Cut(asked, "\n")
	method, path, _ := strings.Cut(first, " ")
	header, body, _ := strings.Cut("\n"+rest, "\n\n")
	sent := []byte(body)
	compressed := strings.Contains(header, "gzip")
	if compressed {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(sent)
		_ = w.Close()
		sent = packed.Bytes()
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(sent))
	if compressed {
		r.Header.Set("Content-Encoding", "gzip")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := fmt.Sprintf("%s\n%s", strconv.Itoa(w.Code), w.Body); got != want {
		t.Errorf("%s\n%s\nwant\n%s", asked, got, want)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q", kind)
	}
	if len(w.Header()) != 1 {
		t.Errorf("headers %v", w.Header())
	}
}

// What TensorFlow Serving has no text for.
func TestOutside(t *testing.T) {
	h, _ := server(t, preset(t, "mlbridge", nil))
	for _, tc := range []struct {
		method, path, origin string
		status               int
	}{
		{"GET", "/", "", 404}, {"GET", "/v2/models", "", 404}, {"POST", "/statuspage", "", 404},
		{"OPTIONS", "/v1/models/m", "", 400}, {"OPTIONS", "/v1/models/m", "https://page.example", 200},
		{"GET", "/v1/models/m", "https://page.example", 200},
	} {
		for _, cors := range []bool{false, true} {
			h.CORS = cors
			r := httptest.NewRequest(tc.method, tc.path, nil)
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if allowed := w.Header().Get("Access-Control-Allow-Origin") == "*"; w.Code != tc.status || allowed != cors {
				t.Errorf("%+v with CORS %v: %d %v", tc, cors, w.Code, w.Header())
			}
		}
	}
}

// A body that is small as it is sent may not be large when it is unpacked, and must be gzip's.
func TestGzip(t *testing.T) {
	h, _ := server(t, preset(t, "mlbridge", nil))
	var part bytes.Buffer
	w := gzip.NewWriter(&part)
	_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = w.Close()
	bomb := bytes.Repeat(part.Bytes(), 65) // parts of one file
	for _, tc := range []struct {
		name   string
		body   []byte
		status int
	}{{"bomb", bomb, 413}, {"cut off", bomb[:part.Len()/2], 400}, {"plain", []byte(small), 400}} {
		r := httptest.NewRequest("POST", "/v1/models/m:predict", bytes.NewReader(tc.body))
		r.Header.Set("Content-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
}
