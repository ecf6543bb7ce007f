package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect/stream"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// Intake takes events by HTTP and hands them to a stream. Make it with NewIntake.
type Intake struct {
	queue chan []events.Event
	part  []events.Event // of the queue, for Next
	done  chan struct{}
	stats events.Stats

	mu      sync.Mutex
	room    int           // for events in the queue
	put     int64         // events that were put into the queue, and how many of them are kept
	through int64         // of these
	changed chan struct{} // closed and made anew when through grows
}

// mostWaiting is how many events wait for the stream. A request that brings more than fit is told to come again.
const mostWaiting = 1 << 17

// intakeName is the name of an Intake's source.
const intakeName = "http"

// NewIntake makes an Intake.
func NewIntake() *Intake {
	return &Intake{queue: make(chan []events.Event, mostWaiting), room: mostWaiting, done: make(chan struct{}),
		changed: make(chan struct{})}
}

// Source is where a stream reads the events.
func (i *Intake) Source() stream.Source {
	return stream.Source{Name: intakeName, Reader: i, Stats: &i.stats, Joined: true}
}

// Next implements events.Reader.
func (i *Intake) Next(e *events.Event) error {
	for len(i.part) == 0 {
		select {
		case i.part = <-i.queue:
		case <-i.done:
			select {
			case i.part = <-i.queue: // what was taken before the end is not lost
			default:
				return io.EOF
			}
		}
	}
	*e, i.part = i.part[0], i.part[1:]
	return nil
}

// Close ends the events. What was taken is still read.
func (i *Intake) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.done:
	default:
		close(i.done)
	}
	return nil
}

// kept says that the stream has given n more events to the store.
func (i *Intake) kept(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.through += int64(n)
	i.room += n
	close(i.changed)
	i.changed = make(chan struct{})
}

// take hands over events, all of them or none, and waits until the store has them. So what a client was told of is as
// safe as the store keeps it, however long the stream takes.
func (i *Intake) take(ctx context.Context, all []events.Event) error {
	end, err := i.enqueue(all)
	if err != nil {
		return err
	}
	for {
		i.mu.Lock()
		there, changed := i.through >= end, i.changed
		i.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enqueue puts events into the queue. end is how many have to be kept until these are.
func (i *Intake) enqueue(all []events.Event) (end int64, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.done:
		return 0, &reply.Failure{Status: http.StatusServiceUnavailable, Text: "The server is stopping",
			Retry: 10 * time.Second}
	default:
	}
	if len(all) > i.room {
		return 0, reply.Busy("Too many events wait already: send them again")
	}
	i.room -= len(all)
	i.put += int64(len(all))
	i.queue <- all // has room for as many slices as events
	return i.put, nil
}

// eventsAnswer answers POST /v1/events.
type eventsAnswer struct {
	Accepted int `json:"accepted"`
	// Refused counts lines that are no events, by the reason.
	Refused map[string]int64 `json:"refused,omitempty"`
}

// eventsIn answers POST /v1/events: lines of degas' event log, one event each, packed with gzip or not.
func (s *Server) eventsIn(w http.ResponseWriter, r *http.Request, memory *models.Lease) (any, error) {
	if s.o.Store != nil && s.o.Store.Stats().Unwritable { // so that who sends keeps them
		return nil, &reply.Failure{Status: http.StatusServiceUnavailable, Retry: 10 * time.Second,
			Text: "The store cannot be written to now: send the events again"}
	}
	body, err := reply.Body(w, r, models.MaxBody)
	if err != nil {
		return nil, err
	}
	f, err := events.NewFile(memory.Charged(body), "", events.Options{Format: "degas", Columns: true})
	if err != nil {
		return nil, unreadableEvents(err)
	}
	defer f.Close()
	var all []events.Event
	for {
		var e events.Event
		if err := f.Next(&e); err == io.EOF {
			break
		} else if err != nil {
			return nil, unreadableEvents(err)
		}
		if len(all) == models.MaxRows {
			return nil, reply.BadRequest("A request may have %d events, this one has more", models.MaxRows)
		}
		if err := memory.Take(costOf(&e)); err != nil {
			return nil, err
		}
		var own events.Event
		e.CopyTo(&own)
		all = append(all, own)
	}
	answer := eventsAnswer{Accepted: len(all), Refused: f.Stats.Refused}
	if len(all) == 0 && len(answer.Refused) > 0 {
		for reason := range answer.Refused {
			return nil, reply.BadRequest("No line is an event of degas' log. The first reason: %s", reason)
		}
	}
	if len(all) == 0 {
		return nil, reply.BadRequest("The body has no events")
	}
	return answer, s.o.Intake.take(r.Context(), all)
}

// costOf is what an event takes in bytes.
func costOf(e *events.Event) int64 {
	n := 512 + len(e.Name)
	for _, c := range e.Columns {
		n += 64 + len(c.Name) + len(c.Value)
	}
	return int64(n)
}

// unreadableEvents is the Failure of a body that cannot be read.
func unreadableEvents(err error) error {
	switch {
	case errors.As(err, new(*reply.Failure)), errors.As(err, new(*http.MaxBytesError)):
		return reply.Unreadable(err)
	case errors.Is(err, io.EOF):
		return reply.BadRequest("The body has no events: %v", err)
	}
	return reply.Unreadable(err)
}
