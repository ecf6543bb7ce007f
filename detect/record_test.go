package detect_test

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all"
)

// What AppendJSON writes with an event is read back; what it never writes is no decision.
func TestRecorded(t *testing.T) {
	read := func(line string) *events.Event {
		t.Helper()
		f, err := events.OpenStream(t.Context(), strings.NewReader(line+"\n"), "",
			events.Options{Format: "degas", Columns: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var e events.Event
		if err := f.Next(&e); err != nil {
			t.Fatal(err)
		}
		return &e
	}
	e := events.Event{Name: []byte("a.bad.example"), RCode: events.NoRCode}
	for _, want := range []detect.Decision{
		{Verdict: detect.Blocked, Action: detect.Block, Rule: detect.BlockList, Class: "blocked", Reason: "is listed",
			Entry: "*.bad.example", List: "block.txt"},
		{Verdict: detect.Malicious, Action: detect.Report, Rule: detect.Score, Class: "dga", Score: 0.999875},
		{Class: "benign"},
	} {
		line := string(detect.AppendJSON(nil, &e, &want))
		if got, ok := detect.Recorded(read(line)); !ok || got != want {
			t.Errorf("%s: %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{`{"name":"a.example","kind":"query"}`,
		`{"name":"a.example","kind":"query","verdict":"evil","action":"pass","rule":"score"}`,
		`{"name":"a.example","kind":"query","verdict":"benign"}`} {
		if d, ok := detect.Recorded(read(line)); ok || d != (detect.Decision{}) {
			t.Errorf("%s: %+v, %v", line, d, ok)
		}
	}
}
