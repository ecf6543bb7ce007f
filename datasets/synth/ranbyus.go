package synth

import "encoding/binary"

func init() {
	registerDGA("ranbyus", ranbyus,
		"Ranbyus: 14 letters (may) or 17 (september), 40 names a day. The seed is the build's.",
		"https://johannesbader.ch/2015/09/ranbyuss-dga-revisited/",
		"may", "september")
}

var ranbyusTLDs = []string{".in", ".me", ".cc", ".su", ".tw", ".net", ".com", ".pw"}

// ranbyus follows Bader's "The DGA of Ranbyus" (May 2015) and "Ranbyus's DGA, Revisited" (September).
// Known seeds of may: 0xb6354bc3 (default), 0xc5f128f3, 0x65ba0743, 0x0478620c; of september: 0x0f0d5bfa
// (default), 0xf2c72b14, 0xae8714be. The two meet in their top-level domains, which follow the day.
func ranbyus(p Params) ([]string, error) {
	word, length := ranbyusMay, 14
	if p.Variant == "september" {
		p = p.or(0x0f0d5bfa, day(2015, 9, 25), 40)
		word, length = ranbyusSeptember, 17
	}
	p = p.or(0xb6354bc3, day(2015, 5, 14), 40)
	next := word(p)
	return collect(p.Count, func(i int) string {
		return spell(length, lower[:25], next) + ranbyusTLDs[(p.Date.Day()+i)%len(ranbyusTLDs)]
	}), nil
}

// ranbyusMay runs three shift registers for day, month and year, and one that the seed feeds.
func ranbyusMay(p Params) func() uint32 {
	day, month, year, seed := uint32(p.Date.Day()), uint32(p.Date.Month()), uint32(p.Date.Year()), uint32(p.Seed)
	return func() uint32 {
		day = day>>15 ^ 16*(day&0x1fff^4*(seed^day))
		year = year&0xfffffff0<<17 ^ (year^7*year)>>11
		month = 14*(month&0xfffffffe) ^ (month^4*month)>>8
		seed = seed>>6 ^ (day+8*seed)<<8&0x3ffff00
		return day ^ month ^ year
	}
}

// ranbyusSeptember draws 32 bytes a name from a 64-bit generator, three steps for every 16 bytes, and
// leaves all but 17 unused.
func ranbyusSeptember(p Params) func() uint32 {
	state := uint64(uint32(p.Date.Day()*int(p.Date.Month())*p.Date.Year()) ^ uint32(p.Seed))
	step := func() uint64 {
		state = state*0x5851f42d4c957f2d + 0x14057b7ef767814f
		return state
	}
	var block []byte
	used := 17
	return func() uint32 {
		if used == 17 {
			block, used = block[:0], 0
			for range 2 {
				a, b, c := step(), step(), step()
				mixed := uint32(c>>24)&0xffffff00 | uint32(c)>>24
				block = binary.LittleEndian.AppendUint32(block, (mixed^uint32(b))&0xfffff^uint32(b))
				block = binary.LittleEndian.AppendUint32(block, uint32(b>>32))
				block = binary.LittleEndian.AppendUint32(block, uint32(a)&0xfff00000|uint32(c>>32)>>12)
				block = binary.LittleEndian.AppendUint32(block, uint32(a>>32))
			}
		}
		used++
		return uint32(block[used-1])
	}
}
