package printable

import (
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
