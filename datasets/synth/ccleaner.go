package synth

import "fmt"

func init() {
	registerDGA("ccleaner", ccleaner,
		"The backdoor in CCleaner 5.33: ab and two hexadecimal numbers under .com, one name a month. No seed.",
		"https://blog.talosintelligence.com/avast-distributes-malware/")
}

// ccleaner follows Talos' "CCleanup: A Vast Number of Machines at Risk". Name i is that of i months after
// the date.
func ccleaner(p Params) ([]string, error) {
	p = p.or(0, day(2017, 8, 1), 12)
	year, month, _ := p.Date.Date()
	return collect(p.Count, func(i int) string {
		date := day(year, month, 1).AddDate(0, i, 0)
		g := microsoftRand(uint32(date.Year()*10000 + int(date.Month())))
		tail := g.next15()
		return fmt.Sprintf("ab%x%x.com", g.next15()*g.next15(), tail)
	}), nil
}
