package synth

func init() {
	registerDGA("cryptolocker", cryptolocker,
		"CryptoLocker: 12 to 15 letters under seven top-level domains, 1,000 names a day. No seed.",
		"https://blog.fortinet.com/post/a-closer-look-at-cryptolocker-s-dga")
}

// cryptolocker follows Fortinet's "A Closer Look at CryptoLocker's DGA": three shift registers, for day,
// month and the year plus a counter.
func cryptolocker(p Params) ([]string, error) {
	p = p.or(0, day(2014, 10, 7), 1000)
	tlds := []string{".com", ".net", ".biz", ".ru", ".org", ".co.uk", ".info"}
	return collect(p.Count, func(i int) string {
		const spread = 65537
		day, month, year := uint32(p.Date.Day())*spread, uint32(p.Date.Month())*spread, uint32(p.Date.Year()+i)*spread
		length := 12 + (day>>3^year>>8^year>>11)&3
		return spell(int(length), lower[:25], func() uint32 {
			day = day<<13>>19 ^ day>>1<<13 ^ day>>19
			month = month<<2>>25 ^ month>>3<<7 ^ month>>25
			year = year<<3>>11 ^ year>>4<<21 ^ year>>11
			return day ^ month ^ year
		}) + tlds[i%len(tlds)]
	}), nil
}
