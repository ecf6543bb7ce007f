package dnstap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/eventstest"
	"github.com/degas-dns/degas/internal/alloctest"
)

var update = flag.Bool("update", false, "write the fixture and the golden file of testdata")

// dnsMessage is a DNS message with a question.
func dnsMessage(id uint16, flags uint16, qtype uint16, labels ...string) []byte {
	var m []byte
	for _, v := range []uint16{id, flags, 1, 0, 0, 0} {
		m = binary.BigEndian.AppendUint16(m, v)
	}
	for _, label := range labels {
		m = append(append(m, byte(len(label))), label...)
	}
	return append(m, 0, byte(qtype>>8), byte(qtype), 0, 1)
}

// tap is a dnstap.Dnstap of one message.
func tap(kind, protocol uint64, query, response []byte) []byte {
	varint := func(m []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
	}
	chunk := func(m []byte, n protowire.Number, data []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), data)
	}
	fixed := func(m []byte, n protowire.Number, v uint32) []byte {
		return protowire.AppendFixed32(protowire.AppendTag(m, n, protowire.Fixed32Type), v)
	}
	m := varint(varint(varint(nil, 1, kind), 2, 1), 3, protocol)
	m = chunk(chunk(m, 4, []byte{192, 0, 2, 7}), 5, net.ParseIP("2001:db8::1"))
	m = varint(varint(m, 6, 53124), 7, 53)
	if query != nil {
		m = chunk(fixed(varint(m, 8, 1795939200), 9, 123456789), 10, query)
	}
	if response != nil {
		m = chunk(fixed(varint(m, 12, 1795939201), 13, 5), 14, response)
	}
	return chunk(varint(chunk(nil, 1, []byte("ns1")), 15, 1), 14, m)
}

func dataFrame(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

var (
	question = dnsMessage(4711, 0x0100, 16, "a.b\x00", "ilmarin", "example")
	answer   = dnsMessage(4711, 0x8183, 16, "a.b\x00", "ilmarin", "example")
	payloads = [][]byte{
		tap(5, 1, question, nil),
		tap(6, 7, nil, answer),
		tap(6, 2, question, answer[:12]), // the response lost its question
		tap(1, 3, question, nil),
		tap(2, 4, question, answer),
		tap(3, 1, question, nil),
		tap(4, 1, nil, answer),
		tap(7, 1, question, nil),
		tap(9, 1, question, nil),
		tap(5, 1, nil, nil),
		tap(5, 1, dnsMessage(1, 0x2800, 6, "ilmarin", "example"), nil), // update
		tap(5, 1, question[:20], nil),
		{0xff, 0xff},
		{},
	}
)

func stream(payloads ...[]byte) []byte {
	out := controlFrame(start, contentType)
	for _, p := range payloads {
		if len(p) > 0 {
			out = append(out, dataFrame(p)...)
		}
	}
	return append(out, controlFrame(stop, "")...)
}

func TestFixture(t *testing.T) {
	path := filepath.Join("testdata", "dnstap.fstrm")
	golden := path + ".golden"
	if *update {
		if err := os.WriteFile(path, stream(payloads...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := events.Open(t.Context(), path, events.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := eventstest.List(f, &f.Stats)
	if err != io.EOF || f.Format.Name != "dnstap" {
		t.Errorf("%s: %v", f.Format.Name, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || got != string(want) {
		t.Errorf("got\n%s\nwant\n%s (%v)", got, want, err)
	}
}

// What follows a damaged frame is read as long as it is known where it begins.
func TestDamagedFrames(t *testing.T) {
	good := dataFrame(tap(5, 1, question, nil))
	begin := controlFrame(start, contentType)
	long := append(binary.BigEndian.AppendUint32(nil, maxFrame+1), make([]byte, maxFrame+1)...)
	for _, test := range []struct {
		name   string
		stream [][]byte
		want   string
	}{
		{"two files", [][]byte{begin, good, controlFrame(stop, ""), begin, good}, "units 2, events 2\n"},
		{"long frame", [][]byte{begin, long, good}, "units 2, events 1\n1 frame longer than 256 KiB\n"},
		{"cut in a length", [][]byte{begin, good, {0, 0}}, "units 2, events 1\n1 frame cut off\n"},
		{"cut in a frame", [][]byte{begin, good, good[:40]}, "units 2, events 1\n1 frame cut off\n"},
		{"cut in a long frame", [][]byte{begin, good, {0xff, 0xff, 0xff, 0xff, 1}}, "units 2, events 1\n1 frame cut off\n"},
		{"cut in a control frame", [][]byte{begin, good, begin[:9]}, "units 2, events 1\n1 frame cut off\n"},
		{"long control frame", [][]byte{begin, good, {0, 0, 0, 0, 0, 1, 0, 0}, good},
			"units 2, events 1\n1 malformed control frame\n"},
	} {
		var f *events.File
		var got string
		var err error
		n := alloctest.Bytes(func() {
			if f, err = events.NewFile(bytes.NewReader(slices.Concat(test.stream...)), "", events.Options{}); err != nil {
				t.Fatal(err)
			}
			got, err = eventstest.List(f, &f.Stats)
		})
		if err != io.EOF || got[strings.Index(got, "units"):] != test.want {
			t.Errorf("%s: %s (%v), want %s", test.name, got, err, test.want)
		}
		if n > 4<<20 {
			t.Errorf("%s: %d bytes", test.name, n)
		}
	}
	for _, head := range []string{"", "\x00\x00\x00\x00", "x", string(controlFrame(start, "protobuf:other")),
		string(controlFrame(stop, contentType)),
		"\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x02\x00\x00\x00\x01\xff\xff\xff\xff"} {
		if score, missing := sniff([]byte(head)); score != 0 || missing == "" {
			t.Errorf("%q: %d, %q", head, score, missing)
		}
	}
}

// waitFor lists n events.
func waitFor(t *testing.T, l *Listener, n int) (names []string) {
	t.Helper()
	var e events.Event
	for range n {
		if err := l.Next(&e); err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(e.Kind, " ", string(e.Name), " ", e.Client, " ", e.Line))
	}
	return names
}

func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "tap") // t.TempDir may be longer than a socket's path can be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	for _, address := range []string{"unix:" + path, "tcp:127.0.0.1:0"} {
		var stats events.Stats
		l, err := Listen(t.Context(), address, &stats)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(t.Context(), strings.Split(address, ":")[0]+":"+l.Addr().String(), &stats); err == nil {
			t.Errorf("%s: two listeners at one place", address)
		}
		dial := func() net.Conn {
			conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			return conn
		}
		want := []string{`query a\.b` + "\x00.ilmarin.example 192.0.2.7 1",
			`response a\.b` + "\x00.ilmarin.example 192.0.2.7 2"}

		one := dial() // unidirectional
		one.Write(stream(payloads[0], payloads[1]))
		if got := waitFor(t, l, 2); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		if _, err := one.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: after a unidirectional stream: %v", address, err)
		}

		both := dial() // bidirectional
		both.Write(controlFrame(ready, contentType))
		reply := make([]byte, len(controlFrame(accept, contentType)))
		if _, err := io.ReadFull(both, reply); err != nil || !bytes.Equal(reply, controlFrame(accept, contentType)) {
			t.Errorf("%s: accept is %q (%v)", address, reply, err)
		}
		both.Write(stream(payloads[0]))
		waitFor(t, l, 1)
		if reply, err := io.ReadAll(both); err != nil || !bytes.Equal(reply, controlFrame(finish, "")) {
			t.Errorf("%s: finish is %q (%v)", address, reply, err)
		}

		other := dial() // of other content
		other.Write(controlFrame(start, "protobuf:other"))
		bad := dial() // breaks off; its last frame is counted before what comes on the next connection
		bad.Write(append(controlFrame(start, contentType), 0, 0, 1, 0, 'x'))
		bad.Close()
		io.ReadAll(other)
		for stats.Refused["frame cut off"] == 0 || stats.Refused["connection that does not start with dnstap"] == 0 {
			last := dial()
			last.Write(stream(payloads[0]))
			waitFor(t, l, 1)
			last.Close()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		var e events.Event
		for err = nil; err == nil; err = l.Next(&e) {
		}
		if err != io.EOF {
			t.Errorf("%s: after Close: %v", address, err)
		}
	}
	for _, address := range []string{"", "x", "udp:127.0.0.1:53", "unix:" + dir} {
		if l, err := Listen(t.Context(), address, &events.Stats{}); err == nil {
			l.Close()
			t.Errorf("listens at %q", address)
		}
	}
}

// A context ends Next and the connections, and the number of connections is bounded.
func TestListenEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stats events.Stats
	l, err := Listen(ctx, "tcp:127.0.0.1:0", &stats)
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range maxConnections + 1 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conns = append(conns, conn)
	}
	if _, err := conns[maxConnections].Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, net.ErrClosed) {
		t.Errorf("one connection too many: %v", err)
	}
	for range 3 * maxWaiting { // more than fits: the sender waits, and ends with the listener
		go conns[0].Write(stream(payloads[0]))
	}
	cancel()
	var e events.Event
	for err = nil; err == nil; err = l.Next(&e) {
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := conns[1].Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open after Close")
	}
}

func FuzzDnstap(f *testing.F) {
	f.Add(stream(payloads...))
	f.Add(stream(payloads[2], payloads[12])[:60])
	f.Add(controlFrame(start, contentType))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := events.NewFile(bytes.NewReader(data), "", events.Options{Format: "dnstap"})
		if err != nil {
			t.Fatal(err)
		}
		var e events.Event
		for err = file.Next(&e); err == nil; err = file.Next(&e) {
			if len(e.Name) == 0 {
				t.Fatal("no name")
			}
		}
		s, reasons := file.Stats, int64(0)
		for _, m := range []map[string]int64{s.Skipped, s.Refused} {
			for _, n := range m {
				reasons += n
			}
		}
		if err != io.EOF || s.Units != s.Events+reasons {
			t.Fatalf("%v, %+v", err, s)
		}
	})
}

func BenchmarkDnstap(b *testing.B) {
	data := stream(slices.Repeat(payloads[:1], 1000)...)
	b.SetBytes(int64(len(data)))
	n := 0
	for b.Loop() {
		f, err := events.NewFile(bytes.NewReader(data), "", events.Options{Format: "dnstap"})
		if err != nil {
			b.Fatal(err)
		}
		var e events.Event
		for f.Next(&e) == nil {
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
}
