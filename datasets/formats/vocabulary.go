package formats

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"github.com/degas-dns/degas/datasets"
)

// meaning is what a word says of a name.
type meaning uint8

const (
	unknown  meaning = iota
	good             // benign
	bad              // malicious; how is left to the rest of the file
	isDGA            // made by an algorithm
	isTunnel         // carries a tunnel
)

func (m meaning) malicious() bool { return m > good }

// vocabulary are the words that speak of a name's class, folded as foldWord does. It is closed on purpose: a word that
// is not in it is never a class.
var vocabulary = wordsFor(map[meaning]string{
	good: `benign legit legitimate legal good clean normal safe harmless innocuous trusted genuine goodware white
		whitelist whitelisted allowlist allowlisted popular alexa tranco umbrella majestic
		gutartig harmlos sauber ungefahrlich legitim benin benigne sain legitime inoffensif benigno legitimo limpio seguro
		legittimo pulito sicuro limpo goedaardig schoon veilig bezpieczny lagodny
		легитимный безопасный нормальный 良性 正常 合法 安全`,
	bad: `malicious malware malign bad evil infected black blacklist blacklisted blocklist blocklisted c2 cnc c&c botnet
		attack abnormal illegitimate
		bosartig schadlich schadsoftware malveillant malfaisant nuisible malicioso maligno danino malevolo dannoso
		kwaadaardig schadelijk zlosliwy вредоносный зловредный 恶意 惡意 悪性 悪意`,
	isDGA:    `dga dgas agd agds`,
	isTunnel: `tunnel tunnels tunneling tunnelling tunneled tunnelled dnstunnel dnstunneling dnstunnelling exfiltration`,
})

// answers are the words that answer the question in a column's header. By themselves they speak of no class.
var answers = wordsFor(map[meaning]string{
	good: "negative false f no n nein non nee nao falsch faux falso onwaar nie нет ложь 否 假",
	bad:  "positive true t yes y ja oui si sim wahr vrai verdadero vero verdadeiro waar tak да истина 是 真",
})

// denials turn what follows them around. fillers say nothing.
var (
	denials = wordSet("not non no un nicht kein keine pas nao niet geen nie senza sin sans ohne without zonder не 非 不")
	fillers = wordSet(`is are it a an un une the domain domains name names site sites host hosts url urls traffic query
		queries dns fqdn class type label list entry`)
)

func wordsFor(lists map[meaning]string) map[string]meaning {
	out := map[string]meaning{}
	for m, list := range lists {
		for w := range strings.FieldsSeq(list) {
			out[foldWord(w)] = m
		}
	}
	return out
}

func wordSet(list string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		out[foldWord(w)] = true
	}
	return out
}

// meaningOf reads a value: "Benign", "not-dga", "malware-free", "0.0", "yes". plain is set for numbers and answers,
// which mean something only below a header that asks.
func meaningOf(value string) (m meaning, plain bool) {
	s := foldWord(value)
	if m, ok := numberMeaning(s); ok {
		return m, true
	}
	if m, ok := answers[s]; ok {
		return m, true
	}
	if strings.ContainsRune(s, '?') { // "dga?" is a doubt
		return unknown, false
	}
	s, denied := strings.CutPrefix(strings.Replace(s, "!", "~", 1), "~")
	words := strings.FieldsFunc(s, func(r rune) bool { return !wordRune(r) })
	for i, w := range words {
		switch {
		case denials[w]:
			denied = !denied
			continue
		case fillers[w], w == "free" && i > 0:
			continue
		}
		got := wordMeaning(w)
		if i+1 < len(words) && words[i+1] == "free" && got.malicious() {
			got = good
		}
		if denied { // a denial is of the next word: malware, not dga
			got, denied = got.denied(), false
		}
		if m = join(m, got); m == unknown {
			return unknown, false
		}
	}
	if denied {
		return unknown, false
	}
	return m, false
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '&' }

// wordMeaning reads one word, with a denial or "is" at its front, or "free" at its end.
func wordMeaning(w string) meaning {
	if m, ok := vocabulary[w]; ok {
		return m
	}
	if rest, ok := strings.CutPrefix(w, "is"); ok && len(rest) > 2 {
		if m := wordMeaning(rest); m != unknown {
			return m
		}
	}
	for _, front := range []string{"not", "non", "no", "un"} {
		if m, ok := vocabulary[strings.TrimPrefix(w, front)]; ok {
			return m.denied()
		}
	}
	if m := vocabulary[strings.TrimSuffix(w, "free")]; m.malicious() {
		return good
	}
	return unknown
}

// join is what two words say together; unknown if they contradict each other.
func join(a, b meaning) meaning {
	switch {
	case a == unknown || a == b:
		return b
	case a == bad && b.malicious():
		return b
	case b == bad && a.malicious():
		return a
	}
	return unknown
}

func (m meaning) denied() meaning {
	switch m {
	case unknown:
		return unknown
	case good:
		return bad
	}
	return good
}

// numberMeaning reads 0, 1, 0.0, 1.00, as a class. Other numbers are none.
func numberMeaning(s string) (m meaning, ok bool) {
	if s == "" || s[0] != '0' && s[0] != '1' {
		return unknown, false
	}
	if rest := s[1:]; rest != "" && (rest[0] != '.' && rest[0] != ',' || strings.Trim(rest[1:], "0") != "") {
		return unknown, false
	}
	return good + meaning(s[0]-'0'), true
}

// foldWord is a word in lower case, without white space and quotes around it and without accents. What is no UTF-8 is
// read as Windows-1252, which Excel writes in much of Europe: its letters are those of Latin-1.
func foldWord(s string) string {
	if !utf8.ValidString(s) {
		if text, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = text
		}
	}
	s = strings.ToLower(strings.Trim(s, " \t\"'"))
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) {
					return -1
				}
				return r
			}, norm.NFD.String(s))
		}
	}
	return s
}

// isKnownFamily reports whether a normalised family is a published one, or a variant: fobber_v1, pykspa_noise. In a
// column of classes such a word is as good as "dga".
func isKnownFamily(family string) bool {
	front, _, _ := strings.Cut(strings.ReplaceAll(family, "-", "_"), "_")
	return datasets.KnownFamily(family) || datasets.KnownFamily(front)
}

// tunnelTools are the families that make a record a tunnel where a file has one column for class and family.
var tunnelTools = wordSet(`iodine dns2tcp dnscapy tuns dnscat dnscat2 ozymandns dnstt dnspot tcp-over-dns heyoka
	dnsexfiltrator cobaltstrike`)

// familyOf reads a value as a family that is known, and its class.
func familyOf(value string) (family string, class datasets.Class, known bool) {
	family = datasets.NormalizeFamily(value)
	switch {
	case tunnelTools[family]:
		return family, tunnel, true
	case isKnownFamily(family):
		return family, dga, true
	}
	return family, dga, false
}
