package tally

import (
	"cmp"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
)

// Count is the key with its sum, as a Store gives it.
func (k CountKey) Count(s Sum) store.Count {
	return store.Count{Slot: time.Unix(k.Slot, 0).UTC(), Verdict: detect.Verdict(k.Verdict),
		Action: detect.Action(k.Action), Type: k.Type, RCode: k.RCode, N: s.N, ScoreSum: s.Score}
}

func compareKeys(a, b CountKey) int {
	return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Action, b.Action),
		cmp.Compare(a.Type, b.Type), cmp.Compare(a.RCode, b.RCode))
}

// Fits reports whether counts with this key are wanted by f. ok is false if f asks for what no counts have.
func (k CountKey) Fits(f store.Filter) (fits, ok bool) {
	v := detect.Verdict(k.Verdict)
	fits = (f.Verdict == nil || *f.Verdict == v) && (!f.Flagged || (&store.Event{Verdict: v}).Flagged())
	return fits, f.Name == "" && f.Domain == "" && f.Client == ""
}
