// Package architecture holds the project to docs/ARCHITECTURE.md: its table of rooms says which package may import
// which, and these tests compare it with the imports there are.
package architecture

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/degas-dns/degas/"
)

// row is a row of the table of rooms.
type row struct {
	packages []string // folders
	imports  []string // folders
}

var quoted = regexp.MustCompile("`([^`]+)`")

// section is what stands below a heading of docs/ARCHITECTURE.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, below, _ := strings.Cut(string(text), "\n## "+heading+"\n")
	below, _, _ = strings.Cut(below, "\n## ")
	return below
}

// rooms reads the table below the heading Rooms. Its first column names packages, its last one what they may import.
func rooms(t *testing.T) (table []row) {
	t.Helper()
	names := func(cell string) (out []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, strings.TrimSuffix(m[1], "/"))
		}
		return out
	}
	for line := range strings.Lines(section(t, "Rooms")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || len(names(cells[1])) == 0 {
			continue
		}
		table = append(table, row{names(cells[1]), names(cells[3])})
	}
	if len(table) < 10 {
		t.Fatalf("%d rows of rooms found", len(table))
	}
	return table
}

// imports gives, for each folder with Go files that are no tests, the folders of this project that it imports under any
// build tag.
func imports(t *testing.T) map[string]map[string]bool {
	t.Helper()
	out := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != root && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() && (hidden || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(rel)
		if out[folder] == nil {
			out[folder] = map[string]bool{}
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(p, module); ours {
				out[folder][to] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tool reports whether a folder is a helper that every room may import: internal/, and no room of the project below it.
func tool(folder string, all map[string]map[string]bool) bool {
	if path.Dir(folder) != "internal" {
		return false
	}
	for to := range all[folder] {
		if !tool(to, all) {
			return false
		}
	}
	return true
}

// Every package has a row, every row a package, and the arrows are those of the table: none more, none fewer.
func TestImportsAreThoseOfTheTable(t *testing.T) {
	all := imports(t)
	allowed := map[string][]string{}
	for _, r := range rooms(t) {
		for _, p := range r.packages {
			if _, twice := allowed[p]; twice {
				t.Errorf("%s has two rows", p)
			}
			allowed[p] = r.imports
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		if tool(folder, all) {
			continue
		}
		may, ok := allowed[folder]
		if !ok {
			t.Errorf("%s has no row in the table of rooms in docs/ARCHITECTURE.md", folder)
			continue
		}
		for _, to := range slices.Sorted(maps.Keys(all[folder])) {
			if !slices.Contains(may, to) && !tool(to, all) {
				t.Errorf("%s imports %s, which its row does not allow", folder, to)
			}
		}
	}
	used := func(r row, to string) bool {
		return slices.ContainsFunc(r.packages, func(p string) bool { return all[p][to] })
	}
	for _, r := range rooms(t) {
		for _, p := range r.packages {
			if all[p] == nil {
				t.Errorf("the table of rooms has a row for %s, which is no package", p)
			}
		}
		for _, to := range r.imports {
			if !used(r, to) {
				t.Errorf("the table of rooms lets %v import %s, which it does not", r.packages, to)
			}
		}
	}
}

// A room imports only rooms that come further down.
func TestArrowsGoDown(t *testing.T) {
	place := map[string]int{}
	table := rooms(t)
	for i, r := range table {
		for _, p := range r.packages {
			place[p] = i
		}
	}
	for i, r := range table {
		for _, to := range r.imports {
			if at, ok := place[to]; !ok || at <= i {
				t.Errorf("%v imports %s, which does not come further down in the table of rooms", r.packages, to)
			}
		}
	}
}

var step = regexp.MustCompile(`\["([^"<, ]+\.go)[^"<]*<br><b>(\w+)</b>`)

// Every function that a picture of docs/ARCHITECTURE.md names is in the file that it names.
func TestPicturesNameFunctions(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := step.FindAllStringSubmatch(string(text), -1)
	if len(steps) < 30 {
		t.Fatalf("%d steps found", len(steps))
	}
	for _, s := range steps {
		code, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s[1])))
		if err != nil {
			t.Error(err)
		} else if !regexp.MustCompile(`(?m)^func (\([^)]+\) )?` + s[2] + `\(`).Match(code) {
			t.Errorf("%s has no function %s", s[1], s[2])
		}
	}
}

// registries are the packages of one-file entries, which may have any number of files: a command, a format, a source, a
// family.
var registries = []string{"cmd/degas", "datasets/formats", "datasets/sources", "datasets/synth",
	"events/logs"}

// A package has at most twenty files that are no tests, and a file at most five hundred lines.
func TestRoomsAreSmall(t *testing.T) {
	for folder := range imports(t) {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(text, []byte("\n")); n > 500 {
				t.Errorf("%s has %d lines, more than 500", name, n)
			}
		}
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		if len(files) > 20 && !slices.Contains(registries, folder) {
			t.Errorf("%s has %d files, more than 20", folder, len(files))
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(Test\w+)(…?)`) // a … stands for all that begin so
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// Every promise about files and failures names a test that holds it, and every test that is named exists.
func TestPromisesNameTests(t *testing.T) {
	var tests []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		code, err := os.ReadFile(name)
		for _, m := range testFunc.FindAllSubmatch(code, -1) {
			tests = append(tests, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	promises := strings.Split(section(t, "Files and failures"), "\n* ")[1:]
	if len(promises) < 5 {
		t.Fatalf("%d promises found", len(promises))
	}
	for _, promise := range promises {
		named := testName.FindAllStringSubmatch(promise, -1)
		if len(named) == 0 {
			t.Errorf("no test holds the promise %.80q", promise)
		}
		for _, m := range named {
			if !slices.ContainsFunc(tests, func(test string) bool {
				return test == m[1] || m[2] != "" && strings.HasPrefix(test, m[1])
			}) {
				t.Errorf("there is no %s, which the promise %.80q names", m[0], promise)
			}
		}
	}
}

// Rooms that print results use package printable, which escapes the texts of strangers in them.
func TestResultsArePrintedEscaped(t *testing.T) {
	unescaped := regexp.MustCompile(`\bfmt\.(Fp|P)rint|\btemplate\.New\(`)
	for _, folder := range []string{"cmd/degas", "evaluate/report", "trainer/tune"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, name := range files {
			code, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if found := unescaped.Find(code); found != nil && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s has %s. Try: printable.Fprintf, printable.HTMLTemplate", name, found)
			}
		}
	}
}
