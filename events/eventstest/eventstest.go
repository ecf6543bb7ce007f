// Package eventstest has what the tests of event formats share.
package eventstest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/events"
)

// List gives a reader's events in degas' own form, each behind its number, and then what was counted. The error is the
// reader's, io.EOF at its end.
func List(r events.Reader, s *events.Stats) (string, error) {
	var out []byte
	var e events.Event
	err := r.Next(&e)
	for ; err == nil; err = r.Next(&e) {
		out = append(events.AppendJSON(fmt.Appendf(out, "%d ", e.Line), &e), '\n')
	}
	out = fmt.Appendf(out, "units %d, events %d\n", s.Units, s.Events)
	for _, counts := range []map[string]int64{s.Skipped, s.Refused} {
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			out = fmt.Appendf(out, "%d %s\n", counts[reason], reason)
		}
	}
	return string(out), err
}
