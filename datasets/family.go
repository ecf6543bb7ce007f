package datasets

import "strings"

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

// benignFamilies are the words that stand where a family would for names that have none.
var benignFamilies = map[string]bool{
	"": true, "benign": true, "legit": true, "legitimate": true, "normal": true, "alexa": true, "none": true,
	"unknown": true, "white": true, "good": true, "clean": true, "nan": true, "na": true, "null": true, "-": true,
}

// tunnelTools are the families that make a record a tunnel where a file has one column for class and family.
var tunnelTools = map[string]bool{
	"iodine": true, "dns2tcp": true, "dnscapy": true, "tuns": true, "dnscat": true, "dnscat2": true, "ozymandns": true,
	"dnstt": true, "dnspot": true, "tcp-over-dns": true, "heyoka": true, "dnsexfiltrator": true, "cobaltstrike": true,
}

// NormalizeFamily gives the name under which degas counts a family: lower case, spaces as '_', without quotes or a
// trailing "dga", known aliases mapped, at most 48 bytes. Words for "no family" (legit, normal, unknown, …) and text
// that cannot be a family's name give "".
//
//	"Zeus-NewGOZ" -> "newgoz"    "Fobber V1" -> "fobber_v1"    "legit" -> ""
func NormalizeFamily(s string) string {
	if ok := plainFamily(s); !ok {
		s = cleanFamily(s)
	}
	if benignFamilies[s] || len(s) > maxFamily {
		return ""
	}
	if alias, ok := familyAliases[s]; ok {
		return alias
	}
	return s
}

// plainFamily reports whether s has nothing to clean, which is the common case and costs no allocation.
func plainFamily(s string) bool {
	for i := 0; i < len(s); i++ {
		if !familyByte(s[i]) {
			return false
		}
	}
	return !strings.HasSuffix(s, "dga")
}

func familyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

func cleanFamily(s string) string {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), `"'`))
	for _, tail := range []string{" dga", "_dga", "-dga"} {
		s = strings.TrimSuffix(s, tail)
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '/' }), "_")
	for i := 0; i < len(s); i++ {
		if !familyByte(s[i]) {
			return ""
		}
	}
	return s
}
