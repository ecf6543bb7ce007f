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
	"github.com/degas-dns/degas/datasets/synth"
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

// labelled puts names into rows.
func labelled(row string, names []string) (rows []string) {
	for _, n := range names {
		if !strings.Contains(n, "/") {
			rows = append(rows, fmt.Sprintf(row, n))
		}
	}
	return rows
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

// Mislabelled files of different kinds are found among real data: popular names as malware or tunnels, generated ones
// as benign, tunnels as something else, classes or families exchanged in a table. Nothing else is.
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
	tunnels := namesOf(t, "dtqbc/training.csv", datasets.Tunnel, 0, 1000)
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
		"benign/resolver.txt": below("t.example.net", tunnels),
		"benign/pairs.txt":    made("suppobox_2")[:60],
		"dga/exfil.txt":       below("t.example.org", tunnels),
		"dga/blended.txt":     slices.Concat(alexa[30_000:30_300], made("necurs")[:300]),
		"dga/www.txt":         labelled("www.%s", alexa[60_000:60_300]),
		"tunnel/made.txt":     made("pykspa")[:300],
		"countries.csv": slices.Concat([]string{"domain,class,family"}, labelled("%s,dga,de", made("ramnit")[:100]),
			labelled("%s,dga,fr", made("qakbot")[:100])),
		"inverted.csv": slices.Concat([]string{"domain,label"}, labelled("%s,1", alexa[40_000:40_300]),
			labelled("%s,0", made("qakbot")[:300])),
		"family.csv": slices.Concat([]string{"domain,class,family"}, labelled("%s,dga,virut", alexa[70_000:70_060]),
			labelled("%s,dga,necurs", made("necurs")[500:800]), labelled("%s,dga,simda", made("simda")[500:800]),
			labelled("%s,benign,", alexa[10_000:10_500])),
	}
	right := map[string][]string{
		"dga/simda.txt":        made("simda")[:60],
		"dga/suppobox.txt":     made("suppobox_3")[:60],
		"benign/few.txt":       alexa[15_000:15_060],
		"benign/tail.txt":      alexa[95_000:95_300],
		"benign/telemetry.txt": labelled("799120114.beacon.%s", alexa[3000:3300]),
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
	if found := find(t, right); len(found) > 0 {
		t.Errorf("findings in what is right: %q", found)
	}
	found := find(t, plants)
	for name := range plants {
		if !slices.Contains(found, name) {
			t.Errorf("%s was not found", name)
		}
	}
	for _, name := range found {
		if plants[name] == nil {
			t.Errorf("a finding in %s, which is right", name)
		}
	}
}

// The built-in sample is silent, and its classes in each other's place are found: no public data are needed for that.
func TestTripwireOnTheSample(t *testing.T) {
	names := func(seed uint64) (byClass [datasets.NumClasses][]string) {
		rows, err := synth.Sample(synth.SampleOptions{Seed: seed, Benign: 600, DGA: 600, Tunnel: 300})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			class, err := datasets.ParseClass(r.Class)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := normalize(datasets.Benign, r.Name); err == nil { // as any label could have it
				byClass[class] = append(byClass[class], r.Name)
			}
		}
		return byClass
	}
	right, other := names(2), names(3)
	listed := names(4)[datasets.Benign][:200] // on blocklists: convert writes no more of those
	var short []string                        // as some tools begin their names
	for i := range 60 {
		short = append(short, fmt.Sprintf("r%d.t", 16_000+i))
	}
	for path, wrong := range map[string][]string{
		"":                nil,
		"benign/a.txt":    other[datasets.DGA],
		"benign/b.txt":    other[datasets.Tunnel],
		"dga/locky.txt":   other[datasets.Benign],
		"dga/zeus.txt":    other[datasets.Tunnel],
		"tunnel/tuns.txt": other[datasets.DGA],
		"tunnel/mail.txt": other[datasets.Benign],
	} {
		files := map[string]string{}
		for class, list := range right {
			files[fmt.Sprintf("%s/right.txt", datasets.Class(class))] = strings.Join(list, "\n")
		}
		files["converted.csv"] = "domain,class,family\n" + strings.Join(labelled("%s,dga,blocklist", listed),
			"\n")
		files["tunnel/short.txt"] = strings.Join(labelled("%s.example.com", short), "\n")
		if path != "" {
			files[path] = strings.Join(wrong, "\n")
		}
		m := mustProcess(t, tree(t, files), t.TempDir(), Options{})
		var found []string
		for _, f := range m.Findings {
			found = append(found, f.Path)
		}
		if strings.Join(found, " ") != path {
			t.Errorf("%q is wrong, found %+v", path, m.Findings)
		}
	}
}

// Benign names that degas generates because they look malicious are no finding. In another folder they are.
func TestTripwireOnHardNames(t *testing.T) {
	for folder, want := range map[string]bool{"generated": false, "generated-later": false, "mine": true} {
		in := t.TempDir()
		err := synth.WriteSample(filepath.Join(in, folder),
			synth.SampleOptions{Seed: 2, Benign: 600, DGA: 600, Tunnel: 300, Hard: 60})
		if err != nil {
			t.Fatal(err)
		}
		if m := mustProcess(t, in, t.TempDir(), Options{}); (len(m.Findings) > 0) != want {
			t.Errorf("%s: %+v", folder, m.Findings)
		}
	}
}
