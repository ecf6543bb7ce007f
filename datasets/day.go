package datasets

import (
	"time"

	"github.com/degas-dns/degas/internal/lines"
)

// Day is a day as the number of days since 1970-01-01. 0 means that the source gives no date.
type Day uint16

// String is the day as YYYY-MM-DD, "" for none.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly)
}

// ParseDay reads the day that text begins with as YYYY-MM-DD ("2018-06-23 00:00:00" is one too). It returns 0 if there
// is none, or none between 1970-01-02 and 2149-06-06.
func ParseDay(text []byte) Day {
	if len(text) < len(time.DateOnly) || text[4] != '-' || text[7] != '-' {
		return 0
	}
	t, err := time.Parse(time.DateOnly, lines.View(text[:len(time.DateOnly)]))
	if err != nil {
		return 0
	}
	if n := t.Unix() / 86400; n > 0 && n < 1<<16 {
		return Day(n)
	}
	return 0
}
