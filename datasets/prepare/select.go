package prepare

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/degas-dns/degas/datasets"
)

// Selection says which rows of the training split stay: first it thins out families that are over the cap, then the
// classes that are larger than the smallest. Validation and test are never touched: they measure, and must look like
// the world.
//
// A group of rows, a class of a family or a whole class, keeps a number of rows. That number is dealt to the sections
// in proportion to the rows that the group has in each. Within a section the choice is Knuth's Algorithm S (The Art of
// Computer Programming 3.4.2): from a known number of rows it picks exactly as many as it must, each with equal
// probability, and needs no memory. Its random numbers are hashes of the seed and the name. So a section's rows can be
// chosen anywhere, and neither workers nor memory change what is chosen. Groups keep their spread over the whole split.
//
// A Selection is plain data: a distributed runner makes one of the counts of all workers, gives it to workers as JSON,
// and each asks a Chooser about its own sections.
type Selection struct {
	Seed uint64
	// Capped are the rows over the cap, Balanced those left out to balance after that.
	Capped, Balanced int64
	// Families are the groups that are over the cap.
	Families []FamilyDraw
	// Balance has the draws of classes that are larger than the smallest. BalanceOf[c] is the index of class c's, or -1.
	// Two classes may share one.
	Balance   []Draw
	BalanceOf [datasets.NumClasses]int
}

// Draw says how many rows of a group to take from each section: of Rows[i] rows in section Sections[i], Take[i]. The
// sections are in order; others have none.
type Draw struct {
	Sections   []uint16
	Rows, Take []uint32
}

// FamilyDraw is the draw of the rows of one class and family.
type FamilyDraw struct {
	Class  datasets.Class
	Family string
	Draw
}

// NewSelection plans the choice that o's Balance and CapFamily ask for. train counts the rows of the training split,
// each class and family once. Rows without a family are not capped. nil means that everything stays.
func NewSelection(o Options, train []SectionRows) (*Selection, error) {
	if o.CapFamily == 0 && o.Balance == "" {
		return nil, nil
	}
	s := &Selection{Seed: o.Seed, BalanceOf: [datasets.NumClasses]int{-1, -1, -1}}
	families := map[string]*[datasets.NumClasses]int64{} // rows
	for _, g := range train {
		if families[g.Family] == nil {
			families[g.Family] = &[datasets.NumClasses]int64{}
		}
		families[g.Family][g.Class] += sum(g.Rows)
	}
	for name, rows := range families {
		if o.CapFamily > 0 && name != "" {
			s.Capped += limit(rows, o.CapFamily) // from here on, the rows to take
		}
	}
	var left [datasets.NumClasses][]uint32 // rows by section after the caps
	for c := range left {
		left[c] = make([]uint32, Sections)
	}
	for _, g := range train {
		take, rows := g.Rows, sum(g.Rows)
		if need := families[g.Family][g.Class]; need < rows {
			take = deal(g.Rows, need, rows)
			s.Families = append(s.Families, FamilyDraw{g.Class, g.Family, Draw{g.Sections, g.Rows, take}})
		}
		for i, section := range g.Sections {
			left[g.Class][section] += take[i]
		}
	}
	return s, s.balance(o.Balance, left)
}

func sum(rows []uint32) (n int64) {
	for _, r := range rows {
		n += int64(r)
	}
	return n
}

// deal spreads need over sections in proportion to their rows, all rows together: up to each section the rows taken are
// the rounded share of the rows so far. So no section takes more than it has.
func deal(rows []uint32, need, all int64) []uint32 {
	take := make([]uint32, len(rows))
	var so, taken uint64 // far
	for i, n := range rows {
		so += uint64(n)
		high, low := bits.Mul64(so, uint64(need))
		low, carry := bits.Add64(low, uint64(all)/2, 0)
		upTo, _ := bits.Div64(high+carry, low, uint64(all))
		take[i] = uint32(upTo - taken)
		taken = upTo
	}
	return take
}

// limit lowers the rows of a family, by class, to no more than most together, in proportion to the rows of each class.
// It returns the number of rows left out.
func limit(family *[datasets.NumClasses]int64, most int64) (out int64) {
	var rows int64
	for _, n := range family {
		rows += n
	}
	if rows <= most {
		return 0
	}
	out = rows - most
	for c, n := range family {
		if n == 0 {
			continue
		}
		need := int64(float64(most) * float64(n) / float64(rows))
		if n == rows {
			need = most // the last class takes what is left over
		}
		family[c] = need
		most, rows = most-need, rows-n
	}
	return out
}

// balance plans the draws of classes that have left rows in each section after the caps.
func (s *Selection) balance(by string, left [datasets.NumClasses][]uint32) error {
	group := [datasets.NumClasses]int{datasets.Benign: 0, datasets.DGA: 1, datasets.Tunnel: 2}
	names := datasets.ClassNames()
	switch by {
	case "":
		return nil
	case datasets.BalanceBinary:
		group[datasets.Tunnel] = group[datasets.DGA]
		names = []string{"benign", "malicious"}
		for section, n := range left[datasets.Tunnel] {
			left[datasets.DGA][section] += n
		}
	}
	least, groups := int64(0), 0
	for g := range names {
		switch n := sum(left[g]); {
		case n == 0 && by == datasets.BalanceBinary:
			return fmt.Errorf("training has no %s names to balance with", names[g])
		case n > 0:
			groups++
			if least == 0 || n < least {
				least = n
			}
		}
	}
	if groups < 2 {
		return fmt.Errorf("training has names of %d class: nothing to balance with", groups)
	}
	index := slices.Repeat([]int{-1}, len(names))
	for g := range names {
		if n := sum(left[g]); n > least {
			s.Balanced += n - least
			index[g] = len(s.Balance)
			s.Balance = append(s.Balance, newDraw(left[g], least, n))
		}
	}
	for c, g := range group {
		s.BalanceOf[c] = index[g]
	}
	return nil
}

// newDraw takes need of all rows, which are given for every section.
func newDraw(rows []uint32, need, all int64) (d Draw) {
	for section, n := range rows {
		if n > 0 {
			d.Sections, d.Rows = append(d.Sections, uint16(section)), append(d.Rows, n)
		}
	}
	d.Take = deal(d.Rows, need, all)
	return d
}

// Chooser walks the training rows of some sections and says which of them stay. It belongs to one goroutine.
type Chooser struct {
	seed     uint64
	families []walk
	family   []int32 // index in families of a group, groupOf; -1 without a draw
	balance  []walk
	class    [datasets.NumClasses]int
}

// Chooser makes one for rows whose families are numbers in the list families.
func (s *Selection) Chooser(families []string) *Chooser {
	c := &Chooser{seed: s.Seed, class: s.BalanceOf, family: slices.Repeat([]int32{-1}, len(families)*datasets.NumClasses)}
	number := make(map[string]uint16, len(families))
	for i, name := range families {
		number[name] = uint16(i)
	}
	for i := range s.Families {
		d := &s.Families[i]
		if family, ok := number[d.Family]; ok {
			c.family[groupOf(d.Class, family)] = int32(len(c.families))
			c.families = append(c.families, walk{draw: &d.Draw, section: -1})
		}
	}
	for i := range s.Balance {
		c.balance = append(c.balance, walk{draw: &s.Balance[i], section: -1})
	}
	return c
}

// Keeps decides about the next row. A section's rows come one behind the other, in the final order and each once; the
// sections may come in any order.
func (c *Chooser) Keeps(section int, class datasets.Class, family uint16, name string) bool {
	if i := c.family[groupOf(class, family)]; i >= 0 &&
		!c.families[i].take(section, hash64(c.seed^saltCap, name)) {
		return false
	}
	i := c.class[class]
	return i < 0 || c.balance[i].take(section, hash64(c.seed^saltBalance, name))
}

// walk is where a Chooser is in a section: rows to come, and how many of them to take.
type walk struct {
	draw       *Draw
	section    int
	left, need int64
}

func (w *walk) take(section int, h uint64) bool {
	if w.section != section {
		w.section, w.left, w.need = section, 0, 0
		if i, ok := slices.BinarySearch(w.draw.Sections, uint16(section)); ok {
			w.left, w.need = int64(w.draw.Rows[i]), int64(w.draw.Take[i])
		}
	}
	ok := w.need == w.left || share(h)*float64(w.left) < float64(w.need)
	w.left--
	if ok {
		w.need--
	}
	return ok
}
