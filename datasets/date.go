package datasets

import (
	"errors"
	"fmt"
	"time"
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

// ParseDay reads the day that text begins with as YYYY-MM-DD ("2018-06-23 00:00:00" is one too); 0 when it does not,
// or when there is no such day between 1970-01-02 and 2149-06-06.
func ParseDay(text []byte) Day {
	if len(text) < len(time.DateOnly) || text[4] != '-' || text[7] != '-' {
		return 0
	}
	t, err := time.Parse(time.DateOnly, view(text[:len(time.DateOnly)]))
	if err != nil {
		return 0
	}
	if n := t.Unix() / 86400; n > 0 && n < 1<<16 {
		return Day(n)
	}
	return 0
}

// DateReport says how a split by date divided the rows that have one. Rows are counted as they come in, before
// duplicates are removed.
type DateReport struct {
	Dated   int64 `json:"dated_rows"`
	Undated int64 `json:"undated_rows"` // these are split by registered domain
	// First and Last are the first and the last day. ValidationFrom and TestFrom are the first days of those splits,
	// "" for a split without days.
	First          string `json:"first"`
	ValidationFrom string `json:"validation_from"`
	TestFrom       string `json:"test_from"`
	Last           string `json:"last"`
}

// cutDays sets the plan's first days of validation and test, from the rows of each day (index = Day). A day is never
// cut in two: it goes where the middle of its rows falls. Every split that has a share gets a day while there are
// enough, the oldest days staying with training.
func (p *Plan) cutDays(rows []int64) (*DateReport, error) {
	r := &DateReport{}
	var days []Day
	for d, n := range rows {
		switch {
		case d == 0:
			r.Undated = n
		case n > 0:
			days, r.Dated = append(days, Day(d)), r.Dated+n
		}
	}
	switch {
	case len(days) == 0:
		return nil, errors.New("no row has a date to split by: the feeds of bambenek and netlab360 have them. " +
			"Try: --split domain")
	case len(days) == 1:
		return nil, fmt.Errorf("all dates are %s: a split by date needs at least two days. Try: --split domain", days[0])
	}
	validation, test, sum := len(days), len(days), int64(0) // indexes of the first days
	for i, d := range days {
		middle := (float64(sum) + float64(rows[d])/2) / float64(r.Dated)
		sum += rows[d]
		if middle >= 1-p.Test-p.Validation {
			validation = min(validation, i)
		}
		if middle >= 1-p.Test {
			test = min(test, i)
		}
	}
	if p.Test > 0 {
		test = min(test, len(days)-1)
	}
	least := 1 // training has the oldest day
	if p.Validation > 0 && test >= 2 {
		validation = min(validation, test-1)
	}
	validation = max(min(validation, test), least)
	if p.Validation > 0 && len(days) >= 3 {
		test = max(test, validation+1)
	}
	test = max(test, validation)

	at := func(i int) Day {
		if i < len(days) {
			return days[i]
		}
		return days[len(days)-1] + 1 // after the last
	}
	p.ValidationFrom, p.TestFrom = at(validation), at(test)
	r.First, r.Last = days[0].String(), days[len(days)-1].String()
	if test > validation {
		r.ValidationFrom = p.ValidationFrom.String()
	}
	if test < len(days) {
		r.TestFrom = p.TestFrom.String()
	}
	return r, nil
}

// dated is the split of a day.
func (p *Plan) dated(d Day) SplitID {
	switch {
	case d >= p.TestFrom:
		return TestSplit
	case d >= p.ValidationFrom:
		return ValidationSplit
	}
	return TrainSplit
}
