package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Archives of a.txt ("google.com\n") and b.txt ("b.org\n") as GNU tar with xz 5.4 and bzip2 1.0.8, and 7-Zip 16, made
// them; and a.txt alone as xz.
const (
	tarXz = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AIddADCLiofEDvKXpPh1PcWp7dmXqZgl2Hs0Cm9fDqHTjDmDHqZT0RzJ4nFdR+/v" +
		"WeV31UZYdJCG67fzoujEGFFAI4Zy1Ll2iinDn61MrbF8dEZn+pTkw2zFiG9blOuhvleO6QOPBrCMcec/98TK6dkX28h5NBWa8EdA" +
		"VowhWGja2w8k/44k1XwUAAAAT259U8OKRAYAAaMBgFAAAKYGWOCxxGf7AgAAAAAEWVo="
	tarBz2 = "QlpoOTFBWSZTWXlBxesAAJV7hMsQAEBAAX8AAAh6hp5AAACQCCAAkoSqeUxBoAYgaAKoponqNB6gDIDTT2YpXKyCb4REL7WVLluO" +
		"DUb0oguRnlSL3pczyynBjsEeFUUSo7pdOK9RbCYxGlQpJo4QghWURie/cdwm2Sk1YDmBIR48/KNEtFWizWiD+LuSKcKEg8oOL1g="
	seven = "N3q8ryccAAQxsLHYbwAAAAAAAAAgAAAAAAAAAK302oQBABBnb29nbGUuY29tCmIub3JnCgAAAIEzB64Pz0tvjAfIQ39Bsfr95GF5" +
		"6W09KMvuN9Q2zJQ7pEE/aCSsL1nylWEuc0OMyHcHDvawd/63HBkcS352OEGF4ufep2gJPPEBpP/hsBJP0zjIvNwAAAAXBhUBCVoA" +
		"BwsBAAEjAwEBBV0AEAAADG4KAUIioRYAAA=="
	oneXz = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAKZ29vZ2xlLmNvbQoAAPVPjBf8zBtYAAEjC8Ib/QkftvN9AQAAAAAEWVo="
)

// extractTo unpacks archive into dir as a download that is one, and returns the members.
func extractTo(ctx context.Context, archive, dir string, e Extraction, b bounds) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	members, err := (&job{dir: dir, final: archive, f: File{Path: "the archive", Extract: &e}, bounds: b}).unpack(ctx)
	return slices.Sorted(maps.Keys(members)), err
}

func extractBytes(t testing.TB, name string, data []byte, e Extraction, b bounds) (string, []string, error) {
	t.Helper()
	work := t.TempDir()
	dir := filepath.Join(work, "out")
	members, err := extractTo(context.Background(), write(t, work, name, data), dir, e, b)
	return dir, members, err
}

type member struct{ name, text string }

var twoFiles = []member{{"a.txt", "google.com\n"}, {"b.txt", "b.org\n"}}

func zipped(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if strings.HasPrefix(m.text, "symlink:") {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, strings.TrimPrefix(m.text, "symlink:"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		special := map[string]byte{"symlink:": tar.TypeSymlink, "link:": tar.TypeLink, "device:": tar.TypeChar}
		for prefix, flag := range special {
			if rest, ok := strings.CutPrefix(m.text, prefix); ok {
				h.Typeflag, h.Linkname, h.Size = flag, rest, 0
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			fmt.Fprint(w, m.text)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestExtractEveryKind(t *testing.T) {
	for name, data := range map[string][]byte{
		"t.zip":     zipped(t, twoFiles...),
		"t.tar":     tarred(t, twoFiles...),
		"t.tar.gz":  gzipped(t, tarred(t, twoFiles...)),
		"t.tar.zst": zstandard(t, tarred(t, twoFiles...)),
		"t.tar.bz2": unbase64(t, tarBz2),
		"a.txt.gz":  gzipped(t, []byte(twoFiles[0].text)),
		"a.txt.zst": zstandard(t, []byte(twoFiles[0].text)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, out := write(t, dir, name, data), filepath.Join(dir, "out")
			got, err := extractTo(context.Background(), path, out, Extraction{}, usualBounds)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"a.txt", "b.txt"}
			if strings.HasPrefix(name, "a.txt") {
				want = want[:1]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("members %v, want %v", got, want)
			}
			for i, n := range got {
				wantFile(t, out, n, []byte(twoFiles[i].text))
			}
			// Cut short and damaged in the middle, it is an error and leaves everything as it was.
			before := listing(t, dir)
			for what, bad := range map[string][]byte{"cut": data[:len(data)*2/3], "flipped": flipped(data)} {
				_, err := extractTo(context.Background(), write(t, t.TempDir(), name, bad), out, Extraction{}, usualBounds)
				if err == nil && name != "t.tar" { // a plain tar has checksums on its headers alone
					t.Errorf("%s: no error", what)
				}
			}
			if after := listing(t, dir); after != before {
				t.Errorf("left behind: %s, before %s", after, before)
			}
		})
	}
}

func flipped(data []byte) []byte {
	out := slices.Clone(data)
	for i := len(out) / 3; i < len(out)*2/3; i += 7 {
		out[i] ^= 0x55
	}
	return out
}

func TestExtractRefuses(t *testing.T) {
	many := make([]member, 30)
	for i := range many {
		many[i] = member{fmt.Sprintf("f%d", i), "x"}
	}
	bomb := member{"zeros", strings.Repeat("\x00", 20<<20)}
	leadsOut := Extraction{Select: func(string) (string, bool) { return "../a", true }}
	kinds := map[string]func(testing.TB, ...member) []byte{
		"zip":    zipped,
		"tar.gz": func(t testing.TB, m ...member) []byte { return gzipped(t, tarred(t, m...)) },
	}
	for _, tc := range []struct {
		name       string
		members    []member
		extraction Extraction
		bounds     bounds // the zero value means usualBounds
		want       error
	}{
		{name: "traversal", members: []member{{"../x", "1"}}, want: ErrUnsafe},
		{name: "inner traversal", members: []member{{"a/../../x", "1"}}, want: ErrUnsafe},
		{name: "absolute", members: []member{{"/etc/x", "1"}}, want: ErrUnsafe},
		{name: "backslash", members: []member{{`..\x`, "1"}}, want: ErrUnsafe},
		{name: "drive", members: []member{{"c:/x", "1"}}, want: ErrUnsafe},
		{name: "symlink", members: []member{{"l", "symlink:/etc/passwd"}}, want: ErrUnsafe},
		{name: "twice", members: []member{{"a", "1"}, {"a", "2"}}, want: ErrUnsafe},
		{name: "file as folder", members: []member{{"a", "1"}, {"a/b", "2"}}, want: ErrUnsafe},
		{name: "select leads out", members: []member{{"a", "1"}}, extraction: leadsOut, want: ErrUnsafe},
		{name: "ratio", members: []member{bomb}, want: ErrBomb},
		{name: "bytes", members: []member{{"a", strings.Repeat("a", 2000)}}, bounds: bounds{1000, 10}, want: ErrBomb},
		{name: "entries", members: many, bounds: bounds{1 << 20, 20}, want: ErrBomb},
	} {
		if tc.bounds == (bounds{}) {
			tc.bounds = usualBounds
		}
		for kind, pack := range kinds {
			t.Run(tc.name+"/"+kind, func(t *testing.T) {
				dir := t.TempDir()
				path := write(t, dir, "x."+kind, pack(t, tc.members...))
				before := listing(t, dir)
				_, err := extractTo(context.Background(), path, filepath.Join(dir, "out"), tc.extraction, tc.bounds)
				if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want %v naming the archive", err, tc.want)
				}
				if after := listing(t, dir); after != before {
					t.Errorf("left behind: %s", after)
				}
			})
		}
	}
	for _, text := range []string{"link:a", "device:"} {
		_, _, err := extractBytes(t, "x.tar", tarred(t, member{"m", text}), Extraction{}, usualBounds)
		if !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

// Files that other programs must unpack are refused in one line that has the command, and stay where they are.
func TestKindsToUnpackFirst(t *testing.T) {
	files := map[string][]byte{
		"/t.tar.xz": unbase64(t, tarXz),
		"/t.TXZ":    unbase64(t, tarXz),
		"/a.txt.xz": unbase64(t, oneXz),
		"/t.7z":     unbase64(t, seven),
	}
	s := newServer(t, files)
	for path, want := range map[string]string{
		"/t.tar.xz": "xz files. Unpack it first: tar -C 'DIR' -xJf 'DIR/t.tar.xz'",
		"/t.TXZ":    "xz files. Unpack it first: tar -C 'DIR' -xJf 'DIR/t.TXZ'",
		"/a.txt.xz": "xz files. Unpack it first: xz -d 'DIR/a.txt.xz'",
		"/t.7z":     "7z files. Unpack it first: 7z x -o'DIR' 'DIR/t.7z'",
	} {
		dir, name := t.TempDir(), path[1:]
		for range 2 { // the second time, the file is there
			f := File{Path: name, URL: s.URL + path, Extract: &Extraction{Into: name + ".d"}}
			_, err := fetchOne(t, quick(Options{}), dir, f)
			local := filepath.Join(dir, name)
			wanted := fmt.Sprintf("unpack %s: degas does not read %s", local, strings.ReplaceAll(want, "DIR", dir))
			if err == nil || err.Error() != wanted {
				t.Errorf("error %v, want %s", err, wanted)
			}
			wantFile(t, dir, name, files[path])
			if got := listing(t, dir); got != name {
				t.Errorf("on disk: %s", got)
			}
		}
	}
}

func TestExtractSelects(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "x.zip", zipped(t,
		member{"/Title/list/a.txt", "a"},
		member{"/Title/src/b.txt", "b"},
		member{"/Title/l", "symlink:/etc"}))
	lists := Extraction{LeadingSlash: true, Select: func(name string) (string, bool) {
		_, rest, ok := strings.Cut(name, "/list/")
		return "names/" + rest, ok
	}}
	got, err := extractTo(context.Background(), path, filepath.Join(dir, "out"), lists, usualBounds)
	if err != nil || !slices.Equal(got, []string{"names/a.txt"}) {
		t.Fatalf("%v, %v", got, err)
	}
	wantFile(t, filepath.Join(dir, "out"), "names/a.txt", []byte("a"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := extractTo(ctx, path, filepath.Join(dir, "other"), lists, usualBounds); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled extraction: %v", err)
	}
	_, _, err = extractBytes(t, "x.txt", []byte("no archive at all"), Extraction{}, usualBounds)
	if !errors.Is(err, ErrFormat) {
		t.Errorf("no archive: %v", err)
	}
}

// A download that is an archive is unpacked, remembered, and not fetched again.
func TestFetchExtracts(t *testing.T) {
	s := newServer(t, map[string][]byte{"/x.zip": zipped(t, twoFiles...)})
	dir := t.TempDir()
	f := File{Path: "x.zip", URL: s.URL + "/x.zip", Extract: &Extraction{Into: "data"}}
	for range 2 {
		if _, err := fetchOne(t, quick(Options{}), dir, f); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, dir, "data/a.txt", []byte(twoFiles[0].text))
	if s.count() != 1 {
		t.Errorf("%d requests, want 1", s.count())
	}
}

// FuzzExtract unpacks anything: nothing may appear outside the output directory, and nothing may panic.
func FuzzExtract(f *testing.F) {
	f.Add(zipped(f, twoFiles...))
	f.Add(tarred(f, twoFiles...))
	f.Add(gzipped(f, tarred(f, twoFiles...)))
	f.Add(zstandard(f, tarred(f, twoFiles...)))
	for _, s := range []string{tarXz, tarBz2, seven, oneXz} {
		f.Add(unbase64(f, s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		narrow := bounds{bytes: 1 << 20, entries: 100}
		_, _ = extractTo(context.Background(), path, filepath.Join(dir, "out", "inner"), Extraction{}, narrow)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "x" && e.Name() != "out" {
				t.Fatalf("%s appeared outside the output", e.Name())
			}
		}
	})
}
