package fetch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestImport(t *testing.T) {
	from := t.TempDir()
	write(t, from, "downloads/top.csv", []byte("1,example.org"))
	write(t, from, "tree root/alureon/list/10.txt", []byte("alureon"))
	write(t, from, "tree root/bedep/list/10.txt", []byte("bedep"))
	write(t, from, "set-1.zip", []byte("zip"))
	write(t, from, "one/dup.txt", []byte("first"))
	write(t, from, "two/dup.txt", []byte("second"))
	write(t, from, "one/same.txt", []byte("same"))
	write(t, from, "two/same.txt", []byte("same"))
	if err := os.Symlink("nowhere", filepath.Join(from, "dangling")); err != nil {
		t.Log(err)
	}
	for _, tt := range []struct {
		name  string
		files []File
		want  string // listing
		fails string
	}{
		{name: "base name", files: []File{{Path: "tranco/top.csv"}}, want: "tranco/top.csv"},
		{name: "tail", files: []File{{Path: "u/alureon/list/10.txt"}, {Path: "u/bedep/list/10.txt"}},
			want: "u/alureon/list/10.txt u/bedep/list/10.txt"},
		{
			name:  "other family's file",
			files: []File{{Path: "u/alureon/list/10.txt"}, {Path: "u/zeus/list/10.txt", Optional: true}},
			want:  "u/alureon/list/10.txt",
		},
		{name: "checksum", files: []File{{Path: "x/top.csv", SHA256: sum([]byte("other"))}}, fails: "wrong checksum"},
		{
			name:  "missing",
			files: []File{{Path: "x/none.csv"}},
			fails: "find x/none.csv in " + from + ": fetch: file not found",
		},
		{
			name:  "URL's name",
			files: []File{{Path: "x/archive.zip", URL: "https://example.org/set-1.zip?x=1"}},
			want:  "x/archive.zip",
		},
		{name: "ambiguous", files: []File{{Path: "x/dup.txt"}}, fails: "several different files"},
		{
			name:  "told apart by checksum",
			files: []File{{Path: "x/dup.txt", SHA256: sum([]byte("second"))}},
			want:  "x/dup.txt",
		},
		{name: "copies", files: []File{{Path: "x/same.txt"}}, want: "x/same.txt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := quick(Options{From: from})
			report, err := c.Fetch(context.Background(), dir, tt.files)
			if tt.fails != "" {
				wantError(t, err, tt.fails)
			} else if err != nil {
				t.Fatal(err)
			} else if s := report.Files[0].Status; s != Copied {
				t.Errorf("status %s", s)
			}
			if got := listing(t, dir); got != tt.want {
				t.Errorf("on disk %q, want %q", got, tt.want)
			}
		})
	}
	if c := quick(Options{From: from}); c.HasLocal("nothing.zip") || !c.HasLocal("set-1.zip") {
		t.Errorf("HasLocal: %v, %v; want false, true", c.HasLocal("nothing.zip"), c.HasLocal("set-1.zip"))
	}
	_, err := fetchOne(t, quick(Options{From: filepath.Join(from, "none")}), t.TempDir(), File{Path: "f"})
	wantError(t, err, "read folder "+from)
	_, err = fetchOne(t, quick(Options{From: from}), t.TempDir(), File{Path: "absent"})
	if !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// A download directory can be imported from itself or from a copy, and checksums recorded before still count.
func TestImportEnforcesRecords(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	write(t, from, "f", []byte("one"))
	c := quick(Options{From: from})
	if _, err := fetchOne(t, c, dir, File{Path: "f"}); err != nil {
		t.Fatal(err)
	}
	write(t, from, "f", []byte("two"))
	os.Remove(filepath.Join(dir, "f"))
	_, err := fetchOne(t, c, dir, File{Path: "f"})
	wantError(t, err, "wrong checksum", filepath.Join(from, "f"))
	if got := listing(t, dir); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// Several data sets call their file the same: each is looked for in its own folder, and not in another's.
func TestImportFolders(t *testing.T) {
	others := []string{"tranco", "alexa", "majestic"}
	for _, tt := range []struct {
		name, folder string
		have         []string
		want         string // which of them; "" for none
	}{
		{name: "own", folder: "tranco", have: []string{"alexa/top.zip", "top.zip", "tranco/top.zip"}, want: "tranco/top.zip"},
		{
			name:   "own, deeper",
			folder: "tranco",
			have:   []string{"data/raw/alexa/top.zip", "data/raw/tranco/top.zip"},
			want:   "data/raw/tranco/top.zip",
		},
		{name: "another's only", folder: "umbrella", have: []string{"alexa/top.zip"}},
		{name: "another's, deeper", folder: "umbrella", have: []string{"raw/alexa/old/top.zip"}},
		{name: "top", folder: "umbrella", have: []string{"top.zip"}, want: "top.zip"},
		{name: "top beside another's", folder: "umbrella", have: []string{"alexa/top.zip", "top.zip"}, want: "top.zip"},
		{name: "a folder of the user's", folder: "umbrella", have: []string{"usb/top.zip"}, want: "usb/top.zip"},
		{name: "own below another's", folder: "tranco", have: []string{"alexa/tranco/top.zip"}, want: "alexa/tranco/top.zip"},
		{name: "no data set", have: []string{"alexa/top.zip"}, want: "alexa/top.zip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, dir := t.TempDir(), t.TempDir()
			for _, name := range tt.have {
				write(t, from, name, []byte(name))
			}
			o := Options{From: from, Folder: tt.folder}
			if tt.folder != "" {
				o.Others = slices.DeleteFunc(slices.Clone(others), func(s string) bool { return s == tt.folder })
			}
			_, err := fetchOne(t, quick(o), dir, File{Path: "top.zip"})
			if tt.want == "" {
				if !errors.Is(err, ErrNotFound) || quick(o).HasLocal("top.zip") {
					t.Errorf("error %v, HasLocal %v", err, quick(o).HasLocal("top.zip"))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantFile(t, dir, "top.zip", []byte(tt.want))
		})
	}
}

// The folder may be a link, and folders in it may be.
func TestImportThroughLinks(t *testing.T) {
	from := t.TempDir()
	write(t, from, "disk/a.csv", []byte("a"))
	write(t, from, "more/b.csv", []byte("b"))
	for link, target := range map[string]string{"link": "disk", "disk/more": "../more", "more/up": ".."} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(from, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	c := quick(Options{From: filepath.Join(from, "link")})
	_, err := c.Fetch(context.Background(), dir, []File{{Path: "a.csv"}, {Path: "b.csv"}})
	if got := listing(t, dir); err != nil || got != "a.csv b.csv" {
		t.Errorf("on disk %q, %v", got, err)
	}
}

// A clone of a publisher's repository has the paths of its URLs, where many files may have one name.
func TestImportFromClone(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	var files []File
	for _, name := range []string{"a", "b"} {
		write(t, from, "clone/lists/"+name+"/list.json", []byte(name))
		url := "https://example.org/main/lists/" + name + "/list.json"
		files = append(files, File{Path: "kind/" + name + ".json", URL: url})
	}
	if _, err := quick(Options{From: from}).Fetch(t.Context(), dir, files); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if got, err := os.ReadFile(filepath.Join(dir, "kind", name+".json")); string(got) != name {
			t.Errorf("%s.json holds %q, %v", name, got, err)
		}
	}
}
