package yamlfile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/internal/alloctest"
)

// A few hundred bytes must not fill memory, and nothing that somebody wrote is ignored.
func TestDecodeRefuses(t *testing.T) {
	laugh := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		laugh += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	for text, want := range map[string]string{
		laugh: "line 1: anchors and aliases are not read",
		"a: " + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000): "more than 100 brackets",
		"a:\n  " + strings.Repeat("- ", 60_000) + "x\n":                   "line 2: more than 100 lists",
		"a: [" + strings.Repeat("- ", 60_000) + "]\n":                     "line 1: more than 100 lists",
		"a: 1\n---\nb: 2\n": "second document",
		"a: 1\n...\nb: 2\n": "second document",
		"b: 1\na: [\n":      "line 2: sequence end token ']' not found",
		"b: 1\nb: 2\n":      "line 2: mapping key \"b\" already defined at [1:1]",
	} {
		var v map[string]any
		var err error
		used := alloctest.Bytes(func() { err = Decode([]byte(text), &v) })
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || used > 256<<20 {
			t.Errorf("%.30q: %v with %d MiB, want %q", text, err, used>>20, want)
		}
	}
	var v struct {
		A int `yaml:"a"`
	}
	for _, text := range []string{"a: 7\n", "---\na: 7\n", "# c\n---\n# d\na: 7\n"} {
		if err := Decode([]byte(text), &v, yaml.Strict()); err != nil || v.A != 7 {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
}

func TestEncodeDecodes(t *testing.T) {
	type texts struct {
		Value string            `yaml:"value"`
		List  []string          `yaml:"list"`
		Map   map[string]string `yaml:"map"`
	}
	for _, text := range []string{
		"", "runs/a", "a b", "true", "1", "0x1", "~", "é", `C:\x`, "a\tb", "a\rb", "a\nengine: x", "\n a", "? x", "?",
		"- x", ": x", "x:", "# x", "x # y", "*x", "[x", "{", "'", `"`, "|*b*`c`", "&lt;", "%", "\x00\x07\x1b[31m\x7f",
		"\u0085\u009b\u2028\u202e\ufeff",
		"\U000e0041", "--- a", " a ", "a\n\nb\n",
	} {
		want := texts{text, []string{text, "next"}, map[string]string{text: text}}
		data, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var got texts
		if err := Decode(data, &got, yaml.Strict()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %q, %v, from %q", text, got, err, data)
		}
		if strings.ContainsFunc(string(data), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%q is written as %q", text, data)
		}
	}
}

// An error is one short line that names the line at fault.
func TestDecodeErrorsAreOneLine(t *testing.T) {
	for _, text := range []string{"a: 1\nb: [1\n", "a: 1\na: 2\n", "a: 1\nb: 2\n",
		"a: 1\n" + strings.Repeat("x", 9999) + ": 2\n"} {
		var v struct {
			A int `yaml:"a"`
		}
		err := Decode([]byte(text), &v, yaml.Strict())
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "line 2: ") ||
			len(err.Error()) > 300 {
			t.Errorf("%.30q: %.500v", text, err)
		}
	}
}
