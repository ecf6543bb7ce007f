package synth

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Row is one labelled name.
type Row struct {
	Name   string
	Class  string // ClassBenign, ClassDGA or ClassTunnel
	Family string // of a benign name its kind, if it is one of SampleOptions.Hard
}

// SampleOptions sets the size of a sample. With all three counts zero they are 20,000 benign, 16,000 dga
// and 4,000 tunnel; otherwise a zero count means none of that class. Names are for days from First until before
// End; zero values stand for 2012 and the end of June 2026. Hard adds as many benign names of each kind that
// detectors take for malicious ones: of content networks and clouds, look-ups of block lists, and so on. Spread keeps
// every registered domain to a small part of the benign names, for a sample that is split.
type SampleOptions struct {
	Seed                uint64
	Benign, DGA, Tunnel int
	Hard                int
	Spread              bool
	First, End          time.Time
}

const (
	defaultBenign = 20000
	defaultDGA    = 16000
	defaultTunnel = 4000
)

func (o SampleOptions) withDefaults() SampleOptions {
	if o.Benign == 0 && o.DGA == 0 && o.Tunnel == 0 {
		o.Benign, o.DGA, o.Tunnel = defaultBenign, defaultDGA, defaultTunnel
	}
	if o.First.IsZero() {
		o.First = firstDay
	}
	if o.End.IsZero() {
		o.End = lastDay
	}
	return o
}

// Sample makes labelled names of all classes in random order. Names are unique without regard to case,
// every registered family of a class gets the same share as far as it has that many names, and the
// names of a family come from many seeds and days. It fails for negative counts and where the
// generators cannot make as many different names as asked for.
func Sample(o SampleOptions) ([]Row, error) {
	o = o.withDefaults()
	if min(o.Benign, o.DGA, o.Tunnel, o.Hard) < 0 {
		return nil, fmt.Errorf("synth: negative count in sample of %d benign, %d dga, %d tunnel", o.Benign, o.DGA, o.Tunnel)
	}
	if !o.First.Before(o.End) {
		return nil, fmt.Errorf("synth: sample of days from %s until %s: there are none", o.First.Format(time.DateOnly),
			o.End.Format(time.DateOnly))
	}
	s := &sampler{SampleOptions: o, dice: newDice(o.Seed, "sample"), seen: make(map[string]bool, o.Benign+o.DGA+o.Tunnel)}
	// Benign names come last, so that none can take a name that a DGA makes.
	if err := s.families(ClassDGA, o.DGA); err != nil {
		return nil, err
	}
	if err := s.families(ClassTunnel, o.Tunnel); err != nil {
		return nil, err
	}
	s.hard(o.Hard)
	if err := s.benign(o.Benign); err != nil {
		return nil, err
	}
	shuffle(s.dice, s.rows)
	return s.rows, nil
}

type sampler struct {
	SampleOptions
	*dice
	rows []Row
	seen map[string]bool // in lower case
}

// add keeps a row unless its name is taken or could not be asked for.
func (s *sampler) add(r Row) bool {
	key := strings.ToLower(r.Name)
	if s.seen[key] || !valid(r.Name) {
		return false
	}
	s.seen[key] = true
	s.rows = append(s.rows, r)
	return true
}

// valid reports whether a name fits a DNS question: labels of 1 to 63 octets, 253 in all. A character
// is an octet, as tunnels use the characters of Latin-1 for theirs.
func valid(name string) bool {
	if utf8.RuneCountInString(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if n := utf8.RuneCountInString(label); n == 0 || n > maxLabel {
			return false
		}
	}
	return true
}

// giveUp is how many fruitless tries in a row show that a generator has nothing new.
const giveUp = 200

// families shares total among the families of a class. What a small family cannot fill goes to the
// others.
func (s *sampler) families(class string, total int) error {
	var open []Family
	for _, f := range Families() {
		if f.Class == class {
			open = append(open, f)
		}
	}
	left := total
	for left > 0 && len(open) > 0 {
		share := (left + len(open) - 1) / len(open)
		var more []Family
		for _, f := range open {
			want := min(share, left)
			got, err := s.draw(f, want)
			if err != nil {
				return err
			}
			left -= got
			if got == want {
				more = append(more, f)
			}
		}
		open = more
	}
	if left > 0 {
		return fmt.Errorf("synth: no more than %d different %s names, %d wanted", total-left, class, total)
	}
	return nil
}

const (
	streamLength = 400 // names made of each stream of a DGA
	streamShare  = 24  // names taken from it, so that no seed or day dominates
	// A tunnel's names all lie in one zone, so fewer are taken: there must be zones for every split.
	tunnelLength = 40
	tunnelShare  = 8
)

var firstDay, lastDay = day(2012, time.January, 1), day(2026, time.June, 30)

// draw adds up to want names of f and returns how many it found.
func (s *sampler) draw(f Family, want int) (int, error) {
	got := 0
	for fruitless := 0; got < want && fruitless < giveUp; {
		p, share := Params{Count: streamLength, Date: s.day()}, streamShare
		if len(f.Variants) > 0 {
			p.Variant = s.pick(f.Variants)
		}
		if f.Class == ClassTunnel {
			p.Count, share = tunnelLength, tunnelShare
		}
		if s.chance(75) { // else the seed that is known best
			p.Seed = s.next() & 0xffffffff
		}
		names, err := f.Generate(p)
		if err != nil {
			return got, err
		}
		shuffle(s.dice, names)
		before := got
		for _, name := range names {
			if got == min(want, before+share) {
				break
			}
			if s.add(Row{Name: name, Class: f.Class, Family: f.Name}) {
				got++
			}
		}
		if fruitless++; got > before {
			fruitless = 0
		}
	}
	return got, nil
}

func (s *sampler) day() time.Time {
	hours := int(s.End.Sub(s.First).Hours())
	return s.First.Add(time.Duration(s.below(hours)) * time.Hour)
}

// shapeShare is what Spread allows the names of one shape of infrastructure, most of which have one registered domain:
// at most one in shapeShare benign names, and one more. A registered domain is in one split: with three times as many
// names, three domains would be a sixth of validation's benign names, and no threshold could be chosen on it.
const shapeShare = 400

func (s *sampler) benign(total int) error {
	made := make([]int, len(infrastructure))
	for got, fruitless := 0, 0; got < total; {
		name, shape := benignName(s.dice)
		if s.Spread && shape >= 0 && made[shape] > total/shapeShare {
			continue // most names are of no shape
		}
		if s.add(Row{Name: name, Class: ClassBenign}) {
			got, fruitless = got+1, 0
			if shape >= 0 {
				made[shape]++
			}
		} else if fruitless++; fruitless == giveUp {
			return fmt.Errorf("synth: no more than %d different benign names, %d wanted", got, total)
		}
	}
	return nil
}
