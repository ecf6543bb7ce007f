package dnsname

import (
	_ "embed"
	"strings"
	"sync"
)

//go:generate go run ./gen

// suffixRules are the rules of golang.org/x/net/publicsuffix, one a line. That package answers the same questions; it
// takes a third of the time of processing a data set, the table here a tenth of that.
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

// suffixTable is a hash table of suffixes with open addressing. It is built once and never changes. Slots are small, so
// that the table stays in a core's cache: most look-ups end at an empty one.
type suffixTable struct {
	slots []uint32 // high half: of the hash, low half: number of the suffix + 1; 0 is empty
	mask  uint32
	list  []suffix
}

// suffixes makes the table on first use: commands that look at no domains start without it.
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
		for rest := name; ; {
			_, parent, nested := strings.Cut(rest, ".")
			if !nested {
				break
			}
			at(parent).children = true
			rest = parent
		}
	}
	size := 1
	for size < 4*len(all) {
		size *= 2
	}
	t := &suffixTable{slots: make([]uint32, size), mask: uint32(size - 1)}
	for _, s := range all {
		t.list = append(t.list, *s)
		h := hashSuffix(suffixSeed, s.name)
		i := h & t.mask
		for t.slots[i] != 0 {
			i = (i + 1) & t.mask
		}
		t.slots[i] = h&^0xffff | uint32(len(t.list))
	}
	return t
}

const suffixSeed = 2166136261

// hashSuffix goes from the end to the front, so that a longer suffix's hash goes on from a shorter one's.
func hashSuffix(h uint32, s string) uint32 {
	for i := len(s) - 1; i >= 0; i-- {
		h = (h ^ uint32(s[i])) * 16777619 // FNV-1a
	}
	return h
}

// find looks up a name whose hash is h.
func (t *suffixTable) find(h uint32, name string) *suffix {
	for i := h & t.mask; t.slots[i] != 0; i = (i + 1) & t.mask {
		if e := t.slots[i]; e&^0xffff == h&^0xffff {
			if s := &t.list[e&0xffff-1]; s.name == name {
				return s
			}
		}
	}
	return nil
}

// length is the length of name's public suffix. Where no rule fits, the last label is one (the list's rule "*").
func (t *suffixTable) length(name string) int {
	start, end := len(name), len(name) // of the suffix; of what is not looked at yet
	h, wildcard, children := uint32(suffixSeed), false, true
	for {
		dot := strings.LastIndexByte(name[:end], '.')
		if wildcard {
			start = dot + 1
		}
		if !children {
			break
		}
		h = hashSuffix(h, name[dot+1:end])
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
		end, h = dot, hashSuffix(h, ".")
	}
	if start == len(name) {
		return len(name) - 1 - strings.LastIndexByte(name, '.')
	}
	return len(name) - start
}
