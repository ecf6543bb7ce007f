package capture

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
)

// frameTest is a packet of a link type, and what comes of it: an event in short, or a reason.
type frameTest struct {
	what   string
	link   uint32
	packet []byte
	want   string
}

const (
	asked4 = "query 192.0.2.7 192.0.2.53 udp a.example"
	asked6 = "query 2001:db8::7 2001:db8::53 udp a.example"
)

// frameTests are packets that tshark reads as well (TestTsharkBuilt), but for those whose want is no event.
func frameTests() []frameTest {
	question := dns(query, "a.example")
	datagram := udp(40000, 53, question)
	four, six := ip4(protoUDP, datagram), ip6(protoUDP, datagram)
	frame := ether(0x0800, four)
	udp4 := func(port int, parts ...[]byte) []byte {
		return ether(0x0800, ip4(protoUDP, udp(40000, port, join(parts...))))
	}
	gre := func(parts ...[]byte) []byte { return ether(0x0800, ip4(protoGRE, join(parts...))) }
	ext := func(size int) []byte { return join([]byte{protoUDP, byte(size/8 - 1)}, make([]byte, size-2)) }
	sll := func(t int) []byte { return join(u16(0), u16(1), u16(6), make([]byte, 8), u16(t)) }
	deep := four
	for range maxHeaders + 1 {
		deep = ip4(protoIPv4, deep)
	}
	return []frameTest{
		{"Ethernet", linkEthernet, frame, asked4},
		{"Ethernet, IPv6", linkEthernet, ether(0x86dd, six), asked6},
		{"Ethernet with padding", linkEthernet, join(frame, make([]byte, 10)), asked4},
		{"response", linkEthernet, ether(0x0800, ip4(protoUDP, udp(53, 40000, dns(response, "a.example")))),
			"response 192.0.2.53 192.0.2.7 udp a.example"},
		{"VLAN", linkEthernet, ether(0x8100, tag(0x0800, four)), asked4},
		{"QinQ", linkEthernet, ether(0x88a8, tag(0x8100, tag(0x86dd, six))), asked6},
		{"802.3 with SNAP", linkEthernet,
			ether(8+len(four), join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, u16(0x0800), four)), asked4},
		{"802.3", linkEthernet, ether(38, make([]byte, 38)), "no DNS"},
		{"ARP", linkEthernet, ether(0x0806, make([]byte, 28)), "no DNS"},
		{"SLL", linkSLL, join(sll(0x0800), four), asked4},
		{"SLL2", linkSLL2, join(u16(0x86dd), u16(0), u32(1), u16(1), []byte{0, 6}, make([]byte, 8), six), asked6},
		{"raw, IPv4", linkRaw, four, asked4},
		{"raw, IPv6", linkRaw, six, asked6},
		{"raw of BSD", linkRawBSD, four, asked4},
		{"raw of OpenBSD", linkRawOpen, four, asked4},
		{"link type 228", linkIPv4, four, asked4},
		{"link type 229", linkIPv6, six, asked6},
		{"null, little-endian", linkNull, join([]byte{2, 0, 0, 0}, four), asked4},
		{"null, macOS' IPv6", linkNull, join([]byte{30, 0, 0, 0}, six), asked6},
		{"loop", linkLoop, join(u32(2), four), asked4},
		{"Cisco HDLC", linkHDLC, join([]byte{0x0f, 0}, u16(0x0800), four), asked4},
		{"PPP", linkPPP, join([]byte{0xff, 3, 0, 0x21}, four), asked4},
		{"PPP, short protocol", linkPPP, join([]byte{0x57}, six), asked6},
		{"PPPoE", linkEthernet, ether(0x8864, join([]byte{0x11, 0}, u16(1), u16(2+len(six)), u16(0x57), six)), asked6},
		{"radiotap, 802.11", 127, join([]byte{0, 0, 8, 0}, u32(0), []byte{8, 0}, make([]byte, 22),
			[]byte{0xaa, 0xaa, 3, 0, 0, 0}, u16(0x0800), four, make([]byte, 4)), asked4},
		{"802.11 without data", 105, join([]byte{0x80, 0}, make([]byte, 40)), "no DNS"},
		{"MPLS", linkEthernet, ether(0x8847, join([]byte{0, 1, 0, 64, 0, 2, 1, 64}, four)), asked4},
		{"Ethernet over MPLS", linkEthernet, ether(0x8847, join([]byte{0, 1, 1, 64}, u32(0), frame)), asked4},
		{"6in4", linkEthernet, ether(0x0800, ip4(protoIPv6, six)), asked6},
		{"4in6", linkEthernet, ether(0x86dd, ip6(protoIPv4, four)), asked4},
		{"4in4", linkEthernet, ether(0x0800, ip4(protoIPv4, four)), asked4},
		{"GRE", linkEthernet, gre(u16(0), u16(0x0800), four), asked4},
		{"GRE with checksum, key and number", linkEthernet, gre(u16(0xb000), u16(0x86dd), make([]byte, 12), six), asked6},
		{"Ethernet in GRE", linkEthernet, gre(u16(0), u16(0x6558), frame), asked4},
		{"PPTP", linkEthernet,
			gre(u16(0x3081), u16(0x880b), u16(2+len(four)), u16(1), u32(1), u32(1), u16(0x21), four), asked4},
		{"ERSPAN II", linkEthernet, gre(u16(0x1000), u16(0x88be), u32(1), []byte{0x10, 7, 0, 0}, u32(0), frame), asked4},
		{"GRE of version 2", linkEthernet, gre(u16(2), u16(0x0800), four), "no DNS"},
		{"VXLAN", linkEthernet, udp4(portVXLAN, []byte{8, 0, 0, 0}, u32(7<<8), frame), asked4},
		{"Geneve with options", linkEthernet, udp4(portGeneve, []byte{1, 0}, u16(0x6558), u32(7<<8), u32(0), frame), asked4},
		{"Teredo", linkEthernet, udp4(portTeredo, six), asked6},
		{"Teredo with origin", linkEthernet,
			udp4(portTeredo, u16(1), make([]byte, 11), u16(0), make([]byte, 6), six), asked6},
		{"GTP-U", linkEthernet, udp4(portGTP, []byte{0x30, 0xff}, u16(len(four)), u32(7), four), asked4},
		{"GTP-U with an extension", linkEthernet, udp4(portGTP, []byte{0x34, 0xff}, u16(8+len(four)), u32(7),
			[]byte{0, 0, 0, 0x85, 1, 0, 9, 0}, four), asked4},
		{"32 headers", linkRaw, deep, "more than 32 headers in a packet"},
		{"IPv6 with extension headers", linkRaw, ip6(protoHopByHop, join([]byte{protoDestination, 0}, make([]byte, 6),
			ext(16), datagram)), asked6},
		{"IPv6 with AH", linkRaw, ip6(protoAH, join([]byte{protoUDP, 4}, make([]byte, 22), datagram)), asked6},
		{"IPv4 with options", linkRaw,
			join([]byte{0x46}, four[1:2], u16(len(four)+4), four[4:20], u32(0x01010101), datagram), asked4},
		{"segmentation offload", linkRaw, join(four[:2], u16(0), four[4:]), asked4},
		{"segmentation offload, IPv6", linkRaw, join(six[:4], u16(0), six[6:]), asked6},
		{"UDP without a length", linkRaw, ip4(protoUDP, join(datagram[:4], u16(0), datagram[6:])), asked4},
		{"IP longer than its packet", linkRaw, four[:40], "truncated packet"},
		{"first fragment", linkRaw, fragment4(protoUDP, 0x2000, join(udp(53, 40000, join(dns(response, "a.example"),
			make([]byte, 2000)))[:64])), "response 192.0.2.53 192.0.2.7 udp a.example"},
		{"later fragment", linkRaw, fragment4(protoUDP, 8, make([]byte, 64)), "later fragment of a datagram"},
		{"fragment without the question", linkRaw, fragment4(protoUDP, 0x2000, datagram[:24]),
			"first fragment without a whole question"},
		{"first fragment, IPv6", linkRaw, ip6(protoFragment, join([]byte{protoUDP, 0}, u16(1), u32(1), datagram)), asked6},
		{"later fragment, IPv6", linkRaw, ip6(protoFragment, join([]byte{protoUDP, 0}, u16(8), u32(1), datagram)),
			"later fragment of a datagram"},
		{"other ports", linkRaw, ip4(protoUDP, udp(40000, 123, question)), "no DNS"},
		{"ICMP", linkRaw, ip4(1, datagram), "no DNS"},
		{"TCP of other ports", linkRaw, ip4(protoTCP, tcp(40000, 443, 1, 0, question)), "no DNS"},
		{"update", linkRaw, ip4(protoUDP, udp(40000, 53, dns(0x2800, "a.example"))), "not a query"},
		{"no question", linkRaw, ip4(protoUDP, udp(53, 40000, dns(response))), "no question"},
		{"pointer loop", linkRaw, ip4(protoUDP, udp(40000, 53, join(dns(query, "")[:12], []byte{0xc0, 0x0c, 0, 1, 0, 1}))),
			"malformed message: pointers in a loop"},
		{"empty datagram", linkRaw, ip4(protoUDP, udp(40000, 53, nil)), "malformed message: cut short"},
		{"empty", linkEthernet, nil, "malformed packet"},
		{"half an Ethernet header", linkEthernet, frame[:13], "malformed packet"},
		{"IPv4 header of 16 bytes", linkRaw, join([]byte{0x44}, four[1:]), "malformed packet"},
		{"UDP of 7 bytes", linkRaw, ip4(protoUDP, join(datagram[:4], u16(7), datagram[6:])), "malformed packet"},
		{"TCP header of 16 bytes", linkRaw, ip4(protoTCP, join(tcp(40000, 53, 1, 0, nil)[:12], []byte{4 << 4},
			make([]byte, 20))), "malformed packet"},
		{"neither version of IP", linkRaw, []byte{0x50, 0, 0, 0}, "no DNS"},
	}
}

// short is an event, or what was counted, as the tests above have it.
func short(e *events.Event) string {
	return fmt.Sprintf("%v %v %v %v %s", e.Kind, e.Client, e.Server, e.Transport, e.Name)
}

// run gives a capture's events in short, then the reasons that were counted.
func run(t testing.TB, file []byte, o events.Options) (list []string, stats events.Stats) {
	t.Helper()
	stats, err := readAll(bytes.NewReader(file), o, func(e *events.Event) { list = append(list, short(e)) })
	if err != nil {
		t.Errorf("error %v", err)
	}
	for _, m := range []map[string]int64{stats.Skipped, stats.Refused} {
		for _, reason := range slices.Sorted(maps.Keys(m)) {
			for range m[reason] {
				list = append(list, reason)
			}
		}
	}
	return list, stats
}

func TestFrames(t *testing.T) {
	for _, test := range frameTests() {
		got, stats := run(t, pcapFile(little, magicNano, test.link, test.packet), events.Options{})
		if strings.Join(got, "; ") != test.want || stats.Units != 1 {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}

// Every header may be cut off, at any byte, in the capture or on the wire. Each is one event or one reason.
func TestFramesCut(t *testing.T) {
	for _, test := range frameTests() {
		file := pcapFile(little, magicNano, test.link)
		for n := range test.packet {
			for _, length := range []int{n, len(test.packet)} {
				file = append(file, pcapRecord(little, magicNano, start, test.packet[:n], length)...)
			}
		}
		if got, stats := run(t, file, events.Options{}); len(got) != 2*len(test.packet) || int(stats.Units) != len(got) {
			t.Errorf("%s: %d events and reasons, %d packets", test.what, len(got), stats.Units)
		}
	}
}

// What the capture does not have is another reason than what was not sent.
func TestTruncatedPacket(t *testing.T) {
	packet := ether(0x0800, ip4(protoUDP, udp(40000, 53, dns(query, "a.example"))))
	for _, n := range []int{10, 20, 40, 50, 60} {
		got, _ := run(t, join(pcapFile(little, magicNano, linkEthernet),
			pcapRecord(little, magicNano, start, packet[:n], len(packet))), events.Options{})
		if !slices.Equal(got, []string{"truncated packet"}) {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
	// The question is there, an answer is not.
	long := ether(0x0800, ip4(protoUDP, udp(53, 40000, join(dns(response, "a.example"), make([]byte, 100)))))
	var size int
	stats, err := readAll(bytes.NewReader(join(pcapFile(little, magicNano, linkEthernet),
		pcapRecord(little, magicNano, start, long[:80], len(long)))), events.Options{},
		func(e *events.Event) { size = e.Size })
	if want := len(dns(response, "a.example")) + 100; size != want || err != nil || stats.Messages != 1 {
		t.Errorf("size %d, want %d; %v, %+v", size, want, err, stats)
	}
}

func TestPorts(t *testing.T) {
	file := pcapFile(little, magicNano, linkRaw, ip4(protoUDP, udp(40000, 53, dns(query, "a.example"))),
		ip4(protoUDP, udp(5353, 5353, dns(query, "b.example"))), ip4(protoUDP, udp(40000, 5355, dns(query, "c.example"))))
	for _, test := range []struct {
		ports []uint16
		want  string
	}{
		{nil, "a"}, {[]uint16{53}, "a"}, {[]uint16{5353}, "b"}, {[]uint16{53, 5353, 5355}, "abc"}, {[]uint16{}, ""},
	} {
		got := ""
		stats, err := readAll(bytes.NewReader(file), events.Options{Ports: test.ports},
			func(e *events.Event) { got += string(e.Name[0]) })
		if got != test.want || err != nil || stats.Skipped["no DNS"] != int64(3-len(got)) {
			t.Errorf("%v: %s, %v, %v", test.ports, got, err, stats)
		}
	}
}

// An event has what the packet says, and each question of a message is one.
func TestEvent(t *testing.T) {
	message := dns(query, "a.example", "b.example")
	message[5] = 3 // questions, of which two are there
	file := pcapFile(big, magicNano, linkRaw, ip4(1, nil), ip4(protoUDP, udp(40000, 53, message)))
	var got []events.Event
	stats, err := readAll(bytes.NewReader(file), events.Options{}, func(e *events.Event) {
		e.Name = bytes.Clone(e.Name)
		got = append(got, *e)
	})
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, name := range []string{"a.example", "b.example"} {
		e := got[i]
		if string(e.Name) != name || e.Line != 2 || !e.Time.Equal(start.Add(1e9)) || e.Type != 1 || e.ID != 0x4711 ||
			e.Size != len(message) || e.Transport != events.UDP || e.RCode != events.NoRCode || e.Kind != events.Query ||
			e.Client != (events.Peer{Addr: client4, Port: 40000}) || e.Server != (events.Peer{Addr: server4, Port: 53}) {
			t.Errorf("%+v", e)
		}
	}
	if stats.Units != 2 || stats.Messages != 1 || stats.Events != 2 || stats.Skipped["no DNS"] != 1 ||
		len(stats.Refused) > 0 {
		t.Errorf("%+v", stats)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	packets := [][]byte{ether(0x0800, ip4(protoUDP, udp(40000, 53, dns(query, "a.example")))),
		ether(0x86dd, ip6(protoUDP, udp(53, 40000, dns(response, "a.example"))))}
	for range 9 {
		packets = append(packets, packets...)
	}
	f, err := events.NewFile(bytes.NewReader(pcapFile(little, magicNano, linkEthernet, packets...)), "", events.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var e events.Event
	if n := testing.AllocsPerRun(1000, func() {
		if err := f.Next(&e); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}
