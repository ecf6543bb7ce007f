package linkwalk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWalk(t *testing.T) {
	for _, tc := range []struct {
		name, root  string
		files       []string
		links       [][2]string // name, target
		want, again string
	}{
		{name: "no links", root: "in", files: []string{"in/b", "in/a/c"}, want: "a/c b"},
		{name: "a file", root: "in", files: []string{"in"}, want: "."},
		{name: "root", root: "link", files: []string{"in/a/c"}, links: [][2]string{{"link", "in"}}, want: "a/c"},
		{
			name: "root over two links", root: "x/two",
			files: []string{"in/c", "x/y"},
			links: [][2]string{{"one", "in"}, {"x/two", "../one"}},
			want:  "c",
		},
		{
			name: "to a file", root: "in",
			files: []string{"in/a", "out/b"},
			links: [][2]string{{"in/b", "../out/b"}},
			want:  "a b",
		},
		{
			name: "to a folder outside", root: "in",
			files: []string{"in/z", "out/d/b"},
			links: [][2]string{{"in/l", "../out"}},
			want:  "z l/d/b",
		},
		{name: "in a linked folder", root: "in", files: []string{"in/z", "out/b", "more/c"},
			links: [][2]string{{"in/l", "../out"}, {"out/m", "../more"}}, want: "z l/b l/m/c"},
		{
			name: "inside, the real name counts", root: "in",
			files: []string{"in/z/b"},
			links: [][2]string{{"in/l", "z"}},
			want:  "z/b", again: "l",
		},
		{
			name: "loop", root: "in",
			files: []string{"in/a/b"},
			links: [][2]string{{"in/a/up", "../../in"}},
			want:  "a/b", again: "a/up",
		},
		{
			name: "folder above", root: "in",
			files: []string{"in/b", "c"},
			links: [][2]string{{"in/up", ".."}},
			want:  "b up/c", again: "up/in",
		},
		{name: "each other", root: "in", files: []string{"in/z", "o/b", "p/c"},
			links: [][2]string{{"in/o", "../o"}, {"o/p", "../p"}, {"p/o", "../o"}}, want: "z o/b o/p/c", again: "o/p/o"},
		{name: "nowhere", root: "in", files: []string{"in/z"}, links: [][2]string{{"in/a", "gone"}}, want: "a! z"},
		{
			name: "skipped", root: "in",
			files: []string{"in/.h/a", "in/z", "out/b"},
			links: [][2]string{{"in/.l", "../out"}},
			want:  "z",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tc.files {
				p := filepath.Join(dir, f)
				if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			for _, l := range tc.links {
				if err := os.Symlink(filepath.FromSlash(l[1]), filepath.Join(dir, l[0])); err != nil {
					t.Skip(err)
				}
			}
			t.Chdir(dir) // roots are usually relative
			var got []string
			again, err := Walk(tc.root, func(rel string, info fs.FileInfo, err error) error {
				switch {
				case err != nil:
					got = append(got, rel+"!")
				case info.IsDir() && strings.HasPrefix(filepath.Base(rel), ".") && rel != ".":
					return fs.SkipDir
				case !info.IsDir():
					got = append(got, rel)
				}
				return nil
			})
			if err != nil || strings.Join(got, " ") != tc.want || strings.Join(again, " ") != tc.again {
				t.Errorf("%q, again %q, %v; want %q, again %q", got, again, err, tc.want, tc.again)
			}
		})
	}
	stop := errors.New("stop")
	if _, err := Walk(t.TempDir(), func(string, fs.FileInfo, error) error { return stop }); err != stop {
		t.Errorf("error of visit: %v", err)
	}
	if _, err := Walk("none", func(string, fs.FileInfo, error) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
}
