package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

// rawData is where developers keep 2.2 million real rows; nothing depends on it.
const rawData = "../../../shared/data/raw"

// TestRawData processes a few real files. It skips without them.
func TestRawData(t *testing.T) {
	if testing.Short() {
		t.Skip("reads real data")
	}
	in := t.TempDir()
	for _, name := range []string{"chrmor-25-families.csv.gz", "legit-dga_domains.csv.gz", "dga-lists", "dtqbc", "ctc"} {
		from, err := filepath.Abs(filepath.Join(rawData, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(from); err != nil {
			t.Skipf("no real data: %v", err)
		}
		if info, _ := os.Stat(from); info.IsDir() {
			err = os.CopyFS(filepath.Join(in, name), os.DirFS(from))
		} else {
			err = os.Symlink(from, filepath.Join(in, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m := mustProcess(t, in, t.TempDir(), Options{Seed: 1})
	if m.Kept < 800_000 || len(m.Skipped) > 0 {
		t.Errorf("%d rows kept, skipped %v", m.Kept, m.Skipped)
	}
	for _, s := range m.Splits {
		for _, f := range []string{"newgoz", "conficker", "iodine", "dns2tcp", "dnscapy", "tuns", datasets.BlocklistFamily} {
			if s.ByFamily[f] == 0 {
				t.Errorf("%s has no %s", s.Name, f)
			}
		}
	}
}

// BenchmarkProcess reports the rows a second of the whole stage on generated names.
func BenchmarkProcess(b *testing.B) {
	const rows = 200_000
	var benign, dga strings.Builder
	for i := range rows / 2 {
		fmt.Fprintf(&benign, "%d,www.host%d.example-site%d.co.uk\n", i+1, i%9, i/3)
		fmt.Fprintf(&dga, "q%xk%d.com\n", i*2654435761%(1<<32), i%7)
	}
	in := tree(b, map[string]string{"benign.csv": benign.String(), "dga/x.txt": dga.String()})
	out := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		mustProcess(b, in, out, Options{Seed: 1})
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
