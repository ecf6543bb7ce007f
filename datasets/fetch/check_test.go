package fetch

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A redirect that the next request would meet again is not tried again.
func TestRedirectsThatCannotHeal(t *testing.T) {
	for to, want := range map[string]string{
		"file:///etc/passwd": "redirect refused: its scheme is file",
		"/loop":              "redirect refused: it is the tenth in a row",
	} {
		s := newServer(t, nil)
		s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, to, http.StatusFound)
			return true
		}
		_, err := fetchOne(t, quick(Options{}), t.TempDir(), File{Path: "f", URL: s.URL + "/loop"})
		wantError(t, err, want)
		if len(s.requests) > 10 {
			t.Errorf("%s: %d requests", to, len(s.requests))
		}
	}
}

// A body without end is cut off, and nothing of it stays. A length that is announced is judged before the body.
func TestMost(t *testing.T) {
	for _, announced := range []bool{false, true} {
		dir, s := t.TempDir(), newServer(t, nil)
		s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if announced {
				w.Header().Set("Content-Length", "1000000000")
			}
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					break
				}
			}
			return true
		}
		_, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f", Most: 1 << 20})
		wantError(t, err, "longer than such a file can be, which is at most 1048576 bytes")
		if got := listing(t, dir); got != "" || len(s.requests) != 1 {
			t.Errorf("left %q after %d requests", got, len(s.requests))
		}
	}
	dir, from := t.TempDir(), t.TempDir()
	write(t, from, "long", make([]byte, 9))
	_, err := quick(Options{}).ImportFile(t.Context(), filepath.Join(from, "long"), dir, File{Path: "f", Most: 8})
	wantError(t, err, "at most 8 bytes")
	if got := listing(t, dir); got != "" {
		t.Errorf("left %q", got)
	}
}

// What the caller refuses does not take the place of what is there, from the network and from a folder.
func TestCheckBeforePlace(t *testing.T) {
	dir, s := t.TempDir(), newServer(t, map[string][]byte{"/f": []byte("good")})
	f := File{Path: "f", URL: s.URL + "/f", Check: func(_ context.Context, part string) error {
		if data, err := os.ReadFile(part); err != nil || string(data) != "good" {
			return errors.Join(errors.New("it is bad"), err)
		}
		return nil
	}}
	c := quick(Options{UpdateChecksums: true})
	if _, err := fetchOne(t, c, dir, f); err != nil {
		t.Fatal(err)
	}
	before, err := ReadChecksums(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.files["/f"] = []byte("bad")
	_, err = fetchOne(t, c, dir, f)
	wantError(t, err, "it is bad")
	from := t.TempDir()
	write(t, from, "x", []byte("bad"))
	_, err = c.ImportFile(t.Context(), filepath.Join(from, "x"), dir, f)
	wantError(t, err, "it is bad")
	wantFile(t, dir, "f", []byte("good"))
	after, err := ReadChecksums(dir)
	if got := listing(t, dir); got != "f" || err != nil || after["f"].SHA256 != before["f"].SHA256 {
		t.Errorf("there is %q, %v, %v", got, after, err)
	}
}
