package prepare

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/datasets"
)

// cutDays sets the plan's first days of validation and test, from the rows of each day, 0 for none. A day is never
// cut in two: it goes to the split that contains its middle row. Every split that has a share gets a day while there
// are enough, the oldest days staying with training.
func (p *Plan) cutDays(rows map[datasets.Day]int64) (*datasets.DateReport, error) {
	r := &datasets.DateReport{}
	var days []datasets.Day
	for _, d := range slices.Sorted(maps.Keys(rows)) {
		switch n := rows[d]; {
		case d == 0:
			r.Undated = n
		case n > 0:
			days, r.Dated = append(days, d), r.Dated+n
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
	if p.Validation > 0 && test >= 2 {
		validation = min(validation, test-1)
	}
	validation = max(min(validation, test), 1) // training has the oldest day
	if p.Validation > 0 && len(days) >= 3 {
		test = max(test, validation+1)
	}
	test = max(test, validation)

	at := func(i int) datasets.Day {
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
func (p *Plan) dated(d datasets.Day) datasets.SplitID {
	switch {
	case d >= p.TestFrom:
		return datasets.TestSplit
	case d >= p.ValidationFrom:
		return datasets.ValidationSplit
	}
	return datasets.TrainSplit
}
