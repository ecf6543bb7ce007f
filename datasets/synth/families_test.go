package synth

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedData finds shared/data beside the repository, with the published lists; "" where there is none.
func sharedData(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		candidate := filepath.Join(dir, "shared", "data")
		if info, err := os.Stat(filepath.Join(candidate, "dga-examples")); err == nil && info.IsDir() {
			return candidate
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// readExamples reads the names of a list, without the headings and the marks that some lists carry.
func readExamples(t *testing.T, path string) []string {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for lines := bufio.NewScanner(text); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 0 && strings.Contains(words[0], ".") {
			names = append(names, words[0])
		}
	}
	return names
}

// unmatched are the names of a list that need what no argument can hold. Orchard's list has a second half
// that comes from the balance of a Bitcoin address at that time.
var unmatched = map[string]int{"orchard": 16}

// TestPublishedExamples checks every family against what was published of it, name by name and in order.
func TestPublishedExamples(t *testing.T) {
	dir := sharedData(t)
	if dir == "" {
		t.Log("no shared/data/dga-examples beside the repository: only the first names of each list are checked")
	}
	for _, c := range published {
		f, err := Lookup(c.family)
		if err != nil {
			t.Error(err)
			continue
		}
		want := strings.Fields(c.head)
		if dir != "" && c.file != "" {
			list := readExamples(t, filepath.Join(dir, filepath.FromSlash(c.file)))
			if len(list) != c.names {
				t.Errorf("%s: the list has %d names, the table says %d", c.file, len(list), c.names)
			}
			if !slices.Equal(list[:min(5, len(list))], want) {
				t.Errorf("%s: the list starts with %q, the table says %q", c.file, list[:min(5, len(list))], want)
			}
			want = list[:len(list)-unmatched[c.family]]
		}
		p := c.params
		p.Count = len(want)
		got, err := f.Generate(p)
		if err != nil {
			t.Errorf("%s %s: %v", c.family, p.Variant, err)
			continue
		}
		matched := 0
		for matched < len(got) && matched < len(want) && got[matched] == want[matched] {
			matched++
		}
		t.Logf("%-17s %-10s %4d/%d", c.family, p.Variant, matched, len(want)+unmatched[c.family])
		if matched < len(want) {
			t.Errorf("%s %s: differs from %s at name %d: got %q, want %q",
				c.family, p.Variant, c.file, matched, got[min(matched, len(got)):min(matched+1, len(got))], want[matched])
		}
	}
}

// TestDGAsArePublished: a family or variant without a published example has no place here.
func TestDGAsArePublished(t *testing.T) {
	for _, f := range Families() {
		if f.Class != ClassDGA {
			continue
		}
		for _, variant := range append(f.Variants, "") {
			if variant == "" && len(f.Variants) > 0 {
				continue
			}
			found := false
			for _, c := range published {
				found = found || c.family == f.Name && c.params.Variant == variant
			}
			if !found {
				t.Errorf("%s %q has no published example in the table", f.Name, variant)
			}
		}
	}
}

// TestFamilies holds what is true of every family and variant.
func TestFamilies(t *testing.T) {
	for _, f := range Families() {
		if f.Doc == "" || f.Reference == "" {
			t.Errorf("%s has no documentation", f.Name)
		}
		for _, variant := range append([]string{""}, f.Variants...) {
			p := Params{Seed: 77, Date: day(2023, 2, 28), Count: 50, Variant: variant}
			first, err := f.Generate(p)
			if err != nil {
				t.Errorf("%s %s: %v", f.Name, variant, err)
				continue
			}
			if len(first) == 0 || len(first) > p.Count {
				t.Errorf("%s %s: %d names, wanted 1 to %d", f.Name, variant, len(first), p.Count)
			}
			again, _ := f.Generate(p)
			if !slices.Equal(first, again) {
				t.Errorf("%s %s: the same parameters give other names", f.Name, variant)
			}
			p.Count = 3
			if few, _ := f.Generate(p); !slices.Equal(few, first[:min(3, len(first))]) {
				t.Errorf("%s %s: a shorter stream is not the start of a longer one", f.Name, variant)
			}
			for _, name := range first {
				if !valid(name) {
					t.Errorf("%s %s: %q fits no DNS question", f.Name, variant, name)
				}
			}
			if byDefault, err := f.Generate(Params{Variant: variant}); err != nil || len(byDefault) == 0 {
				t.Errorf("%s %s: defaults give %d names, %v", f.Name, variant, len(byDefault), err)
			}
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	f, err := Lookup("kraken")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		params Params
		want   string
	}{
		{Params{Count: -1}, "synth: kraken: negative count -1"},
		{Params{Variant: "v9"}, `synth: kraken has no variant "v9", known ones are: v1, v2`},
	} {
		if _, err := f.Generate(c.params); err == nil || err.Error() != c.want {
			t.Errorf("%+v: error %v, want %q", c.params, err, c.want)
		}
	}
	if _, err := Lookup("nosuch"); err == nil || !strings.Contains(err.Error(), "banjori") {
		t.Errorf("the error for an unknown family does not list the known ones: %v", err)
	}
}

func TestRegisterPanics(t *testing.T) {
	generate := func(Params) ([]string, error) { return nil, nil }
	for _, c := range []struct {
		family Family
		want   string
	}{
		{Family{Name: "banjori", Class: ClassDGA, Generate: generate}, "registry: family"},
		{Family{Name: "", Class: ClassDGA, Generate: generate}, "registry: family"},
		{Family{Name: "x", Class: "benign", Generate: generate}, "synth: "},
		{Family{Name: "x", Class: ClassDGA}, "synth: "},
	} {
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.HasPrefix(r, c.want) {
					t.Errorf("registering %+v: recovered %v", c.family, r)
				}
			}()
			Register(c.family)
		}()
	}
}
