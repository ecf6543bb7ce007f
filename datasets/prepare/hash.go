package prepare

import (
	"encoding/binary"
	"math/bits"
)

// Purposes of a hash: the same name must fall independently into partitions, splits and places in the order.
const (
	saltName      uint64 = 0x9e3779b97f4a7c15
	saltPartition uint64 = 0xd1b54a32d192ed03
	saltSplit     uint64 = 0xc2b2ae3d27d4eb4f
	saltOrder     uint64 = 0x165667b19e3779f9
	saltContent   uint64 = 0x27d4eb2f165667c5
	saltSample    uint64 = 0x9fb21c651e98df25
	saltGram      uint64 = 0xd6e8feb86659fd93
	saltCap       uint64 = 0x85ebca77c2b2ae63
	saltBalance   uint64 = 0xd6e8feb86659fd93
)

// hash64 hashes s under a seed, eight bytes a step with a folded 128-bit product. Its values decide splits and the
// order of rows, so it must never change: same input, same bytes. It is not meant to resist an attacker.
func hash64(seed uint64, s string) uint64 {
	const k0, k1 = 0xa0761d6478bd642f, 0xe7037ed1a0b428db
	b := []byte(s) // does not escape: no copy for the sizes here
	h := fold64(seed^k0, uint64(len(b))^k1)
	for ; len(b) >= 8; b = b[8:] {
		h = fold64(h^binary.LittleEndian.Uint64(b), k1)
	}
	var tail uint64
	for i := len(b) - 1; i >= 0; i-- {
		tail = tail<<8 | uint64(b[i])
	}
	h = fold64(h^tail, k0)
	return fold64(h, k1^k0)
}

// derive makes the hash for another purpose, or under a seed, of one that was computed for a first purpose.
func derive(h, salt uint64) uint64 { return fold64(h^salt, 0xe7037ed1a0b428db) }

// orderOf is a name's place in the order of a split's rows. h is its hash64 under saltName.
func orderOf(h, seed uint64) uint64 { return derive(h, seed^saltOrder) }

func fold64(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// share maps a hash to [0, 1).
func share(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// bucket maps a hash to [0, n) by its high bits, in order: a larger hash never falls into a smaller bucket.
func bucket(h uint64, n int) int {
	hi, _ := bits.Mul64(h, uint64(n))
	return int(hi)
}
