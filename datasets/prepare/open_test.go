package prepare

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

func TestOpenReadsWhatProcessWrote(t *testing.T) {
	in := sampleTree(t)
	for _, compression := range []string{"none", "lz4", "zstd"} {
		out := t.TempDir()
		m := mustProcess(t, in, out, Options{Compression: compression})
		var rows int64
		for _, name := range datasets.SplitNames() {
			got := splitRows(t, out, name)
			rows += int64(len(got))
			byFamily := map[string]int64{}
			for _, r := range got {
				byFamily[r.Family]++
				if r.Class == datasets.Benign && r.Family != "" || r.Source == "" {
					t.Fatalf("%s: %+v", name, r)
				}
			}
			for f, n := range m.Split(name).ByFamily {
				if byFamily[f] != n {
					t.Errorf("%s: %s: %d rows of family %q, manifest says %d", compression, name, byFamily[f], f, n)
				}
			}
		}
		if rows != m.Kept {
			t.Errorf("%d rows, manifest says %d", rows, m.Kept)
		}
	}
}

func TestOpenDictionaries(t *testing.T) {
	out := t.TempDir()
	// So few domains that a split stays empty: it must have the dictionaries all the same.
	mustProcess(t, tree(t, map[string]string{"dga/a.txt": "a.com\n", "dga/b.txt": "b.a.com\n"}), out, Options{})
	for _, name := range datasets.SplitNames() {
		s, err := datasets.Open(t.Context(), out, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.Families(), ","); got != ",a,b" {
			t.Errorf("%s: families %q", name, got)
		}
		if got := strings.Join(s.Sources(), ","); got != ",dga" {
			t.Errorf("%s: sources %q", name, got)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A flipped byte in Arrow can end the process: it must be found before Arrow sees the file.
func TestOpenRefusesDamage(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, sampleTree(t), out, Options{})
	path := filepath.Join(out, "train.arrow")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, want string) {
		t.Helper()
		_, err := datasets.Open(t.Context(), out, "train")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Try: degas process-data") {
			t.Errorf("%s: error %v, want one with %q and a hint", what, err, want)
		}
	}
	for at := 0; at < len(whole); at += len(whole)/50 + 1 {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 0x40
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		refused("flipped byte", "train.arrow is damaged")
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	refused("truncated", "bytes")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("missing", "no such file")
	manifest := filepath.Join(out, datasets.ManifestName)
	for what, text := range map[string]string{"no JSON": "{", "other format": `{"format": 99}`} {
		if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(what, datasets.ManifestName)
	}
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	refused("no manifest", "no dataset.json")
}

func TestOpenUnknownSplit(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, sampleTree(t), out, Options{})
	_, err := datasets.Open(t.Context(), out, "tests")
	if err == nil || !strings.Contains(err.Error(), "train, validation, test") {
		t.Errorf("error %v", err)
	}
	m := `{"format": 1, "splits": [{"name": "train", "file": "../train.arrow"}]}`
	if err := os.WriteFile(filepath.Join(out, datasets.ManifestName), []byte(m), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := datasets.Open(t.Context(), out, "train"); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("error %v", err)
	}
}

func TestBatchesEndWithContext(t *testing.T) {
	out := t.TempDir()
	mustProcess(t, sampleTree(t), out, Options{})
	s, err := datasets.Open(t.Context(), out, "train")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Batches(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

// A process that is killed at any step of putting a new version in place leaves the old one, or what the next reader
// makes the new one of.
func TestKilledPlacing(t *testing.T) {
	in := sampleTree(t)
	want := t.TempDir()
	mustProcess(t, in, want, Options{Seed: 2})
	files := []string{"train.arrow", "validation.arrow", "test.arrow", datasets.ManifestName}
	for moved := range len(files) + 1 {
		out := t.TempDir()
		mustProcess(t, in, out, Options{Seed: 1})
		ready := filepath.Join(out, ".degas-process-ready")
		if err := os.Mkdir(ready, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range files {
			to := filepath.Join(ready, name)
			if i < moved {
				to = filepath.Join(out, name)
			}
			data, err := os.ReadFile(filepath.Join(want, name))
			if err := errors.Join(err, os.WriteFile(to, data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range datasets.SplitNames() {
			s, err := datasets.Open(t.Context(), out, name)
			if err != nil {
				t.Fatalf("%d moved: %v", moved, err)
			}
			s.Close()
		}
		if outputBytes(t, out) != outputBytes(t, want) {
			t.Errorf("%d moved: not the new version", moved)
		}
		if _, err := os.Stat(ready); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d moved: %v", moved, err)
		}
	}
}

// A manifest opens splits of its own version alone. A split that is open stays what it is.
func TestOpenOneVersion(t *testing.T) {
	in, out := sampleTree(t), t.TempDir()
	mustProcess(t, in, out, Options{Seed: 1})
	old, err := datasets.ReadManifest(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	want := splitRows(t, out, "train")
	train, err := old.Open(t.Context(), "train")
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	for what, o := range map[string]Options{"another seed": {Seed: 2}, "compressed": {Seed: 1, Compression: "zstd"}} {
		mustProcess(t, in, out, o)
		_, err := old.Open(t.Context(), "validation")
		if !errors.Is(err, datasets.ErrReplaced) || !strings.Contains(err.Error(), "Try: the same command again") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	rows := 0
	for b, err := range train.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range b.Names {
			if name != want[rows].Name {
				t.Fatalf("row %d is %s, want %s", rows, name, want[rows].Name)
			}
			rows++
		}
	}
	if rows != len(want) {
		t.Errorf("%d rows, want %d", rows, len(want))
	}
}
