package prepare

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/alloctest"
)

// readAll opens a split as it is, without its checksum, and reads every batch.
func readAll(t *testing.T, dir string, report datasets.SplitReport) error {
	s, err := datasets.OpenWritten(dir, report)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, err := range s.Batches(t.Context()) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A stranger's split may come with its checksum. Whatever four bytes of it say, it is read in bounded memory.
func TestHostileSplits(t *testing.T) {
	in := tree(t, map[string]string{"dga/a.txt": "a.com\nb.com\nc.com\nd.com\n", "benign/b.txt": "e.org\nf.org\n"})
	for _, compression := range []string{"none", "lz4", "zstd"} {
		out := t.TempDir()
		m := mustProcess(t, in, out, Options{Compression: compression})
		report := *m.Split("train")
		whole, err := os.ReadFile(filepath.Join(out, report.File))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, report.File)
		step := 2
		if testing.Short() {
			step = 15
		}
		refused := 0
		for at := 0; at+4 <= len(whole); at += step {
			for _, claim := range []string{"\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x00\x00\x00\x40", "\x00\x00\x00\x00"} {
				data := slices.Clone(whole)
				copy(data[at:], claim)
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
				var read error
				if used := alloctest.Bytes(func() { read = readAll(t, dir, report) }); used > 400<<20 {
					t.Errorf("%s, %q at %d: %v with %d MiB", compression, claim, at, read, used>>20)
				}
				if read != nil {
					refused++
				}
			}
		}
		if refused == 0 {
			t.Error("none was refused")
		}
	}
}

// Nobody takes memory for rows that dataset.json has and the file has not.
func TestRowsAreThoseOfTheFile(t *testing.T) {
	out := t.TempDir()
	m := mustProcess(t, sampleTree(t), out, Options{})
	path := filepath.Join(out, datasets.ManifestName)
	for _, tc := range []struct {
		name   string
		change func(*datasets.SplitReport)
		want   string
	}{
		{"more rows than bytes", func(s *datasets.SplitReport) { s.Rows = 1 << 40 }, "1099511627776 rows in"},
		{"negative rows", func(s *datasets.SplitReport) { s.Rows = -1 }, "-1 rows"},
		{"more of a class", func(s *datasets.SplitReport) { s.ByClass = map[string]int64{"dga": s.Rows + 1} }, "by_class"},
		{"counts that wrap", func(s *datasets.SplitReport) {
			s.ByFamily = map[string]int64{"a": s.Rows + 1, "b": -1}
		}, "by_family"},
		{"one row more", func(s *datasets.SplitReport) {
			all := map[string]int64{"": s.Rows + 1}
			*s = datasets.SplitReport{Name: s.Name, File: s.File, Rows: s.Rows + 1, Bytes: s.Bytes, SHA256: s.SHA256,
				ByClass: all, ByFamily: all, BySource: all}
		}, "rows, but dataset.json has"},
	} {
		changed := *m
		changed.Splits = slices.Clone(m.Splits)
		tc.change(&changed.Splits[0])
		data, err := changed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := datasets.Open(t.Context(), out, "train")
		if err == nil {
			for _, failed := range s.Batches(t.Context()) {
				err = failed
			}
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
