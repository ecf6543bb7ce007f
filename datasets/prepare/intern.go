package prepare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// interner numbers strings in the order it meets them. Number 0 is "". Safe for concurrent use.
type interner struct {
	what string // for the error
	mu   sync.RWMutex
	ids  map[string]uint16
	list []string
}

func newInterner(what string) *interner {
	return &interner{what: what, ids: map[string]uint16{"": 0}, list: []string{""}}
}

// id numbers s, which may share a reader's buffer. The limit is that of an int16 Arrow dictionary.
func (in *interner) id(s string) (uint16, error) {
	in.mu.RLock()
	id, ok := in.ids[s]
	in.mu.RUnlock()
	if ok {
		return id, nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if id, ok := in.ids[s]; ok {
		return id, nil
	}
	if len(in.list) > math.MaxInt16 {
		return 0, tooMany(in.what)
	}
	id = uint16(len(in.list))
	s = strings.Clone(s)
	in.ids[s] = id
	in.list = append(in.list, s)
	return id, nil
}

// tooMany is the error of more words than an Arrow dictionary of int16 has place for.
func tooMany(what string) error {
	return fmt.Errorf("more than %d %s: a column holds something else", math.MaxInt16, what)
}

// word is the string of a number.
func (in *interner) word(id uint16) string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.list[id]
}

// named gives counts by string, without the empty string and zeros.
func (in *interner) named(counts []int64) map[string]int64 {
	in.mu.RLock()
	defer in.mu.RUnlock()
	out := map[string]int64{}
	for id, n := range counts {
		if s := in.list[id]; s != "" && n > 0 {
			out[s] = n
		}
	}
	return out
}

// dictionary returns the strings that count above zero, in order and "" first, and the new number of each old one.
// Numbers depend on timing. The dictionary must not, so it is sorted. Without counts it takes all strings.
func (in *interner) dictionary(counts []int64) (list []string, number []uint16) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	number = make([]uint16, len(in.list))
	for _, s := range slices.Sorted(slices.Values(in.list)) {
		id := int(in.ids[s])
		if counts == nil || s == "" || id < len(counts) && counts[id] > 0 {
			number[id] = uint16(len(list))
			list = append(list, s)
		}
	}
	return list, number
}
