package synth

import "math/bits"

// lcg is a linear congruential generator modulo 2³². Malware that does not bring its own arithmetic
// inherits one of these from its compiler or from a textbook.
type lcg struct{ state, mul, add uint32 }

func (g *lcg) next() uint32 {
	g.state = g.state*g.mul + g.add
	return g.state
}

// next15 is rand() of Microsoft's C library: bits 16 to 30 of the state.
func (g *lcg) next15() uint32 { return g.next() >> 16 & 0x7fff }

func microsoftRand(seed uint32) *lcg  { return &lcg{seed, 214013, 2531011} }
func ansiRand(seed uint32) *lcg       { return &lcg{seed, 1103515245, 12345} }
func numericalRand(seed uint32) *lcg  { return &lcg{seed, 1664525, 1013904223} }
func tempedreveRand(seed uint32) *lcg { return &lcg{seed, 16843009, 65805} }

// parkMiller is the "minimal standard" generator in Schrage's form, without the correction of negative
// results that the textbook has: ramnit and dircrypt let them wrap around.
type parkMiller struct{ state uint32 }

func (g *parkMiller) next() uint32 {
	quotient, remainder := g.state/127773, g.state%127773
	g.state = 16807*remainder - 2836*quotient
	return g.state
}

const (
	mtSize  = 624
	mtShift = 397
)

// mersenne is MT19937. With frozenTail set a refill leaves the last word as it was, the slip in the
// implementation that reconyc carries.
type mersenne struct {
	words      [mtSize]uint32
	used       int
	frozenTail bool
}

func newMersenne(seed uint32) *mersenne {
	m := &mersenne{used: mtSize}
	m.words[0] = seed
	for i := 1; i < mtSize; i++ {
		prev := m.words[i-1]
		m.words[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	return m
}

func (m *mersenne) refill() {
	last := mtSize
	if m.frozenTail {
		last--
	}
	for i := range last {
		joined := m.words[i]&0x80000000 | m.words[(i+1)%mtSize]&0x7fffffff
		m.words[i] = m.words[(i+mtShift)%mtSize] ^ joined>>1 ^ joined&1*0x9908b0df
	}
	m.used = 0
}

func (m *mersenne) next() uint32 {
	if m.used >= mtSize {
		m.refill()
	}
	y := m.words[m.used]
	m.used++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// dice is degas' own generator (splitmix64), for everything that no malware dictates: payloads, zones,
// which names go into the sample. It is written out here because its stream must never change.
type dice struct{ state uint64 }

// newDice makes an independent stream for each pair of seed and purpose.
func newDice(seed uint64, purpose string) *dice {
	d := &dice{seed}
	for i := range len(purpose) {
		d.state = d.next() ^ uint64(purpose[i])
	}
	return d
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is uniform in [0, n); the bias of a 64-bit multiply is far under what any test could see.
func (d *dice) below(n int) int {
	high, _ := bits.Mul64(d.next(), uint64(n))
	return int(high)
}

// between is uniform in [low, high], both ends included.
func (d *dice) between(low, high int) int { return low + d.below(high-low+1) }

// chance is true in percent of the calls.
func (d *dice) chance(percent int) bool { return d.below(100) < percent }

func (d *dice) pick(words []string) string { return words[d.below(len(words))] }

func (d *dice) text(n int, alphabet string) string {
	word := make([]byte, n)
	for i := range word {
		word[i] = alphabet[d.below(len(alphabet))]
	}
	return string(word)
}

func (d *dice) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.next())
	}
	return b
}

// shuffle is Fisher and Yates'.
func shuffle[T any](d *dice, s []T) {
	for i := len(s) - 1; i > 0; i-- {
		j := d.below(i + 1)
		s[i], s[j] = s[j], s[i]
	}
}
