package lists

import (
	"os"
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
