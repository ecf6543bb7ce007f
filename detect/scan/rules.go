package scan

import (
	"cmp"
	"slices"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/events"
)

// RuleReport is what another detector's rule about one name says.
type RuleReport struct {
	Detector string `json:"detector"`
	Label    string `json:"label"`
	Reason   string `json:"reason"`
	Events   int64  `json:"events"`
	// Example is the first name.
	Example string `json:"example"`
}

// WindowReport is a domain about whose names another detector's rule fires, within a time.
type WindowReport struct {
	rules.Hit
	File string `json:"file"`
}

// ruled collects what the rules of others say.
type ruled struct {
	names   map[[3]string]*RuleReport // by detector, label and reason: a few fixed texts
	windows []WindowReport
}

// add asks the rules about one event. A name on the allow list is asked about by none.
func (r *ruled) add(e *events.Event, d *detect.Decision, w *rules.Windows) {
	if d.Verdict == detect.Allowed {
		return
	}
	w.Observe(e)
	for _, detector := range rules.Detectors {
		label, reason, ok := detector.Ask(e.Name, e.RCode == events.NXDomain)
		if !ok {
			continue
		}
		key := [3]string{detector.Name, label, reason}
		if r.names[key] == nil {
			r.names[key] = &RuleReport{detector.Name, label, reason, 0, string(events.AppendEscaped(nil, e.Name))}
		}
		r.names[key].Events++
	}
}

// end takes the windows of a file that has ended.
func (r *ruled) end(file string, w *rules.Windows) {
	for _, h := range w.Hits() {
		r.windows = append(r.windows, WindowReport{h, file})
	}
}

func (r *ruled) report() (names []RuleReport) {
	for _, n := range r.names {
		names = append(names, *n)
	}
	slices.SortFunc(names, func(a, b RuleReport) int {
		return cmp.Or(cmp.Compare(a.Detector, b.Detector), cmp.Compare(b.Events, a.Events), cmp.Compare(a.Reason, b.Reason))
	})
	return names
}
