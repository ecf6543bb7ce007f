package scan

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
)

// The format of these tests: "q CLIENT NAME", or "r" for a response; other lines are refused, "#" is passed over.
func init() {
	events.Register(&events.Format{
		Name: "test", Title: "tests", Unit: "lines",
		Sniff: func(head []byte) (int, string) {
			if bytes.HasPrefix(head, []byte("#test")) {
				return 100, ""
			}
			return 0, "#test"
		},
		Open: events.Lines(func(events.Options) events.LineParser { return parseTest }),
	})
}

func parseTest(line []byte, out []events.Event) ([]events.Event, error) {
	words := bytes.Fields(line)
	switch {
	case line[0] == '#':
		return out, events.Skip("comment")
	case len(words) != 3:
		return out, events.Refuse("not three words")
	}
	e := events.Event{RCode: events.NoRCode, Type: 1, Name: words[2], Time: time.Unix(1_700_000_000, 0)}
	e.Client.Addr = netip.MustParseAddr(string(words[1]))
	if words[0][0] == 'r' {
		e.Kind, e.RCode = events.Response, events.NXDomain
	}
	return append(out, e), nil
}

func policy(t testing.TB) *detect.Policy {
	t.Helper()
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.New(detect.Options{Classifier: c, Block: []string{"*.blocked.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is in the files is counted, each question once; names on the block list are found.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.log", "#test\nq 192.0.2.1 google.com\nr 192.0.2.1 google.com\nq 192.0.2.1 a.blocked.example\n"+
		"q 192.0.2.1 A.blocked.example\nq 192.0.2.2 b.blocked.example\nbroken\n")
	write(t, dir, "sub/b.log", "#test\nq 192.0.2.1 www.google.com\nr 192.0.2.9 1.2.0.192.in-addr.arpa\n")
	write(t, dir, "c.txt", "nothing that anybody knows\n")
	files, err := Expand([]string{dir, filepath.Join(dir, "*.log"), filepath.Join(dir, "none")})
	if len(files) != 3 || err == nil || !strings.Contains(err.Error(), "none: there is no such file") {
		t.Fatalf("%q, %v", files, err)
	}
	var seen []string
	r, err := Run(context.Background(), files, Options{Policy: policy(t), Workers: 1,
		Each: func(file string, e *events.Event, d *detect.Decision) error {
			seen = append(seen, fmt.Sprintf("%s:%d %s %s", filepath.Base(file), e.Line, e.Name, d.Verdict))
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	a := r.Files[0]
	if a.Format != "test" || a.Units != 7 || a.Events != 4 || a.Kinds["both"] != 1 || a.Skipped["comment"] != 1 ||
		a.Refused["not three words"] != 1 || a.Names != 3 || a.Clients != 2 || a.Error != "" {
		t.Errorf("%+v", a)
	}
	if !strings.Contains(r.Files[1].Error, `no format fits: it begins with "nothing that anybody knows". degas scan`) ||
		r.Err() == nil {
		t.Errorf("%+v", r.Files[1])
	}
	if r.Events != 6 || r.Names != 5 || r.Clients != 3 || r.Verdicts["blocked"] != 3 || r.Verdicts["unscored"] != 1 {
		t.Errorf("%+v", r)
	}
	if f := r.Findings; len(f) != 1 || f[0].Kind != watch.List || f[0].Domain != "*.blocked.example" || f[0].Events != 3 ||
		len(f[0].Clients) != 2 || f[0].Names != 2 || f[0].First.IsZero() {
		t.Errorf("%+v", f)
	}
	if len(seen) != 6 || !strings.Contains(strings.Join(seen, "\n"), "a.log:2 google.com benign") {
		t.Errorf("%q", seen)
	}
}
