package metrics

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// GroupRecall is how many malicious names of a family, or from a source, are found: at the model's threshold and at a
// false-positive rate of 1e-3. For benign names of a source it is the share called benign. The 95 % intervals are
// Wilson's (doi:10.1080/01621459.1927.10502953) for names drawn one by one, the threshold as it is.
type GroupRecall struct {
	Name        string    `json:"name"`
	Class       string    `json:"class"`
	Names       int       `json:"names"`
	Recall      Number    `json:"recall"`
	Recall95    [2]Number `json:"recall_95"`
	RecallFPR   Number    `json:"recall_at_fpr_1e-3"`
	RecallFPR95 [2]Number `json:"recall_at_fpr_1e-3_95"`
}

// groupKey is a family, source, top-level domain or range of lengths of one class.
type groupKey struct{ name, class string }

// groupCounts hold for each group how many names it has, and how many of them are judged right at the model's threshold
// and at the strict one, for a false-positive rate of 1e-3.
type groupCounts map[groupKey]struct{ names, right, strict int }

func (g groupCounts) add(name, class string, right, strict bool) {
	k := groupKey{name, class}
	c := g[k]
	c.names++
	if right {
		c.right++
	}
	if strict {
		c.strict++
	}
	g[k] = c
}

// countGroups fills in the recall of each family, source, top-level domain and range of lengths.
func (m *Metrics) countGroups(s *Sample) {
	families, sources, tlds, lengths := groupCounts{}, groupCounts{}, groupCounts{}, groupCounts{}
	common, threshold := commonTLDs(s.Names), m.Operating[AtFPR1e3].Threshold
	for i, name := range s.Names {
		malicious, class := s.Truth[i] != 0, s.Class[i].String()
		right := (s.Predicted(i, m.Threshold) != 0) == malicious
		strict := (s.Score(i) >= float64(threshold)) == malicious
		if malicious {
			families.add(cmp.Or(s.Family[i], "(no family given)"), class, right, strict)
		}
		sources.add(s.Source[i], class, right, strict)
		tld := tldOf(name)
		if !slices.Contains(common, tld) {
			tld = "(others)"
		}
		tlds.add(tld, class, right, strict)
		lengths.add(lengthRange(len(name)), class, right, strict)
	}
	noStrict := math.IsNaN(float64(threshold))
	m.Families, m.Sources = families.recalls(noStrict), sources.recalls(noStrict)
	m.TLDs, m.Lengths = tlds.recalls(noStrict), lengths.recalls(noStrict)
	slices.SortStableFunc(m.Lengths, func(a, b GroupRecall) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// recalls turns counts into shares, worst first. noStrict says that there is no strict threshold.
func (g groupCounts) recalls(noStrict bool) []GroupRecall {
	out := []GroupRecall{}
	for k, c := range g {
		right, strict := Number(c.right)/Number(c.names), Number(c.strict)/Number(c.names)
		if noStrict {
			strict = none
		}
		out = append(out, GroupRecall{
			k.name, k.class, c.names, right, Wilson(right, c.names), strict, Wilson(strict, c.names),
		})
	}
	slices.SortFunc(out, func(a, b GroupRecall) int {
		return cmp.Or(cmp.Compare(a.Recall, b.Recall), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	return out
}

// tldsShown is how many top-level domains have a row of their own.
const tldsShown = 20

// tldOf is the last label of a name.
func tldOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// commonTLDs are the tldsShown most frequent TLDs.
func commonTLDs(names []string) []string {
	counts := map[string]int{}
	for _, n := range names {
		counts[tldOf(n)]++
	}
	order := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return order[:min(tldsShown, len(order))]
}

// lengthBounds end the ranges of lengths, in bytes.
var lengthBounds = []int{8, 12, 16, 24, 40, 64, 253}

// lengthRange is the range that a length is in: "9-12".
func lengthRange(n int) string {
	low := 0
	for _, high := range lengthBounds {
		if n <= high {
			return fmt.Sprintf("%d-%d", low, high)
		}
		low = high + 1
	}
	return fmt.Sprintf("%d-", low)
}

// Wilson is the 95 % interval of a share of n names; missing where the share is, or without names.
func Wilson(share Number, n int) [2]Number {
	if share.Missing() || n == 0 {
		return noInterval
	}
	const z = 1.959963984540054
	m := float64(n)
	p := math.Round(float64(share)*m) / m
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	reach := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	low, high := max(0, middle-reach), min(1, middle+reach)
	if p == 0 { // where rounding leaves 1e-18
		low = 0
	} else if p == 1 {
		high = 1
	}
	return [2]Number{Number(low), Number(high)}
}
