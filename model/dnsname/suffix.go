package dnsname

import (
	_ "embed"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./gen

// suffixRules are the rules of golang.org/x/net/publicsuffix, one per line. That package answers the same questions,
// but needs a third of the time of processing a data set. The table here needs a tenth of that.
//
//go:embed suffixes.txt
var suffixRules string

// suffix is a domain that rules are about.
type suffix struct {
	name     string
	rule     bool // the domain is a public suffix
	except   bool // it is not, though a wildcard says so
	wildcard bool // every domain right below it is one
	children bool // there are rules for domains below it
}

// suffixTable is a hash table of suffixes with open addressing. It never changes. Slots are small, so that the table
// stays in a core's cache: most look-ups end at an empty slot.
type suffixTable struct {
	slots []uint32 // high half: of the hash; low half: index in list + 1; 0 is empty
	mask  uint32
	list  []suffix
	// present has a bit for each suffix by its hash. Its 16 KiB stay nearest to the core: the last look-up for a name
	// almost never finds a suffix.
	present [1 << 11]uint64
}

// suffixes builds the table on first use, because not every command looks at domains.
var suffixes = sync.OnceValue(func() *suffixTable { return newSuffixTable(suffixRules) })

func newSuffixTable(rules string) *suffixTable {
	all := map[string]*suffix{}
	at := func(name string) *suffix {
		s := all[name]
		if s == nil {
			s = &suffix{name: name}
			all[name] = s
		}
		return s
	}
	for line := range strings.Lines(rules) {
		rule := strings.TrimSpace(line)
		if rule == "" || strings.HasPrefix(rule, "//") {
			continue
		}
		name := strings.TrimPrefix(rule, "!")
		wild := strings.HasPrefix(name, "*.")
		name = strings.TrimPrefix(name, "*.")
		switch s := at(name); {
		case wild:
			s.wildcard = true
		case rule[0] == '!':
			s.except = true
		default:
			s.rule = true
		}
		for _, parent, nested := strings.Cut(name, "."); nested; _, parent, nested = strings.Cut(parent, ".") {
			at(parent).children = true
		}
	}
	size := 1 << bits.Len(uint(4*len(all)-1))
	t := &suffixTable{slots: make([]uint32, size), mask: uint32(size - 1)}
	for _, s := range all {
		t.list = append(t.list, *s)
		h := uint64(suffixSeed)
		for _, label := range slices.Backward(strings.Split(s.name, ".")) {
			h = hashLabel(h, label)
		}
		i := uint32(h) & t.mask
		for t.slots[i] != 0 {
			i = (i + 1) & t.mask
		}
		t.slots[i] = tag(h) | uint32(len(t.list))
		t.present[h>>53] |= 1 << (h >> 47 & 63)
	}
	return t
}

const suffixSeed = 0x9e3779b97f4a7c15

// hashLabel adds a label to the hash h of the labels behind it. It takes only the ends of labels longer than 16 bytes:
// find compares the whole names.
func hashLabel(h uint64, s string) uint64 {
	b, n := []byte(s), len(s) // does not escape: no copy
	switch {
	case n >= 8:
		h ^= binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 29)
	case n >= 4:
		h ^= uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		h ^= uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	}
	hi, lo := bits.Mul64(h, 0xa0761d6478bd642f+uint64(n)<<1)
	return hi ^ lo
}

// tag is the part of a hash that a slot holds.
func tag(h uint64) uint32 { return uint32(h>>32) &^ 0xffff }

// find looks up a name whose hash is h.
func (t *suffixTable) find(h uint64, name string) *suffix {
	if t.present[h>>53]>>(h>>47&63)&1 == 0 {
		return nil
	}
	for i := uint32(h) & t.mask; t.slots[i] != 0; i = (i + 1) & t.mask {
		if e := t.slots[i]; e&^0xffff == tag(h) {
			if s := &t.list[e&0xffff-1]; s.name == name {
				return s
			}
		}
	}
	return nil
}

// cut returns where name's public suffix starts and where its registered domain starts, which is 0 if there is none. If
// no rule fits, the last label is the suffix (the list's rule "*").
func (t *suffixTable) cut(name string) (suffix, registered int) {
	const none = -1
	start, end, dot := none, len(name), 0 // of the suffix; the label looked at is name[dot+1:end]
	h, wildcard, children := uint64(suffixSeed), false, true
	for {
		dot = strings.LastIndexByte(name[:end], '.')
		if wildcard {
			start = dot + 1
		}
		if !children {
			break
		}
		h = hashLabel(h, name[dot+1:end])
		s := t.find(h, name[dot+1:])
		if s == nil {
			break
		}
		if s.except {
			start = end + 1
			break
		}
		if s.rule {
			start = dot + 1
		}
		wildcard, children = s.wildcard, s.children
		if dot < 0 {
			break
		}
		end = dot
	}
	switch {
	case start == end+1 && end < len(name):
		return start, dot + 1 // the usual case: the label below the suffix was looked at last
	case start == none:
		start = strings.LastIndexByte(name, '.') + 1
	}
	if start == 0 {
		return 0, 0
	}
	return start, strings.LastIndexByte(name[:start-1], '.') + 1
}
