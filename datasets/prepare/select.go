package prepare

import (
	"fmt"

	"github.com/degas-dns/degas/datasets"
)

// selection thins out the training split while it is written: first families that are over the cap, then the classes
// that are over the smallest. Validation and test are never touched: they measure, and must look like the world.
//
// Each choice is Knuth's Algorithm S (The Art of Computer Programming 3.4.2): from a group of known size, walked in the
// file's order, it picks exactly draw.need rows, each with equal probability, and needs no memory. Its random numbers
// are hashes of the seed and the name, and the file's order depends on nothing but the rows, so neither workers nor
// memory change what is chosen. Groups keep their spread over the whole file.
type selection struct {
	seed    uint64
	family  [datasets.NumClasses][]draw // by family number; families of one name in two classes share the cap
	class   [datasets.NumClasses]*draw  // nil without balance; classes may share one
	capped  int64                       // rows over the cap
	dropped int64                       // rows left out to balance
}

// draw is what is left of a group: rows to come, and how many of them to take.
type draw struct{ left, need int64 }

func (d *draw) take(h uint64) bool {
	ok := d.need == d.left || share(h)*float64(d.left) < float64(d.need)
	d.left--
	if ok {
		d.need--
	}
	return ok
}

// newSelection plans the choice from the number of training rows of each class and family. families is the list that
// the numbers index; rows without a family are not capped. nil when everything stays.
func newSelection(o Options, train [datasets.NumClasses][]int64, families []string) (*selection, error) {
	if o.CapFamily == 0 && o.Balance == "" {
		return nil, nil
	}
	s := &selection{seed: o.Seed}
	var size [datasets.NumClasses]int64
	for c := range train {
		s.family[c] = make([]draw, len(families))
		for id, n := range train[c] {
			s.family[c][id] = draw{n, n}
		}
	}
	for id, name := range families {
		if o.CapFamily > 0 && name != "" {
			s.capped += s.limit(id, o.CapFamily)
		}
		for c := range size {
			size[c] += s.family[c][id].need
		}
	}
	return s, s.balance(o.Balance, size)
}

// limit makes the draws of a family take no more than most rows, in proportion to the rows of each class. It returns
// the number of rows left out.
func (s *selection) limit(id int, most int64) (out int64) {
	var rows int64
	for c := range s.family {
		rows += s.family[c][id].need
	}
	if rows <= most {
		return 0
	}
	out = rows - most
	for c := range s.family {
		d := &s.family[c][id]
		if d.left == 0 {
			continue
		}
		d.need = int64(float64(most) * float64(d.left) / float64(rows))
		if d.left == rows {
			d.need = most // the last class takes what is left over
		}
		most, rows = most-d.need, rows-d.left
	}
	return out
}

// balance plans the draws of classes that have size rows after the caps.
func (s *selection) balance(by string, size [datasets.NumClasses]int64) error {
	group := [datasets.NumClasses]int{datasets.Benign: 0, datasets.DGA: 1, datasets.Tunnel: 2}
	names := datasets.ClassNames()
	switch by {
	case "":
		return nil
	case datasets.BalanceBinary:
		group[datasets.Tunnel] = group[datasets.DGA]
		names = []string{"benign", "malicious"}
	}
	rows := make([]int64, len(names))
	for c, g := range group {
		rows[g] += size[c]
	}
	least, groups := int64(0), 0
	for g, n := range rows {
		switch {
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
	draws := make([]draw, len(rows))
	for g, n := range rows {
		draws[g] = draw{n, min(n, least)}
		s.dropped += n - draws[g].need
	}
	for c, g := range group {
		s.class[c] = &draws[g]
	}
	return nil
}

// keeps decides about the next training row. Rows must come in the file's order, each once.
func (s *selection) keeps(r row) bool {
	if !s.family[r.class][r.family].take(hash64(s.seed^saltCap, r.name)) {
		return false
	}
	d := s.class[r.class]
	return d == nil || d.take(hash64(s.seed^saltBalance, r.name))
}
