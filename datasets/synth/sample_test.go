package synth

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSample(t *testing.T) {
	rows, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	classes, families, seen := map[string]int{}, map[string]int{}, map[string]string{}
	for _, r := range rows {
		classes[r.Class]++
		families[r.Family]++
		key := strings.ToLower(r.Name)
		if class, again := seen[key]; again {
			t.Errorf("%q is %s and %s", r.Name, class, r.Class)
		}
		seen[key] = r.Class
		if !valid(r.Name) {
			t.Errorf("%q fits no DNS question", r.Name)
		}
		if (r.Class == ClassBenign) != (r.Family == "") {
			t.Errorf("%+v: family and class do not go together", r)
		}
	}
	if classes[ClassBenign] != defaultBenign || classes[ClassDGA] != defaultDGA || classes[ClassTunnel] != defaultTunnel {
		t.Errorf("classes %v", classes)
	}
	most := map[string]int{}
	for _, f := range Families() {
		most[f.Class] = max(most[f.Class], families[f.Name])
	}
	// These have fewer names than their share, whatever the seed and the date.
	finite := map[string]int{"dmsniff": 40, "fosniw": 202}
	for _, f := range Families() {
		least := most[f.Class] - 20
		if n, small := finite[f.Name]; small {
			least = n
		}
		if families[f.Name] < least {
			t.Errorf("%s has %d rows, the largest family %d", f.Name, families[f.Name], most[f.Class])
		}
	}
}

func TestSampleIsDeterministic(t *testing.T) {
	o := SampleOptions{Seed: 5, Benign: 300, DGA: 300, Tunnel: 100}
	first, err := Sample(o)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := Sample(o)
	if !slices.Equal(first, second) {
		t.Error("the same options give another sample")
	}
	o.Seed++
	third, _ := Sample(o)
	if slices.Equal(first, third) {
		t.Error("another seed gives the same sample")
	}
}

func TestSampleCounts(t *testing.T) {
	for _, o := range []SampleOptions{
		{Benign: 7}, {DGA: 3}, {Tunnel: 1}, {DGA: 1000}, {Benign: 10, DGA: 10, Tunnel: 10, Seed: 9},
	} {
		rows, err := Sample(o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		if len(rows) != o.Benign+o.DGA+o.Tunnel {
			t.Errorf("%+v: %d rows", o, len(rows))
		}
	}
	if _, err := Sample(SampleOptions{DGA: -1}); err == nil {
		t.Error("a negative count passes")
	}
}

// TestTunnelZones: enough zones that no split by registered domain is left without tunnels, and none of
// them the zone of an ordinary name.
func TestTunnelZones(t *testing.T) {
	rows, err := Sample(SampleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	zone := func(name string) string {
		labels := strings.Split(name, ".")
		return strings.Join(labels[max(0, len(labels)-2):], ".")
	}
	tunnels, ordinary := map[string]int{}, map[string]bool{}
	for _, r := range rows {
		switch r.Class {
		case ClassTunnel:
			tunnels[zone(r.Name)]++
		case ClassBenign:
			ordinary[zone(r.Name)] = true
		}
	}
	if len(tunnels) < 300 {
		t.Errorf("only %d tunnel zones", len(tunnels))
	}
	for z := range tunnels {
		if ordinary[z] && !slices.Contains(zoneTLDs, z) {
			t.Errorf("%s is the zone of tunnels and of ordinary names", z)
		}
	}
}

func TestBenignSites(t *testing.T) {
	if len(benignSites) < 3000 {
		t.Errorf("only %d sites", len(benignSites))
	}
	if !slices.IsSorted(benignSites) {
		t.Error("benign.txt is not sorted")
	}
	if n := len(slices.Compact(slices.Clone(benignSites))); n != len(benignSites) {
		t.Errorf("benign.txt holds %d repeats", len(benignSites)-n)
	}
	for _, site := range benignSites {
		if !valid(site) || !strings.Contains(site, ".") || site != strings.ToLower(site) {
			t.Errorf("%q is no registered domain in lower case", site)
		}
	}
}

// TestBenignIsHard: an ordinary name is not just a short one.
func TestBenignIsHard(t *testing.T) {
	d := newDice(1, "test")
	long, hyphens, numbers := 0, 0, 0
	const n = 2000
	for range n {
		name, _ := benignName(d)
		if utf8.RuneCountInString(name) > 25 {
			long++
		}
		if strings.Contains(name, "-") {
			hyphens++
		}
		if strings.ContainsAny(name, digits) {
			numbers++
		}
	}
	if long < n/10 || hyphens < n/10 || numbers < n/5 {
		t.Errorf("of %d names %d are long, %d have hyphens and %d digits", n, long, hyphens, numbers)
	}
}

func TestWriteSample(t *testing.T) {
	dir, o := t.TempDir(), SampleOptions{Benign: 50, DGA: 100, Tunnel: 30}
	for range 2 { // the second run replaces what the first wrote
		if err := WriteSample(dir, o); err != nil {
			t.Fatal(err)
		}
	}
	want, err := Sample(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []Row
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		class := filepath.Base(filepath.Dir(path))
		family := strings.TrimSuffix(filepath.Base(path), ".txt")
		for i, line := range strings.Split(strings.TrimSuffix(string(bytes.TrimSpace(text)), "\n"), "\n") {
			r := Row{line, class, family}
			if entry.Name() == "benign.csv" {
				rank, name, _ := strings.Cut(line, ",")
				if rank != strconv.Itoa(i+1) {
					t.Errorf("benign.csv line %d has rank %s", i+1, rank)
				}
				r = Row{Name: name, Class: ClassBenign}
			}
			got = append(got, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b Row) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if !slices.Equal(got, want) {
		t.Errorf("the files hold %d rows that are not the %d of the sample", len(got), len(want))
	}
}

func TestWriteSampleReportsTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteSample(dir, SampleOptions{Benign: 1}); err == nil {
		t.Error("writing below a file passes")
	}
}

func BenchmarkSample(b *testing.B) {
	n := 0
	for b.Loop() {
		rows, err := Sample(SampleOptions{})
		if err != nil {
			b.Fatal(err)
		}
		n += len(rows)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "names/s")
}

// A file of the sample's name that somebody else wrote stays.
func TestSampleKeepsOthers(t *testing.T) {
	dir := t.TempDir()
	o := SampleOptions{Benign: 10, DGA: 100, Tunnel: 10}
	for range 2 { // its own files are no obstacle
		if err := WriteSample(dir, o); err != nil {
			t.Fatal(err)
		}
	}
	mine := filepath.Join(dir, "benign.csv")
	if err := os.WriteFile(mine, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const want = "benign.csv is there and is not the sample's"
	if err := WriteSample(dir, o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(mine); string(text) != "mine\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// A registered domain is in one split: with many names it would be a large part of a small one.
func TestSampleIsSpread(t *testing.T) {
	for _, spread := range []bool{true, false} {
		rows, err := Sample(SampleOptions{Benign: 4000, Spread: spread})
		if err != nil {
			t.Fatal(err)
		}
		most, byZone := 0, map[string]int{}
		for _, r := range rows {
			for _, zone := range []string{".mcafee.com", ".footprintdns.com", ".fbcdn.net", ".compute.internal"} {
				if strings.HasSuffix(r.Name, zone) {
					byZone[zone]++
					most = max(most, byZone[zone])
				}
			}
		}
		if len(rows) != 4000 || (most <= 4000/shapeShare+3) != spread {
			t.Errorf("spread %v: %d names, %v", spread, len(rows), byZone)
		}
	}
}
