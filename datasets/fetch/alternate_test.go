package fetch

import (
	"net/http"
	"testing"
)

// What an alternate sent is kept while the URLs before it do not answer with a body, and goes when one does.
func TestResumeFromAlternate(t *testing.T) {
	data := content(300_000, 4)
	code := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name        string
		first       func(w http.ResponseWriter) // the first URL's answer, when the download goes on
		wantResumed int64
		wantFrom    string
	}{
		{name: "not found", first: code(404), wantResumed: 100_000, wantFrom: "/real"},
		{name: "not available", first: code(503), wantResumed: 100_000, wantFrom: "/real"},
		{name: "no connection", first: func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
			wantResumed: 100_000, wantFrom: "/real"},
		{name: "a range that was not asked for", first: code(416), wantResumed: 100_000, wantFrom: "/real"},
		{name: "a web page", first: func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("gone"))
		}, wantResumed: 100_000, wantFrom: "/real"},
		{name: "a body", first: func(w http.ResponseWriter) { _, _ = w.Write(data[:1000]) }, wantFrom: "/f"},
		{name: "a body as a range", first: func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[:1000])
		}, wantFrom: "/f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, map[string][]byte{"/real": data})
			s.etags["/real"] = `"one"`
			broken := true
			s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				switch {
				case broken && r.URL.Path == "/real":
					cut(w, data, 100_000, `"one"`)
				case broken:
					w.WriteHeader(http.StatusNotFound)
				case r.URL.Path == "/f":
					tt.first(w)
				default:
					return false
				}
				return true
			}
			dir, o := t.TempDir(), Options{Retries: -1}
			f := File{Path: "f", URL: s.URL + "/f", Alternates: []string{s.URL + "/real"}}
			if _, err := fetchOne(t, quick(o), dir, f); err == nil {
				t.Fatal("truncated download did not fail")
			}
			broken = false
			res, err := fetchOne(t, quick(o), dir, f)
			if err != nil || res.Resumed != tt.wantResumed || res.URL != s.URL+tt.wantFrom {
				t.Fatalf("resumed %d from %s, %v", res.Resumed, res.URL, err)
			}
			if tt.wantFrom == "/f" {
				wantFile(t, dir, "f", data[:1000])
			} else {
				wantFile(t, dir, "f", data)
			}
		})
	}
}
