package datasets

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNormalizeFamily(t *testing.T) {
	for in, want := range map[string]string{
		"n/a": "", "Other": "", "DGA": "",
		"": "", "legit": "", "Benign": "", "Zeus-NewGOZ": "newgoz", "newgoz": "newgoz", "Fobber V1": "fobber_v1",
		"tinba dga": "tinba", "Post Tovar GOZ": "newgoz", "<script>": "", "vawtrak_v1": "vawtrak_v1",
		strings.Repeat("a", 60): "", "Qbot": "qakbot",
	} {
		if got := NormalizeFamily(in); got != want {
			t.Errorf("NormalizeFamily(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeSource(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"": "", "My Feed": "my_feed", "a\x7f\xff": "a__", long + "b": long + "b", long + "bc": long + "b",
		long + "éa": long, strings.Repeat("日", 30): strings.Repeat("日", 21), strings.Repeat("é", 32): strings.Repeat("é", 32),
	} {
		if got := NormalizeSource(in); got != want || !utf8.ValidString(got) {
			t.Errorf("NormalizeSource(%q) = %q, want %q", in, got, want)
		}
	}
}
