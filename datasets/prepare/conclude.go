package prepare

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

// readResult is what reading inputs found, as plain data: it can come from another machine.
type readResult struct {
	Inputs []inputResult
	// Families, Sources and Days count the rows accepted; Days has rows only if the split is by date, day 0 for none.
	Families, Sources map[string]int64
	Days              map[datasets.Day]int64
}

// inputResult is what reading one input found.
type inputResult struct {
	Report datasets.InputReport
	// Renamed are families that are counted under another name than the input has.
	Renamed map[string]string
	Samples [datasets.NumClasses][]sampleName
	// TooBad says that more rows are bad than may be, "" if not. Usable says that some row is good.
	TooBad string
	Usable bool
}

// conclude decides what all inputs must be known for: it fills the manifest with what was read, checks the labels, and
// gives whole families, sources and days their splits. skipped are the files that were not read.
func (r *readResult) conclude(m *datasets.Manifest, plan *Plan, skipped []datasets.Skipped, strict bool) error {
	useful, useless, err := settle(r.Inputs, strict)
	if err != nil {
		return err
	}
	reportInputs(m, useful, append(append([]datasets.Skipped{}, skipped...), useless...))
	if err := checkLabels(m, useful, strict); err != nil {
		return err
	}
	for what, words := range map[string]map[string]int64{"families": r.Families, "sources": r.Sources} {
		if len(words) > math.MaxInt16 { // one machine finds that while it reads
			return tooMany(what)
		}
	}
	switch plan.By {
	case datasets.SplitByFamily:
		plan.Families = plan.assign(r.Families)
	case datasets.SplitBySource:
		plan.Sources = plan.assign(r.Sources)
	case datasets.SplitByDate:
		if m.Dates, err = plan.cutDays(r.Days); err != nil {
			return err
		}
	}
	return plan.checkHoldout(r.Families)
}

// settle divides inputs into useful ones and those without a usable name. It is an error if an input has too many bad
// rows besides, or if no input is left.
func settle(inputs []inputResult, strict bool) (useful []inputResult, useless []datasets.Skipped, err error) {
	bad := ""
	for _, in := range inputs {
		if in.TooBad == "" {
			useful = append(useful, in)
			continue
		}
		if strict || in.Usable {
			return nil, nil, errors.New(in.TooBad)
		}
		useless = append(useless, datasets.Skipped{Path: in.Report.Path,
			Reason: "no usable name in it: " + mostRefused(in.Report.Refused)})
		if bad == "" {
			bad = in.TooBad
		}
	}
	if len(useful) == 0 && bad != "" {
		return nil, nil, errors.New(bad)
	}
	return useful, useless, nil
}

// mostRefused is the reason for which most rows were refused.
func mostRefused(by map[string]int64) string {
	best := ""
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		if best == "" || by[reason] > by[best] {
			best = reason
		}
	}
	return best
}

// reportInputs fills the manifest with what read counted, and with the files that were not read.
func reportInputs(m *datasets.Manifest, inputs []inputResult, skipped []datasets.Skipped) {
	m.RefusedBy, m.LeftOut, m.RenamedFamilies = map[string]int64{}, map[string]int64{}, map[string]string{}
	for _, in := range inputs {
		r := in.Report
		for reason, n := range r.Refused {
			m.RefusedBy[reason] += n
			m.Refused += n
		}
		for reason, n := range r.LeftOut {
			m.LeftOut[reason] += n
		}
		m.RowsIn += r.Rows
		m.Inputs = append(m.Inputs, r)
		maps.Copy(m.RenamedFamilies, in.Renamed)
	}
	slices.SortStableFunc(skipped, func(a, b datasets.Skipped) int { return strings.Compare(a.Path, b.Path) })
	if more := len(skipped) - datasets.MaxSkipped; more > 0 {
		skipped = append(skipped[:datasets.MaxSkipped], datasets.Skipped{Reason: fmt.Sprintf("%d more files", more)})
	}
	m.Skipped = skipped
}

// reportCleaned fills the manifest with what cleaning counted, and makes sure that no row got lost. It plans which
// training rows to leave out, nil for none.
func reportCleaned(m *datasets.Manifest, t tally) (s *Selection, err error) {
	slices.Sort(t.Merge.Conflicts)
	names := append([]string{}, t.Merge.Conflicts[:min(len(t.Merge.Conflicts), datasets.MaxConflictNames)]...)
	m.Duplicates, m.Overridden, m.FamilyMerges = t.Merge.Duplicates, t.Merge.Overridden, t.Merge.FamilyMerges
	m.MovedToTrain = t.Merge.MovedToTrain
	m.Conflicts = datasets.Conflicts{Names: t.Merge.ConflictNames, Rows: t.Merge.ConflictRows,
		Benign: t.Merge.ConflictBenign, List: names}
	if m.Kept = t.Kept; m.Kept > 0 {
		o := Options{Seed: m.Options.Seed, Balance: m.Options.Balance, CapFamily: m.Options.CapFamily}
		if s, err = NewSelection(o, t.Train); err != nil {
			return nil, err
		}
	}
	if s != nil {
		m.Capped, m.Balanced = s.Capped, s.Balanced
		m.Kept -= s.Capped + s.Balanced
	}
	sum := m.Refused + m.Duplicates + m.Overridden + m.Conflicts.Rows + m.Capped + m.Balanced + m.Kept
	if sum != m.RowsIn {
		return nil, fmt.Errorf("rows got lost: %d came in, %d are accounted for", m.RowsIn, sum)
	}
	if m.Kept == 0 {
		return nil, fmt.Errorf("no rows are left of %d (%d refused, %d in conflict)", m.RowsIn, m.Refused,
			m.Conflicts.Rows)
	}
	return s, fingerprint(m, t.Content)
}

// fingerprint identifies the data set by its inputs, options and rows.
func fingerprint(m *datasets.Manifest, content [2]uint64) error {
	type in struct{ Path, SHA256, Reader string }
	id := struct {
		Format  int
		Options datasets.ManifestOptions
		Inputs  []in
		Rows    int64
		Content [2]uint64
	}{Format: datasets.FormatVersion, Options: m.Options, Rows: m.Kept, Content: content}
	for _, r := range m.Inputs {
		id.Inputs = append(id.Inputs, in{r.Path, r.SHA256, r.Reader})
	}
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("fingerprint: %w", err)
	}
	m.Fingerprint = fmt.Sprintf("%x", sha256.Sum256(data))
	return nil
}

// checkRows compares what was written with what was to be.
func checkRows(m *datasets.Manifest) error {
	var rows int64
	for _, s := range m.Splits {
		rows += s.Rows
	}
	if rows != m.Kept {
		return fmt.Errorf("rows got lost: %d are kept, %d were written", m.Kept, rows)
	}
	return nil
}
