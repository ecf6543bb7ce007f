package prepare

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/model/dnsname"
)

// The input may be a link, and so may folders in it, wherever they lead.
func TestProcessThroughLinks(t *testing.T) {
	in := tree(t, map[string]string{
		"raw/dga/a.txt":   "a1.com\na2.com\n",
		"disk/benign.txt": "b1.com\n",
		"disk/.hidden":    "no.com\n",
	})
	for link, target := range map[string]string{"link": "raw", "raw/lists": "../disk", "raw/again": "dga",
		"disk/loop": "../raw"} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(in, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	m := mustProcess(t, filepath.Join(in, "link"), t.TempDir(), Options{})
	var paths, skipped []string
	for _, i := range m.Inputs {
		paths = append(paths, i.Path)
	}
	for _, s := range m.Skipped {
		skipped = append(skipped, s.Path+": "+s.Reason)
	}
	if want := []string{"dga/a.txt", "lists/benign.txt"}; !slices.Equal(paths, want) || m.Kept != 3 {
		t.Errorf("inputs %q, %d kept; want %q", paths, m.Kept, want)
	}
	const reason = ": a folder that is read under another name"
	want := []string{"again" + reason, "lists/.hidden: hidden, by its name", "lists/loop" + reason}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
	for _, l := range located(t, filepath.Join(in, "link")) { // a runner opens them again by their names
		if n := reread(t, l); n == 0 {
			t.Errorf("%s: no rows", l.File)
		}
	}
}

// A declared class counts whatever the numbers beside the names are.
func TestSidecarClassOfNumberedNames(t *testing.T) {
	m := mustProcess(t, tree(t, map[string]string{
		"x.csv":             "a1.com,1\na2.com,1\n",
		"x.csv.degas.json":  `{"class":"dga"}`,
		"y.csv":             "b1.com,0\nb2.com,1\n",
		"y.csv.degas.json":  `{"class":"benign","format":"ranked"}`,
		"left/out.csv":      "c1.com,1\nc2.com,1\n",
		"benign/listed.txt": "d1.com\n",
	}), t.TempDir(), Options{})
	if m.Kept != 5 || m.Refused != 0 || len(m.Skipped) != 1 || !strings.Contains(m.Skipped[0].Reason, "add a header") {
		t.Errorf("%d kept, %d refused, skipped %+v", m.Kept, m.Refused, m.Skipped)
	}
}

// A path is no part of a name, and a '/' is left in the names of tunnels alone.
func TestPathsAndPorts(t *testing.T) {
	out := t.TempDir()
	m := mustProcess(t, tree(t, map[string]string{
		"benign/a.txt": "a1.com\na1.com/index.html\nA2.com:443\na3.com:80/x?y=z.com\na4.corp/x.y\n192.0.2.1:80/x\n",
		"dga/b.txt":    "b1.net/b2.net\nq+b3/x.net\n_dmarc.m\u00fcller.de\n_dmarc.xn--mller-kva.de\n",
		"tunnel/c.txt": "q+Z8/ab.t.example.com\nq+Z9/ab.t.example.com:53\n",
	}), out, Options{Validation: -1, Test: -1})
	var got []string
	for _, r := range splitRows(t, out, "train") {
		got = append(got, r.Class.String()+" "+r.Name)
	}
	slices.Sort(got)
	want := "benign a1.com; benign a2.com; benign a3.com; dga _dmarc.xn--mller-kva.de; dga b1.net; " +
		"tunnel q+z8/ab.t.example.com; tunnel q+z9/ab.t.example.com"
	if g := strings.Join(got, "; "); g != want {
		t.Errorf("%s\nwant %s", g, want)
	}
	if m.RefusedBy[dnsname.ErrSlash.Error()] != 2 || m.RefusedBy[dnsname.ErrAddress.Error()] != 1 || m.Refused != 3 {
		t.Errorf("refused: %v", m.RefusedBy)
	}
}

// wide is text in UTF-16 as Windows PowerShell writes it.
func wide(text string) string {
	out := "\xff\xfe"
	for _, u := range utf16.Encode([]rune(text)) {
		out += string([]byte{byte(u), byte(u >> 8)})
	}
	return out
}

// Text in UTF-16 is read like any other, packed or not, with or without its mark, and so is a sidecar.
func TestUTF16(t *testing.T) {
	names := ""
	for i := range 3000 { // more than the head that formats are recognised by
		names += fmt.Sprintf("m\u00fcller%d.de\r\n", i)
	}
	m := mustProcess(t, tree(t, map[string]string{
		"benign/a.txt":       wide(names),
		"dga/b.txt.gz":       wide("b1.com\r\nb2.com\r\n"),
		"c.csv":              wide("domain,class\r\nc1.com,benign\r\nc2.com,dga\r\n")[2:],
		"d.zip":              zipped(t, map[string]string{"dga/d.txt": wide("d1.com\n"), "benign/d.txt": wide("d2.com\n")}),
		"words.x":            "e1.com\n",
		"words.x.degas.json": wide("{\"class\":\"benign\"}\r\n"),
	}), t.TempDir(), Options{})
	if m.Kept != 3007 || m.Refused != 0 || len(m.Inputs) != 6 || len(m.Skipped) != 0 {
		t.Errorf("%d kept, %d refused, %d inputs, skipped %+v", m.Kept, m.Refused, len(m.Inputs), m.Skipped)
	}
}

// What a block list holds besides names is counted, and is no mistake, however much it is.
func TestBlockLists(t *testing.T) {
	out := t.TempDir()
	m := mustProcess(t, tree(t, map[string]string{
		"lists/easy.txt":    "[Adblock Plus 2.0]\n||ads.com^\n" + strings.Repeat("@@||good.com^\n##.banner\n", 100),
		"lists/hosts":       "127.0.0.1 localhost\n0.0.0.0 ads.com tracker.com\n0.0.0.0 known.com\n",
		"etc/hosts":         "127.0.0.1 localhost\n192.0.2.1 server.example.com\n",
		"my.rpz":            "$ORIGIN rpz.local.\n@ SOA a. b. 1 2 3 4 5\n*.bad.com.rpz.local. CNAME .\n",
		"my.rpz.degas.json": `{"class":"dga","family":"tinba"}`,
		"benign/known.txt":  "known.com\n",
	}), out, Options{Validation: -1, Test: -1})
	var got []string
	for _, r := range splitRows(t, out, "train") {
		got = append(got, fmt.Sprint(r.Name, " ", r.Class, " ", r.Family))
	}
	slices.Sort(got)
	const want = "ads.com dga blocklist, bad.com dga tinba, known.com benign , tracker.com dga blocklist"
	if g := strings.Join(got, ", "); g != want || m.Refused != 0 || m.RowsIn != 6 {
		t.Errorf("%s\nwant %s\n%d rows, refused %v", g, want, m.RowsIn, m.RefusedBy)
	}
	if fmt.Sprint(slices.Sorted(maps.Values(m.LeftOut))) != "[1 100 100]" || len(m.Skipped) != 1 ||
		m.Skipped[0].Path != "etc/hosts" {
		t.Errorf("left out %v, skipped %v", m.LeftOut, m.Skipped)
	}
}

// givenUp is a reader that stops at a bad row, when good ones are still on their way.
type givenUp struct{}

func init() { formats.Register(givenUp{}) }

func (givenUp) Name() string                       { return "given-up" }
func (givenUp) Match(string, []byte) (int, string) { return 0, "it is for a test" }
func (givenUp) Read(_ context.Context, _ io.Reader, _ formats.FileInfo, sink formats.Sink) error {
	r := sink.(*inputRead)
	r.usable.Store(true)
	r.rows.Store(earlyCheck)
	r.refused.Store(earlyCheck / 10)
	err := sink.Refuse(1, "too few columns")
	r.rows.Store(100 * earlyCheck)
	return err
}

// What was given up is not whole, even if the rows read turn out to be tolerable.
func TestGivenUpIsAnError(t *testing.T) {
	found, _, err := formats.Discover(t.Context(), tree(t, map[string]string{
		"dga/a.txt":            "a.com\n",
		"dga/a.txt.degas.json": `{"format": "given-up"}`,
	}), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer formats.Close(found)
	err = newInputRead(found[0], &readPass{maxBad: 0.02}).readAndSum(t.Context())
	want := "read dga/a.txt: 10001 of 100001 rows are bad, more than the 2 % allowed"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want one beginning %q", err, want)
	}
}

// A file without a usable name is left out like any other that is not read, and listed, however long it is. It is an
// error if nobody may leave it out, or if it is all there is.
func TestNoUsableName(t *testing.T) {
	addresses := strings.Repeat("192.0.2.1\n", earlyCheck+1)
	files := map[string]string{"benign/servers.txt": addresses, "dga/a.txt": "a1.com\na2.com\n", "dga/pdf.pdf": "%PDF",
		"benign/servers.txt.degas.json": `{"class": "benign"}`, "dga/a.txt.degas.json": `{"class": "dga"}`}
	m := mustProcess(t, tree(t, files), t.TempDir(), Options{})
	const want = "[{benign/servers.txt no usable name in it: an IP address, not a name  } " +
		"{dga/pdf.pdf documentation, by its name  }]"
	if got := fmt.Sprint(m.Skipped); got != want || m.Kept != 2 || m.RowsIn != 2 || m.Refused != 0 || len(m.Inputs) != 1 {
		t.Errorf("%d of %d rows kept, %d refused, skipped %s", m.Kept, m.RowsIn, m.Refused, got)
	}
	_, err := Run(t.Context(), tree(t, files), t.TempDir(), Options{Strict: true})
	if err == nil || !strings.Contains(err.Error(), "read benign/servers.txt: 100001 of 100001 rows are bad") {
		t.Errorf("a strict run: error %v", err)
	}
	for name, more := range map[string]string{"all there is": "", "some usable": "a.com\nb.com\n"} {
		in := tree(t, map[string]string{"benign/servers.txt": addresses + more})
		_, err = Run(t.Context(), in, t.TempDir(), Options{})
		if err == nil || !strings.Contains(err.Error(), "are bad, more than the 1 % allowed") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestUMUDGAReadsTheLargestTier(t *testing.T) {
	const root = "UMUDGA/Fully Qualified Domain Names/"
	m := mustProcess(t, tree(t, map[string]string{
		root + "alureon/list/1000.txt":  "a1.com\n",
		root + "alureon/list/10000.txt": "a1.com\na2.com\n",
		root + "alureon/list/5000.txt":  "a1.com\n",
		root + "legit/list/1000.txt":    "google.com\n",
		root + "alureon/csv/1000.csv":   "NLP_N,CLASS,\n1,alureon,\n",
	}), t.TempDir(), Options{})
	if m.RowsIn != 3 || len(m.Inputs) != 2 || m.Inputs[0].Source != "umudga" {
		t.Errorf("%d rows from %+v", m.RowsIn, m.Inputs)
	}
	if len(m.Skipped) != 3 {
		t.Errorf("skipped %+v", m.Skipped)
	}
}

func zstandard(t testing.TB, text string) string {
	t.Helper()
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(text))
	w.Close()
	return z.String()
}

// bzipped is text as Python's bz2 compresses it.
const bzipped = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x47\x8d\xf6\x80\x00\x00\x03\x51\x80\x00\x10\x00\x01\x38" +
	"\x82\x90\x00\x20\x00\x21\xa0\xc4\xd0\x83\x26\x21\x30\x53\x54\xc4\x80\x8d\xcf\x17\x72\x45\x38\x50" +
	"\x90\x47\x8d\xf6\x80"

// A compressed file that was cut off is an error wherever the cut is, in a zip too: not an empty file, nor a short
// list.
func TestCutOffInputs(t *testing.T) {
	ranking := ""
	for i := range 900 {
		ranking += fmt.Sprintf("%d,name%d.com\n", i+1, i)
	}
	for name, whole := range map[string]string{
		"dga/a.txt.bz2": bzipped, "dga/a.txt.zst": zstandard(t, "a.com\nb.com\n"),
		"dga/a.txt.gz.x": string(gzipped([]byte("a.com\nb.com\n"))), "benign/top.csv.gz.x": string(gzipped([]byte(ranking))),
		"benign/top.csv.zst": zstandard(t, ranking),
	} {
		for _, size := range []int{4, 12, len(whole) / 2, len(whole) * 9 / 10, len(whole) - 1} {
			cut := whole[:size]
			for where, files := range map[string]map[string]string{
				"a file":       {name: cut, "benign/good.txt": "good.com\n"},
				"a zip member": {"x.zip": zipped(t, map[string]string{name: cut, "benign/good.txt": "good.com\n"})},
			} {
				_, err := Run(t.Context(), tree(t, files), t.TempDir(), Options{})
				if err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
					t.Errorf("%s, %d of %d bytes in %s: %v", name, size, len(whole), where, err)
				}
			}
		}
	}
}

func TestCompressions(t *testing.T) {
	const text = "a.com\nb.com\nc.org\n"
	files := map[string]string{
		"dga/one.txt.gz":  text,
		"dga/two.txt.zst": zstandard(t, text),
		"dga/three.txt":   text,
		"dga/seven.bz2":   bzipped,
		"dga/four.zip":    zipped(t, map[string]string{"inner.txt": text}),
		"many.zip": zipped(t, map[string]string{"root/dga/five.txt": text,
			"root/dga/six.txt.gz": string(gzipped([]byte(text))),
			"root/LICENSE":        "MIT", "root/notes.txt": "nothing"}),
	}
	m := mustProcess(t, tree(t, files), t.TempDir(), Options{})
	if m.RowsIn != 7*3 || m.Kept != 3 || m.Duplicates != 18 {
		t.Errorf("%d rows, %d kept, %d duplicates", m.RowsIn, m.Kept, m.Duplicates)
	}
	if got := skippedPaths(m); got != "many.zip!root/LICENSE, many.zip!root/notes.txt" {
		t.Errorf("skipped %+v", m.Skipped)
	}
}

// skippedPaths is what was skipped, in order.
func skippedPaths(m *datasets.Manifest) string {
	var paths []string
	for _, s := range m.Skipped {
		paths = append(paths, s.Path)
	}
	slices.Sort(paths)
	return strings.Join(paths, ", ")
}

func zipped(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// dataset.json says which folder was read, unless that tells of the machine, and which families it calls otherwise.
func TestInputAndRenamedFamilies(t *testing.T) {
	var bebloh, benign, script strings.Builder
	for i := range 60 {
		fmt.Fprintf(&bebloh, "xq%dzjk.net\n", i)
		fmt.Fprintf(&script, "vw%dqqz.net\n", i)
		fmt.Fprintf(&benign, "house%d.com\n", i)
	}
	dir := tree(t, map[string]string{"raw/dga/bebloh.txt": bebloh.String(), "raw/benign/list.txt": benign.String(),
		"raw/dga/unnamed_javascript_dga.txt": script.String(), "raw/dga/odd.txt": "a.com\nnot one name\nnor | this\n"})
	m := mustProcess(t, filepath.Join(dir, "raw"), filepath.Join(dir, "elsewhere"), Options{})
	if m.Input != "" {
		t.Errorf("input %q, want none", m.Input)
	}
	t.Chdir(dir)
	m = mustProcess(t, filepath.Join(dir, "raw"), "processed", Options{})
	if m.Input != "raw" {
		t.Errorf("input %q, want raw", m.Input)
	}
	if want := map[string]string{"bebloh": "shiotob"}; !maps.Equal(m.RenamedFamilies, want) {
		t.Errorf("renamed %v, want %v", m.RenamedFamilies, want)
	}
	if n := m.Split("train").ByFamily["unnamed_javascript_dga"]; n == 0 {
		t.Errorf("families %v", m.Split("train").ByFamily)
	}
	if len(m.Skipped) != 1 || m.Skipped[0].Line != `line 2 is no name: "not one name"` {
		t.Errorf("skipped %+v", m.Skipped)
	}
}

// A user's list outside a class folder is left out: the summary says what it lacks, and says no such thing of a text.
func TestListWithoutAClassSaysWhatToDo(t *testing.T) {
	dir := tree(t, map[string]string{"raw/dga/qakbot.txt": "qxvjzkwpfd.biz\n", "raw/benign/a.txt": "example.com\n",
		"raw/mine.txt": "zkqjvwxnne.info\nexample.org\n", "raw/notes.txt": "These are my lists.\n"})
	m := mustProcess(t, filepath.Join(dir, "raw"), filepath.Join(dir, "out"), Options{})
	if len(m.Skipped) != 2 || !strings.Contains(m.Skipped[0].Line, "try: degas describe") || m.Skipped[1].Line != "" {
		t.Errorf("skipped %+v", m.Skipped)
	}
}

// The families that degas generates are known ones: "necurs dga" is necurs.
func TestGeneratedFamiliesAreKnown(t *testing.T) {
	for _, f := range synth.Families() {
		if f.Class == synth.ClassDGA && !datasets.KnownFamily(f.Name) {
			t.Errorf("%s is not known", f.Name)
		}
	}
}
