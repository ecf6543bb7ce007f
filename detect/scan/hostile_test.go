package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// A link that leads nowhere is named and ends nothing. A file counts once, whatever links lead to it, and one that is
// called "-" is no standard input.
func TestExpandLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "in/b.log", "#test\n")
	write(t, dir, "in/-", "#test\n")
	for link, to := range map[string]string{"in/a-nowhere": "nothing", "in/loop": ".", "twice.log": "in/b.log"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	t.Chdir(dir)
	for _, tc := range []struct {
		paths []string
		want  []string
		err   string
	}{
		{[]string{"in"}, []string{"in/-", "in/b.log"}, "a-nowhere"},
		{[]string{"in/b.log", "./in/b.log", "twice.log"}, []string{"in/b.log"}, ""},
		{[]string{"in/a-nowhere"}, nil, "nowhere"},
		{[]string{"in/[ab]*"}, []string{"in/b.log"}, "nowhere"},
		{[]string{"-", "-"}, []string{"-"}, ""},
	} {
		files, err := Expand(tc.paths)
		said := fmt.Sprint(err)
		if !slices.Equal(files, tc.want) || (err != nil) != (tc.err != "") || !strings.Contains(said, tc.err) {
			t.Errorf("%q: %q, %v", tc.paths, files, err)
		}
	}
	t.Chdir("in")
	for _, path := range []string{"./-", "*"} {
		if files, _ := Expand([]string{path}); !slices.Contains(files, "./-") || slices.Contains(files, Standard) {
			t.Errorf("%s: %q", path, files)
		}
	}
}

// Nothing that is read is written to, under no name.
func TestMayWrite(t *testing.T) {
	dir := t.TempDir()
	in := write(t, dir, "in.csv", "#test\n")
	link := filepath.Join(dir, "link.csv")
	if err := os.Link(in, link); err != nil {
		t.Skip(err)
	}
	for out, ok := range map[string]bool{in: false, link: false, dir: false, filepath.Join(dir, "new.csv"): true} {
		if err := MayWrite(out, []string{Standard, in}); (err == nil) != ok {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// A scan of a pipe that nobody writes to ends with its context, and when its events cannot be written.
func TestRunDoesNotWait(t *testing.T) {
	full := errors.New("disk full")
	for what, tc := range map[string]struct {
		text string
		want error
	}{"nothing": {"", context.Canceled}, "some lines": {"#test\nq 192.0.2.1 a.com\n", context.Canceled},
		"full": {"#test\n" + strings.Repeat("q 192.0.2.1 a.com\n", 2*(batchSize+events.JoinSize)), full},
	} {
		in, out := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		go io.WriteString(out, tc.text)
		if tc.want != full {
			time.AfterFunc(100*time.Millisecond, cancel)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := Run(ctx, []string{Standard}, Options{Policy: policy(t), Input: in,
				Each: func(string, *events.Event, *detect.Decision) error { return full }})
			ended <- err
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(60 * time.Second):
			t.Fatalf("%s: it waits", what)
		}
		out.Close()
		cancel()
	}
}

// A file of which nothing can be read is no clean file.
func TestNothingReadable(t *testing.T) {
	path := write(t, t.TempDir(), "a.log", "broken\nbroken\n")
	r, err := Run(t.Context(), []string{path}, Options{Policy: policy(t), Events: events.Options{Format: "test"}})
	if err != nil || r.Err() == nil || !strings.Contains(r.Files[0].Error, "nothing in it can be read as test") {
		t.Errorf("%+v, %v", r, err)
	}
}

// Files of one name in two folders are counted together, once; what is discarded leaves nothing.
func TestCompatNames(t *testing.T) {
	dir := t.TempDir()
	c, err := NewCompat(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Discard()
	e := events.Event{Name: []byte(strings.Repeat("616263", 12) + ".example.com"), Line: 1}
	for _, file := range []string{"a/x", "b/x"} {
		if err := c.Observe(file, &e); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(&Report{Files: []FileReport{{Path: "a/x", Units: 3}, {Path: "b/x", Units: 4}}}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "stats.json"))
	if err != nil || !bytes.Contains(got, []byte(`"total_malicious_packets": 2,`)) ||
		!bytes.Contains(got, []byte(`"packets_count": 7`)) {
		t.Errorf("%s, %v", got, err)
	}
	gone := t.TempDir()
	if c, err = NewCompat(gone); err != nil {
		t.Fatal(err)
	}
	c.Discard()
	if left, err := os.ReadDir(gone); len(left) > 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
}

// Texts of event logs are UTF-8 in one line, whatever bytes strangers chose.
func TestLogRowIsText(t *testing.T) {
	e := events.Event{Name: []byte("a.b\xff.example"), Client: events.Peer{Name: "b\xfccher"},
		Server: events.Peer{Addr: netip.MustParseAddr("fe80::1%\xff")}}
	r := newLogRow("\xff.log", &e, &detect.Decision{})
	for _, s := range []string{r.File, r.Client, r.Server, r.Name, r.Domain} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, '\x1b') {
			t.Errorf("%q", s)
		}
	}
}

// What Parquet holds in memory is bounded: it writes row groups.
func TestParquetRowGroups(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLog(&out, "x.parquet")
	if err != nil {
		t.Fatal(err)
	}
	e := events.Event{Name: []byte("a.example")}
	for range rowGroup + 1 {
		if err := l.Write("x.log", &e, &detect.Decision{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil || len(f.RowGroups()) != 2 || f.NumRows() != rowGroup+1 {
		t.Errorf("%d row groups, %v", len(f.RowGroups()), err)
	}
}
