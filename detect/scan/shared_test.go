package scan

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all"
)

const shared = "../../../shared/data"

// marked are the shared captures and logs, each with the domain of the tunnel in it, "" if there is none.
func marked(t *testing.T) map[string]string {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(shared, "pcap2/INDEX.md"))
	if err != nil {
		t.Skip("no shared captures here")
	}
	out := map[string]string{}
	file := regexp.MustCompile(`^\| ((?:ndpi|korving|slips|rita)/[^ ]+) `)
	tunnel := regexp.MustCompile(`tunnel \*\*(.+?)\*\*`)
	for line := range strings.Lines(string(index)) {
		m := file.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		want := ""
		if found := tunnel.FindStringSubmatch(line); found != nil {
			want = found[1]
		}
		if path := filepath.Join(shared, "pcap2", m[1]); !strings.Contains(path, "*") {
			out[path] = want
		} else {
			out[filepath.Dir(path)] = want
		}
	}
	for pattern, want := range map[string]string{"pcap/tunnel-*": "ggy666.tk", "pcap/clean.pcap": "", "pcap/normal-*": "",
		"logs/*.log": "example.attack"} {
		paths, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			out[path] = want
		}
	}
	return out
}

// Of every shared capture and log that has a tunnel, its domain is found, and by a live watch within a minute of its
// first name; in every other one, nothing is found.
func TestSharedCaptures(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector")
	}
	p := policy(t)
	for path, want := range marked(t) {
		paths, err := Expand([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		live := watch.New(watch.Options{Seed: 1, Live: true})
		var first, last, now time.Time
		var told []string
		var after time.Duration
		tell := func() {
			for _, f := range live.Now(now) {
				told = append(told, f.Subject())
				after = max(after, now.Sub(first))
			}
		}
		r, err := Run(t.Context(), paths, Options{Policy: p, Workers: 1,
			Each: func(_ string, e *events.Event, d *detect.Decision) error {
				if e.Time.IsZero() { // CoreDNS' log has no times
					e.Time = time.Unix(1_700_000_000, e.Line*int64(100*time.Millisecond))
				}
				if strings.HasSuffix(string(e.Name), want) {
					if last.IsZero() {
						now = e.Time
					}
					if len(told) == 0 && e.Time.Sub(last) > 30*time.Second { // two sessions begin with a name, and wait
						first = e.Time
					}
					last = e.Time
				}
				if e.Time.Sub(now) >= 5*time.Second {
					now = e.Time
					tell()
				}
				live.Observe(e, d)
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		if !now.IsZero() {
			now = now.Add(5 * time.Second)
			tell()
		}
		name := filepath.Base(path)
		switch {
		case want == "" && len(r.Findings)+len(told) > 0:
			t.Errorf("%s: found %+v, live %q", name, r.Findings, told)
		case want != "" && (len(r.Findings) != 1 || r.Findings[0].Domain != want):
			t.Errorf("%s: found %+v, want %s", name, r.Findings, want)
		case want != "" && (len(told) != 1 || told[0] != want || after > time.Minute):
			t.Errorf("%s: a live watch tells of %q after %s, want %s", name, told, after, want)
		}
	}
}
