package versions_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/model/versions"
)

func save(t testing.TB, path ...string) {
	t.Helper()
	dir := filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(dir, 0o755), modeltest.Small(.5, nil).Save(dir)); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path ...string) string {
	t.Helper()
	dir := filepath.Join(path...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNumber(t *testing.T) {
	for name, want := range map[string]int{"0": 0, "1": 1, "007": 7, "2147483647": 1<<31 - 1, "2147483648": -1, "": -1,
		"-1": -1, "+1": -1, "1.": -1, " 1": -1, "shadow": -1, ".degas-1.lock": -1} {
		if n, ok := versions.Number(name); ok != (want >= 0) || ok && n != want {
			t.Errorf("%q is %d, %t", name, n, ok)
		}
	}
}

// The next number is above all of both folders, whatever has such a name.
func TestNext(t *testing.T) {
	dir := t.TempDir()
	want := func(n int) {
		t.Helper()
		if got, err := versions.Next(dir); err != nil || got != n {
			t.Errorf("next is %d, %v, want %d", got, err, n)
		}
	}
	if n, err := versions.Next(filepath.Join(dir, "nothing")); n != 1 || err != nil {
		t.Errorf("of no folder: %d, %v", n, err)
	}
	want(1)
	mkdir(t, dir, "3")
	want(4)
	mkdir(t, dir, "shadow", "7")
	want(8)
	if err := os.WriteFile(filepath.Join(dir, "9"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want(10)
	mkdir(t, dir, "2147483647")
	if n, err := versions.Next(dir); err == nil || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("above the highest: %d, %v", n, err)
	}
}

func TestFind(t *testing.T) {
	dir := mkdir(t, t.TempDir(), "shop")
	save(t, dir, "2")
	mkdir(t, dir, "shadow", "3")
	for _, tc := range []struct {
		dir, name string
		number    int
		path      string
	}{
		{dir, "shop", 2, filepath.Join(dir, "2")},
		{filepath.Join(dir, "2"), "shop", 2, filepath.Join(dir, "2")},
		{filepath.Join(dir, "shadow", "3"), "shadow", 3, filepath.Join(dir, "shadow", "3")},
		{model.BuiltinName, "degas", 1, model.BuiltinName},
	} {
		name, paths, err := versions.Find(tc.dir)
		if err != nil || name != tc.name || len(paths) != 1 || paths[tc.number] != tc.path {
			t.Errorf("%s: %s, %v, %v", tc.dir, name, paths, err)
		}
	}
	if _, _, err := versions.Find(filepath.Join(dir, "nothing")); err == nil || !strings.Contains(err.Error(), "Try: ") {
		t.Error(err)
	}
}

// The newest version that can be loaded is in use, whatever comes and goes. Each trouble is told once.
func TestNewest(t *testing.T) {
	dir := mkdir(t, t.TempDir(), "shop")
	if _, _, err := versions.Open(dir, nil); !errors.Is(err, model.ErrNoModel) {
		t.Errorf("of an empty folder: %v", err)
	}
	save(t, dir, "1")
	mkdir(t, dir, "2")
	told := 0
	n, v, err := versions.Open(dir, func(error) { told++ })
	if err != nil || v.Number != 1 || v.Model != "shop" || v.Path != filepath.Join(dir, "1") || told != 1 {
		t.Fatalf("%+v, %v, told %d times", v, err, told)
	}
	weights := filepath.Join(dir, "3", model.WeightsFile)
	rename := func(from, to string) {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		what   string
		do     func()
		number int // 0 for no other version
		fails  bool
	}{
		{"nothing new", func() {}, 0, false},
		{"a new one", func() { save(t, dir, "3") }, 3, false},
		{"an old one comes", func() { save(t, dir, "0") }, 0, false},
		{"a broken one comes", func() { mkdir(t, dir, "4") }, 0, true},
		{"it stays broken", func() {}, 0, false},
		{"it is repaired", func() { save(t, dir, "4") }, 4, false},
		{"the newest goes", func() { rename("4", "away") }, 3, false},
		{"its files break", func() { must(t, os.Truncate(weights, 10)) }, 0, true},
		{"it goes, too, and 2 is still broken", func() { must(t, os.RemoveAll(filepath.Join(dir, "3"))) }, 1, true},
		{"it comes back", func() { rename("away", "4") }, 4, false},
		{"the folder goes", func() { rename(".", "../gone") }, 0, true},
		{"it is empty", func() { mkdir(t, dir) }, 0, true},
	} {
		step.do()
		v, err := n.Look()
		if got := numberOf(v); got != step.number || (err != nil) != step.fails {
			t.Errorf("%s: version %d, %v", step.what, got, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func numberOf(v *versions.Version) int {
	if v == nil {
		return 0
	}
	return v.Number
}

// Run tells of each version, and of each trouble once.
func TestRun(t *testing.T) {
	dir := mkdir(t, t.TempDir(), "shop")
	save(t, dir, "1")
	n, _, err := versions.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var changes []int
		troubles := 0
		go n.Run(ctx, time.Second, func(v *versions.Version) { changes = append(changes, v.Number) },
			func(error) { troubles++ })
		for _, do := range []func(){
			func() { save(t, dir, "2") },
			func() { mkdir(t, dir, "3") },
			func() { must(t, os.Rename(dir, dir+"-away")) },
			func() { must(t, os.Rename(dir+"-away", dir)) },
			func() { must(t, os.RemoveAll(filepath.Join(dir, "2"))) },
		} {
			do()
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if len(changes) != 2 || changes[0] != 2 || changes[1] != 1 || troubles != 2 {
			t.Errorf("versions %v, %d troubles", changes, troubles)
		}
	})
}
