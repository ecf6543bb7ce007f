package prepare

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tarred is a tar of files, and of links where the text begins with "->".
func tarred(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644}
		if to, link := strings.CutPrefix(text, "->"); link {
			h, text = &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sampleMembers are members of an archive: lists, a table, a compressed list, and what is not read.
func sampleMembers(t testing.TB) map[string]string {
	return map[string]string{
		"./set/alexa/top.txt":    "a1.com\na2.com\n",
		"set/dga/tinba.txt.gz":   string(gzipped([]byte("b1.com\nb2.com\n"))),
		"/set/table.csv":         "domain,class\nc1.com,benign\nc2.com,dga\n",
		"set/wide/benign.txt":    wide("d1.com\r\n"),
		"set/notes.txt":          "no names here\n",
		"set/README":             "a set",
		"set/.cache/dga/x.txt":   "hidden.com\n",
		"__MACOSX/set/._top.txt": "hidden.com\n",
		"set/inner.zip":          zipped(t, map[string]string{"dga/x.txt": "inner.com\n"}),
		"set/inner.tgz":          string(gzipped([]byte(tarred(t, map[string]string{"dga/x.txt": "inner.com\n"})))),
		"set/dga/linked.txt":     "->tinba.txt",
	}
}

// The members of an archive are read and listed alike, whatever it is packed with.
func TestArchives(t *testing.T) {
	members := sampleMembers(t)
	packed := tarred(t, members)
	zipMembers := sampleMembers(t)
	delete(zipMembers, "set/dga/linked.txt")
	for name, text := range map[string]string{"x.tar": packed, "x.tar.gz": packed,
		"x.tgz": string(gzipped([]byte(packed))), "x.bin": zstandard(t, packed), "x.zip": zipped(t, zipMembers)} {
		out := t.TempDir()
		m := mustProcess(t, tree(t, map[string]string{name: text}), out, Options{Validation: -1, Test: -1})
		var got, inputs []string
		for _, r := range splitRows(t, out, "train") {
			got = append(got, fmt.Sprint(r.Name, " ", r.Class, " ", r.Family))
		}
		slices.Sort(got)
		const want = "a1.com benign , a2.com benign , b1.com dga tinba, b2.com dga tinba, c1.com benign , c2.com dga , " +
			"d1.com benign "
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("%s: %s\nwant %s", name, g, want)
		}
		for _, i := range m.Inputs {
			inputs = append(inputs, i.Path)
		}
		for _, s := range m.Skipped {
			if s.Reason == "" || s.Path == name+"!set/inner.zip" && !strings.HasPrefix(s.Reason, "an archive inside") {
				t.Errorf("%s: skipped %+v", name, s)
			}
			inputs = append(inputs, s.Path)
		}
		slices.Sort(inputs)
		var all []string // every member is read or skipped
		for member := range members {
			if member != "set/dga/linked.txt" || name != "x.zip" {
				all = append(all, name+"!"+member)
			}
		}
		slices.Sort(all)
		if !slices.Equal(inputs, all) {
			t.Errorf("%s: %q\nwant %q", name, inputs, all)
		}
		if left, _ := filepath.Glob(filepath.Join(out, ".degas-process-*")); len(left) > 0 {
			t.Errorf("%s: left %q", name, left)
		}
	}
}

// A runner opens the members of an archive again by their names.
func TestLocateArchives(t *testing.T) {
	files := map[string]string{"dga/a.txt": "a.com\n", "dga/b.txt": "b.com\n"}
	found := located(t, tree(t, map[string]string{
		"x.tar": tarred(t, files), "y.zip": zipped(t, files), "z.tar.gz": tarred(t, files)}))
	if len(found) != 3 {
		t.Fatalf("%+v", found)
	}
	for _, l := range found {
		if n := reread(t, l); n != 2 || len(l.Inputs) != 2 {
			t.Errorf("%s: %d rows of %+v", l.File, n, l.Inputs)
		}
	}
}

// The one file of an archive goes by the archive's name, but not against its own.
func TestArchivesOfOneFile(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, tree(t, map[string]string{
		"dga/zeus.tgz":    tarred(t, map[string]string{"list.txt": "a.com\n", "README": "x"}),
		"dga-data.tar":    tarred(t, map[string]string{"benign.txt": "b.com\n"}),
		"dga-set.zip":     zipped(t, map[string]string{"x/alexa/top.txt": "c.com\n"}),
		"tranco.csv.zip":  zipped(t, map[string]string{"top-1m.csv": "1,d.com\n2,e.com\n"}),
		"blocklist.2.tar": tarred(t, map[string]string{"names": "f.com\n"}),
	}), out, Options{Validation: -1, Test: -1})
	var got []string
	for _, r := range splitRows(t, out, "train") {
		got = append(got, fmt.Sprint(r.Name, " ", r.Class, " ", r.Family))
	}
	slices.Sort(got)
	const want = "a.com dga zeus, b.com benign , c.com benign , d.com benign , e.com benign , f.com dga blocklist"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("%s\nwant %s", g, want)
	}
}

// A tar that was cut off is an error wherever the cut is, as a compressed file is.
func TestCutOffTars(t *testing.T) {
	files := map[string]string{"dga/a.txt": strings.Repeat("a.com\n", 5000)}
	for name, whole := range map[string]string{"x.tar": tarred(t, files),
		"x.tgz": string(gzipped([]byte(tarred(t, files)))), "x.tar.zst": zstandard(t, tarred(t, files))} {
		for _, share := range []float64{0.3, 0.6, 0.9} {
			cut := whole[:int(share*float64(len(whole)))]
			_, err := Run(t.Context(), tree(t, map[string]string{name: cut, "benign/b.txt": "b.com\n"}), t.TempDir(), Options{})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %g of it: %v", name, share, err)
			}
		}
	}
}

// Every file is read or listed, those too that nobody would take for data.
func TestEveryFileIsReadOrListed(t *testing.T) {
	files := map[string]string{
		"dga/a.txt": "a.com\n", "dga/a.txt.degas.json": `{"family":"x"}`, "dga/gone.txt.degas.json": `{"family":"x"}`,
		"LICENSE": "x", "README.md": "x", "paper.pdf": "x", "SHA256SUMS": "x", "x.json": "{}", ".hidden": "x",
		".git/config": "x", ".git/dga/b.txt": "b.com\n", "benign/noticed.txt": "c.com\n", "empty.csv": "",
		"none.tar": strings.Repeat("\x00", 1024), "none.zip": zipped(t, nil),
	}
	in := tree(t, files)
	if err := os.WriteFile(filepath.Join(in, ".degas-fetch.lock"), nil, 0o644); err != nil { // comes and goes
		t.Fatal(err)
	}
	m := mustProcess(t, in, t.TempDir(), Options{})
	const want = ".git, .hidden, LICENSE, README.md, SHA256SUMS, dga/gone.txt.degas.json, empty.csv, none.tar, " +
		"none.zip, paper.pdf, x.json"
	if got := skippedPaths(m); got != want || len(m.Inputs) != 2 {
		t.Errorf("skipped %s\nwant %s\n%d inputs", got, want, len(m.Inputs))
	}
	for _, s := range m.Skipped {
		if s.Reason == "" {
			t.Errorf("%s: no reason", s.Path)
		}
	}
}

// What is kept of every input counts against the memory, however small the inputs are.
func TestManyInputsWithinMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	members := map[string]string{}
	for i := range (64<<20)/inputMemory + 1 {
		members[fmt.Sprintf("benign/%d.txt", i)] = fmt.Sprintf("a%d.com\n", i)
	}
	in := tree(t, map[string]string{"x.zip": zipped(t, members)})
	_, err := Run(t.Context(), in, t.TempDir(), Options{Memory: 1})
	const want = "to keep track of 10923 files takes about 64 MiB, more than the 64 MiB"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
