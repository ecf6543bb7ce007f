// Package store says what degas keeps of the questions that it decided about. A [Store] has two kinds: SQLite files on
// this machine (store/sqlite), and OpenSearch or Elasticsearch (store/search). Package store/storetest holds both to
// the contracts here.
//
// What people decide is not in a Store but in a ledger (store/ledger), which is small and never loses a line.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// Event is a question with the decision about its name, as it is kept.
type Event struct {
	Time time.Time // in UTC, to the millisecond
	// Name is as events.AppendEscaped writes it in lower case, at most MaxName bytes. Domain is its registered domain.
	Name, Domain string
	// Client is an address or another text that tells who asked, "" if nobody knows.
	Client    string
	Type      events.Type
	RCode     events.RCode
	Transport events.Transport
	Verdict   detect.Verdict
	Action    detect.Action
	Rule      detect.Rule
	Score     float64 // 0 unless the name was scored
	Class     string  // the model's label, or the verdict
	Reason    string
	Entry     string // of the list that decided
	Model     string // name and version of the model, "" if none was asked
	// Sample says that this event stands for so many. 0 and 1 are one.
	Sample int
}

// MaxName bounds Event.Name in bytes: 255 bytes of a name, of which each may be written as four.
const MaxName = 1020

// Flagged reports whether somebody may want to look at the event: it was malicious, or on a block list. Such events are
// never sampled.
func (e *Event) Flagged() bool { return e.Verdict == detect.Malicious || e.Verdict == detect.Blocked }

// Range is a time from From, inclusive, to To, exclusive.
type Range struct{ From, To time.Time }

// Step is the width of the slots in which events are counted.
type Step uint8

// Steps. A store keeps minutes for a week, hours for 90 days and days for five years.
const (
	Minute Step = iota
	Hour
	Day
)

// Duration is the step's width.
func (s Step) Duration() time.Duration {
	return [...]time.Duration{time.Minute, time.Hour, 24 * time.Hour}[min(s, Day)]
}

// Weight is how many questions the event stands for.
func (e *Event) Weight() int64 { return int64(max(e.Sample, 1)) }

// Filter chooses events. The zero Filter chooses all; every field that is set has to fit.
type Filter struct {
	Verdict *detect.Verdict
	Flagged bool   // only events that are Flagged
	Name    string // exactly
	Domain  string // this registered domain
	Client  string
}

// Count is how many events of one kind a slot has. Counts are exact, whatever was sampled.
type Count struct {
	Slot     time.Time // its start
	Verdict  detect.Verdict
	Action   detect.Action
	Type     events.Type // 0 stands for the rare ones
	RCode    events.RCode
	N        int64
	ScoreSum float64 // of the scores of N events
}

// Kind is what a top list is of.
type Kind uint8

// Kinds of top lists.
const (
	Names Kind = iota
	Domains
	Clients
)

// Top is a place in a top list. The true count is at least N-Error and at most N.
type Top struct {
	Key      string
	N, Error int64
}

// Page is a part of the events, newest first.
type Page struct {
	Events []Event
	// Next is the Cursor of the page after this one, "" at the end.
	Next Cursor
}

// Cursor says where a page begins. "" is the newest event. Its text belongs to the Store.
type Cursor string

// ErrFilter is the error of a question that a Store cannot answer exactly, such as counts by client from rollups. Its
// text says what can be asked instead.
var ErrFilter = errors.New("the store does not count by this filter")

// ErrCursor is the error of a Cursor that the Store did not give out.
var ErrCursor = errors.New("the cursor is none of this store")

// Store keeps events in bounded room. Its methods are safe for concurrent use. Times of a Range that lie before what is
// kept are no error.
type Store interface {
	// Append takes events and never waits for a disk or a network: what does not fit into the queue is dropped and
	// counted in Stats, but all events count in Counts. The slice stays the caller's. One second after Append returned,
	// the events survive a crash of degas.
	Append(all []Event)
	// Counts are how many events there were by slot, oldest first. Only Filter.Verdict and Filter.Flagged count
	// exactly; other fields give ErrFilter.
	Counts(ctx context.Context, r Range, step Step, f Filter) ([]Count, error)
	// Top are the n keys with the most events, most first. Filter may have Flagged alone; else the error is ErrFilter.
	Top(ctx context.Context, r Range, kind Kind, n int, f Filter) ([]Top, error)
	// Distinct estimates how many different keys there were, to about 2 %.
	Distinct(ctx context.Context, r Range, kind Kind) (int64, error)
	// Events are those that are kept as rows, newest first, at most n of them from cursor on.
	Events(ctx context.Context, r Range, f Filter, cursor Cursor, n int) (Page, error)
	// Stats says how the store is.
	Stats() Stats
	// Close writes what waits. Nothing may be called after it.
	Close() error
}

// Stats are numbers about a store. Counts are since it was opened.
type Stats struct {
	Appended, Dropped, Failed int64 // events: taken; not kept, because the queue was full; given up after errors
	Waiting                   int64 // events in the queue
	Bytes, Budget             int64 // on disk, and the most that may be; 0 if unknown
	// Oldest is the time of the oldest event that is kept as a row without being flagged; zero if unknown.
	Oldest time.Time
	Error  error // the last write's, nil if it went well
	// Unwritable says that rows cannot be kept now, in files of this machine either: who sends events shall wait.
	Unwritable bool
}
