package synth

import (
	"crypto/md5"
	"encoding/binary"
	"strconv"
)

func init() {
	registerDGA("newgoz", newgoz,
		"newGOZ (Gameover Zeus): 21 to 28 letters and digits, 1,000 names a day. The seed is the 32-bit salt.",
		"https://johannesbader.ch/2014/12/the-dga-of-newgoz/")
}

// newgoz follows Bader's "The DGA of newGOZ": MD5 over counter and salted date, its four words written
// in base 36.
func newgoz(p Params) ([]string, error) {
	p = p.or(0x35190501, day(2015, 8, 31), 1000)
	year, month, dayOfMonth := p.Date.Date()
	le := binary.LittleEndian
	return collect(p.Count, func(i int) string {
		block := le.AppendUint32(nil, uint32(i))
		for _, part := range [3]int{year, int(month), dayOfMonth} {
			block = le.AppendUint32(le.AppendUint16(block, uint16(part)), uint32(p.Seed))
		}
		hash := md5.Sum(block)
		name := ""
		for word := 0; word < len(hash); word += 4 {
			name += strconv.FormatUint(uint64(le.Uint32(hash[word:])), 36)
		}
		return name + newgozTLD(i)
	}), nil
}

func newgozTLD(i int) string {
	switch {
	case i%4 == 0:
		return ".com"
	case i%3 == 0:
		return ".org"
	case i%2 == 0:
		return ".biz"
	default:
		return ".net"
	}
}
