package synth

import "fmt"

// The pools are lists of two-letter syllables (consonant and vowel, either way round) that the samples
// carry shuffled. A month picks a window of the pool for each of a name's four syllables.
const (
	bazarPool5 = "qeewcaacywemomedekwyuhidontoibeludsocuexvuuftyliaqydhuizuctuiqow" +
		"agypetehfubitiaziceblaogolryykosuptaymodisahfiybyxcoleafkudarapu" +
		"qoawyluxqagenanyoxcygyqugiutlyvegahepovyigqyqibaeqynyfkiobpeepby" +
		"xaciyvusocaripfyoftesaysozureginalifkazaadytwuubzuvoothymivazyyz" +
		"hoevmeburedeviihiravygkemywaerdonoyryqloammoseweesuvfopiriboikuz" +
		"orruzemuulimyhceukoqiwfexuefgoycwiokitnuneroxepyanbekyixxiuqsias" +
		"xoapaxmaohezwoildifaluzihipanizoecxyopguakdudyovhaumunuwsusyenko" +
		"atugabiv"
	// The published pool of v6 ends after 127 syllables, so for the months June to September only some
	// names or none are known.
	bazarPool6 = "xezeiwzuizpizovureonxyuzofezytpuarywnyavrysiovvazyratuoskumuatyz" +
		"omnevexaqoixevkeuqoxuvutvipoymxoozwikonipysygotelyzayxnuunuwakqu" +
		"ritaamugvyitimsuyrwyxuexaqtigyivewqiydseawukhirufuwairkiiquxowih" +
		"hyurotiluhvocywowumoyvupagduobaserroziqyenpahaxiloazodtoishuax"
	bazarPool7 = "xezenozuizpioqvuekifxyusofalytkadeibubysmyliylvaikultugikuuddoyq" +
		"lanevebaqoixogicuqebuvbuviehbofyefsokonihosygoynbeetwenuunuwohqu" +
		"ritaamugvyitimfiyrelcoykaqqaacapokcuydseumafedemfubyirahiquxegce" +
		"aburotiluhvocywowumoyvupagduobaserroziqyenpahaxiloazodtoishuaxbi" +
		"ufmifoiwesleyhzoyfreontyuzfaezkypuarywnyavrysiovyczyraciosgumuat" +
		"yzommeolxaeqdaevkepeoxsauteppoymxoozwiygucpyheectelyzayxybgaypak"
)

// bazarRanges are the letters that the beta allows at each place of a name's first half.
var bazarRanges = [6]string{"abcde", "cdef", "efgh", "ghi", "ijk", "klm"}

func init() {
	registerDGA("bazarbackdoor", bazarbackdoor,
		"BazarBackdoor (BazarLoader): syllables chosen by month and year, under .bazar of EmerDNS. A seed shuffles the "+
			"month's list, as the malware tries it in random order.",
		"https://johannesbader.ch/blog/the-dga-of-bazarbackdoor/",
		"v7", "v6", "v5", "beta")
}

// bazarbackdoor follows Bader's series of posts on BazarBackdoor (2020 to 2022). Default: December 2021,
// in the order of the pool. A month has 5,776 names (beta: 2,160).
func bazarbackdoor(p Params) ([]string, error) {
	p = p.or(0, day(2021, 12, 1), 5776)
	var names []string
	switch p.Variant {
	case "beta":
		names = bazarBeta(p)
	case "v5":
		names = bazarSyllables(p, bazarPool5)
	case "v6":
		names = bazarSyllables(p, bazarPool6)
	default:
		names = bazarSyllables(p, bazarPool7)
	}
	if p.Seed != 0 {
		shuffle(newDice(p.Seed, "bazarbackdoor"), names)
	}
	return names[:min(p.Count, len(names))], nil
}

// bazarSyllables takes two syllables from windows of 19 that the digits of the month select, and two
// from windows of 4 that the last digits of the year select.
func bazarSyllables(p Params, pool string) []string {
	date := p.Date.Format("012006")
	window := func(digit byte, width int) (syllables []string) {
		for i := width * int(digit-'0'); len(syllables) < width && 2*i+2 <= len(pool); i++ {
			syllables = append(syllables, pool[2*i:2*i+2])
		}
		return syllables
	}
	names := []string{""}
	for _, syllables := range [][]string{
		window(date[0], 19), window(date[1], 19), window(date[4], 4), window(date[5], 4),
	} {
		names = appendEach(names, syllables)
	}
	return appendEach(names, []string{".bazar"})
}

// bazarBeta pairs every choice of six letters with the same letters moved by the digits of the date,
// counted backwards: months to the year's end, years since 18.
func bazarBeta(p Params) []string {
	halves := []string{""}
	for _, letters := range bazarRanges {
		var choices []string
		for _, letter := range letters {
			choices = append(choices, string(letter))
		}
		halves = appendEach(halves, choices)
	}
	offsets := fmt.Sprintf("%02d%04d", 12-p.Date.Month(), p.Date.Year()-18)
	for i, half := range halves {
		name := []byte(half + half + ".bazar")
		for j := range half {
			name[len(half)+j] += offsets[j] - '0'
		}
		halves[i] = string(name)
	}
	return halves
}

// appendEach is the product of heads and tails, tails changing fastest.
func appendEach(heads, tails []string) []string {
	product := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			product = append(product, head+tail)
		}
	}
	return product
}
