package convert

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
)

// dataSet processes a small tree, all of it into test.
func dataSet(t *testing.T) (dir string, want [][]string) {
	t.Helper()
	in, dir := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		"ranked/benign.csv":            "1,google.com\n2,www.example.org\n",
		"dga/tinba.txt":                "qdcfrrwodcji.net\nxjpakmdcfuqe.biz\n",
		"dga/dga.txt":                  "kqzvwxjhtr.net\n", // of no known family
		"tunnel/iodine.txt":            "+/b=.d.example.net\n0abc.t.example.com\n",
		"tunnel/iodine.txt.degas.json": `{"format": "list", "class": "tunnel", "family": "iodine"}`,
	} {
		path = filepath.Join(in, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := prepare.Run(t.Context(), in, dir, prepare.Options{Validation: -1, Test: 0.999999}); err != nil {
		t.Fatal(err)
	}
	return dir, rowsOf(t, dir)
}

func rowsOf(t *testing.T, dir string) (rows [][]string) {
	t.Helper()
	s, err := datasets.Open(t.Context(), dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for b, err := range s.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range b.Names {
			rows = append(rows, []string{n, b.Class[i].String(), s.Families()[b.Family[i]], s.Sources()[b.Source[i]]})
		}
	}
	return rows
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		r = csv.NewReader(z)
	}
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if head := strings.Join(rows[0], ","); head != "domain,class,family,source" {
		t.Fatalf("header %s", head)
	}
	return rows[1:]
}

func readParquet(t *testing.T, path string) (rows [][]string) {
	t.Helper()
	found, err := parquet.ReadFile[parquetRow](path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		rows = append(rows, []string{r.Domain, r.Class, r.Family, r.Source})
	}
	return rows
}

// Every format holds the rows of the split in their order, and process-data reads it back to the same names.
func TestFormatsHoldTheRows(t *testing.T) {
	dir, want := dataSet(t)
	if len(want) != 7 {
		t.Fatalf("%d rows in the data set", len(want))
	}
	for _, f := range Formats() {
		t.Run(f.Name, func(t *testing.T) {
			out := t.TempDir()
			path := f.File(out, "test")
			rows, err := f.WriteFile(t.Context(), manifest(t, dir), "test", path)
			if err != nil || rows != int64(len(want)) {
				t.Fatalf("%d rows, %v", rows, err)
			}
			var got [][]string
			if f.Name == "parquet" {
				got = readParquet(t, path)
			} else {
				got = readCSV(t, path)
			}
			for i := range want {
				if strings.Join(got[i], "|") != strings.Join(want[i], "|") {
					t.Errorf("row %d: %q, want %q", i, got[i], want[i])
				}
			}
			again := t.TempDir()
			m, err := prepare.Run(t.Context(), path, again, prepare.Options{Validation: -1, Test: 0.999999})
			if err != nil {
				t.Fatal(err)
			}
			if m.Kept != int64(len(want)) {
				t.Errorf("read back: %d of %d names, refused %v", m.Kept, len(want), m.RefusedBy)
			}
		})
	}
}

func TestWriteLeavesNothingBehind(t *testing.T) {
	dir, _ := dataSet(t)
	out := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := manifest(t, dir)
	for _, f := range Formats() {
		if _, err := f.WriteFile(ctx, m, "test", f.File(out, "test")); err == nil {
			t.Errorf("%s: no error after the context ended", f.Name)
		}
		if _, err := f.Write(ctx, m, datasets.SplitNames(), out); err == nil {
			t.Errorf("%s: no error after the context ended", f.Name)
		}
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A folder gets the splits of one data set: if another takes its place meanwhile, none of them.
func TestWriteOneVersion(t *testing.T) {
	dir, _ := dataSet(t)
	f, out := Formats()[0], t.TempDir()
	old := manifest(t, dir)
	if _, err := f.Write(t.Context(), old, datasets.SplitNames(), out); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(f.File(out, "test"))
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "dga.txt")
	if err := os.WriteFile(list, []byte("a.com\nb.com\nc.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := prepare.Options{Validation: -1, Test: 0.999999}
	if _, err := prepare.Run(t.Context(), list, dir, o); err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(t.Context(), old, datasets.SplitNames(), out)
	if !errors.Is(err, datasets.ErrReplaced) {
		t.Errorf("error %v", err)
	}
	if after, err := os.ReadFile(f.File(out, "test")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the earlier file has changed: %v", err)
	}
	if left, _ := os.ReadDir(out); len(left) != len(datasets.SplitNames()) {
		t.Errorf("left behind: %v", left)
	}
}

func manifest(t *testing.T, dir string) *datasets.Manifest {
	t.Helper()
	m, err := datasets.ReadManifest(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"a.b": "a.b", "a,b": `"a,b"`, `a"b`: `"a""b"`, "": ""} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestByName(t *testing.T) {
	if _, err := ByName("paquet"); err == nil || !strings.Contains(err.Error(), "did you mean parquet?") {
		t.Error(err)
	}
	if f, ok := ForFile("a/B.CSV.GZ"); !ok || f.Name != "csv.gz" {
		t.Error(f, ok)
	}
}
