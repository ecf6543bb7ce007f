package shadow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/models"
)

// MostNames bounds how many names Compare takes at once.
const MostNames = 100

// mostDifferences is how many of the last differences a Report has.
const mostDifferences = 100

// Report is how a candidate differs from the version in force, over the names that were seen Since.
type Report struct {
	Number int
	// Err is why the candidate cannot be loaded. Nothing is compared then, and all that follows is zero.
	Err error
	// Loaded is when the candidate was loaded, and Since when counting began: there was no other candidate or version in
	// force since.
	Loaded, Since time.Time
	// InForce is the number of the version in force. Threshold is the candidate's, OldThreshold that of the version in
	// force.
	InForce                 int
	Threshold, OldThreshold float64
	// Names were scored by both. Dropped were seen, and not scored because too many waited: a name that came again counts
	// again.
	Names, Dropped int64
	// Both, OnlyOld, OnlyNew and Neither say how many of Names are malicious by the threshold: of both, of the version in
	// force alone, of the candidate alone, of neither.
	Both, OnlyOld, OnlyNew, Neither int64
	// Difference is the mean of the absolute differences of the scores, 0 to 1.
	Difference float64
	// Last are the last names that one of them alone calls malicious, the newest first, at most a hundred.
	Last []Difference
}

// Difference is a name about which the version in force and a candidate differ.
type Difference struct {
	Name, Client string // of the event in which the name was seen first
	Time         time.Time
	Old, New     float64 // scores: of the version in force, of the candidate
	Class        string  // what the one that calls the name malicious says that it is, such as "dga"
	OnlyNew      bool    // it is the candidate
}

// comparison counts how a candidate differs. A version that is loaded again gets a new one.
type comparison struct {
	version *models.Version

	mu   sync.Mutex
	r    Report // Number, Loaded, Since, and what is counted one by one
	sum  float64
	last []Difference // a ring
	next int          // in last
}

func newComparison(v *models.Version) *comparison {
	return &comparison{version: v, r: Report{Number: v.Number, Loaded: v.Loaded, Since: time.Now()}}
}

// count counts a name. One that a list decides about meanwhile, or that has no score of one of the two, says nothing.
func (c *comparison) count(n sighting, old *detect.Decision, now detect.Decision) {
	if !old.Scored() || !now.Scored() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Names++
	c.sum += math.Abs(old.Score - now.Score)
	d := Difference{Name: n.name, Client: n.client, Time: n.at, Old: old.Score, New: now.Score}
	switch before, after := old.Verdict == detect.Malicious, now.Verdict == detect.Malicious; {
	case before && after:
		c.r.Both++
		return
	case before:
		c.r.OnlyOld++
		d.Class = old.Class
	case after:
		c.r.OnlyNew++
		d.Class, d.OnlyNew = now.Class, true
	default:
		c.r.Neither++
		return
	}
	if len(c.last) < mostDifferences {
		c.last = append(c.last, d)
		return
	}
	c.last[c.next] = d
	c.next = (c.next + 1) % mostDifferences
}

// report is what was counted so far.
func (c *comparison) report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.r
	if r.Names > 0 {
		r.Difference = c.sum / float64(r.Names)
	}
	r.Last = append(slices.Clone(c.last[c.next:]), c.last[:c.next]...)
	slices.Reverse(r.Last)
	return r
}

// Reports are about all candidates, ascending by number, also about those that cannot be loaded.
func (s *Shadow) Reports() (all []Report) {
	if s.candidates == nil {
		return nil
	}
	p := s.o.Policy()
	s.mu.Lock()
	for _, c := range s.compare {
		r := c.report()
		r.InForce, r.Dropped = s.serving.Number, s.dropped
		r.Threshold = p.WithModel(c.version.Classifier).Threshold()
		r.OldThreshold = p.WithModel(s.serving.Classifier).Threshold()
		all = append(all, r)
	}
	s.mu.Unlock()
	for _, state := range s.candidates.States(s.o.Model) {
		if state.Err != nil {
			all = append(all, Report{Number: state.Number, Err: state.Err})
		}
	}
	slices.SortFunc(all, func(a, b Report) int { return a.Number - b.Number })
	return all
}

// Pair is a name with what all loaded versions say of it.
type Pair struct {
	Name string
	// Answers are those of the versions in force, ascending by number, and then of the candidates.
	Answers []Answer
}

// Answer is what a version says of a name, whatever lists and people say.
type Answer struct {
	Number    int
	Candidate bool
	Threshold float64
	Decision  detect.Decision
}

// Compare asks all loaded versions about at most MostNames names.
func (s *Shadow) Compare(ctx context.Context, names []string) ([]Pair, error) {
	if len(names) > MostNames {
		return nil, fmt.Errorf("compare %d names: at most %d at once", len(names), MostNames)
	}
	pairs := make([]Pair, len(names))
	for i, name := range names {
		pairs[i].Name = name
	}
	alone := s.o.Policy().Alone()
	out := make([]detect.Decision, len(names))
	ask := func(versions []*models.Version, candidate bool) error {
		for _, v := range versions {
			p := alone.WithModel(v.Classifier)
			if err := p.DecideAll(ctx, names, out); err != nil {
				return err
			}
			for i := range pairs {
				pairs[i].Answers = append(pairs[i].Answers, Answer{v.Number, candidate, p.Threshold(), out[i]})
			}
		}
		return nil
	}
	err := ask(s.o.Serving.Versions(s.o.Model), false)
	if err == nil && s.candidates != nil {
		err = ask(s.candidates.Versions(s.o.Model), true)
	}
	return pairs, err
}
