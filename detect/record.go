package detect

import (
	"slices"
	"strconv"

	"github.com/degas-dns/degas/events"
)

// AppendJSON appends an event with its decision to dst as a line of degas' event log, without a line's end: see
// events.AppendJSON. more are further columns. What a list decided also has the list and its entry.
func AppendJSON(dst []byte, e *events.Event, d *Decision, more ...events.Column) []byte {
	with := *e
	if d.Entry != "" {
		more = slices.Concat(more, []events.Column{{Name: "entry", Value: d.Entry}, {Name: "list", Value: d.List}})
	}
	with.Columns = slices.Concat(e.Columns, []events.Column{
		{Name: "score", Value: strconv.FormatFloat(d.Score, 'f', 6, 64)}, {Name: "label", Value: d.Class},
		{Name: "verdict", Value: d.Verdict.String()}, {Name: "action", Value: d.Action.String()},
		{Name: "rule", Value: d.Rule.String()}, {Name: "reason", Value: d.Reason},
		{Name: "registered_domain", Value: Domain(string(e.Name))},
	}, more)
	return events.AppendJSON(dst, &with)
}
