package formats

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tally counts what a column's values say.
type tally struct {
	filled    int
	good, bad int // values that speak of a class: "benign"; "dga", or a known family
	no, yes   int // numbers and answers
	numbers   int // other numbers
	strange   map[string]int
}

func (t tally) spoken() int { return t.good + t.bad }
func (t tally) plain() int  { return t.no + t.yes }

// words counts the values that are no numbers and no answers.
func (t tally) words() int { return t.filled - t.plain() - t.numbers }

// most reports whether n are enough of the values to say what a column is.
func (t tally) most(n int) bool { return t.filled > 0 && float64(n) >= mostAre*float64(t.filled) }

func (c *chooser) tally(i int) tally {
	t := tally{strange: map[string]int{}}
	read := map[string]label{}
	for _, r := range c.rows {
		v := value(r, i)
		if v == "" {
			continue
		}
		t.filled++
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
	h := c.headers[i]
	asked := headerMeaning(h)
	switch {
	case tierOf(rankHeaders, h) > 0:
		return neverAsks
	case tierOf(classHeaders, h) > 0, asked != unknown:
		return asks
	case slices.ContainsFunc(pathTokens(strings.ToLower(h)), func(w string) bool { return w == "class" || w == "label" }):
		return asks
	case tierOf(maybeHeaders, h) > 0:
		return mayAsk
	}
	return silent
}

// headerMeaning is what "yes" means below a header: is_dga, malicious, benign.
func headerMeaning(h string) meaning {
	m, plain := meaningOf(h[strings.LastIndexByte(h, '.')+1:])
	if plain {
		return unknown
	}
	return m
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
	o.class = found[0]
	c.ask()
	if c.headers != nil && c.asking(o.class) == silent {
		o.evidence.Guess = cmp.Or(o.evidence.Guess, "the header of "+c.called(o.class)+" does not say that it has classes")
	}
	return c.checkOthers(found[1:])
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
	switch asking {
	case asks:
		codes := t.plain() > 0 && t.plain()+t.numbers == t.filled && len(t.strange) <= mostCodes
		switch {
		case t.most(t.spoken()+t.plain()) && !c.maybeDNSClass(i, t):
			return true, nil
		case t.spoken() > 0, codes, t.filled > 0 && 2*t.plain() >= t.filled:
			return false, c.unclear(i, t)
		}
		c.out.watched = append(c.out.watched, i)
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
	err := c.unclearText(i, t).(*unclearError)
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
			settles(fmt.Sprintf(`"columns": {"class": %q}}, or {"class": "benign"`, c.roleName(i))))
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
	return unclearf("%s has classes and other words: %.40q in %d of the first %d rows (%s). "+
		"Say what it means in FILE%s: {\"classes\": {%.40q: \"benign\"}}, or dga, tunnel, skip. "+
		"If such words are families: {\"columns\": {\"family\": %q}}. "+
		"If the column has no classes: {\"class\": …} for the whole file", c.called(i), words[0], t.strange[words[0]],
		t.filled, strings.Join(rows, "; "), SidecarSuffix, words[0], c.roleName(i))
}

// roleName is how a sidecar names a column.
func (c *chooser) roleName(i int) string {
	if i < len(c.headers) {
		return strings.TrimSpace(c.headers[i])
	}
	return strconv.Itoa(i + 1)
}

// checkOthers compares further columns that hold classes with the one that was chosen.
func (c *chooser) checkOthers(others []int) error {
	for _, i := range others {
		asked := unknown
		if i < len(c.headers) {
			asked = headerMeaning(c.headers[i])
		}
		for n, r := range c.rows {
			a, b := c.out.labels.read(value(r, c.out.class)), c.meaning(value(r, i), asked)
			if a.ok && b != unknown && (a.class == benign) != (b == good) {
				return unclearf("%s and %s both have classes and disagree, first in row %d: %.80q. %s", c.called(c.out.class),
					c.called(i), n+1, strings.Join(r, " "), settles(`"columns": {"class": "…"}`))
			}
		}
	}
	return nil
}

// meaning is a value's below a header that asks. "no" below is_tunnel does not say that a name is benign.
func (c *chooser) meaning(v string, asked meaning) meaning {
	m, plain := meaningOf(v)
	switch {
	case plain && asked == good:
		return m.denied()
	case plain && m == good && (asked == isDGA || asked == isTunnel):
		return unknown
	case m == unknown:
		if _, _, known := familyOf(v); known {
			return bad
		}
	}
	return m
}
