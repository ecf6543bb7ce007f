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

// knownFamilies are published names of DGA families, as NormalizeFamily gives them. A word that people also use for
// something else does not belong here: such a word in a column of classes would make a label.
var knownFamilies = func() map[string]bool {
	known := map[string]bool{}
	for _, name := range strings.Fields(`
	alureon bamital banjori bazarbackdoor bedep beebone bigviktor bobax bumblebee ccleaner chinad conficker
	copperstealer corebot cryptolocker cryptowall darkcracks darkshell darkwatchman diamondfox dircrypt dmsniff
	dnschanger dromedan dyre ebury ekforward emotet enviserv feodo flubot fobber fosniw gameover geodo gootkit goz
	gozi goznym grandoreiro gspy hesperbot infy kfos kingminer kraken locky m0yv madmax makloader matsnu mewsei
	mirai monerodownloader monerominer murofet murofetweekly mydoom necro necurs newgoz ngioweb nymaim nymaim2
	oderoor omexo orchard padcrypt pandabanker phorpiex pitou pizd proslikefan pushdo pushdotid pykspa pykspa2
	qadars qakbot qsnatch ramdo ramnit ranbyus randomloader reconyc redyms rovnix sharkbot shifu shiotob simda
	sisron sphinx suppobox sutra symmi szribi tempedreve tempedrevetdd tinba tinynuke tofsee torpig tsifiri tufik
	vawtrak verblecon vidro vidrotid virut volatilecedar xshellghost xxhex zeus zloader`) {
		known[name] = true
	}
	return known
}()

// KnownFamily reports whether a name that NormalizeFamily gave is one that publishers use for a DGA.
func KnownFamily(name string) bool { return knownFamilies[name] }

// NormalizeFamily gives the name under which degas counts a family: lower case, spaces as '_', without quotes, known
// aliases mapped, at most 48 bytes. A trailing "dga" is cut from known families ("tinba dga"), and is part of any other
// name: files such as loader_dga.txt and loader.txt may hold two algorithms. Words for "no family" (legit, normal,
// unknown, …) and text that cannot be a family's name give "".
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
	s = spelledFamily(s)
	for _, tail := range []string{"_dga", "-dga"} {
		name, cut := strings.CutSuffix(s, tail)
		_, alias := familyAliases[name]
		if cut && (alias || knownFamilies[name] || noFamily[name]) {
			s = name
		}
	}
	if !familyBytes(s) {
		return ""
	}
	return s
}

// spelledFamily is a family as it is written, but for case, quotes and spaces.
func spelledFamily(s string) string {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), `"'`))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t/", r) }), "_")
}

// RenamedFamily gives a family as it is written and the other name that degas counts it under. ok is false where degas
// counts it under the name that is written, or as no family.
func RenamedFamily(s string) (from, to string, ok bool) {
	from, to = spelledFamily(s), NormalizeFamily(s)
	return from, to, to != "" && from != to
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
