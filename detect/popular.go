package detect

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

// Popular is a set of popular names, such as the first 100,000 of Tranco. It keeps 15.9 bits of each name: of the names
// that are not in it, it takes one in 11,700 for one that is. Popular never changes. A nil Popular is empty.
//
// A popular registered domain was chosen by a person, not generated. It says nothing about the names below it, which
// may carry a tunnel. Rule PopularName says what a Policy makes of both.
//
// It is a list of sorted numbers as by Elias (1974) and Fano (1971). A hash with a key of this process makes a number
// of each name, and there are 11,703 numbers for each. The low 14 bits of the numbers stand side by side. The rest is
// the number of a bucket: unary has a one for each number in a bucket, and then a zero.
type Popular struct {
	n       int
	buckets uint64
	unary   []uint64
	starts  []uint32 // where every startEvery-th bucket begins in unary
	low     []uint64
}

const (
	lowBits    = 14
	startEvery = 128
)

// NewPopular makes a Popular of at most 2 billion names as dnsname.Fold returns them.
func NewPopular(names iter.Seq[string]) *Popular {
	var hashes []uint64
	for name := range names {
		hashes = append(hashes, maphash.String(seed, name))
	}
	slices.Sort(hashes) // which sorts the numbers too
	hashes = slices.Compact(hashes)
	n := uint64(len(hashes))
	p := &Popular{n: len(hashes), buckets: (5*n + 6) / 7}
	p.unary, p.low = make([]uint64, (n+p.buckets+63)/64), make([]uint64, (n*lowBits+63)/64)
	p.starts = make([]uint32, 0, (p.buckets+startEvery-1)/startEvery)
	i, bit := uint64(0), uint64(0)
	for b := range p.buckets {
		if b%startEvery == 0 {
			p.starts = append(p.starts, uint32(bit))
		}
		for ; i < n; i++ {
			bucket, low := p.number(hashes[i])
			if bucket != b {
				break
			}
			p.unary[bit/64] |= 1 << (bit % 64)
			p.setLow(i, low)
			bit++
		}
		bit++
	}
	return p
}

func (p *Popular) number(hash uint64) (bucket, low uint64) {
	number, _ := bits.Mul64(hash, p.buckets<<lowBits)
	return number >> lowBits, number & (1<<lowBits - 1)
}

func (p *Popular) setLow(i, low uint64) {
	at := i * lowBits
	p.low[at/64] |= low << (at % 64)
	if at%64 > 64-lowBits {
		p.low[at/64+1] |= low >> (64 - at%64)
	}
}

func (p *Popular) lowAt(i uint64) uint64 {
	at := i * lowBits
	low := p.low[at/64] >> (at % 64)
	if at%64 > 64-lowBits {
		low |= p.low[at/64+1] << (64 - at%64)
	}
	return low & (1<<lowBits - 1)
}

// Has reports whether a folded name is popular. It allocates nothing.
func (p *Popular) Has(name string) bool {
	if p == nil || p.n == 0 {
		return false
	}
	bucket, low := p.number(maphash.String(seed, name))
	bit := p.begin(bucket)
	for ; p.unary[bit/64]>>(bit%64)&1 == 1; bit++ {
		if p.lowAt(bit-bucket) == low { // bucket zeros stand before it
			return true
		}
	}
	return false
}

// begin is where a bucket begins in unary.
func (p *Popular) begin(bucket uint64) uint64 {
	bit := uint64(p.starts[bucket/startEvery])
	for zeros := int(bucket % startEvery); zeros > 0; {
		word := ^p.unary[bit/64] >> (bit % 64)
		if n := bits.OnesCount64(word); n < zeros {
			zeros -= n
			bit = bit/64*64 + 64
			continue
		}
		for ; zeros > 1; zeros-- {
			word &= word - 1
		}
		bit += uint64(bits.TrailingZeros64(word)) + 1
		zeros = 0
	}
	return bit
}

// Len is the number of names.
func (p *Popular) Len() int {
	if p == nil {
		return 0
	}
	return p.n
}

// Bytes is the memory that p takes.
func (p *Popular) Bytes() int {
	if p == nil {
		return 0
	}
	return 8*len(p.unary) + 8*len(p.low) + 4*len(p.starts)
}
