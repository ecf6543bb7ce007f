package sources

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets/fetch"
)

const decisions = "domain,label,source,decided_by,decided_at,scope,score,model,model_version,note,revoked\n" +
	"xjpakmdcfuqe.biz,dga,console,ada,2026-12-01T09:30:00Z,name,0.41,degas,3,,\n" +
	"partner.example,benign,console,ada,2026-12-01T09:31:00Z,domain,,,,,\n" +
	"odd.example,unsure,console,ada,2026-12-01T09:32:00Z,name,,,,,\n" +
	"gone.example,dga,console,ada,2026-12-01T09:33:00Z,name,,,,,revoked\n"

// console is a server that wants a token, which the test calls secret. It notes the requests.
func console(t *testing.T, body *string) (s *httptest.Server, asked *[]string) {
	asked = &[]string{}
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.String()+" "+r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, *body)
	}))
	t.Cleanup(s.Close)
	return s, asked
}

// Decisions come anew each time, with the token of the URL or of the options, which is kept nowhere.
func TestDownloadConsole(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	body, out := decisions, t.TempDir()
	s, asked := console(t, &body)
	host := strings.TrimPrefix(s.URL, "http://")
	file := "console/" + strings.ReplaceAll(host, ":", "-") + ".csv"
	for _, tc := range []struct{ arg, token string }{
		{"console:http://x:secret@" + host, "other"},
		{"console:http://secret@" + host + "/", ""},
		{"console:" + s.URL + "/v1/decisions.csv", "secret"},
	} {
		body += "more.example,dga,console,ada,2026-12-01T09:34:00Z,name,,,,,\n"
		*asked = nil
		r, err := Download(t.Context(), out, []string{tc.arg}, Options{Token: tc.token, Mirror: "http://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		if want := "[/v1/decisions.csv?all=true Bearer secret]"; fmt.Sprint(*asked) != want {
			t.Errorf("%s asked %s, want %s", tc.arg, *asked, want)
		}
		wantText(t, out, file, body)
		if got, want := fmt.Sprint(r.Decisions, r.Paths), "map[benign:1 dga:2 left out:"; !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	records, err := fetch.ReadChecksums(filepath.Join(out, consoleName))
	rec := records[filepath.Base(file)]
	if err != nil || rec.URL != s.URL+"/v1/decisions.csv?all=true" || len(rec.SHA256) != 64 || rec.Fetched.IsZero() {
		t.Errorf("%v, %v", rec, err)
	}
	if err := holdsNo(out, "secret"); err != nil || strings.Contains(log.String(), "secret") {
		t.Errorf("the token was written: %v, %s", err, log.String())
	}
}

// holdsNo is an error if a file below dir has text.
func holdsNo(dir, text string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(text)) {
			err = fmt.Errorf("%s has it", path)
		}
		return err
	})
}

func TestDownloadConsoleFile(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	path := put(t, dir, "monday.csv", decisions)
	r, err := Download(t.Context(), out, []string{"console:" + path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.Decisions), "map[benign:1 dga:1 left out:2]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	wantText(t, out, "console/monday.csv", decisions)
	if local, ok := LocalFile("console:" + path); !ok || local != path || Changes("console:"+path) {
		t.Errorf("%q, %v", local, ok)
	}
}

// An error says what to do, and never the token.
func TestDownloadConsoleErrors(t *testing.T) {
	other := "it is no list"
	s, _ := console(t, &other)
	host, dir := strings.TrimPrefix(s.URL, "http://"), t.TempDir()
	for arg, want := range map[string]string{
		"console:http://x:hidden@" + host:           "401 Unauthorized. Try: the address in a browser",
		"console:http://x:secret@" + host:           "has no decisions of a degas serve: its header has not the columns",
		"console:http://x:secret@h o s t":           "is no URL of a degas serve",
		"console:ftp://x:secret@h":                  "is no URL of a degas serve",
		"console:":                                  "which console? Try: console:http",
		"console":                                   "which console? Try: console:http",
		"console:" + filepath.Join(dir, "none.csv"): "none.csv",
	} {
		_, err := Download(context.Background(), dir, []string{arg}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
		for _, token := range []string{"secret", "hidden"} {
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("%s: the error has the token: %v", arg, err)
			}
		}
	}
}

// A server that redirects elsewhere does not get the token sent there.
func TestConsoleTokenStays(t *testing.T) {
	got := ""
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
	}))
	t.Cleanup(thief.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(thief.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	}))
	t.Cleanup(s.Close)
	_, _ = Download(t.Context(), t.TempDir(), []string{"console:" + s.URL}, Options{Token: "secret"})
	if got != "" {
		t.Errorf("the token went along: %s", got)
	}
}

// An answer that is no decisions, or too long, takes the place of nothing, and leaves nothing.
func TestConsoleKeepsGoodFile(t *testing.T) {
	body, out := decisions, t.TempDir()
	s, _ := console(t, &body)
	arg, o := "console:"+s.URL, Options{Token: "secret"}
	r, err := Download(t.Context(), out, []string{arg}, o)
	if err != nil {
		t.Fatal(err)
	}
	file := r.Paths[0]
	dir := t.TempDir()
	for text, want := range map[string]string{
		"a,b,c": "has no decisions of a degas serve: its header has not the columns",
		"":      "has no decisions of a degas serve: its header has not the columns",
		decisions + "x.example,phishing,console,ada,,name,,,,,\n": "is no class that degas knows",
	} {
		body = text
		local := put(t, dir, "other.csv", text)
		for _, a := range []string{arg, "console:" + local} {
			if _, err := Download(t.Context(), out, []string{a}, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
		}
		wantText(t, out, file, decisions)
	}
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(mostBytes+1))
	}))
	t.Cleanup(long.Close)
	_, err = Download(t.Context(), out, []string{"console:" + long.URL}, o)
	if err == nil || !strings.Contains(err.Error(), "at most 1073741824 bytes") {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Join(out, consoleName))
	for _, e := range left {
		if n := e.Name(); n != filepath.Base(file) && n != fetch.ChecksumsName && n[0] != '.' {
			t.Errorf("left behind: %s", n)
		}
	}
	if records, err := fetch.ReadChecksums(filepath.Join(out, consoleName)); err != nil || len(records) != 1 {
		t.Errorf("%v, %v", records, err)
	}
	if err != nil {
		t.Error(err)
	}
}

// Servers below one host have a file each.
func TestConsolePaths(t *testing.T) {
	body, out := decisions, t.TempDir()
	s, _ := console(t, &body)
	args := []string{}
	for _, path := range []string{"", "/a/b", "/a-b", "/A-b/v1/decisions.csv", "/" + strings.Repeat("long", 100)} {
		args = append(args, "console:"+s.URL+path)
	}
	r, err := Download(t.Context(), out, args, Options{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range r.Files {
		names[f.Path] = true
	}
	if len(names) != len(args) || fmt.Sprint(r.Decisions) != "map[benign:5 dga:5 left out:10]" {
		t.Errorf("%v, %v", names, r.Decisions)
	}
	again, err := Download(t.Context(), out, args[1:2], Options{Token: "secret"})
	if err != nil || !names[again.Files[0].Path] {
		t.Errorf("%v, %v", again, err)
	}
}
