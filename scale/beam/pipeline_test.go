package beam

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/datasets/synth"
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
	return dir
}

// rowsOf reads all rows below dir's files of a split as text.
func rowsOf(t *testing.T, dir, split string) (rows []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, split+"*.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := ipc.NewFileReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.NumRecords() {
			rec, err := r.RecordAt(i)
			if err != nil {
				t.Fatal(err)
			}
			for k := range int(rec.NumRows()) {
				row := split
				for _, c := range rec.Columns() {
					if d, ok := c.(*array.Dictionary); ok {
						row += "\t" + d.Dictionary().(*array.String).Value(d.GetValueIndex(k))
					} else {
						row += "\t" + c.(*array.String).Value(k)
					}
				}
				rows = append(rows, row)
			}
		}
	}
	slices.Sort(rows)
	return rows
}

// The rows that come out on Beam are those of degas process-data, and so are the counts.
func TestEqualsLocalOutput(t *testing.T) {
	in := rawTree(t)
	for name, o := range map[string]prepare.Options{
		"domain":  {Seed: 3},
		"random":  {Seed: 4, Split: datasets.SplitRandom, Test: 0.3},
		"holdout": {Seed: 5, HoldoutFamilies: []string{"necurs", "iodine"}, Compression: "zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			local, out := t.TempDir(), t.TempDir()
			want, err := prepare.Run(t.Context(), in, local, o)
			if err != nil {
				t.Fatal(err)
			}
			p, s := beam.NewPipelineWithRoot()
			if err := Build(t.Context(), s, Options{Input: in, Output: out, Process: o, Partitions: 7, Shards: 3}); err != nil {
				t.Fatal(err)
			}
			if err := ptest.Run(p); err != nil {
				t.Fatal(err)
			}
			got := summaryOf(t, out)
			for _, split := range datasets.SplitNames() {
				a, b := rowsOf(t, local, split), rowsOf(t, out, split)
				if len(a) == 0 || !slices.Equal(a, b) {
					t.Errorf("%s: %d rows here, %d on Beam, or other ones", split, len(a), len(b))
				}
			}
			counts := map[string]int64{
				countRowsIn: want.RowsIn, countRefused: want.Refused, countDuplicates: want.Duplicates,
				countOverridden:   want.Overridden,
				countFamilyMerges: want.FamilyMerges, countConflictNames: want.Conflicts.Names,
				countConflictRows: want.Conflicts.Rows, countKept: want.Kept,
			}
			for reason, n := range want.RefusedBy {
				counts[countRefused+": "+reason] = n
			}
			if !maps.Equal(counts, got.Counts) {
				t.Errorf("counts %v, want %v", got.Counts, counts)
			}
			rows := int64(0)
			for _, s := range got.Shards {
				rows += s.Rows
			}
			if rows != want.Kept || want.Conflicts.Names == 0 || want.Refused == 0 || want.Overridden == 0 {
				t.Errorf("%d rows in shards of %d; the input tests too little: %+v", rows, want.Kept, counts)
			}
		})
	}
}

func summaryOf(t *testing.T, dir string) (s Summary) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRefusesWhatNeedsCounts(t *testing.T) {
	in := rawTree(t)
	for want, o := range map[string]Options{
		"split by family": {Process: prepare.Options{Split: datasets.SplitByFamily}},
		"split by date":   {Process: prepare.Options{Split: datasets.SplitByDate}},
		"balancing":       {Process: prepare.Options{Balance: datasets.BalanceBinary}},
		"-1 partitions":   {Partitions: -1},
		"unknown split":   {Process: prepare.Options{Split: "month"}},
	} {
		o.Input, o.Output = in, t.TempDir()
		_, s := beam.NewPipelineWithRoot()
		if err := Build(context.Background(), s, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
