package baseline

import "math"

// gramFeatures are how likely the characters of a name, without its public suffix, are in benign names after the one or
// two before them.
var gramFeatures = []string{"bigrams", "trigrams"}

// symbols are the different characters of a gramTable: the start of a name, letters, digits, hyphen, dot, and all
// others as one.
const symbols = 40

// symbol is a character's place in a gramTable. The start of a name is 0.
func symbol(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return 1 + int(c-'a')
	case '0' <= c && c <= '9':
		return 27 + int(c-'0')
	case c == '-':
		return 37
	case c == '.':
		return 38
	}
	return 39
}

// gramTable is a language model of benign names: how often a character follows one, [before, character], and two,
// [before, before, character].
type gramTable struct {
	after1, after2 [][symbols]float64
	sum1, sum2     []float64 // of the rows
}

// newGramTable counts in the names that are not malicious.
func newGramTable(names []string, malicious []bool) *gramTable {
	t := &gramTable{
		make([][symbols]float64, symbols), make([][symbols]float64, symbols*symbols),
		make([]float64, symbols), make([]float64, symbols*symbols),
	}
	for i, n := range names {
		if malicious[i] {
			continue
		}
		text, _ := withoutSuffix(n)
		eachGram(text, func(row1, row2, s int) {
			t.after1[row1][s]++
			t.sum1[row1]++
			t.after2[row2][s]++
			t.sum2[row2]++
		})
	}
	return t
}

// append appends the values of gramFeatures: the mean of the logarithm, base 2, of a character's chance, one added to
// every count (Laplace). own are the counts that the name itself has in the table, which would tell a tree that it is
// benign; nil for a name that was not counted.
func (t *gramTable) append(out []float64, text string, own *ownCounts) []float64 {
	var sum1, sum2 float64
	eachGram(text, func(row1, row2, s int) {
		sum1 += math.Log2((t.after1[row1][s] - own.of(row1, -1, s) + 1) / (t.sum1[row1] - own.of(row1, -1, -1) + symbols))
		sum2 += math.Log2((t.after2[row2][s] - own.of(-1, row2, s) + 1) / (t.sum2[row2] - own.of(-1, row2, -1) + symbols))
	})
	n := float64(max(len(text), 1))
	return append(out, sum1/n, sum2/n)
}

// ownCounts are the places of a name's characters in a gramTable: rows of its parts and place in them.
type ownCounts [][3]int

func newOwnCounts(text string) *ownCounts {
	var o ownCounts
	eachGram(text, func(row1, row2, s int) { o = append(o, [3]int{row1, row2, s}) })
	return &o
}

// of counts the characters in a place; -1 is any.
func (o *ownCounts) of(row1, row2, at int) (n float64) {
	if o == nil {
		return 0
	}
	for _, p := range *o {
		if (row1 < 0 || p[0] == row1) && (row2 < 0 || p[1] == row2) && (at < 0 || p[2] == at) {
			n++
		}
	}
	return n
}

// eachGram calls f for each character of a text with the rows of a gramTable's two parts and its place in them.
func eachGram(text string, f func(row1, row2, at int)) {
	var before, last int
	for i := range len(text) {
		s := symbol(text[i])
		f(last, before*symbols+last, s)
		before, last = last, s
	}
}
