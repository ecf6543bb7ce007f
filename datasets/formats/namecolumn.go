package formats

import (
	"fmt"
	"strings"

	"github.com/degas-dns/degas/model/dnsname"
)

// nameColumn is how a column does as the column of names.
type nameColumn struct {
	index, tier int
	names       float64 // share of values that are names
	zoned       float64 // share of values that end in a known top-level domain
	distinct    int
}

func (c *chooser) nameColumn(i int) nameColumn {
	n := nameColumn{index: i}
	if i < len(c.headers) {
		n.tier = tierOf(nameHeaders, c.headers[i])
	}
	seen, filled := map[string]bool{}, 0
	for _, r := range c.rows {
		v := value(r, i)
		if v == "" || strings.Contains(v, "\n") { // a record that an editor broke says nothing of the column
			continue
		}
		filled++
		seen[v] = true
		if name, ok := dotted(v); ok {
			n.names++
			if dnsname.Zoned(name) {
				n.zoned++
			}
		}
	}
	n.distinct = len(seen)
	if 2*filled >= len(c.rows) && filled > 0 {
		n.names, n.zoned = n.names/float64(filled), n.zoned/float64(filled)
	} else {
		n.names, n.zoned = 0, 0 // mostly empty
	}
	return n
}

// dotted reports whether a value is a name of at least two labels. Bytes above ASCII are a tunnel's.
func dotted(v string) (name string, ok bool) {
	name, err := dnsname.NormalizeTunnel(v)
	if err != nil || strings.ContainsAny(v, notInNames) {
		return "", false
	}
	dot := strings.LastIndexByte(name, '.')
	return name, dot > 0 && strings.Trim(name[dot+1:], "0123456789") != ""
}

const (
	mostAre   = 0.95 // of the values of a class column are words of the vocabulary
	enoughAre = 0.8  // of the values of a column of names are names
)

func (c *chooser) chooseName() (err error) {
	if c.out.name, err = c.declared("name"); err != nil || c.out.name >= 0 {
		c.out.evidence.Names = c.called(max(c.out.name, 0)) + " (sidecar)"
		return err
	}
	var called, other []nameColumn // by header, and by values alone
	for i := range c.width {
		switch n := c.nameColumn(i); {
		case n.tier > 0 && n.names >= enoughAre:
			called = append(called, n)
		case n.tier == 0 && n.zoned >= mostAre:
			other = append(other, n)
		}
	}
	switch best := c.bestName(called); {
	case best >= 0:
		c.out.name, c.out.dotted = best, true
	case len(other) == 1 || len(other) > 0 && len(other) < c.width && c.headers == nil:
		c.out.name, c.out.dotted = other[0].index, true
		if c.headers != nil || len(other) > 1 {
			c.out.evidence.Guess = "no header says which column has the names"
		}
	case len(other) > 1:
		return fmt.Errorf("%s and %s may both be the names. %s", c.called(other[0].index), c.called(other[1].index),
			settles(`"columns": {"name": "…"}`))
	default:
		c.out.name = c.undottedName()
	}
	if c.out.name < 0 {
		return errNoNames
	}
	c.out.evidence.Names = c.called(c.out.name)
	return nil
}

var errNoNames = fmt.Errorf("no header and no values tell a column of names, such as domain")

// settles is the end of a message: what to write beside the file.
func settles(text string) string { return "Say it in FILE" + SidecarSuffix + ": {" + text + "}" }

// bestName chooses among columns whose headers and values both say that they are names. A column that repeats few names
// is a machine's. Of two that hold the same names the longer ones are whole (Devo's host beside its domain). Otherwise
// the header decides.
func (c *chooser) bestName(list []nameColumn) int {
	most := 0
	for _, n := range list {
		most = max(most, n.distinct)
	}
	best := -1
	bestTier := 0
	for _, n := range list {
		if 2*n.distinct < most {
			continue
		}
		if best < 0 || c.extends(n.index, best) || n.tier < bestTier && !c.extends(best, n.index) {
			best, bestTier = n.index, n.tier
		}
	}
	return best
}

// extends reports whether the names in column a are those in b with something before them, or the same, and not all the
// same.
func (c *chooser) extends(a, b int) bool {
	longer := 0
	for _, r := range c.rows {
		x, y := value(r, a), value(r, b)
		if x != y && !strings.HasSuffix(x, "."+y) {
			return false
		}
		if len(x) > len(y) {
			longer++
		}
	}
	return longer > 0
}

// undottedName is a column that is called one of names and whose values could be: tunnels whose zone was stripped, or
// names without their top-level domain.
func (c *chooser) undottedName() int {
	best, tier := -1, 0
	for i := range c.headers {
		t := tierOf(nameHeaders, c.headers[i])
		if t == 0 || best >= 0 && t >= tier {
			continue
		}
		names, filled, distinct := 0, 0, map[string]bool{}
		for _, r := range c.rows {
			v := value(r, i)
			if v == "" {
				continue
			}
			filled++
			distinct[v] = true
			if _, err := dnsname.NormalizeTunnel(v); err == nil && strings.Trim(v, "0123456789.") != "" {
				names++
			}
		}
		if filled > 0 && float64(names) >= enoughAre*float64(filled) && (2*len(distinct) >= filled || filled < 4) {
			best, tier = i, t
		}
	}
	return best
}
