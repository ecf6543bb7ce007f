package metrics

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/degas-dns/degas/model/dnsname"
)

// Threshold is a model's threshold and what it does on a split. One that was chosen is the lowest whose false-positive
// rate on the split is at most what was wanted.
type Threshold struct {
	Value  float64 `json:"threshold"`            // inside (0, 1)
	Wanted float64 `json:"wanted_fpr,omitempty"` // 0 for a threshold that was given
	Split  string  `json:"split"`
	// Before is the threshold that the model had, BeforeFPR the rate that it was chosen for, 0 if there is none.
	Before    float64 `json:"before,omitempty"`
	BeforeFPR float64 `json:"before_fpr,omitempty"`
	FPR       float64 `json:"fpr"` // on the split, at Value
	TPR       float64 `json:"tpr"`
	Benign    int     `json:"benign"` // names of the split
	Alarms    int     `json:"alarms"` // benign names at Value or above
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
	// FPR95 is the 95 % interval of FPR over resampled registered domains: the names of one are alike.
	// Without an alarm it is Wilson's, of as many names as there are domains.
	FPR95 [2]Number `json:"fpr_95"`
	// AlarmDomains counts the registered domains of the alarms. FewDomains is set if they are fewer than fewDomains and
	// hold several alarms each on average: another few would give another rate.
	AlarmDomains int  `json:"alarm_domains"`
	FewDomains   bool `json:"few_domains"`
}

// fewDomains is as many registered domains as TooFew wants names.
const fewDomains = 10

// ChooseThreshold finds the threshold for a false-positive rate in (0, 1) on a split's sample.
func ChooseThreshold(ctx context.Context, s *Sample, split string, fpr float64) (*Threshold, error) {
	c := NewCurve(s)
	p := c.operating(fpr)
	switch {
	case c.oneKind():
		return nil, fmt.Errorf("%s: %d malicious and %d benign names: both kinds are needed",
			split, c.Positives, c.Negatives)
	case math.IsInf(float64(p.Threshold), 1):
		return nil, fmt.Errorf("%s: at every threshold more than %g of %d benign names are called malicious",
			split, fpr, c.Negatives)
	}
	t, err := MeasureThreshold(ctx, s, split, validThreshold(float64(p.Threshold)))
	if err == nil {
		t.Wanted, t.TooFew = fpr, p.TooFew
	}
	return t, err
}

// MeasureThreshold says what a threshold in (0, 1) does on a split's sample, which has names of both kinds.
func MeasureThreshold(ctx context.Context, s *Sample, split string, threshold float64) (*Threshold, error) {
	t := &Threshold{Value: threshold, Split: split}
	type names struct{ all, alarms float64 }
	byDomain := map[string]names{}
	malicious, found := 0, 0
	for i, name := range s.Names {
		above := s.Score(i) >= threshold
		if s.malicious(i) {
			malicious++
			if above {
				found++
			}
			continue
		}
		domain := dnsname.Registered(name)
		d := byDomain[domain]
		d.all++
		t.Benign++
		if above {
			if d.alarms == 0 {
				t.AlarmDomains++
			}
			d.alarms++
			t.Alarms++
		}
		byDomain[domain] = d
	}
	if malicious == 0 || t.Benign == 0 {
		return nil, fmt.Errorf("%s: %d malicious and %d benign names: both kinds are needed", split, malicious, t.Benign)
	}
	t.FPR, t.TPR = float64(t.Alarms)/float64(t.Benign), float64(found)/float64(malicious)
	t.FewDomains = t.AlarmDomains < fewDomains && t.Alarms > 2*t.AlarmDomains
	domains := slices.Sorted(maps.Keys(byDomain)) // the same draws every time
	var rates []float64
	err := resample(ctx, rand.New(rand.NewPCG(1, 0x646f6d61696e)), len(domains), func(counts []float64) {
		var all, alarms float64
		for i, n := range counts {
			all += n * byDomain[domains[i]].all
			alarms += n * byDomain[domains[i]].alarms
		}
		rates = append(rates, alarms/all)
	})
	t.FPR95 = percentiles(rates)
	if t.Alarms == 0 { // what has no alarm has none however it is drawn, and yet other names may have some
		t.FPR95 = Wilson(0, len(domains))
	}
	return t, err
}

// validThreshold moves a threshold of 0 or 1 inside (0, 1), as a model has it. Verdicts stay: all scores are above 0,
// and a score of 1 is above the largest number below 1.
func validThreshold(threshold float64) float64 {
	return min(max(threshold, math.SmallestNonzeroFloat32), math.Nextafter(1, 0))
}
