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

// Recorded reads back the decision that AppendJSON wrote with an event, from the event's columns. A record without one,
// or with a word that no degas writes, gives false.
func Recorded(e *events.Event) (d Decision, ok bool) {
	var verdict, action, rule bool
	for _, c := range e.Columns {
		switch c.Name {
		case "verdict":
			d.Verdict, verdict = word[Verdict](verdictNames[:], c.Value)
		case "action":
			d.Action, action = word[Action](actionNames[:], c.Value)
		case "rule":
			d.Rule, rule = word[Rule](ruleNames[:], c.Value)
		case "score":
			if s, err := strconv.ParseFloat(c.Value, 64); err == nil && s >= 0 && s <= 1 {
				d.Score = s
			}
		case "label":
			d.Class = c.Value
		case "reason":
			d.Reason = c.Value
		case "entry":
			d.Entry = c.Value
		case "list":
			d.List = c.Value
		}
	}
	if !verdict || !action || !rule {
		return Decision{}, false
	}
	return d, true
}

// ParseVerdict reads a Verdict's word. ok is false for any other text.
func ParseVerdict(s string) (v Verdict, ok bool) { return word[Verdict](verdictNames[:], s) }

func word[T ~uint8](words []string, s string) (T, bool) {
	i := slices.Index(words, s)
	return T(max(i, 0)), i >= 0
}
