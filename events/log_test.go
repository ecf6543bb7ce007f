package events_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/logs"
)

// randomName is a name of any bytes, in the form of Event.Name.
func randomName(r *rand.Rand) (name []byte) {
	if r.IntN(50) == 0 {
		return []byte(".")
	}
	for range 1 + r.IntN(4) {
		if len(name) > 0 {
			name = append(name, '.')
		}
		for range 1 + r.IntN(20) {
			c := byte(r.UintN(256))
			if r.IntN(4) == 0 {
				c = `.\"019x{}`[r.IntN(9)]
			}
			if c == '.' || c == '\\' {
				name = append(name, '\\')
			}
			name = append(name, c)
		}
	}
	return name
}

func randomEvent(r *rand.Rand) events.Event {
	e := events.Event{Name: randomName(r), RCode: events.RCode(r.IntN(30) - 1), Type: events.Type(r.UintN(300)),
		Kind: events.Kind(r.IntN(3)), Transport: events.Transport(r.IntN(6)), ID: uint16(r.UintN(3)), Size: r.IntN(3) * 100}
	if r.IntN(3) > 0 {
		e.Time = time.Unix(r.Int64N(2e9), r.Int64N(1e9)).UTC()
		e.Client = events.Peer{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(r.UintN(256))}), Port: uint16(r.UintN(65536))}
		e.Server = events.Peer{Addr: netip.MustParseAddr("2001:db8::1"), Name: `ns"1` + "\n\x7fä"}
	}
	if r.IntN(2) == 0 {
		e.Client.Name = "kaino-laptop"
		e.Columns = []events.Column{{Name: "score", Value: "0.25"}, {Name: "re\"ason", Value: "\x1b[31m \\ é"}}
	}
	return e
}

// What AppendJSON writes is valid JSON in one line, and the format degas reads the same event of it.
func TestAppendJSONRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	o := events.Options{Columns: true} // recognises the first line
	for range 1000 {
		want := randomEvent(r)
		line := events.AppendJSON(nil, &want)
		if !json.Valid(line) || bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd }) {
			t.Fatalf("%q", line)
		}
		f, err := events.NewFile(bytes.NewReader(line), "", o)
		if err != nil {
			t.Fatal(err)
		}
		var got events.Event
		o.Format = f.Format.Name
		if err := f.Next(&got); err != nil || f.Format.Name != "degas" {
			t.Fatalf("%s: %s, %v, %+v", line, f.Format.Name, err, f.Stats)
		}
		want.Line = 1
		if len(want.Columns) == 0 {
			want.Columns = got.Columns[:0:0]
		}
		if len(got.Columns) == 0 {
			want.Columns, got.Columns = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\n%+v, want\n%+v", line, got, want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	e := events.Event{
		Time: time.Date(2026, 11, 29, 9, 0, 0, 5, time.FixedZone("", 3600)),
		Name: []byte("a\\.b\\\\c\x00\xff\"."), RCode: events.NXDomain, Type: 16, Kind: events.Both, Transport: events.UDP,
		Client: events.Peer{Addr: netip.MustParseAddr("192.0.2.7"), Port: 53124},
		Columns: []events.Column{{Name: "score", Value: "0.993"}, {Name: "label", Value: "dga"}, {Name: "name", Value: "x"},
			{Name: "bad", Value: "\xff"}},
	}
	want := `{"time":"2026-11-29T08:00:00.000000005Z","client":"192.0.2.7","client_port":53124,` +
		`"name":"a\\.b\\\\c\\000\\255\".","type":"TXT","rcode":"NXDOMAIN","transport":"udp","kind":"both",` +
		`"score":0.993,"label":"dga","bad":"` + "\ufffd" + `"}`
	if got := string(events.AppendJSON([]byte("x"), &e)); got != "x"+want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { events.AppendJSON(make([]byte, 0, 512), &e) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	for value, number := range map[string]bool{"1": true, "0.5": true, "1e-9": true, "NaN": false, ".5": false,
		"1.": false, "": false, "-": false, "0x1": false, "007": false, "1_0": false, "1e": false, "1-": false} {
		e.Columns = []events.Column{{Name: "score", Value: value}}
		line := events.AppendJSON(nil, &e)
		if !json.Valid(line) || strings.HasSuffix(string(line), `"}`) == number {
			t.Errorf("a score of %q: %s", value, line)
		}
	}
}
