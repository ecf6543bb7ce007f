package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
)

// namesOf reads up to most names of a class from a file of rawData, from skip on.
func namesOf(t *testing.T, file string, class datasets.Class, skip, most int) []string {
	t.Helper()
	inputs, _, err := formats.Discover(t.Context(), rawData, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer formats.Close(inputs)
	c := &namesSink{class: class, skip: skip, most: most}
	at := slices.IndexFunc(inputs, func(in *formats.Input) bool { return in.File() == file })
	if err := inputs[at].Read(t.Context(), t.TempDir(), nil, c); err != nil && err != errEnough {
		t.Fatal(err)
	}
	return c.names
}

// below puts payloads below a tunnel's zone.
func below(zone string, payloads []string) (names []string) {
	for _, p := range payloads {
		if !strings.Contains(p, "/") { // which no name labelled benign may have
			names = append(names, p+"."+zone)
		}
	}
	return names
}

var errEnough = fmt.Errorf("enough")

type namesSink struct {
	class      datasets.Class
	skip, most int
	names      []string
}

func (c *namesSink) Evidence(*datasets.Evidence) {}

func (c *namesSink) LeaveOut(int64, string) {}

func (c *namesSink) Refuse(int64, string) error { return nil }

func (c *namesSink) Record(_ int64, r datasets.Record) error {
	if r.Class != c.class {
		return nil
	}
	if c.skip--; c.skip >= 0 {
		return nil
	}
	if c.names = append(c.names, strings.Clone(r.Name)); len(c.names) == c.most {
		return errEnough
	}
	return nil
}

// Twenty files under a wrong label are found among real data, and nothing else is.
func TestTripwireOnRealData(t *testing.T) {
	if _, err := os.Stat(rawData); err != nil {
		t.Skip("no public data beside the project")
	}
	if testing.Short() {
		t.Skip("reads all of it twice")
	}
	const names = "umudga/UMUDGA - University of Murcia Domain Generation Algorithm Dataset/Fully Qualified Domain Names/"
	made := func(family string) []string {
		text, err := os.ReadFile(filepath.Join(rawData, names, family, "list/10000.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))[100:1100]
	}
	alexa := namesOf(t, "alexa-100k.csv.gz", datasets.Benign, 0, 100_000)
	cloudflare := namesOf(t, "cloudflare-resolved-top.csv.zip", datasets.Benign, 0, 10_000)
	plants := map[string][]string{
		"dga/zeus2.txt":       alexa[500:1500],
		"dga/gozi.txt":        alexa[80_000:80_500],
		"dga/small.txt":       alexa[50_000:50_060],
		"dga/virut.txt":       cloudflare[:1000],
		"dga/suppobox.txt":    cloudflare[5000:5400],
		"dga/locky.txt":       namesOf(t, "chrmor-25-families.csv.gz", datasets.Benign, 500, 800),
		"tunnel/iodine.txt":   alexa[20_000:21_000],
		"tunnel/dnscat2.txt":  cloudflare[3000:3300],
		"tunnel/mail.txt":     namesOf(t, "ctc/benign_domains.csv", datasets.Benign, 100, 1000),
		"benign/proxy.txt":    made("ramnit"),
		"benign/office.txt":   made("matsnu"),
		"benign/campus.txt":   made("suppobox_1"),
		"benign/allowed.txt":  made("rovnix"),
		"benign/half.txt":     slices.Concat(alexa[2000:2500], made("cryptolocker")[:500]),
		"benign/dynamic.txt":  made("corebot"),
		"benign/words.txt":    made("pizd"),
		"benign/hosts.txt":    made("simda"),
		"benign/few.txt":      made("tinba")[:40],
		"benign/feed.txt":     namesOf(t, "dga-lists/conficker.txt.gz", datasets.DGA, 0, 1000),
		"benign/resolver.txt": below("t.example.net", namesOf(t, "dtqbc/training.csv", datasets.Tunnel, 0, 1000)),
	}
	find := func(t *testing.T, plants map[string][]string) []string {
		in := t.TempDir()
		if err := os.CopyFS(in, os.DirFS(rawData)); err != nil {
			t.Fatal(err)
		}
		for name, list := range plants {
			path := filepath.Join(in, "planted", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Join(list, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Run(t.Context(), in, t.TempDir(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range m.Findings {
			t.Log(f.Path, f.Text)
			found = append(found, strings.TrimPrefix(f.Path, "planted/"))
		}
		return found
	}
	if found := find(t, nil); len(found) > 0 {
		t.Errorf("findings in what is right: %q", found)
	}
	found := find(t, plants)
	for name := range plants {
		if !slices.Contains(found, name) {
			t.Errorf("%s was not found", name)
		}
	}
	if len(found) != len(plants) {
		t.Errorf("%d findings, want %d: %q", len(found), len(plants), found)
	}
}
