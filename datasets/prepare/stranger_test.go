package prepare

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/datasets"
)

// Everything in the input folder is read, or is listed with the reason why it is not; degas' own files aside.
func TestLeftOutIsListed(t *testing.T) {
	in := tree(t, map[string]string{
		"benign/a.csv": "1,a.com\n2,b.com\n", "benign/a.csv.degas.json": "{}", "dga/list.txt": "x1.biz\nx2.biz\n",
		"README.md": "x", "dga/.hidden": "x3.biz\n", ".cache/dga/list.txt": "x4.biz\n", "dga/noise.bin": "\x00\x01",
		"dga/empty.txt": "", ".degas-fetch.lock": "", "dga/pdf.pdf": "%PDF", "dga/skip.txt": "x5.biz\n",
		"dga/skip.txt.degas.json": `{"skip": true}`,
	})
	want := []string{
		".cache: hidden, by its name", "README.md: documentation, by its name",
		"dga/.hidden: hidden, by its name", "dga/empty.txt: empty", "dga/noise.bin: not recognised",
		"dga/pdf.pdf: documentation, by its name", "dga/skip.txt: its sidecar says skip",
	}
	if socket, err := net.Listen("unix", filepath.Join(in, "dga", "socket")); err == nil {
		defer socket.Close()
		want = append(want, "dga/socket: it is a socket, not a file")
	}
	if os.Symlink("/dev/null", filepath.Join(in, "dga", "null")) == nil && runtime.GOOS != "windows" {
		want = append(want, "dga/null: it is a device, not a file")
	}
	if os.Symlink("..", filepath.Join(in, "dga", "loop")) == nil {
		want = append(want, "dga/loop: a folder that is read under another name")
	}
	slices.Sort(want)
	m := mustProcess(t, in, t.TempDir(), Options{})
	var got []string
	for _, s := range m.Skipped {
		got = append(got, s.Path+": "+s.Reason)
	}
	if !slices.Equal(got, want) || m.Kept != 4 {
		t.Errorf("%d rows kept, left out\n%s\nwant\n%s", m.Kept, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	many := tree(t, map[string]string{"dga/list.txt": "x1.biz\nx2.biz\n"})
	for i := range datasets.MaxSkipped + 3 {
		if err := os.WriteFile(filepath.Join(many, fmt.Sprintf("%d.png", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m = mustProcess(t, many, t.TempDir(), Options{})
	if n := len(m.Skipped); n != datasets.MaxSkipped+1 || m.Skipped[n-1].Reason != "3 more files" {
		t.Errorf("%d are listed, the last as %+v", n, m.Skipped[n-1])
	}
}

// A file that somebody writes to while it is read is an error: its rows and its checksum would be of different states.
func TestInputChangesWhileRead(t *testing.T) {
	rows := strings.Repeat("xjpakmdcfuqe.biz\n", 50_000)
	for name, change := range map[string]func(path string) error{
		"grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more.biz\n")
			return err
		},
		"rewritten": func(path string) error { // with the size and the time of before
			if err := os.WriteFile(path, []byte(strings.ToUpper(rows)), 0o644); err != nil {
				return err
			}
			return os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0))
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte(rows), 0o644); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"untouched": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name != "grows" {
				t.Skip("the system does not say when a file has changed")
			}
			in := tree(t, map[string]string{"dga/list.txt": rows, "benign/b.csv": "1,a.com\n"})
			path := filepath.Join(in, "dga", "list.txt")
			if err := os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			_, err := Run(t.Context(), in, t.TempDir(), Options{Progress: func(done, _ int64) {
				once.Do(func() {
					if err := change(path); err != nil {
						t.Error(err)
					}
				})
			}})
			if name == "untouched" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "dga/list.txt: it was changed while it was read") {
				t.Errorf("error %v", err)
			}
		})
	}
}
