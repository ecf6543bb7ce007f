package shadow

import "hash/maphash"

// seen remembers the last 262,144 names or so by 64 bits of their hashes, in 2 MB. A name falls into one of many short
// rows, in which those that come again stay and the oldest goes.
type seen struct {
	seed maphash.Seed // random, so that nobody can choose names that push others out
	rows [][width]uint64
}

const rows, width = 1 << 16, 4

func newSeen() *seen { return &seen{maphash.MakeSeed(), make([][width]uint64, rows)} }

func (s *seen) hash(name string) uint64 { return maphash.String(s.seed, name) }

// has reports whether a key is there, and moves it to the front of its row.
func (s *seen) has(key uint64) bool {
	row := &s.rows[key%rows]
	for i, k := range row {
		if k == key {
			copy(row[1:i+1], row[:i])
			row[0] = key
			return true
		}
	}
	return false
}

// add puts a key that is not there to the front of its row.
func (s *seen) add(key uint64) {
	row := &s.rows[key%rows]
	copy(row[1:], row[:width-1])
	row[0] = key
}
