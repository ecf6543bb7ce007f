package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
)

// ask is a packet over raw IP that asks for a name.
func ask(name string) []byte { return ip4(protoUDP, udp(40000, 53, dns(query, name))) }

// lines gives a capture's events as number, time after start and name, and the error.
func lines(file []byte) (string, error) {
	var list []string
	_, err := readAll(bytes.NewReader(file), events.Options{}, func(e *events.Event) {
		after := "no time"
		if !e.Time.IsZero() {
			after = e.Time.Sub(start).String()
		}
		list = append(list, fmt.Sprintf("%d %s %s", e.Line, after, e.Name))
	})
	return strings.Join(list, ", "), err
}

func TestPcap(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{little, big} {
		for magic, want := range map[uint32]string{
			magicNano:     "1 0s a.example, 2 1s b.example",
			magicMicro:    "1 -789ns a.example, 2 999.999211ms b.example",
			magicModified: "1 -789ns a.example, 2 999.999211ms b.example",
		} {
			file := pcapFile(order, magic, linkRaw, ask("a.example"), ask("b.example"))
			if got, err := lines(file); got != want || err != nil {
				t.Errorf("%v, %x: %s, %v, want %s", order, magic, got, err, want)
			}
			if f, err := events.Recognize(file); err != nil || f.Name != "pcap" {
				t.Errorf("%v, %x: recognised as %v, %v", order, magic, f, err)
			}
		}
	}
	// The upper bits of the link type are about checksums.
	if got, err := lines(pcapFile(little, magicNano, linkRaw|0x40000000, ask("a.example"))); got != "1 0s a.example" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestPcapng(t *testing.T) {
	var file []byte
	for i, order := range []binary.AppendByteOrder{little, big} {
		offset := order.AppendUint64(nil, uint64(start.Unix()))
		name := []string{"little.example", "big.example"}[i]
		file = join(file, sectionBlock(order), block(order, 0x0bad, []byte("of another type")),
			interfaceBlock(order, linkRaw, option(order, 1, []byte("comment"))), // microseconds
			interfaceBlock(order, linkEthernet, option(order, 9, []byte{9}), option(order, 0, nil)),
			interfaceBlock(order, linkRaw, option(order, 9, []byte{0x80 | 10}), option(order, 14, offset)),
			enhanced(order, 1, uint64(start.UnixNano()), ether(0x0800, ask("eth."+name))),
			enhanced(order, 0, uint64(start.UnixMicro()+1), ask("raw."+name)),
			enhanced(order, 2, 512, ask("binary."+name)),
			block(order, blockSimple, order.AppendUint32(nil, uint32(len(ask("simple")))), ask("simple")),
			block(order, blockPacket, order.AppendUint16(nil, 0), make([]byte, 2),
				order.AppendUint32(nil, uint32(start.UnixMicro()>>32)),
				order.AppendUint32(nil, uint32(start.UnixMicro())), order.AppendUint32(nil, uint32(len(ask("old")))),
				order.AppendUint32(nil, uint32(len(ask("old")))), ask("old")))
	}
	want := "1 0s eth.little.example, 2 211ns raw.little.example, 3 376.543211ms binary.little.example, " +
		"4 no time simple, 5 -789ns old, " +
		"6 0s eth.big.example, 7 211ns raw.big.example, 8 376.543211ms binary.big.example, 9 no time simple, 10 -789ns old"
	if got, err := lines(file); got != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if f, err := events.Recognize(file); err != nil || f.Name != "pcapng" {
		t.Errorf("recognised as %v, %v", f, err)
	}
}

func TestSnoop(t *testing.T) {
	file := snoopFile(4, ether(0x0800, ask("a.example")), ether(0x0800, ask("bb.example")),
		ether(0x0800, ask("ccc.example")))
	want := "1 -789ns a.example, 2 999.999211ms bb.example, 3 1.999999211s ccc.example"
	if got, err := lines(file); got != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if f, err := events.Recognize(file); err != nil || f.Name != "snoop" {
		t.Errorf("recognised as %v, %v", f, err)
	}
}

// What a packet or a block says of itself may be wrong: it is counted, and what follows is read.
func TestBadPackets(t *testing.T) {
	long := make([]byte, maxPacket+5000)
	section := join(sectionBlock(little), interfaceBlock(little, linkRaw))
	epb := enhanced(little, 0, 0, ask("a.example"))
	wrong := bytes.Clone(epb)
	little.PutUint32(wrong[20:], 9999) // captured, beyond the block
	odd := block(little, blockEnhanced, make([]byte, 8))
	odd[4]-- // Wireshark rounds it up
	for _, test := range []struct {
		what, want, reason string
		file               []byte
	}{
		{"long packet, pcap", "2", "packet longer than 256 KiB",
			pcapFile(little, magicNano, linkRaw, long, ask("b.example"))},
		{"long packet, snoop", "2", "packet longer than 256 KiB", snoopFile(4, long, ether(0x0800, ask("b.example")))},
		{"long packet, pcapng", "2", "packet longer than 256 KiB", join(section, enhanced(little, 0, 0, long), epb)},
		{"long block of another type", "1", "", join(section, block(little, 77, long), epb)},
		{"unknown interface", "2", "packet of an interface that the file does not describe",
			join(section, enhanced(little, 1, 0, ask("b.example")), epb)},
		{"length beyond the block", "2", "malformed packet", join(section, wrong, epb)},
		{"length that is no multiple of 4", "2", "malformed packet", join(section, odd, epb)},
		{"short block", "2", "malformed packet", join(section, block(little, blockEnhanced, make([]byte, 8)), epb)},
		{"interfaces end with a section", "13", "packet of an interface that the file does not describe",
			join(section, epb, section[:28], epb, interfaceBlock(little, linkRaw), epb)},
	} {
		got := ""
		stats, err := readAll(bytes.NewReader(test.file), events.Options{}, func(e *events.Event) {
			got += fmt.Sprint(e.Line)
		})
		if got != test.want || err != nil || stats.Units != stats.Events+stats.Refused[test.reason] {
			t.Errorf("%s: %s, %v, %+v, want %s", test.what, got, err, stats, test.want)
		}
	}
}

// A packet that is longer than the window's first size is read in full, and so are those around it.
func TestWindowGrows(t *testing.T) {
	jumbo := join(ask("jumbo.example"), bytes.Repeat([]byte{0xff}, 200_000))
	packets := [][]byte{ask("a.example"), jumbo, ask("b.example"), jumbo, jumbo, ask("c.example")}
	ng, framed := join(sectionBlock(little), interfaceBlock(little, linkRaw)), [][]byte{}
	for _, p := range packets {
		ng, framed = append(ng, enhanced(little, 0, 0, p)...), append(framed, ether(0x0800, p))
	}
	for what, file := range map[string][]byte{
		"pcap": pcapFile(big, magicNano, linkRaw, packets...), "pcapng": ng, "snoop": snoopFile(4, framed...),
	} {
		got := ""
		stats, err := readAll(bytes.NewReader(file), events.Options{}, func(e *events.Event) { got += string(e.Name[0]) })
		if got != "ajbjjc" || err != nil {
			t.Errorf("%s: %s, %v, %+v", what, got, err, stats)
		}
	}
}

func TestErrors(t *testing.T) {
	section := join(sectionBlock(little), interfaceBlock(little, linkRaw))
	damaged := pcapFile(little, magicNano, linkRaw, ask("a.example"))
	little.PutUint32(damaged[24+8:], 1<<31)
	record := snoopFile(4, ask("a.example"))
	big.PutUint32(record[16+8:], 20)
	version := bytes.Clone(section)
	version[12] = 2
	for _, test := range []struct {
		what, want string
		file       []byte
	}{
		{"pcap of version 3", "pcap version 3.4 is unknown", append(append(bytes.Clone(damaged[:4]), 3), damaged[5:]...)},
		{"pcap's link type", "link type 147 is unknown to degas", pcapFile(little, magicNano, 147, ask("a.example"))},
		{"snoop's link type", "link type 2 is unknown", snoopFile(2, ask("a.example"))},
		{"snoop of version 3", "snoop version 3 is unknown", append([]byte(snoopMagic+"\x00\x00\x00\x03"), record[12:]...)},
		{"pcapng's link type", "2 packets have link types that degas does not know, such as 147", join(section,
			interfaceBlock(little, 147), enhanced(little, 1, 0, nil), enhanced(little, 0, 0, ask("a.example")),
			enhanced(little, 1, 0, nil))},
		{"pcapng of version 2", "pcapng version 2.0 is unknown", version},
		{"a packet of 2 GiB", "the capture is damaged: packet 1 has a length of 2147483664 bytes", damaged},
		{"a packet longer than its record", "the capture is damaged: packet 1 is longer", record},
		{"a block of 8 bytes", "the capture is damaged: block 3 has a length of 8 bytes",
			join(section, []byte{9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0})},
		{"a section of no order", "the capture is damaged: block 3 is a section without a byte order",
			join(section, []byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00abcd"))},
		{"a short section", "block 3 is too short",
			join(section, block(little, blockSection, little.AppendUint32(nil, 0x1a2b3c4d)))},
		{"a short interface", "block 3 is too short", join(section, block(little, blockInterface, make([]byte, 4)))},
	} {
		if _, err := lines(test.file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.what, err, test.want)
		}
	}
	_, err := events.Recognize([]byte("no capture"))
	if unknown, ok := errors.AsType[*events.UnknownFormatError](err); !ok || unknown.Missing["pcap"] != "no pcap header" {
		t.Errorf("recognised: %v", err)
	}
}

// samples are captures of each format with three events and a TCP stream.
func samples() map[string][]byte {
	long := ether(0x0800, ask("long-name.example"))
	stream := ether(0x0800, ip4(protoTCP, tcp(40000, 53, 1, 0, join(u16(27), dns(query, "t.example")))))
	packets := [][]byte{ether(0x0800, ask("a.example")), long, stream}
	ng := join(sectionBlock(big), interfaceBlock(big, linkEthernet, option(big, 9, []byte{6}), option(big, 0, nil)))
	for _, p := range packets {
		ng = append(ng, enhanced(big, 0, uint64(start.UnixMicro()), p)...)
	}
	return map[string][]byte{
		"pcap":  pcapFile(little, magicMicro, linkEthernet, packets...),
		"snoop": snoopFile(4, packets...), "pcapng": ng,
	}
}

// A capture that is cut off anywhere gives the events before the cut, then an error that says so. Only a cut between
// two packets or blocks cannot be seen.
func TestCutOff(t *testing.T) {
	unseen := map[string]int{"pcap": 3, "snoop": 3, "pcapng": 4}
	for name, file := range samples() {
		f, err := events.Recognize(file)
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for n := range file {
			given := 0
			_, err := readAll(bytes.NewReader(file[:n]), events.Options{Format: f.Name}, func(*events.Event) { given++ })
			switch {
			case err == nil:
				unseen[name]--
			case !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "the capture was cut off"):
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
			if given < before {
				t.Errorf("%s, %d bytes: %d events after %d", name, n, given, before)
			}
			before = given
		}
		if got, err := lines(file); strings.Count(got, "example") != 3 || err != nil || unseen[name] != 0 || before < 2 {
			t.Errorf("%s: %s, %v, %d cuts unseen", name, got, err, unseen[name])
		}
	}
}

// events.Open unpacks captures, and its error says which file it is about.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcap.gz")
	open := func(size int, file []byte) (names string, err error) {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(file)
		w.Close()
		if err := os.WriteFile(path, packed.Bytes()[:packed.Len()-size], 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := events.Open(t.Context(), path, events.Options{}, nil)
		if err != nil {
			return "", err
		}
		defer f.Close()
		var e events.Event
		for err = f.Next(&e); err == nil; err = f.Next(&e) {
			names += string(e.Name)
		}
		return names, err
	}
	file := pcapFile(little, magicNano, linkRaw, ask("a.example"))
	if got, err := open(0, file); got != "a.example" || err != io.EOF {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := open(4, file); got != "a.example" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %s, %v", got, err)
	}
	_, err := open(0, pcapFile(little, magicNano, 147))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "147") {
		t.Errorf("error %v", err)
	}
}

func TestTimeUnit(t *testing.T) {
	for _, test := range []struct {
		resolution byte
		ticks      uint64
		want       time.Duration
	}{
		{0, 3, 3 * time.Second}, {3, 1500, 1500 * time.Millisecond}, {6, 1, time.Microsecond}, {9, 1, 1},
		{12, 1999, 1}, {19, 1 << 63, 922337203}, {255, 1 << 63, time.Second}, {0x80 | 20, 1 << 19, time.Second / 2},
		{127, 1 << 63, 922337203},
	} {
		i := netInterface{unit: timeUnit(test.resolution)}
		if got := i.time(test.ticks); got.UnixNano() != int64(test.want) {
			t.Errorf("resolution %d, %d ticks: %d, want %d", test.resolution, test.ticks, got.UnixNano(), test.want)
		}
	}
	if got := (&netInterface{unit: 1}).time(1 << 63); !got.IsZero() {
		t.Errorf("2^63 seconds: %v", got)
	}
}
