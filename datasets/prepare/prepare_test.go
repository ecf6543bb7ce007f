package prepare

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model/dnsname"
)

var update = flag.Bool("update", false, "write golden files")

// tree writes files below a new folder. Names ending in .gz are compressed.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := []byte(text)
		if strings.HasSuffix(name, ".gz") {
			data = gzipped(data)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

// sampleTree is a small input with every class, duplicates, conflicts and rows to refuse.
func sampleTree(t testing.TB) string {
	var benign, tinba, kraken, iodine strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&benign, "%d,host%d.site%d.com\n", i+1, i%3, i/2)
		fmt.Fprintf(&tinba, "x%05xq%d.net\n", i*7919%65536, i%7)
		if i < 600 {
			fmt.Fprintf(&kraken, "k%05x.yi.org\n", i*104729%65536) // all below one domain that is no public suffix
			fmt.Fprintf(&iodine, "0%05xab.t%d.tunnel.example.net\n", i*31, i)
		}
	}
	benign.WriteString("3001,Conflict.Example.COM.\n3002,listed.example.org\n3003,bad name.com\n")
	tinba.WriteString("conflict.example.com\nx00000q0.net\n")
	return tree(t, map[string]string{
		"sample/benign.csv":        benign.String(),
		"sample/dga/tinba.txt.gz":  tinba.String(),
		"sample/dga/kraken.txt":    kraken.String(),
		"sample/tunnel/iodine.txt": iodine.String(),
		"feeds/chrmor.csv": "domain,family,label\nx00000q0.net,tinba_v2,dga\nkraken-like.biz,Kraken,dga\n" +
			"plain.org,benign,benign\n",
		"ctc/malicious_domains.txt":    "# a blocklist\nlisted.example.org\nphish.example.net\n",
		"notes/readme.txt":             "not data\n",
		"notes/unknown.txt":            "nothing that looks like names at all\n",
		"sample/dga/empty.txt":         "",
		".hidden/dga/secret.txt":       "hidden.example.com\n",
		"umudga/LICENSE.umudga":        "MIT",
		"sample/dga/zz.txt":            "zz1.org\nzz2.org\n",
		"sample/dga/zz.txt.degas.json": `{"family":"Zeus-NewGOZ","source":"mine"}`,
	})
}

func mustProcess(t testing.TB, in, out string, o Options) *datasets.Manifest {
	t.Helper()
	m, err := Run(t.Context(), in, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// splitRows reads a split as text.
func splitRows(t testing.TB, dir, split string) []placed {
	t.Helper()
	s, err := datasets.Open(t.Context(), dir, split)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rows []placed
	for b, err := range s.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range b.Names {
			rows = append(rows, placed{Record: datasets.Record{Name: n, Class: b.Class[i], Family: s.Families()[b.Family[i]],
				Source: s.Sources()[b.Source[i]]}})
		}
	}
	if int64(len(rows)) != s.Rows() {
		t.Fatalf("%s: %d rows read, Rows says %d", split, len(rows), s.Rows())
	}
	return rows
}

func outputBytes(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, n := range append(datasets.SplitNames(), "") {
		name := n + ".arrow"
		if n == "" {
			name = datasets.ManifestName
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
	}
	return b.String()
}

func TestProcessManifestIsGolden(t *testing.T) {
	out := t.TempDir()
	m := mustProcess(t, sampleTree(t), out, Options{Seed: 7, Version: "test", MaxBad: 0.5})
	// Compressed inputs depend on the compressor's version.
	for i := range m.Inputs {
		if strings.HasSuffix(m.Inputs[i].Path, ".gz") {
			m.Inputs[i].SHA256, m.Inputs[i].Bytes = "", 0
		}
	}
	m.Fingerprint = ""
	for i := range m.Splits { // the fingerprint is in the files
		m.Splits[i].SHA256 = ""
	}
	got, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "manifest.golden.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("manifest differs from %s (-update writes it):\n%s", golden, got)
	}
	if m.RowsIn != m.Refused+m.Duplicates+m.Overridden+m.Conflicts.Rows+m.Capped+m.Balanced+m.Kept {
		t.Errorf("rows do not add up: %+v", m)
	}
}

func TestProcessIsDeterministic(t *testing.T) {
	in := sampleTree(t)
	out := t.TempDir()
	mustProcess(t, in, out, Options{Seed: 3, Workers: 1})
	want := outputBytes(t, out)
	for _, o := range []Options{
		{Seed: 3, Workers: 2},
		{Seed: 3, Workers: 7, Memory: 64 << 20},
		{Seed: 3, Workers: 3, Memory: 8 << 30},
	} {
		mustProcess(t, in, out, o)
		if outputBytes(t, out) != want {
			t.Errorf("workers %d, memory %d: output differs", o.Workers, o.Memory)
		}
	}
	mustProcess(t, in, out, Options{Seed: 4})
	if outputBytes(t, out) == want {
		t.Error("another seed gives the same bytes")
	}
}

// The order of rows in a file and of files must not decide what is kept.
func TestProcessIgnoresInputOrder(t *testing.T) {
	var lines []string
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("d%d.example%d.com,fam%d,dga", i%400, i%90, i%3))
	}
	make := func(rows []string) string {
		return tree(t, map[string]string{"a/t.csv": "domain,family,label\n" + strings.Join(rows, "\n") + "\n"})
	}
	reversed := append([]string(nil), lines...)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	a, b := t.TempDir(), t.TempDir()
	mustProcess(t, make(lines), a, Options{})
	mustProcess(t, make(reversed), b, Options{})
	for _, s := range datasets.SplitNames() {
		if fmt.Sprint(splitRows(t, a, s)) != fmt.Sprint(splitRows(t, b, s)) {
			t.Errorf("%s differs", s)
		}
	}
}

func TestSplitsShareNothing(t *testing.T) {
	in := sampleTree(t)
	for i, o := range []Options{
		{}, {Split: datasets.SplitByFamily}, {Split: datasets.SplitBySource}, {Split: datasets.SplitRandom},
		{CapFamily: 50}, {Balance: datasets.BalanceBinary}, {Balance: datasets.BalanceClass, CapFamily: 300,
			Split: datasets.SplitByFamily},
		{HoldoutFamilies: []string{"tinba"}}, {Split: datasets.SplitRandom, HoldoutFamilies: []string{"kraken"}},
	} {
		if testing.Short() && i%3 > 0 { // enough for the race detector
			continue
		}
		t.Run(fmt.Sprint(o.Split, o.HoldoutFamilies, o.Balance, o.CapFamily), func(t *testing.T) {
			out := t.TempDir()
			m := mustProcess(t, in, out, o)
			domain, name := map[string]string{}, map[string]string{}
			for _, s := range datasets.SplitNames() {
				for _, r := range splitRows(t, out, s) {
					if old, ok := name[r.Name]; ok {
						t.Fatalf("%s is in %s and %s", r.Name, old, s)
					}
					name[r.Name] = s
					d := dnsname.Registered(r.Name)
					if old, ok := domain[d]; ok && old != s && o.Split != datasets.SplitRandom {
						t.Fatalf("%s is in %s and %s", d, old, s)
					}
					domain[d] = s
					for _, h := range o.HoldoutFamilies {
						if strings.HasPrefix(r.Family, h) && s != "test" {
							t.Fatalf("held-out %v is in %s", r, s)
						}
					}
				}
			}
			if int64(len(name)) != m.Kept {
				t.Errorf("%d names, manifest says %d", len(name), m.Kept)
			}
		})
	}
}

func TestProcessRefusesNonsense(t *testing.T) {
	good := "a.example.com\nb.example.org\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		o     Options
		want  string
	}{
		{"empty folder", nil, Options{}, "Try: degas download-data"},
		{"nothing recognised", map[string]string{"x/y.txt": "hello world\n"}, Options{}, "x/y.txt (not recognised)"},
		{"classes without a header", map[string]string{"x/y.csv": "google.com,0\nxjpakm.biz,1\n"}, Options{},
			"x/y.csv (not recognised: the numbers beside the names are no ranking: if they are classes, add a header, " +
				"such as domain,class)"},
		{"split", map[string]string{"dga/a.txt": good}, Options{Split: "colour"}, "domain, random, family, source, date"},
		{"compression", map[string]string{"dga/a.txt": good}, Options{Compression: "gzip"}, "none, lz4, zstd"},
		{"shares", map[string]string{"dga/a.txt": good}, Options{Test: 0.6, Validation: 0.5}, "nothing to train on"},
		{"no number", map[string]string{"dga/a.txt": good}, Options{Test: math.NaN()}, "nothing to train on"},
		{"no dates", map[string]string{"dga/a.txt": good}, Options{Split: datasets.SplitByDate}, "no row has a date"},
		{"one date", map[string]string{"dga/netlab.txt": "a\ta.com\t2018-01-01 00:00:00\t2018-01-02 00:00:00\n"},
			Options{Split: datasets.SplitByDate}, "all dates are 2018-01-01"},
		{"balance", map[string]string{"dga/a.txt": good}, Options{Balance: "evenly"}, "known are: binary, class"},
		{"balance of one class", map[string]string{"dga/a.txt": good}, Options{Balance: datasets.BalanceBinary},
			"no benign names"},
		{"classes of one class", map[string]string{"dga/a.txt": good}, Options{Balance: datasets.BalanceClass}, "1 class"},
		{"cap", map[string]string{"dga/a.txt": good}, Options{CapFamily: -1}, "at least 1"},
		{"holdout", map[string]string{"dga/a.txt": good}, Options{HoldoutFamilies: []string{"zzz"}}, `"zzz", there are: a`},
		{"train only", map[string]string{"dga/a.txt": good}, Options{TrainOnly: []string{"zzz"}},
			`no file is of the source "zzz"`},
		{"train only, by source", map[string]string{"dga/a.txt": good},
			Options{TrainOnly: []string{"dga"}, Split: datasets.SplitBySource}, `a split by source cannot have them`},
		{"bad rows", map[string]string{"dga/a.txt": strings.Repeat(good, 100) + strings.Repeat("a b.c\n", 20)},
			Options{}, "dga/a.txt:201: character outside a name's grammar"},
		{"sidecar", map[string]string{"a.txt": good, "a.txt.degas.json": `{"clas":"dga"}`}, Options{},
			`unknown field "clas"`},
		{"sidecar class", map[string]string{"a.txt": good, "a.txt.degas.json": `{"class":"evil"}`}, Options{},
			"benign, dga, tunnel"},
		{"all in conflict", map[string]string{"dga/a.txt": good, "benign/b.txt": good}, Options{}, "no rows are left"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := t.TempDir()
			_, err := Run(t.Context(), tree(t, tc.files), out, tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %v", err)
			}
			left, err := os.ReadDir(out)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestProcessDamagedInputKeepsOldOutput(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, sampleTree(t), out, Options{})
	want := outputBytes(t, out)
	whole := gzipped([]byte(strings.Repeat("abc.example.com\nxyz.example.org\n", 5000)))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for name, data := range map[string][]byte{"truncated": whole[:len(whole)-20], "flipped": flipped} {
		t.Run(name, func(t *testing.T) {
			in := tree(t, map[string]string{"dga/good.txt": "good.example.com\n"})
			if err := os.WriteFile(filepath.Join(in, "dga", "bad.txt.gz"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Run(t.Context(), in, out, Options{})
			if err == nil || !strings.Contains(err.Error(), "dga/bad.txt.gz") {
				t.Fatalf("error %v does not name the file", err)
			}
			if outputBytes(t, out) != want {
				t.Error("the old output changed")
			}
		})
	}
}

func TestProcessUnreadableFile(t *testing.T) {
	in := tree(t, map[string]string{"dga/a.txt": "a.example.com\n", "dga/b.txt": "b.example.com\n"})
	// A link to nowhere is unreadable for root too, which tests may run as.
	if err := os.Symlink(filepath.Join(in, "gone"), filepath.Join(in, "dga", "c.txt")); err != nil {
		t.Skip(err)
	}
	_, err := Run(t.Context(), in, t.TempDir(), Options{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "c.txt") {
		t.Errorf("error %v", err)
	}
}

func TestProcessCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := t.TempDir()
	if _, err := Run(ctx, sampleTree(t), out, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestProcessRemovesStaleWorkAndLocks(t *testing.T) {
	in, out := sampleTree(t), t.TempDir()
	stale := filepath.Join(out, ".degas-process-123.partial")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stale, "rows"), make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := dirlock.LockInside(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), in, out, Options{}); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("a second process was let in: %v", err)
	}
	unlock()
	mustProcess(t, in, out, Options{})
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Error("stale work is still there")
	}
}

// slicedContent is the content hash of what a cleaner with a budget of bytes keeps of in.
func slicedContent(t *testing.T, in string, o Options, budget int64) [2]uint64 {
	t.Helper()
	o, plan, err := o.resolve()
	if err != nil {
		t.Fatal(err)
	}
	inputs, skipped, err := formats.Discover(t.Context(), in, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer formats.Close(inputs)
	p := newPreparation(o, plan, t.TempDir(), inputs, skipped)
	found, err := p.read(t.Context())
	if err := errors.Join(err, found.conclude(p.manifest, p.plan, skipped, false)); err != nil {
		t.Fatal(err)
	}
	defer p.spilled.close()
	if p.kept, err = newSpill(filepath.Join(p.temp, "kept"), datasets.NumSplits, 0, &p.chunks); err != nil {
		t.Fatal(err)
	}
	defer p.kept.close()
	p.buckets = 1
	c := p.cleaner(nil)
	c.budget = budget
	for part := range p.spilled.parts {
		if err := c.partition(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	return c.sum.content
}

// A partition that outgrows the budget is worked on in slices, to the same result.
func TestCleanerSlices(t *testing.T) {
	in := sampleTree(t)
	for _, o := range []Options{{}, {HoldoutFamilies: []string{"kraken"}}} {
		want := slicedContent(t, in, o, 1<<30)
		for _, budget := range []int64{20_000, 3_000} {
			if slicedContent(t, in, o, budget) != want {
				t.Errorf("budget %d: content differs", budget)
			}
		}
	}
}

func TestProgressEndsAtTotal(t *testing.T) {
	var last, total int64
	mustProcess(t, sampleTree(t), t.TempDir(), Options{Progress: func(d, n int64) {
		if d < last || d > n {
			t.Errorf("progress went from %d to %d of %d", last, d, n)
		}
		last, total = d, n
	}})
	if total == 0 || last < total*95/100 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
}
