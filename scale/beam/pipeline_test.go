package beam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/bucket/buckettest"
)

// Tests run on Prism, Beam's local portable runner.
func TestMain(m *testing.M) { ptest.MainWithDefault(m, "prism") }

// rawTree is a folder with every kind of trouble: names of all classes, duplicates, conflicts, merges, refused rows, a
// tunnel with a sidecar.
func rawTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var benign strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&benign, "%d,host%d.site%d.co.uk\n", i+1, i%4, i/3)
	}
	benign.WriteString("3001,conflict.example.com\n3002,bad name.com\n3003,10.0.0.1\n")
	write("tranco/top.csv", benign.String())
	for _, f := range synth.Families() {
		names, err := f.Generate(synth.Params{Count: 150})
		if err != nil {
			t.Fatal(err)
		}
		write(fmt.Sprintf("lists/%s/%s.txt", f.Class, f.Name), strings.Join(names, "\n")+"\n"+names[0]+"\n")
	}
	write("table/mixed.csv",
		"domain,class,family\nconflict.example.com,dga,tinba\nagain.net,dga,kraken\nagain.net,dga,kraken_v1\n")
	write("ctc/malicious_domains.txt", "# list\nhost0.site1.co.uk\nphish.example.org\n")
	write("wrong/benign/names.txt", strings.Repeat("10.0.0.1\n", 20)) // has no usable name
	var dated strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&dated, "conficker\tc%05xq.net\t2018-06-%02d 00:00:00\t2018-07-01 23:59:59\n", i*104729, i/100+1)
	}
	write("netlab/dga.txt", dated.String())
	return dir
}

// options are ways to make a data set.
var options = map[string]prepare.Options{
	"domain":    {Seed: 3},
	"random":    {Seed: 4, Split: datasets.SplitRandom, Test: 0.3},
	"family":    {Seed: 5, Split: datasets.SplitByFamily},
	"source":    {Seed: 6, Split: datasets.SplitBySource},
	"date":      {Seed: 7, Split: datasets.SplitByDate},
	"holdout":   {Seed: 8, HoldoutFamilies: []string{"necurs", "iodine"}, Compression: "zstd"},
	"trainonly": {Seed: 9, TrainOnly: []string{"lists"}, Validation: -1, Compression: "lz4"},
	"exclude":   {Seed: 10, Exclude: []string{"netlab"}, Test: -1},
	"cap":       {Seed: 11, CapFamily: 40},
	"binary":    {Seed: 12, Balance: datasets.BalanceBinary},
	"class":     {Seed: 13, Balance: datasets.BalanceClass, CapFamily: 100, Split: datasets.SplitByFamily},
}

// process runs Process on the runner of the tests.
func process(t *testing.T, in, out string, o prepare.Options) (*datasets.Manifest, error) {
	return Process(t.Context(), in, out, Options{Options: o, Partitions: 7,
		Run: func(_ context.Context, p *beam.Pipeline) error { return ptest.Run(p) }})
}

// The files that come out are, byte for byte, those of degas process-data --shards.
func TestEqualsProcessData(t *testing.T) {
	in := rawTree(t)
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			o.Shards, o.Version = 3, "test"
			want, got := t.TempDir(), t.TempDir()
			m, err := prepare.Run(t.Context(), in, want, o)
			if err != nil {
				t.Fatal(err)
			}
			if m.Conflicts.Names == 0 || m.Refused == 0 || m.Overridden == 0 || len(m.Skipped) == 0 {
				t.Errorf("the input tests too little: %+v", m)
			}
			if _, err := process(t, in, got, o); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, want, got)
		})
	}
}

func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	for _, name := range datasets.FileNames(3) {
		a, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(got, name))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %d bytes, want %d, %v", name, len(b), len(a), err)
			if name == datasets.ManifestName {
				t.Logf("%s\nwant\n%s", b, a)
			}
		}
	}
}

// Errors are those of process-data, and leave what was there.
func TestEqualErrors(t *testing.T) {
	good := rawTree(t)
	bad := t.TempDir()
	for path, text := range map[string]string{
		"dga/a.txt":        strings.Repeat("good.com\n", 50) + strings.Repeat("10.0.0.1\n", 50),
		"benign/names.txt": "one.org\ntwo.org\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(bad, path)), 0o755),
			os.WriteFile(filepath.Join(bad, path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		in string
		o  prepare.Options
	}{
		"too many bad":     {bad, prepare.Options{}},
		"unknown holdout":  {good, prepare.Options{HoldoutFamilies: []string{"no-such"}}},
		"no date":          {bad, prepare.Options{Split: datasets.SplitByDate, MaxBad: 1}},
		"unknown source":   {good, prepare.Options{Exclude: []string{"no-such"}}},
		"nothing to weigh": {bad, prepare.Options{MaxBad: 1, Exclude: []string{"dga"}, Balance: datasets.BalanceBinary}},
		"strict":           {good, prepare.Options{Strict: true}},
		"no such folder":   {filepath.Join(bad, "no-such"), prepare.Options{}},
		"unknown split":    {good, prepare.Options{Split: "month"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.Shards = 2
			_, want := prepare.Run(t.Context(), tc.in, t.TempDir(), tc.o)
			out := t.TempDir()
			_, got := process(t, tc.in, out, tc.o)
			if want == nil || got == nil || got.Error() != want.Error() {
				t.Errorf("error %v\nwant  %v", got, want)
			}
			if left, _ := filepath.Glob(filepath.Join(out, "*")); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// In object storage there are the same files, and none of a data set before; an error leaves the old one.
func TestToStorage(t *testing.T) {
	in, want, url := rawTree(t), t.TempDir(), "s3://"+buckettest.Bucket+"/set"
	buckettest.New(t).Use(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := prepare.Run(t.Context(), in, want, prepare.Options{Seed: 3, Shards: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := process(t, in, url, prepare.Options{Seed: 1, Shards: 4}); err != nil {
		t.Fatal(err)
	}
	folder, err := bucket.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, err := process(t, in, url, prepare.Options{Split: datasets.SplitByDate, Exclude: []string{"netlab"},
		Shards: 3}); err == nil || !strings.Contains(err.Error(), "no row has a date") {
		t.Errorf("error %v", err)
	}
	if got := names(t, folder); !slices.Contains(got, datasets.ManifestName) || len(got) != 13 {
		t.Errorf("an error leaves %q", got)
	}
	if _, err := process(t, in, url, prepare.Options{Seed: 3, Shards: 3}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, folder); len(got) != 10 {
		t.Errorf("files %q", got)
	}
	got := t.TempDir()
	for _, name := range names(t, folder) {
		data, err := folder.Read(t.Context(), name, 1<<30)
		if err == nil {
			err = os.WriteFile(filepath.Join(got, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sameFiles(t, want, got)
}

func names(t *testing.T, folder *bucket.Folder) (list []string) {
	t.Helper()
	for f, err := range folder.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f.Name)
	}
	return list
}
