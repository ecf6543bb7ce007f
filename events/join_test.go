package events

import (
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// list is a Reader of events that overwrites the memory of the last one, as readers may.
type list struct {
	events []Event
	next   int
	buffer []byte
}

func (l *list) Next(e *Event) error {
	for i := range l.buffer {
		l.buffer[i] = '!'
	}
	if l.next == len(l.events) {
		return io.EOF
	}
	*e = l.events[l.next]
	l.buffer = append(l.buffer[:0], e.Name...)
	e.Name = l.buffer
	l.next++
	return nil
}

// at is an event of a client .1 at a second.
func at(second float64, kind Kind, name string, id uint16, change ...func(*Event)) Event {
	e := Event{Time: time.Unix(1_700_000_000, int64(second*1e9)), Kind: kind, Name: []byte(name), ID: id, Type: 1,
		RCode: NoRCode, Client: Peer{Addr: netip.MustParseAddr("192.0.2.1"), Port: 4000}}
	if kind == Response {
		e.RCode, e.Size = NXDomain, 90
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func TestJoin(t *testing.T) {
	nobody := func(e *Event) { e.Client, e.Type, e.ID = Peer{}, 0, 0 }
	timeless := func(e *Event) { e.Time = time.Time{} }
	for _, tc := range []struct {
		name string
		in   []Event
		want string
	}{
		{"answered, in another case", []Event{at(0, Query, "wWw.a.com", 1), at(1, Response, "www.A.com", 1)},
			"both wWw.a.com NXDOMAIN"},
		{"answered by another port's or ID's", []Event{at(0, Query, "a.com", 1), at(1, Response, "a.com", 2)},
			"response a.com NXDOMAIN, query a.com "},
		{"too late", []Event{at(0, Query, "a.com", 1), at(6, Query, "b.com", 2), at(7, Response, "a.com", 1)},
			"query a.com , response a.com NXDOMAIN, query b.com "},
		{"asked twice, answered twice", []Event{at(0, Query, "a.com", 1), at(1, Query, "a.com", 1),
			at(2, Response, "a.com", 1), at(2, Response, "a.com", 1)},
			"both a.com NXDOMAIN, both a.com NXDOMAIN"},
		{"one time is far ahead", []Event{at(0, Query, "a.com", 1), at(1e9, Query, "x.com", 2), at(1, Query, "b.com", 3),
			at(2, Response, "b.com", 3)}, "query a.com , both b.com NXDOMAIN, query x.com "},
		{"responses alone", []Event{at(0, Response, "a.com", 1), at(1, Response, "a.com", 1)},
			"response a.com NXDOMAIN, response a.com NXDOMAIN"},
		{"answered by a log that names no client", []Event{at(0, Query, "a.com", 0), at(1, Response, "a.com", 0, nobody)},
			"both a.com NXDOMAIN"},
		{"without times", []Event{at(0, Query, "a.com", 1, timeless), at(0, Response, "a.com", 1, timeless),
			at(0, Query, "b.com", 1, timeless)}, "both a.com NXDOMAIN, query b.com "},
		{"joined already", []Event{at(0, Both, "a.com", 1)}, "both a.com "},
	} {
		var got []string
		r := Join(&list{events: tc.in})
		var e Event
		for r.Next(&e) == nil {
			got = append(got, fmt.Sprintf("%s %s %s", e.Kind, e.Name, e.RCode))
		}
		if g := strings.Join(got, ", "); g != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, g, tc.want)
		}
	}
}

// A flood of queries that nobody answers is bounded, and none gets lost.
func TestJoinIsBounded(t *testing.T) {
	var in []Event
	for i := range 3 * JoinSize {
		in = append(in, at(0, Query, fmt.Sprintf("n%d.com", i), uint16(i)))
	}
	j := Join(&list{events: in}).(*joiner)
	seen := map[string]bool{}
	var e Event
	for j.Next(&e) == nil {
		seen[string(e.Name)] = true
		if n := max(len(j.byName), len(j.byQuestion), j.to-j.from); n > JoinSize {
			t.Fatalf("%d queries wait", n)
		}
	}
	if len(seen) != len(in) || len(j.byName)+len(j.byQuestion) > 0 {
		t.Errorf("%d of %d names came, %d and %d are still known", len(seen), len(in), len(j.byName), len(j.byQuestion))
	}
}

func BenchmarkJoin(b *testing.B) {
	var in []Event
	for i := range 1000 {
		in = append(in, at(0, Query, fmt.Sprintf("host%d.example.com", i), uint16(i)))
	}
	in = append(in, in...)
	for i := range in[1000:] {
		in[1000+i].Kind = Response
	}
	slices.SortStableFunc(in, func(a, b Event) int { return int(a.ID) - int(b.ID) })
	source := &list{events: in}
	r := Join(source)
	var e Event
	b.ReportAllocs()
	for b.Loop() {
		if source.next == len(in) {
			source.next = 0
		}
		_ = r.Next(&e)
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// A path stands in an error once.
func TestOpenNamesTheFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.log")
	if _, err := Open(t.Context(), path, Options{}, nil); err == nil || strings.Count(err.Error(), path) != 1 {
		t.Error(err)
	}
}

// An archive is no log: its members' headers would be read as names.
func TestNewFileRefusesArchives(t *testing.T) {
	_, err := NewFile(strings.NewReader("PK\x03\x04 and the rest"), "", Options{})
	if err == nil || !strings.Contains(err.Error(), "it is an archive. Try: unpack it") {
		t.Error(err)
	}
}
