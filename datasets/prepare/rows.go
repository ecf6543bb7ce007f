package prepare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

// row is a record in the compact form that spills hold. Family and source are numbers of an interner. hashed is
// Plan.hashed of the row's group. It is stored because finding the registered domain is the most expensive step.
type row struct {
	name           string
	class          datasets.Class
	weak           bool
	hashed         datasets.SplitID
	family, source uint16
	day            datasets.Day // 0 unless the plan needs it
}

// A row's flags: class in bits 0-2, hashed split in bits 4-5. Two bytes for the day follow only where there is one.
const (
	classMask   = 7
	hashedShift = 4
	datedFlag   = 1 << 6
	weakFlag    = 1 << 7
)

func appendRow(b []byte, r row) []byte {
	b = append(b, byte(len(r.name))) // names are at most 253 bytes
	b = append(b, r.name...)
	c := byte(r.class) | byte(r.hashed)<<hashedShift
	if r.weak {
		c |= weakFlag
	}
	if r.day != 0 {
		c |= datedFlag
	}
	b = append(b, c)
	b = binary.LittleEndian.AppendUint16(b, r.family)
	b = binary.LittleEndian.AppendUint16(b, r.source)
	if r.day != 0 {
		b = binary.LittleEndian.AppendUint16(b, uint16(r.day))
	}
	return b
}

// decodeRows calls f for each row in data; the names are parts of data.
func decodeRows(data []byte, f func(row)) error {
	for len(data) > 0 {
		n := int(data[0])
		if len(data) < n+6 {
			return errors.New("temporary file is damaged")
		}
		t := data[n+1:]
		r := row{
			name: lines.View(data[1 : n+1]), class: datasets.Class(t[0] & classMask), weak: t[0]&weakFlag != 0,
			hashed: datasets.SplitID(t[0] >> hashedShift & 3),
			family: binary.LittleEndian.Uint16(t[1:]), source: binary.LittleEndian.Uint16(t[3:]),
		}
		data = data[n+6:]
		if t[0]&datedFlag != 0 {
			if len(data) < 2 {
				return errors.New("temporary file is damaged")
			}
			r.day, data = datasets.Day(binary.LittleEndian.Uint16(data)), data[2:]
		}
		f(r)
	}
	return nil
}

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

// A block is a run of rows on its way from one machine to another, with the families and sources that they have:
//
//	number of families, each as its length and its text; the same for sources; rows as appendRow writes them
//
// Numbers and lengths are uvarints. The rows' families and sources count from 1 in these lists, 0 is "". All of it is
// compressed by S2, which takes less time than to move the rest between machines.

// blockEncoder makes blocks of the rows that it takes from a spillWriter. It belongs to one goroutine.
type blockEncoder struct {
	families, sources encoderWords
	plain             []byte
	// emit takes a block, which it may keep.
	emit func(part int, block []byte)
}

func newBlockEncoder(families, sources *interner, emit func(part int, block []byte)) *blockEncoder {
	return &blockEncoder{families: encoderWords{from: families}, sources: encoderWords{from: sources}, emit: emit}
}

// buffer implements chunkTaker.
func (e *blockEncoder) buffer(size int) []byte { return make([]byte, 0, size) }

// flush implements chunkTaker.
func (e *blockEncoder) flush(part int, rows []byte, _ int64) (next []byte, err error) {
	err = eachRow(rows, func(_ byte, words []byte) error {
		binary.LittleEndian.PutUint16(words, e.families.local(binary.LittleEndian.Uint16(words)))
		binary.LittleEndian.PutUint16(words[2:], e.sources.local(binary.LittleEndian.Uint16(words[2:])))
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.plain = append(e.sources.appendTo(e.families.appendTo(e.plain[:0])), rows...)
	e.emit(part, s2.Encode(nil, e.plain))
	return rows[:0], nil
}

// encoderWords numbers the words of one block.
type encoderWords struct {
	from    *interner
	numbers []uint16 // in the block, by number of the interner; 0 if it is not there yet
	words   []string
	ids     []uint16
}

// local is the number in the block of a word of the interner.
func (w *encoderWords) local(id uint16) uint16 {
	if id == 0 {
		return 0
	}
	if more := int(id) + 1 - len(w.numbers); more > 0 {
		w.numbers = append(w.numbers, make([]uint16, more)...)
	}
	if w.numbers[id] == 0 {
		w.words, w.ids = append(w.words, w.from.word(id)), append(w.ids, id)
		w.numbers[id] = uint16(len(w.words))
	}
	return w.numbers[id]
}

// appendTo adds the words to a block, and forgets them.
func (w *encoderWords) appendTo(block []byte) []byte {
	block = binary.AppendUvarint(block, uint64(len(w.words)))
	for i, s := range w.words {
		block = append(binary.AppendUvarint(block, uint64(len(s))), s...)
		w.numbers[w.ids[i]] = 0
	}
	w.words, w.ids = w.words[:0], w.ids[:0]
	return block
}

var errBlock = errors.New("a block of rows is damaged")

// maxBlock bounds a block: a spillWriter's buffer and the words in it.
const maxBlock = 1 << 20

// decodeBlock gives a block's rows, with the numbers of the interners, and how many there are.
func decodeBlock(block []byte, families, sources *interner) (rows []byte, n int64, err error) {
	if size, err := s2.DecodedLen(block); err != nil || size > maxBlock {
		return nil, 0, errBlock
	}
	if block, err = s2.Decode(nil, block); err != nil {
		return nil, 0, errBlock
	}
	familyIDs, block, err := blockWords(block, families)
	if err != nil {
		return nil, 0, err
	}
	sourceIDs, block, err := blockWords(block, sources)
	if err != nil {
		return nil, 0, err
	}
	rows = block
	return rows, n, eachRow(rows, func(flags byte, words []byte) error {
		family, source := binary.LittleEndian.Uint16(words), binary.LittleEndian.Uint16(words[2:])
		if int(family) >= len(familyIDs) || int(source) >= len(sourceIDs) || flags&classMask >= datasets.NumClasses ||
			flags>>hashedShift&3 >= datasets.NumSplits {
			return errBlock
		}
		binary.LittleEndian.PutUint16(words, familyIDs[family])
		binary.LittleEndian.PutUint16(words[2:], sourceIDs[source])
		n++
		return nil
	})
}

// blockWords reads a list of words and gives their numbers, after one for "", and the rest of the block.
func blockWords(block []byte, in *interner) (ids []uint16, rest []byte, err error) {
	n, used := binary.Uvarint(block)
	if used <= 0 || n > uint64(len(block)) {
		return nil, nil, errBlock
	}
	block, ids = block[used:], append(make([]uint16, 0, n+1), 0)
	for range n {
		size, used := binary.Uvarint(block)
		if used <= 0 || size > uint64(len(block)-used) {
			return nil, nil, errBlock
		}
		end := used + int(size)
		id, err := in.id(string(block[used:end]))
		if err != nil {
			return nil, nil, err
		}
		ids, block = append(ids, id), block[end:]
	}
	return ids, block, nil
}

// eachRow calls f with each row's flags, and with the four bytes that are its family and its source.
func eachRow(rows []byte, f func(flags byte, words []byte) error) error {
	for len(rows) > 0 {
		flags := int(rows[0]) + 1
		if len(rows) < flags+5 {
			return errBlock
		}
		end := flags + 5
		if rows[flags]&datedFlag != 0 {
			end += 2
		}
		if len(rows) < end {
			return errBlock
		}
		if err := f(rows[flags], rows[flags+1:flags+5]); err != nil {
			return err
		}
		rows = rows[end:]
	}
	return nil
}
