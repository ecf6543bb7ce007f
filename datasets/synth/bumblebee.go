package synth

import "encoding/binary"

func init() {
	registerDGA("bumblebee", bumblebee,
		"Bumblebee loader: 11 letters and digits under .life. The seed is the build's 8-byte magic; the date is not used "+
			"by the known builds.",
		"https://github.com/baderj/domain_generation_algorithms (bumblebee)")
}

// bumblebee follows Bader's reconstruction. Default seed: the magic "TEST_SEE" with the constants
// that stand in for a date in a static build; 100 names a run.
func bumblebee(p Params) ([]string, error) {
	p = p.or(binary.LittleEndian.Uint64([]byte("TEST_SEE")), day(2023, 9, 1), 100)
	// The static build seeds with second 32 of month 13 of the year 1899.
	state := p.Seed + (32 | (13+256)<<8) + 1899
	next := func() uint32 {
		state = state*1664525 + 1013904223
		for range 32 {
			odd := state & 1
			state >>= 1
			state ^= odd * 0xf5000000
		}
		return uint32(state % uint64(len(lowerDigits)))
	}
	return collect(p.Count, func(int) string { return spell(11, lowerDigits, next) + ".life" }), nil
}
