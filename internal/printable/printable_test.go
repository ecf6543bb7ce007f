package printable

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"google.com":              "google.com",
		"_dmarc.münchen.例え":       "_dmarc.münchen.例え",
		`a\tb "quoted" 'too'`:     `a\tb "quoted" 'too'`,
		"a\tb\nc\rd":              `a\tb\nc\rd`,
		"\x00\a\x7f":              `\x00\a\x7f`,
		"\x1b[2J\x1b]0;title\x07": `\x1b[2J\x1b]0;title\a`,
		"\u0085\u009b31m":         `\u0085\u009b31m`,
		"\x9b31m":                 `\x9b31m`,
		"evil\u202emoc.elgoog":    `evil\u202emoc.elgoog`,
		"a\u200bb\u2066c\ufeff":   `a\u200bb\u2066c\ufeff`,
		"a\u2028b\u2029c\u00a0d":  `a\u2028b\u2029c\u00a0d`,
		"\U000e0041":              `\U000e0041`,
		"\xff\xc0\xaf\xed\xa0":    `\xff\xc0\xaf\xed\xa0`,
		"\ufffd":                  "\ufffd",
		"half \xe2\x80":           `half \xe2\x80`,
	} {
		if got := Terminal(in); got != want {
			t.Errorf("Terminal(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{"": "", "münch": "münch", "münchen": "münc…",
		"a\xff": `a\xff`, "ab\xff": `ab\x…`} {
		if got := Cut(in, 5); got != want {
			t.Errorf("Cut(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCell(t *testing.T) {
	for in, want := range map[string]string{"": "", "google.com": "google.com", "=1+2": "'=1+2", "+1": "'+1", "-x": "'-x",
		"@SUM(A1)": "'@SUM(A1)", "\t=1": `\t=1`, "a=1": "a=1", "\r\n": `\r\n`} {
		if got := Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
		if got := Uncell(want); got != Terminal(in) {
			t.Errorf("Uncell(%q) = %q, want %q", want, got, Terminal(in))
		}
	}
}

func TestTerminalAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Terminal("mail.münchen.example") }); n > 0 {
		t.Errorf("%v allocations for a harmless name", n)
	}
}

func TestMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"xn--mnchen-3ya.example":    "xn--mnchen-3ya.example",
		"a|b":                       `a\|b`,
		"a`b*c_d~e":                 "a\\`b\\*c\\_d\\~e",
		"<script>alert(1)</script>": `\<script\>alert(1)\</script\>`,
		"&lt;b&gt;":                 `\&lt;b\&gt;`,
		"[x](http://evil.example)":  `\[x\](http\://evil.example)`,
		"![x](y)":                   `!\[x\](y)`,
		"www.google.com WWW.x":      `www\.google.com WWW\.x`,
		"$x$":                       `\$x\$`,
		"me@evil.example":           `me\\x40evil.example`,
		`\`:                         `\\`,
		"a\nb\t|":                   `a\\nb\\t\|`,
		"a\u202eb\xff":              `a\\u202eb\\xff`,
		"12:30":                     "12:30",
	} {
		if got := Markdown(in); got != want {
			t.Errorf("Markdown(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFprintf(t *testing.T) {
	var b strings.Builder
	type word string
	_, err := Fprintf(&b, "%s\t%-8q|%5s|%v|%v|%v|%.2f|%03d\n", "a\tb", "\x1b", "\n", errors.New("x\ny"),
		[]string{"\r", "c"}, word("\a"), 1.5, 7)
	want := `a\tb` + "\t" + `"\\x1b" |   \n|x\ny|[\r c]|\a|1.50|007` + "\n"
	if err != nil || b.String() != want {
		t.Errorf("%q, %v, want %q", b.String(), err, want)
	}
}

func TestJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"google.com é 例え"}`:           `{"a":"google.com é 例え"}`,
		"{\n\t\"a\": 1}\n":                  "{\n\t\"a\": 1}\n",
		"\"\u009b\u202e\u007f\u00a0\"":      `"\u009b\u202e\u007f\u00a0"`,
		"\"\U000e0041\"":                    `"\udb40\udc41"`,
		"\"evil\u2066 \ufeff\u2028\ufffd\"": "\"evil\\u2066 \\ufeff\\u2028\ufffd\"",
	} {
		var before, after any
		got := JSON([]byte(in))
		if err := errors.Join(json.Unmarshal([]byte(in), &before), json.Unmarshal(got, &after)); err != nil {
			t.Fatal(err)
		}
		if string(got) != want || !reflect.DeepEqual(before, after) {
			t.Errorf("JSON(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	data := map[string]any{"Text": "a|<b>\n\u202e*c*", "List": []string{"`x|"}, "Number": 1.5}
	const text = "{{$x := .Text}}{{define \"part\"}}[{{.Text}}]{{end}}" +
		"{{if .None}}{{else}}{{with .Text}}{{.}}{{end}}{{end}} {{range .List}}{{code .}}{{.}}{{end}} " +
		"{{.Number}} {{template \"part\" .}} {{raw $x}}"
	functions := map[string]any{"code": Code, "raw": func(s string) Raw { return Raw(s) }}
	var markdown, html strings.Builder
	if err := MarkdownTemplate("m", text, functions).Execute(&markdown, data); err != nil {
		t.Fatal(err)
	}
	const escaped = `a\|\<b\>\\n\\u202e\*c\*`
	want := escaped + " `\\x60x\\x7c`\\`x\\| 1.5 [" + escaped + "] a|<b>\n\u202e*c*"
	if markdown.String() != want {
		t.Errorf("Markdown %q, want %q", markdown.String(), want)
	}
	if err := HTMLTemplate("h", "<a title='{{.Text}}'>{{.Text}}{{range .List}}{{.}}{{end}}{{.Number}}", nil).
		Execute(&html, data); err != nil {
		t.Fatal(err)
	}
	const tagged = `a|&lt;b&gt;\n\u202e*c*`
	if want := "<a title='" + tagged + "'>" + tagged + "`x|1.5"; html.String() != want {
		t.Errorf("HTML %q, want %q", html.String(), want)
	}
	if Code("") != "" {
		t.Error("a code span of nothing begins another one")
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"google.com", "a\tb", "\x1b[0m", "\u202e", "\xff", `\|`, "www.a|b<c>", "http://a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown, marked := Terminal(s), Markdown(s)
		for _, out := range []string{shown, marked} {
			if !utf8.ValidString(out) || strings.IndexFunc(out, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("%q became %q", s, out)
			}
		}
		if again := Terminal(shown); again != shown {
			t.Errorf("Terminal of %q is %q", shown, again)
		}
		var unescaped strings.Builder
		for i := 0; i < len(marked); i++ {
			if strings.IndexByte("|`*_<>[]&~$@", marked[i]) >= 0 {
				t.Fatalf("%q became %q: byte %d is alive", s, marked, i)
			}
			if marked[i] == '\\' {
				i++
			}
			unescaped.WriteByte(marked[i])
		}
		if want := strings.ReplaceAll(shown, "@", `\x40`); unescaped.String() != want {
			t.Errorf("%q became %q, which reads %q", s, marked, unescaped.String())
		}
	})
}
