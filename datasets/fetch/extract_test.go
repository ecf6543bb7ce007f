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
	tarXz  = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AIddADCLiofEDvKXpPh1PcWp7dmXqZgl2Hs0Cm9fDqHTjDmDHqZT0RzJ4nFdR+/vWeV31UZYdJCG67fzoujEGFFAI4Zy1Ll2iinDn61MrbF8dEZn+pTkw2zFiG9blOuhvleO6QOPBrCMcec/98TK6dkX28h5NBWa8EdAVowhWGja2w8k/44k1XwUAAAAT259U8OKRAYAAaMBgFAAAKYGWOCxxGf7AgAAAAAEWVo="
	tarBz2 = "QlpoOTFBWSZTWXlBxesAAJV7hMsQAEBAAX8AAAh6hp5AAACQCCAAkoSqeUxBoAYgaAKoponqNB6gDIDTT2YpXKyCb4REL7WVLluODUb0oguRnlSL3pczyynBjsEeFUUSo7pdOK9RbCYxGlQpJo4QghWURie/cdwm2Sk1YDmBIR48/KNEtFWizWiD+LuSKcKEg8oOL1g="
	seven  = "N3q8ryccAAQxsLHYbwAAAAAAAAAgAAAAAAAAAK302oQBABBnb29nbGUuY29tCmIub3JnCgAAAIEzB64Pz0tvjAfIQ39Bsfr95GF56W09KMvuN9Q2zJQ7pEE/aCSsL1nylWEuc0OMyHcHDvawd/63HBkcS352OEGF4ufep2gJPPEBpP/hsBJP0zjIvNwAAAAXBhUBCVoABwsBAAEjAwEBBV0AEAAADG4KAUIioRYAAA=="
	oneXz  = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAKZ29vZ2xlLmNvbQoAAPVPjBf8zBtYAAEjC8Ib/QkftvN9AQAAAAAEWVo="
)

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
		for prefix, flag := range map[string]byte{"symlink:": tar.TypeSymlink, "link:": tar.TypeLink, "device:": tar.TypeChar} {
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
		"t.tar.xz":  unbase64(t, tarXz),
		"t.tar.bz2": unbase64(t, tarBz2),
		"t.7z":      unbase64(t, seven),
		"a.txt.gz":  gzipped(t, []byte(twoFiles[0].text)),
		"a.txt.zst": zstandard(t, []byte(twoFiles[0].text)),
		"a.txt.xz":  unbase64(t, oneXz),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, out := write(t, dir, name, data), filepath.Join(dir, "out")
			got, err := Extract(context.Background(), path, out, Limits{})
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
				if _, err := Extract(context.Background(), write(t, t.TempDir(), name, bad), out, Limits{}); err == nil {
					if strings.HasPrefix(name, "t.tar") && name == "t.tar" {
						continue // a plain tar has checksums on its headers alone
					}
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
	for _, tc := range []struct {
		name    string
		members []member
		limits  Limits
		want    error
	}{
		{"traversal", []member{{"../x", "1"}}, Limits{}, ErrUnsafe},
		{"inner traversal", []member{{"a/../../x", "1"}}, Limits{}, ErrUnsafe},
		{"absolute", []member{{"/etc/x", "1"}}, Limits{}, ErrUnsafe},
		{"backslash", []member{{`..\x`, "1"}}, Limits{}, ErrUnsafe},
		{"drive", []member{{"c:/x", "1"}}, Limits{}, ErrUnsafe},
		{"symlink", []member{{"l", "symlink:/etc/passwd"}}, Limits{}, ErrUnsafe},
		{"twice", []member{{"a", "1"}, {"a", "2"}}, Limits{}, ErrUnsafe},
		{"file as folder", []member{{"a", "1"}, {"a/b", "2"}}, Limits{}, ErrUnsafe},
		{"select leads out", []member{{"a", "1"}}, Limits{Select: func(string) (string, bool) { return "../a", true }}, ErrUnsafe},
		{"ratio", []member{bomb}, Limits{}, ErrBomb},
		{"bytes", []member{{"a", strings.Repeat("a", 2000)}}, Limits{Bytes: 1000}, ErrBomb},
		{"entries", many, Limits{Entries: 20}, ErrBomb},
	} {
		for kind, make := range map[string]func(testing.TB, ...member) []byte{"zip": zipped, "tar.gz": func(t testing.TB, m ...member) []byte { return gzipped(t, tarred(t, m...)) }} {
			t.Run(tc.name+"/"+kind, func(t *testing.T) {
				dir := t.TempDir()
				path := write(t, dir, "x."+kind, make(t, tc.members...))
				before := listing(t, dir)
				_, err := Extract(context.Background(), path, filepath.Join(dir, "out"), tc.limits)
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
		path := write(t, t.TempDir(), "x.tar", tarred(t, member{"m", text}))
		if _, err := Extract(context.Background(), path, filepath.Join(t.TempDir(), "o"), Limits{}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestExtractSelects(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "x.zip", zipped(t, member{"/Title/list/a.txt", "a"}, member{"/Title/src/b.txt", "b"}, member{"/Title/l", "symlink:/etc"}))
	got, err := Extract(context.Background(), path, filepath.Join(dir, "out"), Limits{LeadingSlash: true, Select: func(name string) (string, bool) {
		_, rest, ok := strings.Cut(name, "/list/")
		return "names/" + rest, ok
	}})
	if err != nil || !slices.Equal(got, []string{"names/a.txt"}) {
		t.Fatalf("%v, %v", got, err)
	}
	wantFile(t, filepath.Join(dir, "out"), "names/a.txt", []byte("a"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Extract(ctx, path, filepath.Join(dir, "other"), Limits{LeadingSlash: true}); err == nil {
		t.Error("a cancelled extraction succeeded")
	}
	if _, err := Extract(context.Background(), write(t, dir, "x.txt", []byte("no archive at all")), filepath.Join(dir, "o"), Limits{}); !errors.Is(err, ErrFormat) {
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

func TestLockIsExclusive(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again()
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
		_, _ = Extract(context.Background(), path, filepath.Join(dir, "out", "inner"), Limits{Bytes: 1 << 20, Entries: 100})
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
