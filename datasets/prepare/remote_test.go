package prepare

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/degas-dns/degas/datasets"
	storage "github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/bucket/buckettest"
)

// remote starts a server and makes the cache empty.
func remote(t *testing.T) (server *buckettest.Server, cache string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cache, err := datasets.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return buckettest.New(t).Use(t), cache
}

func openBucket(t *testing.T, url string) *storage.Folder {
	t.Helper()
	f, err := storage.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func upload(t *testing.T, dir, url string) *storage.Folder {
	t.Helper()
	f := openBucket(t, url)
	if err := datasets.Upload(t.Context(), dir, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func change(t *testing.T, f *storage.Folder, name string, change func([]byte) []byte) {
	t.Helper()
	data, err := f.Read(t.Context(), name, 1<<30)
	if err == nil {
		err = f.Write(t.Context(), name, func(w io.Writer) error { _, err := w.Write(change(data)); return err })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A data set by its URL is the one in the folder, and its files are fetched once.
func TestRemoteIsTheSameDataSet(t *testing.T) {
	server, cache := remote(t)
	in := sampleTree(t)
	for name, shards := range map[string]int{"files": 0, "shards": 7} {
		t.Run(name, func(t *testing.T) {
			dir, url := t.TempDir(), "s3://data/sets/"+name
			mustProcess(t, in, dir, Options{Seed: 1, Shards: shards})
			upload(t, dir, url)
			for _, split := range datasets.SplitNames() {
				if !reflect.DeepEqual(splitRows(t, url, split), splitRows(t, dir, split)) {
					t.Errorf("%s differs", split)
				}
			}
			server.Asked()
			for _, split := range datasets.SplitNames() {
				splitRows(t, url, split)
			}
			for _, asked := range server.Asked() {
				if !strings.HasSuffix(asked, datasets.ManifestName) {
					t.Errorf("asked again: %s", asked)
				}
			}
			file := "file://" + filepath.ToSlash(dir)
			if !reflect.DeepEqual(splitRows(t, file, "test"), splitRows(t, dir, "test")) {
				t.Error("by a file URL, it differs")
			}
			m, splits, err := datasets.Locate(t.Context(), url+"/"+names(t, dir)[1])
			if err != nil || len(splits) != 1 || m.Dir() != url {
				t.Errorf("%v, %v, %v", m, splits, err)
			}
		})
	}
	for _, name := range names(t, cache) {
		if len(name) != 64 {
			t.Errorf("the cache has %s", name)
		}
	}
}

// What is damaged in the cache is fetched again; what is damaged there is an error, and leaves nothing.
func TestRemoteDamage(t *testing.T) {
	_, cache := remote(t)
	dir, url := t.TempDir(), "s3://data/set"
	mustProcess(t, sampleTree(t), dir, Options{Seed: 1, Shards: 3})
	f := upload(t, dir, url)
	want := splitRows(t, url, "train")
	for _, name := range names(t, cache) {
		path := filepath.Join(cache, name)
		data, err := os.ReadFile(path)
		if err == nil {
			data[len(data)/2] ^= 1
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(splitRows(t, url, "train"), want) {
		t.Error("a damaged copy is used")
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	for what, damage := range map[string]func([]byte) []byte{
		"a flipped bit":    func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 1; return b },
		"a missing end":    func(b []byte) []byte { return b[:len(b)-1] },
		"a byte too much":  func(b []byte) []byte { return append(slices.Clone(b), 0) },
		"nothing in it":    func([]byte) []byte { return nil },
		"another sha256":   nil,
		"no path's sha256": nil,
	} {
		t.Run(what, func(t *testing.T) {
			upload(t, dir, url)
			wants := []string{"test-00001-of-00003.arrow", "Try: degas process-data"}
			if damage != nil {
				change(t, f, "test-00001-of-00003.arrow", damage)
				wants = append(wants, "s3://data/set/")
			} else {
				m, err := datasets.ReadManifest(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				old := m.Split("test").Shards[1].SHA256
				sum := strings.Repeat("0", 64)
				if what == "no path's sha256" {
					sum = "../../../../../../tmp/x"
				}
				change(t, f, datasets.ManifestName, func(b []byte) []byte {
					return []byte(strings.Replace(string(b), old, sum, 1))
				})
				wants = []string{"SHA-256"}
			}
			_, err := datasets.Open(t.Context(), url, "test")
			for _, want := range wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %s", err, want)
				}
			}
			if left := leftIn(t, cache); len(left) > 0 {
				t.Errorf("left in the cache: %v", left)
			}
		})
	}
}

// leftIn lists unfinished files.
func leftIn(t *testing.T, dir string) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			left = append(left, e.Name())
		}
	}
	return left
}

func TestRemoteErrors(t *testing.T) {
	server, _ := remote(t)
	dir, url := t.TempDir(), "s3://data/set"
	mustProcess(t, sampleTree(t), dir, Options{Seed: 1})
	f := upload(t, dir, url)
	m, err := datasets.ReadManifest(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"s3://data/none":  "no dataset.json in s3://data/none",
		"s3://nobody/set": "no such bucket",
		"s3://a:b@data/x": "credentials",
		"ftp://data/x":    `scheme "ftp"`,
	} {
		if _, err := datasets.Open(t.Context(), url, "train"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	// Another process replaces the data set after its manifest was read.
	other := t.TempDir()
	mustProcess(t, sampleTree(t), other, Options{Seed: 2, Shards: 2})
	upload(t, other, url)
	if _, err := m.Open(t.Context(), "train"); !errors.Is(err, datasets.ErrReplaced) {
		t.Errorf("replaced: %v", err)
	}
	for file := range f.List(t.Context(), "") {
		if file.Name == "train.arrow" {
			t.Error("a file of the old data set is left")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, ".arrow") {
			cancel()
		}
		return false
	})
	if _, err := datasets.Open(ctx, url, "train"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	change(t, f, datasets.ManifestName, func([]byte) []byte { return []byte("{}") })
	if err := datasets.Upload(t.Context(), dir, f); err == nil || !strings.Contains(err.Error(), "of no data set") {
		t.Errorf("another's dataset.json: %v", err)
	}
}

// Whoever opens a data set at the same time fetches each file once.
func TestRemoteAtOnce(t *testing.T) {
	server, _ := remote(t)
	dir, url := t.TempDir(), "s3://data/set"
	mustProcess(t, sampleTree(t), dir, Options{Seed: 1, Shards: 5})
	upload(t, dir, url)
	server.Asked()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := datasets.Open(t.Context(), url, "train")
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	all.Wait()
	asked := map[string]int{}
	for _, a := range server.Asked() {
		asked[a]++
	}
	for a, n := range asked {
		if n > 1 && strings.HasSuffix(a, ".arrow") {
			t.Errorf("%s: %d times", a, n)
		}
	}
}
