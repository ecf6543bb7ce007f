package detect

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/degas-dns/degas/model/dnsname"
)

// Scope says which names an entry of a list is of.
type Scope uint8

// Scopes.
const (
	Exact   Scope = 1             // the name itself
	Below   Scope = 2             // every name below it, but not the name itself
	Subtree Scope = Exact | Below // both
)

// Match is the entry of a List that a name matches.
type Match struct {
	// Entry is the entry: "example.com", or "*.example.com" for one of all names below example.com.
	Entry string
	// Source is where the entry is from: a file, or a URL without its secrets. "" for entries of NewList.
	Source string
}

// List is a set of names and of suffixes. It never changes, and is safe for concurrent use. A nil List is empty.
//
// A List keeps a hash of 61 bits of each entry instead of the name. The hash has a random key for each process, so that
// nobody can choose names that collide. A name that is on no list matches one of 5 million entries by chance once in
// 10^11 look-ups. An entry takes 13.4 bytes.
type List struct {
	parts []part
	// index is a hash table with linear probing. An element is 0, or has the position of a key, plus one, in its low bits
	// and bits of the key above them, so that most look-ups of another name need not read the key.
	index   []uint32
	shift   uint8 // bits of a position
	len     int
	deepest int // most labels of an entry with Below in its Scope
}

// part is keys of one source.
type part struct {
	start  int // position of the first key
	keys   []uint64
	source string
}

// Keys are hashes whose lowest bits say what the hash is of.
const (
	scopeBits = uint64(Subtree)
	ancestor  = 4 // names below it are in the list
	keyBits   = scopeBits | ancestor
)

// seed keys the hashes of this process.
var seed = maphash.MakeSeed()

func hashOf(name string) uint64 { return maphash.String(seed, name) &^ keyBits }

// Entries are those of one source, while they are read. Once NewListOf has them, they must not change. One Entries may
// be part of several Lists.
type Entries struct {
	source    string
	keys      []uint64
	ancestors []uint64 // nil if nobody asks for them
	compacted int      // so many of ancestors are sorted and differ
	deepest   int
	below     bool
}

// NewEntries has no entry yet. below says that List.Below is to know of the entries: each name above one then takes as
// much memory as an entry.
func NewEntries(source string, below bool) *Entries { return &Entries{source: source, below: below} }

// Add adds an entry for a name as dnsname.Normalize returns it. Adding it again takes memory, and changes nothing.
func (e *Entries) Add(name string, s Scope) {
	if len(e.keys) == cap(e.keys) { // append would add a quarter, and copy millions of entries each time
		e.keys = slices.Grow(e.keys, 64+len(e.keys))
	}
	e.keys = append(e.keys, hashOf(name)|uint64(s))
	if s&Below != 0 {
		e.deepest = max(e.deepest, 1+strings.Count(name, "."))
	}
	if !e.below {
		return
	}
	for i := range len(name) {
		if name[i] == '.' {
			e.ancestors = append(e.ancestors, hashOf(name[i+1:])|ancestor)
		}
	}
	if len(e.ancestors) > 2*e.compacted+1<<12 {
		e.compact()
	}
}

// compact drops ancestors that came several times: "com" is one of most names.
func (e *Entries) compact() {
	slices.Sort(e.ancestors)
	e.ancestors = slices.Compact(e.ancestors)
	e.compacted = len(e.ancestors)
}

// Done drops memory that was meant for more entries.
func (e *Entries) Done() {
	e.compact()
	e.ancestors = append([]uint64(nil), e.ancestors...)
	if cap(e.keys) > len(e.keys)+len(e.keys)/64 {
		e.keys = append(make([]uint64, 0, len(e.keys)), e.keys...)
	}
}

// Len is the number of calls of Add.
func (e *Entries) Len() int { return len(e.keys) }

// Keys is how many numbers of 8 bytes e holds: of entries, and of names above them.
func (e *Entries) Keys() int { return len(e.keys) + len(e.ancestors) }

// mostKeys bounds a List: its index has positions of 32 bits, some of which it needs for bits of the key.
const mostKeys = 1 << 28

// NewListOf makes a List of what sources hold. Of entries that are in several, the first one is found. The error is
// that of more than 268 million entries.
func NewListOf(sources ...*Entries) (*List, error) {
	l := &List{}
	n := 0
	for _, e := range sources {
		for _, keys := range [][]uint64{e.keys, e.ancestors} {
			if len(keys) > 0 {
				l.parts = append(l.parts, part{n, keys, e.source})
				n += len(keys)
			}
		}
		l.deepest = max(l.deepest, e.deepest)
	}
	if n > mostKeys {
		return nil, fmt.Errorf("%d entries: a list has at most %d. Try: fewer lists", n, mostKeys)
	}
	if n == 0 {
		return l, nil
	}
	l.index = make([]uint32, n+n/3+1)
	l.shift = uint8(bits.Len(uint(n)))
	at := 0
	for _, p := range l.parts {
		for _, key := range p.keys {
			l.insert(key, at)
			at++
		}
	}
	return l, nil
}

// home is where the search for a key begins. It goes by the key's highest bits, tag by low ones.
func (l *List) home(key uint64) int {
	i, _ := bits.Mul64(key, uint64(len(l.index)))
	return int(i)
}

func (l *List) tag(key uint64) uint32 { return uint32(key>>3) << l.shift }

// key is the one at a position.
func (l *List) key(at int) uint64 {
	p := l.part(at)
	return p.keys[at-p.start]
}

func (l *List) part(at int) *part {
	if len(l.parts) == 1 {
		return &l.parts[0]
	}
	return &l.parts[sort.Search(len(l.parts), func(i int) bool { return l.parts[i].start > at })-1]
}

// insert adds the key at a position, if no key before it is of the same names.
func (l *List) insert(key uint64, at int) {
	tag, mask := l.tag(key), ^uint32(0)<<l.shift
	missing, known := key&keyBits, false
	i := l.home(key)
	for ; l.index[i] != 0; i = l.next(i) {
		if l.index[i]&mask != tag {
			continue
		}
		if other := l.key(int(l.index[i]&^mask) - 1); other&^keyBits == key&^keyBits {
			missing &^= other & keyBits
			known = known || other&scopeBits != 0
		}
	}
	if missing == 0 {
		return
	}
	l.index[i] = tag | uint32(at+1)
	if !known && key&scopeBits != 0 {
		l.len++
	}
}

func (l *List) next(i int) int {
	if i++; i < len(l.index) {
		return i
	}
	return 0
}

// find is the position of the first key of name with one of the bits of what; -1 if there is none.
func (l *List) find(name string, what uint64) int {
	key := hashOf(name)
	tag, mask := l.tag(key), ^uint32(0)<<l.shift
	for i := l.home(key); l.index[i] != 0; i = l.next(i) {
		if l.index[i]&mask != tag {
			continue
		}
		at := int(l.index[i]&^mask) - 1
		if other := l.key(at); other&^keyBits == key && other&what != 0 {
			return at
		}
	}
	return -1
}

// Len is the number of different names in l.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return l.len
}

// Bytes is the memory that l takes, with that of its Entries.
func (l *List) Bytes() int {
	if l == nil {
		return 0
	}
	n := 4 * len(l.index)
	for _, p := range l.parts {
		n += 8 * cap(p.keys)
	}
	return n
}

// Find finds the entry for a folded name: its own, else that of the longest suffix. It allocates nothing if there is
// none. A Match holds no part of name.
func (l *List) Find(name string) (m Match, ok bool) {
	if l == nil || l.len == 0 {
		return m, false
	}
	if at := l.find(name, uint64(Exact)); at >= 0 {
		return l.match(at, name), true
	}
	for suffix := l.longest(name); suffix != ""; suffix = after(suffix) {
		if at := l.find(suffix, uint64(Below)); at >= 0 {
			return l.match(at, suffix), true
		}
	}
	return m, false
}

// longest is the longest suffix of name, without name itself, that an entry can be of. So a name of a hundred labels
// takes no hundred look-ups.
func (l *List) longest(name string) string {
	end := len(name)
	for range l.deepest {
		end = strings.LastIndexByte(name[:end], '.')
		if end < 0 {
			return after(name)
		}
	}
	if end == len(name) {
		return ""
	}
	return name[end+1:]
}

func (l *List) match(at int, name string) Match {
	m := Match{Source: l.part(at).source}
	if l.key(at)&uint64(Below) != 0 {
		m.Entry = "*." + name
	} else {
		m.Entry = strings.Clone(name)
	}
	return m
}

// All finds every entry for a folded name, the one of Find first. It reads the whole List, which takes some ten
// milliseconds for millions of entries: it is for people who ask why.
func (l *List) All(name string) (all []Match) {
	if l == nil {
		return nil
	}
	collect := func(name string, scope Scope) {
		key := hashOf(name)
		for _, p := range l.parts {
			for k, other := range p.keys {
				if other&^keyBits != key || other&uint64(scope) == 0 {
					continue
				}
				if m := l.match(p.start+k, name); !slices.Contains(all, m) {
					all = append(all, m)
				}
			}
		}
	}
	collect(name, Exact)
	for suffix := l.longest(name); suffix != ""; suffix = after(suffix) {
		collect(suffix, Below)
	}
	return all
}

// after is what stands behind a name's first dot.
func after(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// Below reports whether an entry is of names strictly below a folded name. It knows only of Entries that were made to
// know it; those of NewList are.
func (l *List) Below(name string) bool {
	return l != nil && len(l.index) > 0 && l.find(name, uint64(Below)|ancestor) >= 0
}

// NewList makes a List of entries: a name, or "*.example.com" (".example.com" is the same) for a name and all below it.
// Names may be written as dnsname.Normalize reads them. The error says which entry is no name.
func NewList(entries []string) (*List, error) {
	e := NewEntries("", true)
	for i, text := range entries {
		rest := strings.TrimPrefix(text, "*")
		name, suffix := strings.CutPrefix(rest, ".")
		if !suffix && rest != text {
			return nil, fmt.Errorf("entry %d: %q: a '*' must stand for whole labels. Try: *.example.com", i+1, text)
		}
		name, err := dnsname.Normalize(name)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %q is no name: %w", i+1, text, err)
		}
		scope := Exact
		if suffix {
			scope = Subtree
		}
		e.Add(name, scope)
	}
	return NewListOf(e)
}
