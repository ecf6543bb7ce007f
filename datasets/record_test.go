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
		// "dga" is cut from what is known to be a family, or none, and is part of any other name.
		"kraken_dga": "kraken", "Necurs-DGA": "necurs", "bebloh dga": "shiotob", "unknown dga": "",
		"unnamed_javascript_dga": "unnamed_javascript_dga", "loader-dga": "loader-dga", "dga": "", "_dga": "",
	} {
		if got := NormalizeFamily(in); got != want {
			t.Errorf("NormalizeFamily(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRenamedFamily(t *testing.T) {
	for spelled, want := range map[string]string{
		"Bebloh": "bebloh shiotob", "tinba dga": "tinba_dga tinba", "Zeus-NewGOZ": "zeus-newgoz newgoz",
		"Fobber V1": "", "necurs": "", `"Necurs"`: "", "legit": "", "": "", "<script>": "", "unnamed_javascript_dga": "",
	} {
		from, to, ok := RenamedFamily(spelled)
		if got := from + " " + to; ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, renamed %v, want %q", spelled, got, ok, want)
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
