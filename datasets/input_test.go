package datasets

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The input may be a link, and so may folders in it, wherever they lead.
func TestProcessThroughLinks(t *testing.T) {
	in := tree(t, map[string]string{
		"raw/dga/a.txt":   "a1.com\na2.com\n",
		"disk/benign.txt": "b1.com\n",
		"disk/.hidden":    "no.com\n",
	})
	for link, target := range map[string]string{"link": "raw", "raw/lists": "../disk", "raw/again": "dga", "disk/loop": "../raw"} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(in, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	m := mustProcess(t, filepath.Join(in, "link"), t.TempDir(), ProcessOptions{})
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
	if want := []string{"again" + reason, "lists/loop" + reason}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
	inputs, _, err := Inputs(t.Context(), filepath.Join(in, "link"))
	if err != nil || len(inputs) != 2 {
		t.Fatalf("%+v, %v", inputs, err)
	}
	for _, i := range inputs { // a runner opens them again by their names
		n := 0
		if _, err := i.Read(t.Context(), t.TempDir(), 0, func(Record) error { n++; return nil }); err != nil || n == 0 {
			t.Errorf("%s: %d rows, %v", i.File, n, err)
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
	}), t.TempDir(), ProcessOptions{})
	if m.Kept != 5 || m.Refused != 0 || len(m.Skipped) != 1 || !strings.Contains(m.Skipped[0].Reason, "add a header") {
		t.Errorf("%d kept, %d refused, skipped %+v", m.Kept, m.Refused, m.Skipped)
	}
}

// givenUp is a reader that stops at a bad row, when good ones are still on their way.
type givenUp struct{ listReader }

func (givenUp) Read(_ context.Context, _ io.Reader, _ FileInfo, sink Sink) error {
	r := sink.(*reading)
	r.rows.Store(earlyVerdit)
	r.refused.Store(earlyVerdit / 10)
	err := sink.Refuse(1, reasonColumns)
	r.rows.Store(100 * earlyVerdit)
	return err
}

// What was given up is not whole, even when the rows read turn out to be tolerable.
func TestGivenUpIsAnError(t *testing.T) {
	found, _, err := discover(t.Context(), tree(t, map[string]string{"dga/a.txt": "a.com\n"}))
	if err != nil {
		t.Fatal(err)
	}
	found[0].reader = givenUp{}
	r := &reading{input: found[0], refusedBy: map[string]int64{}, run: &firstPass{maxBad: 0.02, progress: func(int64) {}}}
	err = r.read(t.Context())
	if want := "read dga/a.txt: 10001 of 100001 rows are bad, more than the 2 % allowed"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want one beginning %q", err, want)
	}
}

func TestCleanSource(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"": "", "My Feed": "my_feed", "a\x7f\xff": "a__", long + "b": long + "b", long + "bc": long + "b",
		long + "éa": long, strings.Repeat("日", 30): strings.Repeat("日", 21), strings.Repeat("é", 32): strings.Repeat("é", 32),
	} {
		if got := cleanSource(in); got != want || !utf8.ValidString(got) {
			t.Errorf("cleanSource(%q) = %q, want %q", in, got, want)
		}
	}
}
