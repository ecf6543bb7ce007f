package lists

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is shown of a URL holds no secret, and tells two URLs apart.
func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"https://example.com/list":                        "https://example.com/list",
		"https://me:secret@example.com/l?k=secret#secret": "https://me:xxxxx@example.com/l?…",
		"http://me:sec ret%@example.com/":                 "http://…",
		"/lists/what?.txt":                                "/lists/what?.txt",
	} {
		if got := newSource(block, name).shown; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	web := newServer(t)
	web.text("one.com\n", "")
	urls := []string{web.URL + "/?token=secret1", web.URL + "/?token=secret2"}
	s := opened(t, Options{Block: append(urls, urls[0]), Dir: t.TempDir()})
	var names []string
	for i, st := range s.Stats() {
		names = append(names, strings.TrimPrefix(st.Name, web.URL))
		note := s.sources[i].files[0].path + ".json"
		data, err := os.ReadFile(note)
		info, statErr := os.Stat(note)
		if err != nil || statErr != nil || strings.Contains(string(data), "secret") || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", data, err, info.Mode())
		}
	}
	if got := strings.Join(names, " "); got != "/?… /?… (2) /?…" || blocked(s, "one.com") != "one.com "+web.URL+"/?…" {
		t.Errorf("%s, %s", got, blocked(s, "one.com"))
	}
}

// A tar that is compressed is read from a file, and not from a URL: it would fill the disk.
func TestCompressedTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := "one.com\ntwo.com\n"
	if err := w.WriteHeader(&tar.Header{Name: "list", Size: int64(len(text)), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(text))
	w.Close()
	web, dir := newServer(t), t.TempDir()
	for body, ok := range map[string]bool{b.String(): true, packed(b.String()): false} {
		path := write(t, filepath.Join(dir, "list"), body)
		if s := opened(t, Options{Block: []string{path}}); blocked(s, "one.com") == " " {
			t.Error("the file is not read")
		}
		web.text(body, "")
		for _, o := range []Options{{Block: []string{web.URL}}, {Popular: web.URL}} {
			o.Dir = t.TempDir()
			if _, err := Open(t.Context(), o); (err == nil) != ok ||
				!ok && !strings.Contains(err.Error(), "a compressed tar") {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

// A byte-order mark is no part of the first line.
func TestMark(t *testing.T) {
	for format, text := range map[string]string{"domains": "one.com\n", "hosts": "0.0.0.0 one.com\n",
		"adblock": "||one.com^\n", "rpz": "$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\none.com CNAME .\n"} {
		for _, body := range []string{"\xef\xbb\xbf" + text, packed("\xef\xbb\xbf" + text)} {
			s := opened(t, Options{Block: []string{write(t, filepath.Join(t.TempDir(), "list"), body)}})
			if st := s.Stats()[0]; blocked(s, "one.com") == " " || st.Format != format || len(st.Skipped) > 0 {
				t.Errorf("%s: %+v", format, st)
			}
		}
	}
}
