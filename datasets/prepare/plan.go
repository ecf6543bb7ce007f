package prepare

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model/dnsname"
)

// Plan decides to which split a row goes. It is plain data: partitions can be worked on anywhere, in any order.
type Plan struct {
	Seed             uint64
	Validation, Test float64 // shares, 0 to 1
	By               string  // SplitByDomain, …
	// Holdout families, and their variants (vawtrak holds out vawtrak_v1), are in test only.
	Holdout []string
	// TrainOnly are sources whose registered domains are in training only, but for those of held-out families.
	TrainOnly []string
	// Families and Sources are the splits of whole families or sources, for SplitByFamily and SplitBySource.
	Families, Sources map[string]datasets.SplitID
	// ValidationFrom and TestFrom are the first days of those splits, for SplitByDate.
	ValidationFrom, TestFrom datasets.Day
}

// Partition returns the index, below parts, of the partition that holds every row relevant to name's split.
func (p *Plan) Partition(name string, parts int) int {
	return partition(p.hash(p.group(name)), parts)
}

// hash is a group's hash, from which its split and partition follow.
func (p *Plan) hash(group string) uint64 { return hash64(p.Seed^saltSplit, group) }

// partition returns the index, below parts, of the partition of a group with hash h.
func partition(h uint64, parts int) int { return bucket(derive(h, saltPartition), parts) }

// held reports whether a family is held out.
func (p *Plan) held(family string) bool {
	for _, h := range p.Holdout {
		if family == h || len(family) > len(h) && strings.HasPrefix(family, h) &&
			strings.IndexByte("_-.", family[len(h)]) >= 0 {
			return true
		}
	}
	return false
}

// hashed returns the split for a group's hash when nothing else decides.
func (p *Plan) hashed(h uint64) datasets.SplitID {
	switch u := share(h); {
	case u < p.Test:
		return datasets.TestSplit
	case u < p.Test+p.Validation:
		return datasets.ValidationSplit
	}
	return datasets.TrainSplit
}

// fixed returns the split that a family or source requires; ok is false if neither does.
func (p *Plan) fixed(family, source string) (_ datasets.SplitID, ok bool) {
	if family != "" && p.held(family) {
		return datasets.TestSplit, true
	}
	switch {
	case slices.Contains(p.TrainOnly, source):
		return datasets.TrainSplit, true
	case p.By == datasets.SplitByFamily && family != "":
		s, ok := p.Families[family]
		return s, ok
	case p.By == datasets.SplitBySource:
		s, ok := p.Sources[source]
		return s, ok
	}
	return 0, false
}

// group returns the key whose rows share a split: the registered domain, or the name in a random split.
func (p *Plan) group(name string) string {
	if p.By == datasets.SplitRandom {
		return name
	}
	return dnsname.Registered(name)
}

// grouped reports whether a row's split can depend on other rows of its group.
func (p *Plan) grouped() bool {
	return p.By == datasets.SplitByFamily || p.By == datasets.SplitBySource || p.By == datasets.SplitByDate ||
		len(p.Holdout) > 0 || len(p.TrainOnly) > 0
}

// assign puts whole items (families, sources) into splits so that the shares are met as well as whole items allow.
// In an order that depends on the seed, each item goes to the split that is furthest below its share. Splits that have
// a share get at least one item while there are enough.
func (p *Plan) assign(rows map[string]int64) map[string]datasets.SplitID {
	items, total := make([]string, 0, len(rows)), int64(0)
	for s, n := range rows {
		items, total = append(items, s), total+n
	}
	slices.SortFunc(items, func(a, b string) int {
		return cmp.Or(cmp.Compare(hash64(p.Seed^saltSplit, a), hash64(p.Seed^saltSplit, b)), strings.Compare(a, b))
	})
	want := [datasets.NumSplits]float64{1 - p.Validation - p.Test, p.Validation, p.Test}
	var have [datasets.NumSplits]float64
	out := make(map[string]datasets.SplitID, len(rows))
	for i, s := range items {
		best, missing := datasets.TrainSplit, 0.0
		for id := range datasets.SplitID(datasets.NumSplits) {
			lack := want[id] - have[id]
			if have[id] == 0 && want[id] > 0 && len(items)-i <= empties(have, want) {
				lack = 2 // the last items fill the empty splits
			}
			if lack > missing {
				best, missing = id, lack
			}
		}
		out[s] = best
		have[best] += float64(max(rows[s], 1)) / float64(max(total, 1))
	}
	return out
}

func empties(have, want [datasets.NumSplits]float64) (n int) {
	for i := range have {
		if have[i] == 0 && want[i] > 0 {
			n++
		}
	}
	return n
}

// check refuses a plan that cannot be followed.
func (p *Plan) check() error {
	if !(p.Validation >= 0 && p.Test >= 0 && p.Validation+p.Test < 1) { // NaN too
		return fmt.Errorf("shares of validation (%g) and test (%g) leave nothing to train on", p.Validation, p.Test)
	}
	if len(p.TrainOnly) > 0 && p.By != datasets.SplitByDomain {
		return fmt.Errorf("sources for training only: a split by %s cannot have them, one by domain can", p.By)
	}
	switch p.By {
	case datasets.SplitByDomain, datasets.SplitByFamily, datasets.SplitBySource, datasets.SplitByDate,
		datasets.SplitRandom:
		return nil
	}
	return fmt.Errorf("unknown split %q, known are: domain, random, family, source, date", p.By)
}

// checkHoldout refuses a held-out family that no row has: a misspelt one would hold out nothing. families counts rows.
func (p *Plan) checkHoldout(families map[string]int64) error {
	names := slices.Sorted(maps.Keys(families))
	for _, h := range p.Holdout {
		one := Plan{Holdout: []string{h}}
		if !slices.ContainsFunc(names, one.held) {
			return fmt.Errorf("no rows of the held-out family %q, there are: %s", h, strings.Join(names, ", "))
		}
	}
	return nil
}

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
