package trainer

import (
	"fmt"
	"math/bits"

	"github.com/degas-dns/degas/model"
)

// orderKey draws the order of an epoch's names. It is never 0, which leaves them as they lie.
func orderKey(seed uint64, epoch int) uint64 {
	return model.SubSeed(seed, fmt.Sprintf("order of epoch %d", epoch)) | 1
}

// Shuffled is place i of a permutation of 0 to n-1 that key draws, the order of an epoch on every engine. Each place is
// computed by itself, so that a device needs no list: a Feistel network over the next power of four, walked on until it
// is below n (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
func Shuffled(i, n uint32, key uint64) uint32 {
	half := max(1, (bits.Len32(n-1)+1)/2)
	mask := uint32(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(6) {
			left, right = right, left^uint32(Mix((key+round^uint64(right)<<8)+0x9e3779b97f4a7c15))&mask
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// Mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014): neighbouring inputs give unrelated outputs. Every
// engine draws with it, so that all draw the same.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
