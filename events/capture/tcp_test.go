package capture

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/alloctest"
)

// segmentAt is a segment from client to server, and back reverses it.
func segmentAt(sequence, flags int, data []byte) []byte {
	return ip4(protoTCP, tcp(40000, 53, sequence, flags, data))
}

func back(packet []byte) []byte {
	b := bytes.Clone(packet)
	copy(b[12:], packet[16:20])
	copy(b[16:], packet[12:16])
	copy(b[20:], packet[22:24])
	copy(b[22:], packet[20:22])
	return b
}

// framed is messages with their lengths.
func framed(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = join(b, u16(len(m)), m)
	}
	return b
}

// tcpTest is packets of raw IP, and the number and name of each event, or reasons.
type tcpTest struct {
	what    string
	packets [][]byte
	want    string
}

func tcpTests() []tcpTest {
	a, b := dns(query, "a.example"), dns(query, "b.example")
	answer := dns(response, "a.example")
	answer = join(answer[:6], u16(200), answer[8:], make([]byte, 3000))
	two := framed(a, b)
	syn := segmentAt(99, flagSYN, nil)
	// pieces cuts a stream from its first byte on, number 100, into segments.
	pieces := func(stream []byte, sizes ...int) (list [][]byte) {
		at := 0
		for _, n := range append(sizes, len(stream)) {
			n = min(n, len(stream)-at)
			list = append(list, segmentAt(100+at, 0, stream[at:at+n]))
			at += n
		}
		return list
	}
	stream := func(packets ...[]byte) [][]byte { return append([][]byte{syn}, packets...) }
	middle := func(n int) string { return strings.Repeat("; TCP segment without the beginning of a message", n)[2:] }
	return []tcpTest{
		{"a message in a segment", stream(pieces(framed(a))[0]), "2 a.example; TCP segment without data"},
		{"two in a segment", stream(pieces(two)[0]), "2 a.example; 2 b.example; TCP segment without data"},
		{"the length alone", stream(pieces(framed(a), 2)...), "3 a.example; TCP segment without data; " + middle(1)},
		{"half a length", stream(pieces(two, 1, 4, 40)...),
			"4 a.example; 5 b.example; TCP segment without data; " + middle(2)},
		{"both directions", [][]byte{syn, back(segmentAt(499, flagSYN, nil)), pieces(framed(a))[0],
			back(segmentAt(500, 0, framed(answer)))},
			"3 a.example; 4 a.example; TCP segment without data; TCP segment without data"},
		{"a response in pieces is given with its question", [][]byte{back(segmentAt(499, flagSYN, nil)),
			back(segmentAt(500, 0, framed(answer)[:1000])), back(segmentAt(1500, 0, framed(answer)[1000:2000])),
			back(segmentAt(2500, 0, framed(answer, dns(response, "b.example"))[2000:]))},
			"2 a.example; 4 b.example; TCP segment without data; " + middle(1)},
		{"repeated segments", stream(pieces(framed(a))[0], pieces(framed(a))[0], pieces(two, 29)[1]),
			"2 a.example; 4 b.example; TCP segment that was there before; TCP segment without data"},
		{"overlapping segments", stream(pieces(framed(a))[0], segmentAt(110, 0, two[10:])),
			"2 a.example; 3 b.example; TCP segment without data"},
		{"a gap, then a message", stream(segmentAt(100, 0, two[:20]), segmentAt(129, 0, framed(b))),
			"3 b.example; TCP segment without data; " + middle(1) + "; TCP stream with a gap"},
		{"a gap in a message, then the rest of it", stream(segmentAt(100, 0, two[:10]), segmentAt(120, 0, two[20:])),
			"3 b.example; TCP segment without data; " + middle(1) + "; TCP stream with a gap"},
		{"a gap up to the middle of the next message", stream(segmentAt(100, 0, two[:10]), segmentAt(140, 0, two[40:])),
			"TCP segment without data; " + middle(1) + "; TCP stream with a gap"},
		{"joined in the middle", [][]byte{segmentAt(500, 0, two[10:]), segmentAt(600, 0, two)},
			"2 a.example; 2 b.example; " + middle(1)},
		{"a message of another protocol in between", stream(pieces(framed(a, []byte("GET / HTTP/1.0"), b))[0]),
			"2 a.example; 2 b.example; TCP segment without data; not a query"},
		{"an empty message in between", stream(pieces(framed(a, nil, b))[0]),
			"2 a.example; 2 b.example; TCP segment without data; malformed message: cut short"},
		{"another connection of the same ports", [][]byte{syn, pieces(framed(a), 10)[0], segmentAt(7099, flagSYN, nil),
			segmentAt(7100, 0, framed(b))}, "4 b.example; TCP segment without data; TCP segment without data; " + middle(1)},
		{"data with SYN and FIN", [][]byte{segmentAt(99, flagSYN|flagFIN, framed(a))}, "1 a.example"},
		{"after FIN", stream(segmentAt(100, flagFIN, two[:29]), segmentAt(129, 0, two[29:40])),
			"2 a.example; TCP segment without data; " + middle(1)},
		{"RST", stream(segmentAt(100, flagRST, []byte("reason"))), "TCP segment without data; TCP segment without data"},
		{"numbers that wrap", [][]byte{segmentAt(-16, flagSYN, nil), segmentAt(-15, 0, two[:29]),
			segmentAt(-15+29, 0, two[29:])}, "2 a.example; 3 b.example; TCP segment without data"},
	}
}

func TestTCP(t *testing.T) {
	for _, test := range tcpTests() {
		var list []string
		stats, err := readAll(bytes.NewReader(pcapFile(little, magicNano, linkRaw, test.packets...)), events.Options{},
			func(e *events.Event) { list = append(list, fmt.Sprintf("%d %s", e.Line, e.Name)) })
		reasons, _ := run(t, pcapFile(little, magicNano, linkRaw, test.packets...), events.Options{})
		if got := strings.Join(append(list, reasons[len(list):]...), "; "); got != test.want || err != nil {
			t.Errorf("%s:\n%s, %v, want\n%s", test.what, got, err, test.want)
		}
		if int(stats.Units) != len(test.packets) {
			t.Errorf("%s: %+v", test.what, stats)
		}
	}
}

// The whole size of a message is known from its first segment.
func TestTCPSize(t *testing.T) {
	answer := join(dns(response, "a.example"), make([]byte, 3000))
	file := pcapFile(little, magicNano, linkRaw, back(segmentAt(500, 0, framed(answer)[:1000])))
	if _, err := readAll(bytes.NewReader(file), events.Options{}, func(e *events.Event) {
		if e.Size != len(answer) || e.Transport != events.TCP || e.Client.Addr != client4 || e.Client.Port != 40000 {
			t.Errorf("%+v", e)
		}
	}); err != nil {
		t.Error(err)
	}
}

// A stream that the capture cuts off in a message's later bytes goes on with the next message.
func TestTCPTruncated(t *testing.T) {
	stream := framed(join(dns(response, "a.example"), make([]byte, 500)), dns(response, "b.example"))
	first, second := segmentAt(100, 0, stream[:400]), segmentAt(500, 0, stream[400:])
	file := join(pcapFile(little, magicNano, linkRaw, segmentAt(99, flagSYN, nil)),
		pcapRecord(little, magicNano, start, first[:100], len(first)),
		pcapRecord(little, magicNano, start, second, len(second)))
	if got, err := lines(file); got != "2 0s a.example, 3 0s b.example" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// A flood of connections that wait for the rest of a message holds no more than the bounds of the table.
func TestStreamsAreBounded(t *testing.T) {
	var table streams
	part := join(u16(0xffff), bytes.Repeat([]byte{0xff}, 40000))
	flood := func(n int, data []byte) {
		for i := range n {
			s := segment{source: netip.AddrPortFrom(client4, uint16(i)), destination: netip.AddrPortFrom(server4, uint16(i>>16)),
				flags: flagSYN, payload: data, size: len(data)}
			if _, err := table.segment(&s, nil); err != partOfMessage {
				t.Fatal(err)
			}
		}
		held := 0
		for _, m := range []map[flow]*stream{table.young, table.old} {
			for _, s := range m {
				held += cap(s.buf)
			}
		}
		if len(table.young) > maxStreams || len(table.old) > maxStreams || held > 4*maxBuffered {
			t.Errorf("%d and %d streams with %d bytes", len(table.young), len(table.old), held)
		}
	}
	flood(3000, part)
	flood(100_000, part[:3])
	if n := len(table.young) + len(table.old); n < maxStreams {
		t.Errorf("only %d streams", n)
	}
}

// Segments of one byte cost no more than their bytes: no message is read again and again.
func TestTCPByteByByte(t *testing.T) {
	stream := framed(join(dns(response, "a.example")[:4], u16(9999), make([]byte, 60000)))
	packets := [][]byte{segmentAt(99, flagSYN, nil)}
	for i, c := range stream {
		packets = append(packets, segmentAt(100+i, 0, []byte{c}))
	}
	file := pcapFile(little, magicNano, linkRaw, packets...)
	if n := alloctest.Bytes(func() { run(t, file, events.Options{}) }); n > 40<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}
