package sources

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets/fetch"
)

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantText(t *testing.T, dir, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

// echo answers with the path it was asked for.
func echo(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "none") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s
}

// A file URL means that file: not one of its name further down, and as it is now.
func TestDownloadFileURL(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	arg := "file://" + filepath.ToSlash(put(t, dir, "own.txt", "a.org\n"))
	put(t, dir, "sub/own.txt", "b.org\n")
	for _, text := range []string{"a.org\n", "changed.org\n"} {
		put(t, dir, "own.txt", text)
		if _, err := Download(context.Background(), out, []string{arg}, Options{}); err != nil {
			t.Fatal(err)
		}
		wantText(t, out, "url/own.txt", text)
	}
	if _, err := Download(context.Background(), out, []string{"file://" + filepath.ToSlash(dir)}, Options{}); err == nil {
		t.Error("a folder passed for a file")
	}
}

// Two sources whose files have the same name come from different places of a mirror.
func TestDownloadMirror(t *testing.T) {
	s, out := echo(t), t.TempDir()
	if _, err := Download(context.Background(), out, []string{"tranco", "umbrella"},
		Options{Mirror: s.URL + "/raw/"}); err != nil {
		t.Fatal(err)
	}
	wantText(t, out, "tranco/top-1m.csv.zip", "/raw/tranco/top-1m.csv.zip")
	wantText(t, out, "umbrella/top-1m.csv.zip", "/raw/umbrella/top-1m.csv.zip")
}

// What a user saved by hand is found: single files of Mendeley's data sets, and any tier of any family.
func TestDownloadFromLooseFiles(t *testing.T) {
	from, out := t.TempDir(), t.TempDir()
	o := Options{From: from}
	if _, err := Download(context.Background(), out, []string{"dtqbc-v1"}, o); !errors.Is(err, fetch.ErrNotFound) ||
		!strings.Contains(err.Error(), "training.csv") {
		t.Errorf("an empty folder: %v", err)
	}
	put(t, from, "gta-v1.parquet", "parquet")
	put(t, from, "training.csv", "1,a.tunnel.example.org.\r\n")
	put(t, from, "x/Fully Qualified Domain Names/necurs/list/50000.txt", "a.bit\n")
	r, err := Download(context.Background(), out, []string{"dgta", "dtqbc-v1", "umudga"}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"dgta/gta-v1.parquet", "dtqbc-v1/training.csv",
		"umudga/Fully Qualified Domain Names/necurs/list/50000.txt"}
	if !slices.Equal(r.Paths, want) {
		t.Errorf("files %q, want %q", r.Paths, want)
	}
	// A pinned file is checked there as well.
	put(t, from, "x/Fully Qualified Domain Names/necurs/list/10000.txt", "b.bit\n")
	if _, err := Download(context.Background(), out, []string{"umudga"}, o); !errors.Is(err, fetch.ErrChecksum) {
		t.Errorf("other bytes under a pinned name: %v", err)
	}
}

// One dead source does not keep the next from coming, and the error says what to do instead.
func TestDownloadGoesOn(t *testing.T) {
	s, out := echo(t), t.TempDir()
	r, err := Download(context.Background(), out, []string{s.URL + "/none.txt", s.URL + "/list.txt"},
		Options{Client: quickClient(nil)})
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "--from DIR") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(r.Paths, []string{"url/list.txt"}) {
		t.Errorf("files %q", r.Paths)
	}
}

func TestDownloadURLNames(t *testing.T) {
	s, out := echo(t), t.TempDir()
	args := []string{s.URL + "/a/list.txt", s.URL + "/b/list.txt"}
	for range 2 { // the second time the names are those of the first
		if _, err := Download(context.Background(), out, args, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(out, "url", "*list.txt"))
	if err != nil || len(names) != 2 {
		t.Fatalf("files %q, %v", names, err)
	}
	wantText(t, out, "url/list.txt", "/a/list.txt")
}

// An archive that process-data would not read is unpacked, and its members are described as declared.
func TestDownloadArchiveURL(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "in/names.txt", Mode: 0o644, Size: 6}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "a.org\n")
	w.Close()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(b.Bytes()) }))
	defer s.Close()
	out := t.TempDir()
	r, err := Download(context.Background(), out, []string{s.URL + "/x.tar"}, Options{Format: "list", Class: "dga",
		Family: "necurs"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"url/x.tar.d/in/names.txt", "url/x.tar.d/in/names.txt.degas.json"}; !slices.Equal(r.Paths, want) {
		t.Errorf("files %q, want %q", r.Paths, want)
	}
	wantText(t, out, "url/x.tar.d/in/names.txt", "a.org\n")
}

// Of each family the longest list is taken, and only folders of lists are asked for; the API's 429 is waited out.
func TestUMUDGAListing(t *testing.T) {
	asked, busy := map[string]int{}, true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/folders/") {
			if busy {
				busy = false
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `[{"id":"q","name":"Fully Qualified Domain Names"},{"id":"n","name":"necurs","parent_id":"q"},
				{"id":"l","name":"list","parent_id":"n"},{"id":"c","name":"csv","parent_id":"n"},
				{"id":"m","name":"Domain Generation Algorithms"}]`)
			return
		}
		asked[r.URL.Query().Get("folder_id")]++
		fmt.Fprintf(w, `[{"filename":"1000.txt","id":"1"},
			{"filename":"10000.txt","id":"2","content_details":{"sha256_hash":%q,"size":1}},
			{"filename":"500000.txt","id":"3"},{"filename":"10000.txt.bak","id":"4"}]`, strings.Repeat("0", 64))
	}))
	defer s.Close()
	m := mendeley{id: "y8ph45msv8", version: 1, want: wantUMUDGA("100000.txt"), folder: umudgaFolder, pick: largestTier,
		host: s.URL}
	files, err := m.files(false, knownUMUDGA(m)...)(context.Background(), quickClient(nil))
	if err != nil || len(files) != 1 || files[0].Path != "Fully Qualified Domain Names/necurs/list/10000.txt" {
		t.Fatalf("%+v, %v", files, err)
	}
	if asked["l"] != 1 || len(asked) != 1 {
		t.Errorf("folders listed: %v", asked)
	}
	if !strings.HasPrefix(files[0].SHA256, "c4cdd640") || files[0].Size != 181995 {
		t.Errorf("the pinned hash does not count: %+v", files[0])
	}
}

func TestUMUDGAPins(t *testing.T) {
	for most, want := range map[string]int{"1000.txt": 7, "10000.txt": 7 + 50, "100000.txt": 7 + 50 + 1} {
		if got := knownUMUDGA(mendeley{id: "x", want: wantUMUDGA(most)}); len(got) != want {
			t.Errorf("%s: %d files are pinned, want %d", most, len(got), want)
		}
	}
}
