package userfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/alloctest"
	"github.com/goccy/go-yaml"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if data, err := Read(write("a", "\xef\xbb\xbfabc"), 6); string(data) != "abc" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	hole := write("hole", "")
	if err := os.Truncate(hole, 40<<30); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]string{
		write("long", "abcdefg"):     "long: it has more than 6 bytes",
		hole:                         "hole: it has more than 6 bytes",
		dir:                          "it is a directory, not a file",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if _, err := Read(path, 6); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A few hundred bytes must not fill memory, and nothing that somebody wrote is ignored.
func TestYAMLRefuses(t *testing.T) {
	laugh := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		laugh += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	for text, want := range map[string]string{
		laugh: "line 1: anchors and aliases are not read",
		"a: " + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000): "more than 100 brackets",
		"a: 1\n---\nb: 2\n": "second document",
	} {
		var v map[string]any
		var err error
		used := alloctest.Bytes(func() { err = YAML([]byte(text), &v) })
		if err == nil || !strings.Contains(err.Error(), want) || used > 256<<20 {
			t.Errorf("%.30q: %v with %d MiB, want %q", text, err, used>>20, want)
		}
	}
	var v struct {
		A int `yaml:"a"`
	}
	for _, text := range []string{"a: 7\n", "---\na: 7\n", "# c\n---\n# d\na: 7\n"} {
		if err := YAML([]byte(text), &v, yaml.Strict()); err != nil || v.A != 7 {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
}
