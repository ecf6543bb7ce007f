package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/datasets/fetch"
)

func TestSourcesAreDescribed(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
		if s.Title == "" || s.Licence == "" || s.Citation == "" || !strings.HasPrefix(s.Homepage, "http") || s.Good == "" {
			t.Errorf("%s: title, licence, citation, homepage or use is missing", s.Name)
		}
		if s.Dead == "" {
			continue
		}
		_, err := Download(context.Background(), t.TempDir(), []string{s.Name}, Options{From: t.TempDir()})
		if err == nil || !strings.HasSuffix(err.Error(), ". "+s.Dead) || s.Dead[0] < 'A' || s.Dead[0] > 'Z' {
			t.Errorf("the error of a dead source ends with no sentence about it: %v", err)
		}
	}
	want := []string{"alexa", "alexa-100k", "bambenek", "chrmor-25-families", "cloudflare-resolved-top", "console", "ctc",
		"degas",
		"dga-lists", "dgta", "domcop", "dtqbc-v1", "dtqbc-v2", "generated", "generated-later", "legit-dga_domains",
		"legit_dga", "majestic", "misp-warninglists", "netlab360", "sample", "tranco", "umbrella", "umudga", "umudga-1000",
		"umudga-10000", "umudga-1000000"}
	if !slices.Equal(names, want) {
		t.Errorf("sources %v, want %v", names, want)
	}
	for source, want := range map[string]string{"ctc": "CC BY-SA 4.0", "umbrella-hosts": "CC0 1.0", "dtqbc": "CC BY 4.0",
		"dgta-bench": "CC BY 4.0", "mine": "not known to degas"} {
		if got := Licence(source); got != want {
			t.Errorf("licence of %s: %q, want %q", source, got, want)
		}
	}
	dead := "The feed needs a licence now: ask the publisher, then use --from DIR"
	if s, err := Lookup("bambenek"); err != nil || s.Dead != dead {
		t.Errorf("bambenek: %q, %v", s.Dead, err)
	}
	if _, err := Lookup("trancoo"); err == nil || !strings.Contains(err.Error(), "did you mean tranco?") {
		t.Errorf("a misspelt source: %v", err)
	}
}

func TestWantUMUDGA(t *testing.T) {
	want := wantUMUDGA("100000.txt")
	for name, dest := range map[string]string{
		"UMUDGA - x/Fully Qualified Domain Names/necurs/list/10000.txt": "Fully Qualified Domain Names/necurs/list/10000.txt",
		"Fully Qualified Domain Names/necurs/list/500000.txt":           "",
		"Fully Qualified Domain Names/necurs/csv/1000.csv":              "",
		"Fully Qualified Domain Names/necurs/list/10000.txt.bak":        "",
		"Domain Generation Algorithms/necurs/list/1000.txt":             "",
		"Fully Qualified Domain Names/../list/1000.txt":                 "list",
	} {
		got, ok := want(name)
		if dest == "list" { // whatever comes of it, it stays below: Extract checks the path
			continue
		}
		if ok != (dest != "") || got != dest {
			t.Errorf("%s goes to %q, %v; want %q", name, got, ok, dest)
		}
	}
}

// quickClient does not wait between tries.
func quickClient(p func(fetch.Event)) *fetch.Client {
	return fetch.New(fetch.Options{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Retries: 2, Progress: p})
}

// fakeMendeley serves one data set as the public API does.
func fakeMendeley(t *testing.T, files map[string]string, listing bool) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /public-api/datasets/abc/folders/1", func(w http.ResponseWriter, r *http.Request) {
		if !listing || !strings.Contains(r.Header.Get("Accept"), "mendeley") {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		fmt.Fprint(w, `[{"id":"f1","name":"data"},{"id":"f2","name":"inner","parent_id":"f1"},
			{"id":"x","name":"x","parent_id":"y"},{"id":"y","name":"y","parent_id":"x"}]`)
	})
	mux.HandleFunc("GET /public-api/datasets/abc/files", func(w http.ResponseWriter, r *http.Request) {
		var out []map[string]any
		for name, text := range files {
			dir := map[string]string{"root": "", "f1": "data", "f2": "data/inner"}[r.URL.Query().Get("folder_id")]
			if filepath.ToSlash(filepath.Dir(name)) != dir && !(dir == "" && !strings.Contains(name, "/")) {
				continue
			}
			sum := sha256.Sum256([]byte(text))
			out = append(out, map[string]any{"filename": filepath.Base(name), "id": hex.EncodeToString([]byte(name)),
				"size":            len(text),
				"content_details": map[string]any{"sha256_hash": hex.EncodeToString(sum[:]), "size": len(text)}})
		}
		_ = json.NewEncoder(w).Encode(out)
	})
	mux.HandleFunc("GET /public-files/datasets/abc/files/{id}/file_downloaded", func(w http.ResponseWriter,
		r *http.Request) {
		name, err := hex.DecodeString(r.PathValue("id"))
		if text, ok := files[string(name)]; ok && err == nil {
			fmt.Fprint(w, text)
			return
		}
		http.NotFound(w, r)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestMendeleyListing(t *testing.T) {
	s := fakeMendeley(t, map[string]string{"data/inner/a.csv": "0,google.com\n", "data/b.csv": "1,x\n",
		"readme.txt": "no"}, true)
	m := mendeley{id: "abc", version: 1, want: bySuffix(".csv"), host: s.URL}
	c := quickClient(nil)
	files, err := m.files(false)(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := c.Fetch(context.Background(), dir, files); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data/inner/a.csv": "0,google.com\n", "data/b.csv": "1,x\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "readme.txt")); err == nil {
		t.Error("a file nobody wants was fetched")
	}
}

// Without a listing the pinned files, or else the whole zip, are asked for.
func TestMendeleyWithoutListing(t *testing.T) {
	s := fakeMendeley(t, nil, false)
	m := mendeley{id: "abc", version: 1, want: bySuffix(".csv"), host: s.URL}
	c := quickClient(nil)
	pinned := fetch.File{Path: "p.csv", URL: m.fileURL("1")}
	if got, err := m.files(true, pinned)(context.Background(), c); err != nil || len(got) != 1 || got[0].Path != "p.csv" {
		t.Errorf("with pinned files: %v, %v", got, err)
	}
	got, err := m.files(false)(context.Background(), c)
	if err != nil || len(got) != 1 || got[0].Path != "abc-1.zip" || got[0].Extract == nil {
		t.Errorf("without: %+v, %v", got, err)
	}
	if dest, ok := got[0].Extract.Select("Title of it/data/a.csv"); !ok || dest != "data/a.csv" {
		t.Errorf("a member goes to %q, %v", dest, ok)
	}
}

func TestDownloadURLs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/list.txt" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "abc.com\n")
	}))
	defer s.Close()
	out := t.TempDir()
	r, err := Download(context.Background(), out, []string{s.URL + "/list.txt"}, Options{Format: "list", Class: "dga",
		Family: "fobber"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"url/list.txt", "url/list.txt.degas.json"}; !slices.Equal(r.Paths, want) {
		t.Errorf("files %v, want %v", r.Paths, want)
	}
	local := filepath.Join(t.TempDir(), "own.txt")
	if err := os.WriteFile(local, []byte("def.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Download(context.Background(), out, []string{"file://" + filepath.ToSlash(local)},
		Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "url", "own.txt")); string(got) != "def.com\n" {
		t.Errorf("file URL gave %q, %v", got, err)
	}
	for arg, want := range map[string]string{
		s.URL + "/none.txt":     "404",
		"ftp://example.org/a":   "scheme must be",
		"https://example.org/":  "names no file",
		"nonesuch":              "unknown source",
		"file:///none/such.txt": "such.txt",
	} {
		if _, err := Download(context.Background(), out, []string{arg}, Options{Client: quickClient(nil)}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", arg, err, want)
		}
	}
	if _, err := Download(context.Background(), out, []string{s.URL + "/list.txt"}, Options{Class: "colour"}); err == nil {
		t.Error("an unknown class was accepted")
	}
}

// Files brought on a disk, as for a machine without a network.
func TestDownloadFrom(t *testing.T) {
	from := t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "usb"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "usb", "majestic_million.csv"),
		[]byte("GlobalRank,TldRank,Domain\n1,1,google.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	r, err := Download(context.Background(), out, []string{"majestic"}, Options{From: from})
	if err != nil || !slices.Equal(r.Paths, []string{"majestic/majestic_million.csv"}) {
		t.Fatalf("%v, %v", r, err)
	}
	_, err = Download(context.Background(), out, []string{"tranco"}, Options{From: from})
	if err == nil || !strings.Contains(err.Error(), "top-1m.csv.zip") || !strings.Contains(err.Error(), "--from DIR") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A copy of the download folder has a folder for each source: one's file is not taken for another's of the same name.
func TestDownloadFromCopy(t *testing.T) {
	from, out := t.TempDir(), t.TempDir()
	put(t, from, "alexa/top-1m.csv.zip", "alexa's")
	put(t, from, "tranco/top-1m.csv.zip", "tranco's")
	r, err := Download(context.Background(), out, []string{"tranco", "umbrella", "alexa"}, Options{From: from})
	if !errors.Is(err, fetch.ErrNotFound) || !slices.Equal(r.Paths, []string{"tranco/top-1m.csv.zip",
		"alexa/top-1m.csv.zip"}) {
		t.Errorf("%v, %v", r, err)
	}
	wantText(t, out, "tranco/top-1m.csv.zip", "tranco's")
	wantText(t, out, "alexa/top-1m.csv.zip", "alexa's")
}

// A clone of the publisher's repository stands in for it. The lists come by kind.
func TestWarningListsFromClone(t *testing.T) {
	source, err := Lookup("misp-warninglists")
	if err != nil {
		t.Fatal(err)
	}
	files, err := source.Files(t.Context(), nil)
	if err != nil || len(files) != 17 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	const address = "https://raw.githubusercontent.com/MISP/misp-warninglists/"
	from, out := t.TempDir(), t.TempDir()
	for _, f := range files {
		inClone, ok := strings.CutPrefix(f.URL, address+"84f0610/")
		if !ok || !slices.Equal(f.Alternates, []string{address + "main/" + inClone}) {
			t.Errorf("%s comes from %s, %v", f.Path, f.URL, f.Alternates)
		}
		put(t, from, inClone, inClone)
	}
	if _, err := Download(t.Context(), out, []string{"misp-warninglists"}, Options{From: from}); err != nil {
		t.Fatal(err)
	}
	wantText(t, out, "misp-warninglists/popular/tranco10k.json", "lists/tranco10k/list.json")
	wantText(t, out, "misp-warninglists/vendors/google.json", "lists/google/list.json")
}

// Nobody publishes this list, so it comes from a folder or a mirror alone. A copy of one size of a data set serves
// another size.
func TestDownloadFromSizes(t *testing.T) {
	from, out := t.TempDir(), t.TempDir()
	put(t, from, "cloudflare-resolved-top.csv.zip", "a zip")
	put(t, from, "umudga/Fully Qualified Domain Names/legit/list/5000.txt", "a.org\n")
	args := []string{"cloudflare-resolved-top", "umudga-10000"}
	if _, err := Download(t.Context(), out, args, Options{From: from}); err != nil {
		t.Fatal(err)
	}
	wantText(t, out, "cloudflare-resolved-top/cloudflare-resolved-top.csv.zip", "a zip")
	wantText(t, out, "umudga-10000/Fully Qualified Domain Names/legit/list/5000.txt", "a.org\n")
	_, err := Download(t.Context(), out, args[:1], Options{})
	if err == nil || !strings.Contains(err.Error(), "has captures and no list. Count the names") {
		t.Errorf("without a folder: %v", err)
	}
}
