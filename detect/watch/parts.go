package watch

import (
	"math"

	"github.com/zeebo/xxh3"
)

// Share names a part of what a Watch knows: the clients and domains of a lane in half a day. Evidence about a client or
// a domain is all in one lane.
type Share struct {
	Lane int
	Half int64 // days since 1970, times two
}

// Rest is the lane of what belongs to no client and no domain, such as which addresses answer.
const Rest = -1

// EndOf is the second since 1970 when a Share's half day ends.
func (s Share) EndOf() int64 { return (s.Half + 1) * halfDay }

// Parts takes apart what a Watch of Options.Part saw, so that no process needs the evidence of all traffic. Equal
// shares of several Watches merge. A Watch for each lane then merges its half days, the oldest first, and ends each
// with EndBefore. At last the lanes merge, with the Rest, and Findings says what a Watch of all events would. There is
// one difference: each lane has room for Options.Zones and Options.Clients. w is empty afterwards and may go on.
func (w *Watch) Parts(lanes int) map[Share]*Watch {
	out, o := map[Share]*Watch{}, w.o
	o.Baseline = nil // its names are in o.Tables
	at := func(s Share) *Watch {
		if out[s] == nil {
			out[s] = New(o)
		}
		return out[s]
	}
	lane := func(key string) int { return int(xxh3.HashStringSeed(key, w.o.Seed) % uint64(lanes)) }
	rest := at(Share{Lane: Rest})
	rest.servers, rest.lists, rest.span = w.servers, w.lists, w.span
	for i := range w.zones {
		e := &w.zones[i]
		for number, t := range e.Tables {
			half := stretch(number*e.Half, halfDay)
			for z, n := range t.By {
				to := at(Share{lane(z.Domain + " " + z.Client + " " + z.Server), half}).zones[i].table(number)
				to.By[z], to.Limit = n, t.Limit
			}
		}
	}
	for half, t := range w.clients.Tables {
		for client, a := range t.By {
			to := at(Share{lane(client), half}).clients.table(half)
			to.By[client], to.Limit = a, t.Limit
		}
	}
	w.empty()
	return out
}

// EndBefore ends the stretches of time that are over at a second since 1970, if all events before it were seen. Call it
// with rising times.
func (w *Watch) EndBefore(second int64) {
	complete := second // until when a scale has all it gets of the one before
	for at := range w.zones {
		w.zones[at].closeWhile(func(number, half int64, _, _, _ int) bool { return (number+2)*half <= complete },
			func(number int64) { w.close(at, number) })
		complete = (stretch(complete, scales[at].half) - 1) * scales[at].half
	}
	w.clients.closeWhile(func(number, half int64, _, _, _ int) bool { return (number+1)*half <= second }, w.closeClients)
}

// ended is what is known of stretches of time that have ended, for Save. It has no half day's domains: those of before
// are lost, so that a Watch is saved before the first or after the last end.
type ended struct {
	Zones   map[zone]endedZone
	Clients map[string]endedClient
	Asked   int64
}

type endedZone struct {
	Score        float64
	Scale        int
	Start, Until int64
	P            float64
	Total, Best  *names
}

type endedClient struct {
	LogE  float64
	Total *asks
	N     int
}

func (w *Watch) ended() *ended {
	e := &ended{map[zone]endedZone{}, map[string]endedClient{}, w.judged.asked}
	for z, s := range w.judged.zones {
		e.Zones[z] = endedZone{s.score, s.scale, s.start, s.until, s.p, s.total, s.best}
	}
	for client, s := range w.judged.clients {
		e.Clients[client] = endedClient{s.logE, s.total, s.n}
	}
	return e
}

func (e *ended) restore(w *Watch) {
	if e == nil {
		return
	}
	w.judged.asked += e.Asked
	for z, s := range e.Zones {
		w.judged.zones[z] = &suspectZone{score: s.Score, scale: s.Scale, start: s.Start, until: s.Until, p: s.P,
			total: s.Total, best: s.Best}
	}
	for client, s := range e.Clients {
		w.judged.clients[client] = &suspectClient{s.LogE, s.Total, s.N}
	}
}

// valid is false for what Save cannot have written.
func (e *ended) valid() bool {
	if e == nil {
		return true
	}
	for _, s := range e.Zones {
		if s.Best == nil || !s.Best.valid() || s.Total != nil && !s.Total.valid() || math.IsNaN(s.Score) ||
			s.Scale < 0 || s.Scale >= len(scales) {
			return false
		}
	}
	for _, s := range e.Clients {
		if s.Total == nil || !s.Total.valid() {
			return false
		}
	}
	return true
}
