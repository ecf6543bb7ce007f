package formats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tally counts what a column's values say.
type tally struct {
	filled    int
	good, bad int // values that speak of a class: "benign"; "dga", or a known family
	no, yes   int // numbers and answers
	numbers   int // other numbers
	foreign   int // no UTF-8
	strange   map[string]int
}

func (t tally) spoken() int { return t.good + t.bad }
func (t tally) plain() int  { return t.no + t.yes }

// words counts the values that are no numbers and no answers.
func (t tally) words() int { return t.filled - t.plain() - t.numbers }

// most reports whether n are enough of the values to say what a column is.
func (t tally) most(n int) bool { return t.filled > 0 && float64(n) >= mostAre*float64(t.filled) }

// tally counts the values of column i, once.
func (c *chooser) tally(i int) tally {
	t, ok := c.tallies[i]
	if !ok {
		t = c.count(i)
		c.tallies[i] = t
	}
	return t
}

func (c *chooser) count(i int) tally {
	t := tally{strange: map[string]int{}}
	read := map[string]label{}
	for _, r := range c.rows {
		v := value(r, i)
		if v == "" {
			continue
		}
		t.filled++
		if !utf8.ValidString(v) {
			t.foreign++
		}
		m, plain := meaningOf(v)
		if plain {
			if m == good {
				t.no++
			} else {
				t.yes++
			}
			continue
		}
		l, ok := read[v]
		if !ok {
			l = c.out.labels.read(v)
			read[v] = l
		}
		_, err := strconv.ParseFloat(v, 64)
		switch {
		case l.ok && l.class == benign:
			t.good++
		case l.ok:
			t.bad++
		default:
			if err == nil {
				t.numbers++
			}
			t.strange[v]++
		}
	}
	return t
}

// How a header asks for a class.
const (
	neverAsks = iota // rank, family, names
	silent           // it says nothing of classes
	mayAsk           // type, category, …: only words that speak of a class count
	asks             // class, label, is_dga, …: numbers and answers count too
)

func (c *chooser) asking(i int) int {
	if i == c.out.name || i == c.out.family {
		return neverAsks
	}
	if c.headers == nil {
		return silent
	}
	if i >= len(c.headers) {
		return neverAsks // a field too many in some row
	}
	return asksBy(c.headers[i])
}

// asksBy is how a header asks for a class.
func asksBy(h string) int {
	words := pathTokens(strings.ToLower(h[strings.LastIndexByte(h, '.')+1:]))
	switch {
	case tierOf(rankHeaders, h) > 0:
		return neverAsks
	case strings.Contains(h, "stats."):
		return silent
	case isComputed(h):
		return silent
	case saysLittle(h):
		return mayAsk
	case tierOf(classHeaders, h) > 0, headerMeaning(h) != unknown:
		return asks
	case tierOf(maybeHeaders, h) > 0, slices.Contains(words, "class"), slices.Contains(words, "label"):
		return mayAsk
	}
	return silent
}

// isComputed reports whether a header says that somebody computed its column.
func isComputed(h string) bool {
	words := pathTokens(strings.ToLower(h[strings.LastIndexByte(h, '.')+1:]))
	return slices.ContainsFunc(words, func(w string) bool { return computed[w] })
}

// headerMeaning is what "yes" means below a header: is_dga, malicious, benign.
func headerMeaning(h string) meaning {
	last := h[strings.LastIndexByte(h, '.')+1:]
	m, plain := meaningOf(last)
	switch {
	case plain:
		return unknown
	case m == unknown && threats[foldWord(last)]:
		return bad
	}
	return m
}

// threats are headers of columns that say whether a name is bad in some way. As values such words are no classes here.
var threats = wordSet("phishing spam ransomware trojan virus scam cryptomining suspicious is_phishing is_spam")

// listWords are headers of columns that say whether a name is on some list.
var listWords = wordSet(`popular alexa tranco umbrella majestic white whitelist whitelisted allowlist allowlisted black
	blacklist blacklisted blocklist blocklisted trusted`)

// saysLittle reports whether "no" below a header leaves the class open: a name that is not popular may be benign, and
// one that is no spam may be a DGA's.
func saysLittle(h string) bool {
	last := foldWord(h[strings.LastIndexByte(h, '.')+1:])
	return threats[last] || slices.ContainsFunc(pathTokens(last), func(w string) bool {
		return listWords[strings.TrimPrefix(w, "is")]
	})
}

// chooseClass finds the column whose values are classes. Where values speak of classes and not clearly, or two columns
// disagree, that is an error: nothing is labelled on a guess.
func (c *chooser) chooseClass() (err error) {
	o := &c.out
	if o.class, err = c.declared("class"); err != nil {
		return err
	}
	if o.class >= 0 || c.f.Class != nil {
		c.ask()
		return nil
	}
	var found []int
	for want := asks; want >= silent; want-- {
		var unclear error // matters only if no column is clear
		for i := range c.width {
			if c.asking(i) != want {
				continue
			}
			yes, err := c.holdsClasses(i, want)
			if unclear == nil {
				unclear = err
			}
			if yes {
				found = append(found, i)
			}
		}
		if len(found) == 0 && unclear != nil {
			return unclear
		}
	}
	if len(found) == 0 {
		return nil
	}
	o.class = c.fullest(found)
	if c.asking(o.class) == silent {
		c.equals = slices.DeleteFunc(found, func(i int) bool { return i == o.class })
	}
	if t := c.tally(o.class); c.headers != nil && t.plain() > 0 {
		if h := o.hint; h.known && t.spoken() == 0 && (t.no == 0 && h.class == benign || t.yes == 0 && h.class != benign) {
			return unclearf("%s has the same number or answer in all rows, and the name %s says the opposite of it. %s",
				c.called(o.class), h.from, settles(`"class": "?"`))
		}
	}
	c.ask()
	if c.headers != nil && c.asking(o.class) == silent {
		o.evidence.Guess = cmp.Or(o.evidence.Guess, "the header of "+c.called(o.class)+" does not say that it has classes")
	}
	return nil
}

// fullest is the first of the columns that have most values, among those whose headers ask as much as the first's.
func (c *chooser) fullest(found []int) int {
	best := found[0]
	for _, i := range found[1:] {
		if c.asking(i) == c.asking(best) && c.tally(i).filled > c.tally(best).filled {
			best = i
		}
	}
	return best
}

// ask sets what "yes" and "malicious" mean in the class column.
func (c *chooser) ask() {
	if c.out.class < 0 || c.out.class >= len(c.headers) {
		return
	}
	switch headerMeaning(c.headers[c.out.class]) {
	case good:
		c.out.labels.inverted = true
	case isDGA:
		c.out.labels.positive = dga
	case isTunnel:
		c.out.labels.positive = tunnel
	}
}

// holdsClasses reports whether a column's values are classes, if its header asks as much as asking.
func (c *chooser) holdsClasses(i, asking int) (bool, error) {
	t := c.tally(i)
	foreign := t.foreign > 0 && 2*t.foreign >= t.filled && t.spoken() == 0 && len(t.strange) <= mostCodes
	if foreign && c.mayAskAbroad(i, asking) {
		return false, unclearf("%s may have classes, but its text is in an encoding that degas does not read. "+
			"Try: save the file as UTF-8, or {\"class\": …} in FILE%s for the whole file", c.called(i), SidecarSuffix)
	}
	switch asking {
	case asks:
		codes := t.plain() > 0 && t.plain()+t.numbers == t.filled && len(t.strange) <= mostCodes
		switch {
		case t.most(t.spoken()+t.plain()) && !c.maybeDNSClass(i, t):
			return true, nil
		case t.spoken() > 0, codes, t.filled > 0 && 2*t.plain() >= t.filled:
			return false, c.unclear(i, t)
		}
	case mayAsk:
		switch {
		case t.most(t.spoken()):
			return true, nil
		case t.spoken() > 0 && 2*t.spoken() >= t.filled, t.no > 0 && t.yes > 0 && t.most(t.plain()):
			return false, c.unclear(i, t)
		}
	case silent:
		if c.headers == nil && t.most(t.plain()) {
			return false, errNumbers
		}
		return t.good > 0 && t.bad > 0 && t.most(t.spoken()), nil
	}
	return false, nil
}

// mayAskAbroad reports whether a header may ask for a class, as one that is itself no UTF-8 may.
func (c *chooser) mayAskAbroad(i, asking int) bool {
	return asking >= mayAsk || c.headers == nil || !utf8.ValidString(c.headers[i])
}

// mostCodes bounds the numbers that may be codes of classes.
const mostCodes = 20

// maybeDNSClass reports whether a column called class has nothing but 1, which is the number of class IN in DNS. In a
// file of malicious names it is a label.
func (c *chooser) maybeDNSClass(i int, t tally) bool {
	_, last := headerKeys(c.headers[i])
	return last == "class" && t.yes > 0 && t.no == 0 && t.spoken() == 0 && c.out.hint.class == benign
}

var errNumbers = fmt.Errorf(
	"the numbers beside the names are no ranking: if they are classes, add a header, such as domain,class")

// unclearError is about a file whose labels cannot be told. Nobody may leave it out without a word.
type unclearError struct {
	error
	columns, classes map[string]string // what a sidecar would have to say; classes that are not known are "?"
}

func unclearf(format string, args ...any) error {
	return &unclearError{error: fmt.Errorf(format, args...)}
}

// unclear is the error of a column of which some values are classes. It shows the most frequent one that is none.
func (c *chooser) unclear(i int, t tally) error {
	return c.proposing(c.unclearText(i, t), i)
}

// proposing adds to an unclearError what a sidecar would have to say if column i has the classes.
func (c *chooser) proposing(unclear error, i int) error {
	err := unclear.(*unclearError)
	err.columns = map[string]string{"name": c.roleName(c.out.name), "class": c.roleName(i)}
	err.classes = map[string]string{}
	for _, r := range c.rows {
		v := value(r, i)
		if l := c.out.labels.read(v); l.ok && l.family == "" {
			err.classes[v] = l.class.String()
		} else if !l.ok && v != "" && len(err.classes) < mostValues {
			err.classes[v] = "?"
		}
	}
	return err
}

func (c *chooser) unclearText(i int, t tally) error {
	if len(t.strange) == 0 {
		return unclearf("%s has numbers or answers that may be classes or not. %s", c.called(i),
			settles(fmt.Sprintf(`"columns": {"class": %q}}, or {"class": "?"`, c.roleName(i))))
	}
	words := slices.SortedFunc(maps.Keys(t.strange), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.strange[b], t.strange[a]), strings.Compare(a, b))
	})
	var rows []string
	for n, r := range c.rows {
		if value(r, i) == words[0] && len(rows) < 3 {
			rows = append(rows, fmt.Sprintf("row %d: %.80q", n+1, strings.Join(r, " ")))
		}
	}
	return unclearf("%s has classes and other words: %.40q in %d of the first %d rows (%s). %s. "+
		"If such words are families: {\"columns\": {\"family\": %q}}. "+
		"If the column has no classes: {\"class\": …} for the whole file", c.called(i), words[0], t.strange[words[0]],
		t.filled, strings.Join(rows, "; "), settlesWords(words), c.roleName(i))
}

// settlesWords is what to write beside the file about words in its class column.
func settlesWords(words []string) string {
	const most = 8
	what, list := "it means", make([]string, 0, most)
	for _, w := range words[:min(len(words), most)] {
		list = append(list, fmt.Sprintf("%.40q: \"?\"", w))
	}
	if len(words) > most {
		list = append(list, "…")
	}
	if len(list) > 1 {
		what = "they mean"
	}
	return fmt.Sprintf("Say what %s in FILE%s: {\"classes\": {%s}}, with benign, dga, tunnel or skip for the ?", what,
		SidecarSuffix, strings.Join(list, ", "))
}

// roleName is how a sidecar names a column.
func (c *chooser) roleName(i int) string {
	if i < len(c.headers) {
		return strings.TrimSpace(c.headers[i])
	}
	return strconv.Itoa(i + 1)
}
