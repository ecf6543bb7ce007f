package yamlfile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
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

// A value of the wrong kind is an error in the words of somebody who writes YAML.
func TestWrongKinds(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nepochs: five\n":   "line 2: epochs: want a whole number, not five",
		"o: {epochs: [1]}\n":     "line 1: epochs: want a whole number, not a list",
		"o:\n  epochs: {a: 1}\n": "line 2: epochs: want a whole number, not keys and values",
		"seed: -1\n":             "line 1: seed: want a whole number from 0 on, not -1",
		"epochs: 1e99\n":         "line 1: epochs: want a whole number, not 1e99",
		"rate: x\n":              "line 1: rate: want a number, not x",
		"list: 5\n":              "line 1: list: want a list, not 5",
		"rates: [1, x]\n":        "line 1: want a number, not x",
		"on: perhaps\n":          "line 1: on: want true or false, not perhaps",
		"epochs: |\n  a\n  b\n":  "line 1: epochs: want a whole number, not a text",
		"budget: 10\n":           "line 1: budget: want a duration such as 10m, not 10",
		"budget: ten\n":          `want a duration such as 10m: time: invalid duration "ten"`,
		"o: 5\n":                 "line 1: o: want keys and values, not 5",
		"o: [5]\n":               "line 1: o: want keys and values, not a list",
		"name: [x]\n":            "line 1: name: want a text, not a list",
		"m: 5\n":                 "line 1: m: want keys and values, not 5",
	} {
		var v struct {
			A      int           `yaml:"a"`
			Name   string        `yaml:"name"`
			Epochs int           `yaml:"epochs"`
			Seed   uint64        `yaml:"seed"`
			Rate   float64       `yaml:"rate"`
			Rates  []float64     `yaml:"rates"`
			List   []string      `yaml:"list"`
			On     bool          `yaml:"on"`
			Budget time.Duration `yaml:"budget"`
			O      *struct {
				Epochs int `yaml:"epochs"`
			} `yaml:"o"`
			M map[string]any `yaml:"m"`
		}
		if err := Decode([]byte(text), &v, yaml.Strict()); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestPlace(t *testing.T) {
	const text = "version: 1\ntrain:\n  arch: cn\n  options: {epochs: 0}\nexport:\n  formats:\n  - onnx\n  - onx\n"
	for key, want := range map[string]string{
		"version": "line 1: ", "train.arch": "line 3: ", "train.options.epochs": "line 4: ",
		"train.options.patience": "line 4: ", "export.formats[1]": "line 8: ", "gate.fail_if[0]": "",
	} {
		if got := Place([]byte(text), key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
