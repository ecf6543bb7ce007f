package datasets

import (
	"strings"
	"unicode/utf8"
)

// maxFamily bounds a family's name in bytes, so that a column of free text cannot become a dictionary.
const maxFamily = 48

// familyAliases maps spellings of one algorithm to the name degas uses. The list is short on purpose: families that
// merely share code (gameover's two generations, the ranbyus variants) stay apart.
var familyAliases = map[string]string{
	"zeus-newgoz":     "newgoz", // UMUDGA, DGTA-BENCH
	"zeus_newgoz":     "newgoz",
	"new_goz":         "newgoz",
	"post_tovar_goz":  "newgoz", // Bambenek
	"gameover":        "newgoz", // Netlab 360
	"tinybanker":      "tinba",
	"tinba_dga":       "tinba",
	"qbot":            "qakbot",
	"bebloh":          "shiotob", // one malware under three vendors' names
	"urlzone":         "shiotob",
	"bebloh_urlzone":  "shiotob",
	"shiotob_urlzone": "shiotob",
	"ursnif":          "gozi",
	"isfb":            "gozi",
	"neverquest":      "vawtrak",
	"dyreza":          "dyre",
	"cryptowall_fake": "cryptolocker",
	"dns2tcpc":        "dns2tcp",
	"iodined":         "iodine",
}

// noFamily are the words that stand in the family's place for names that have none.
var noFamily = map[string]bool{
	"": true, "benign": true, "legit": true, "legitimate": true, "normal": true, "alexa": true, "none": true,
	"unknown": true, "white": true, "good": true, "clean": true, "nan": true, "na": true, "n_a": true,
	"null": true, "-": true, "other": true, "others": true, "undefined": true, "dga": true,
}

// NormalizeFamily gives the name under which degas counts a family: lower case, spaces as '_', without quotes or a
// trailing "dga", known aliases mapped, at most 48 bytes. Words for "no family" (legit, normal, unknown, …) and text
// that cannot be a family's name give "".
//
//	"Zeus-NewGOZ" -> "newgoz"    "Fobber V1" -> "fobber_v1"    "legit" -> ""
func NormalizeFamily(s string) string {
	if !plainFamily(s) {
		s = cleanFamily(s)
	}
	if noFamily[s] || len(s) > maxFamily {
		return ""
	}
	if alias, ok := familyAliases[s]; ok {
		return alias
	}
	return s
}

// plainFamily reports whether s has nothing to clean, which is the common case and costs no allocation.
func plainFamily(s string) bool {
	return familyBytes(s) && !strings.HasSuffix(s, "dga")
}

func familyBytes(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

func cleanFamily(s string) string {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), `"'`))
	for _, tail := range []string{" dga", "_dga", "-dga"} {
		s = strings.TrimSuffix(s, tail)
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t/", r) }), "_")
	if !familyBytes(s) {
		return ""
	}
	return s
}

// maxSource bounds the name of a source in bytes.
const maxSource = 64

// NormalizeSource gives the name under which degas counts a source: lower case, printable, at most 64 bytes.
func NormalizeSource(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError {
			return '_'
		}
		return r
	}, strings.ToLower(s))
	if len(s) <= maxSource {
		return s
	}
	end := maxSource
	for !utf8.RuneStart(s[end]) { // a name ends with a whole character
		end--
	}
	return s[:end]
}
