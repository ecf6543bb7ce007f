package formats

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// otherColumn is a column beside the one that tells the class, which could tell it too. It is held against every row:
// the first rows may not show that the two disagree, or that the classes are in this one.
type otherColumn struct {
	index  int
	called string
	asked  meaning // what "yes" means
	plain  bool    // numbers and answers count
	quiet  bool    // its first values speak of no class
	kinds  bool    // it counts only where it tells dga from tunnel
	seen   map[string]meaning

	// loose is set for a column that may be wrong in single rows. Only if it is in most, the labels may be inverted.
	loose   bool
	agreed  int64
	against int64
	example string // of the latter
}

// sourceHeaders are those of columns that say which list a row is from. What lists are called may be known: no name of
// alexa is malicious.
var sourceHeaders = tiers("source sources origin dataset feed provenance sourcelist listname")

// watchOthers chooses the columns that are held against the one that was chosen, and says which are not used.
func (c *chooser) watchOthers() {
	o := &c.out
	if c.f.Class != nil || c.f.columns["class"] != "" {
		return // the sidecar says what all rows are, or which column counts
	}
	for i := range c.width {
		asking, asked, loose := c.asking(i), unknown, false
		if i < len(c.headers) {
			asked = headerMeaning(c.headers[i])
			loose = tierOf(sourceHeaders, c.headers[i]) > 0 && o.decides >= 0
		}
		if (loose || i == o.family) && i != o.decides || slices.Contains(c.equals, i) {
			asking = max(asking, mayAsk)
		}
		if i == o.decides || asking < silent {
			continue
		}
		t := c.tally(i)
		if asking == silent && (t.bad == 0 || !t.most(t.spoken()) || i < len(c.headers) && isComputed(c.headers[i])) {
			continue
		}
		w := &otherColumn{index: i, called: c.called(i), asked: asked, plain: asking == asks,
			quiet: t.spoken() == 0, kinds: asking == silent, loose: loose, seen: map[string]meaning{}}
		if asking == mayAsk && !w.quiet && !loose && i != o.family && !t.most(t.spoken()) {
			if 2*t.spoken() >= t.filled {
				c.unused(i, "some of its values are no classes")
			}
			continue // a category, of which some are called like classes
		}
		if asking == asks && t.words()+t.numbers > 0 && t.spoken() == 0 {
			w.plain = false
			if o.decides < 0 || t.words() == 0 && t.plain() > 0 && len(t.strange) <= mostCodes {
				c.unused(i, "its values are no classes")
			}
		}
		o.others = append(o.others, w)
	}
}

// unused makes the evidence a guess, since column i may say something else.
func (c *chooser) unused(i int, why string) {
	e := &c.out.evidence
	e.Guess = strings.TrimPrefix(fmt.Sprintf("%s; %s was not used: %s", e.Guess, c.called(i), why), "; ")
}

// meaning is a value's, remembered.
func (w *otherColumn) meaning(value []byte) meaning {
	m, ok := w.seen[string(value)]
	if ok {
		return m
	}
	v := string(value)
	m, plain := meaningOf(v)
	switch {
	case plain && !w.plain:
		m = unknown
	case plain && w.asked == good:
		m = m.denied()
	case plain && m == bad && w.asked > good:
		m = w.asked
	case plain && w.asked == isDGA:
		m = notDGA
	case plain && w.asked == isTunnel:
		m = notTunnel
	case m == unknown:
		if _, class, known := familyOf(v); known {
			m = bad
			if class == tunnel {
				m = isTunnel
			}
		}
	}
	if len(w.seen) < maxLabels {
		w.seen[v] = m
	}
	return m
}

// What "no" says below is_dga and is_tunnel: not that a name is benign.
const (
	notDGA meaning = iota + isTunnel + 1
	notTunnel
)

// contradicts reports whether a column says something else than a label.
func (m meaning) contradicts(l label) bool {
	switch m {
	case unknown:
		return false
	case good:
		return l.class != benign
	case bad:
		return l.class == benign
	case isDGA:
		return l.class != dga
	case isTunnel:
		return l.class != tunnel
	case notDGA:
		return l.class == dga
	}
	return l.class == tunnel
}

// check holds the other columns of a row against its label.
func (c *columns) check(line int64, fields [][]byte, l label) error {
	for _, w := range c.others {
		if w.index >= len(fields) {
			continue
		}
		v := bytes.TrimSpace(fields[w.index])
		m := w.meaning(v)
		switch {
		case m == unknown || len(v) == 0, w.kinds && (l.class == benign || m != isDGA && m != isTunnel):
		case w.loose && !m.contradicts(l):
			w.agreed++
		case w.loose:
			if w.against++; w.example == "" {
				w.example = fmt.Sprintf("line %d says %.40q, but %s says %s", line, v, c.evidence.Class, l.class)
			}
		case c.decides < 0 && w.quiet || m.contradicts(l):
			return unclearf("line %d: %s says %.40q, but %s says %s. %s", line, w.called, v, c.evidence.Class, l.class,
				settles(`"columns": {"class": "…"}}, or {"class": "…"`))
		}
	}
	return nil
}

// checkLoose is check for the columns that only all rows together can contradict.
func (c *columns) checkLoose() error {
	for _, w := range c.others {
		if w.against > w.agreed {
			class := c.evidence.Class
			return unclearf("%s says the opposite of %s in %d rows, the same in %d: %s. If you know what %s says, %s",
				w.called, class, w.against, w.agreed, w.example, class, settlesColumn(c.evidence.Columns["class"]))
		}
	}
	return nil
}

// settlesColumn is what to write beside the file about a column of classes, whatever others say.
func settlesColumn(name string) string {
	return fmt.Sprintf(`say it in FILE%s: {"columns": {"class": %q}, "classes": {"…": "benign", "…": "dga"}}`,
		SidecarSuffix, name)
}

// otherIndexes are the columns that record looks at beside the name, the class and the family.
func (c *columns) otherIndexes() (list []int) {
	for _, w := range c.others {
		list = append(list, w.index)
	}
	if c.ranked {
		list = append(list, c.rank)
	}
	return list
}
