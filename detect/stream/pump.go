package stream

import (
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/follow"
)

// pump is an events.Reader of another one, whose Next may wait for long: it returns events.ErrIdle after a second
// without an event. Events without a time get that of their arrival.
type pump struct {
	ready, free chan *pumped
	last        *pumped      // valid until the next call of Next
	place       follow.State // behind the last event
	timer       *time.Timer
}

// pumped is an event with memory of its own, or the end.
type pumped struct {
	events.Event
	place follow.State
	err   error
}

// inPump is how many events wait in a pump.
const inPump = 256

func (s *source) newPump() *pump {
	p := &pump{ready: make(chan *pumped, inPump), free: make(chan *pumped, inPump), timer: time.NewTimer(time.Second),
		place: s.place}
	for range inPump {
		p.free <- &pumped{}
	}
	go func() {
		var e events.Event
		var counted time.Time
		for x := range p.free {
			x.err = s.Reader.Next(&e)
			now := time.Now()
			if x.err == nil {
				e.CopyTo(&x.Event)
				if x.Time.IsZero() || x.Time.After(now.Add(time.Minute)) { // no clock, or a wrong one
					x.Time = now
				}
				if s.Place != nil {
					x.place = s.Place()
				}
			}
			if x.err != nil || now.Sub(counted) > time.Second { // Stats are this goroutine's
				s.count(s.metrics.Skipped, s.Stats.Skipped)
				s.count(s.metrics.Refused, s.Stats.Refused)
				counted = now
			}
			p.ready <- x
			if x.err != nil {
				return
			}
		}
	}()
	return p
}

// Next implements events.Reader.
func (p *pump) Next(e *events.Event) error {
	if p.last != nil {
		p.free <- p.last
		p.last = nil
	}
	p.timer.Reset(time.Second)
	select {
	case p.last = <-p.ready:
	case <-p.timer.C:
		return events.ErrIdle
	}
	if p.last.err != nil {
		return p.last.err
	}
	*e, p.place = p.last.Event, p.last.place
	return nil
}
