package serve

import (
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/serve/store"
)

// Keep gives a stream's events to the store and to who looks on, for stream.Options. What a resolver decided, and
// recorded with an event, is what happened, and is kept so; about other events the engine decided.
func (s *Server) Keep(source string, all []events.Event, decisions []detect.Decision) {
	j := s.o.Engine.current.Load()
	model, version := j.model(), j.version
	kept := make([]store.Event, len(all))
	for i := range all {
		e, d := &all[i], decisions[i]
		if recorded, ok := detect.Recorded(e); ok {
			d = recorded
		} else {
			s.metrics.decided(version, &d)
		}
		kept[i] = keptOf(e, &d)
		if d.Scored() {
			kept[i].Model = model
		}
	}
	s.o.Store.Append(kept)
	if s.o.Console != nil {
		s.o.Console.Feed.Publish(kept)
	}
	if s.o.Shadow != nil {
		s.o.Shadow.Observe(kept)
	}
	if source == intakeName {
		s.o.Intake.kept(len(all))
	}
}

// keptOf is an event as it is kept. It shares no memory with e.
func keptOf(e *events.Event, d *detect.Decision) store.Event {
	name := make([]byte, 0, len(e.Name)+16)
	name = events.AppendEscaped(name, e.Name)
	name = events.AppendLower(name[:0], name)
	name = name[:min(len(name), store.MaxName)]
	asked := detect.AppendAsked(make([]byte, 0, len(e.Name)), e.Name)
	return store.Event{Time: e.Time.UTC(), Name: lines.View(name), Domain: detect.Domain(lines.View(asked)),
		Client: e.Client.String(), Type: e.Type, RCode: e.RCode, Transport: e.Transport,
		Verdict: d.Verdict, Action: d.Action, Rule: d.Rule, Score: d.Score, Class: d.Class, Reason: d.Reason,
		Entry: d.Entry}
}
