package synth

func init() {
	registerDGA("corebot", corebot,
		"Corebot: 12 to 23 letters and digits under ddns.net, new every month. The seed is the configuration's core value.",
		"https://johannesbader.ch/2015/09/the-dga-of-corebot/")
}

// corebot follows Bader's "The DGA of Corebot". The configuration fixes the day to 8 and the group
// number to 1. Its alphabet is written as two ranges that each miss their last character.
func corebot(p Params) ([]string, error) {
	p = p.or(0x1db98930, day(2015, 9, 1), 40)
	const group, configuredDay, alphabet = 1, 8, "abcdefghijklmnopqrstuvwxy012345678"
	moment := uint32(p.Date.Year()) + (group<<16 + uint32(p.Date.Month())<<8 | configuredDay)
	g := numericalRand(uint32(p.Seed) + moment)
	return collect(p.Count, func(int) string {
		length := 12 + int(g.next()%12)
		return spell(length, alphabet, g.next) + ".ddns.net"
	}), nil
}
