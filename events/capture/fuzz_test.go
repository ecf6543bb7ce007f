package capture

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/alloctest"
)

// check reads bytes as a format. Whatever they are, the counts agree with each other.
func check(t *testing.T, format string, file []byte) {
	t.Helper()
	given, last := int64(0), int64(0)
	stats, _ := readAll(bytes.NewReader(file), events.Options{Format: format}, func(e *events.Event) {
		if len(e.Name) == 0 || e.Line < last || !e.Client.Addr.IsValid() || !e.Server.Addr.IsValid() || e.Transport == 0 {
			t.Errorf("event %+v after packet %d", e, last)
		}
		given, last = given+1, e.Line
	})
	sum := stats.Events
	for _, m := range []map[string]int64{stats.Skipped, stats.Refused} {
		if len(m) > 20 {
			t.Errorf("%d reasons", len(m))
		}
		for _, n := range m {
			sum += n
		}
	}
	if stats.Events != given || stats.Units < last || sum < stats.Units {
		t.Errorf("%+v for %d events, the last of packet %d", stats, given, last)
	}
}

// Bytes that change anywhere cost no panic, and no memory but that of the window.
func TestMutated(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, file := range samples() {
		for range 500 {
			b := bytes.Clone(file)
			for range 1 + random.IntN(4) {
				b[random.IntN(len(b))] = byte(random.Uint32())
			}
			if n := alloctest.Bytes(func() { check(t, name, b) }); n > 2<<20 {
				t.Errorf("%s: %d bytes allocated for %x", name, n, b)
			}
		}
	}
}

// A header may promise any length: memory is that of the window.
func TestLengthsCostNothing(t *testing.T) {
	huge := pcapFile(little, magicNano, linkRaw, ask("a.example"))
	for _, n := range []uint32{maxPacket, maxPacket + 1, maxSkip, 1<<32 - 1} {
		little.PutUint32(huge[24+8:], n)
		if used := alloctest.Bytes(func() { check(t, "pcap", huge) }); used > 2<<20 {
			t.Errorf("a packet of %d bytes: %d bytes allocated", n, used)
		}
	}
}

// A section of endless interfaces is no capture.
func TestEndlessInterfaces(t *testing.T) {
	file := join(sectionBlock(little), bytes.Repeat(interfaceBlock(little, linkRaw), maxInterfaces+1))
	_, err := lines(file)
	if err == nil || err.Error() !=
		"the capture is damaged: a section has more than 65536 interfaces" {
		t.Errorf("error %v", err)
	}
}

func fuzz(f *testing.F, format string) {
	f.Add(samples()[format])
	f.Fuzz(func(t *testing.T, file []byte) { check(t, format, file) })
}

func FuzzPcap(f *testing.F)   { fuzz(f, "pcap") }
func FuzzPcapng(f *testing.F) { fuzz(f, "pcapng") }
func FuzzSnoop(f *testing.F)  { fuzz(f, "snoop") }

// FuzzFrame reads a packet of any link type twice: a TCP stream goes on.
func FuzzFrame(f *testing.F) {
	for _, test := range frameTests() {
		f.Add(uint16(test.link), test.packet)
	}
	for _, test := range tcpTests() {
		f.Add(uint16(linkRaw), test.packets[len(test.packets)-1])
	}
	f.Fuzz(func(t *testing.T, link uint16, packet []byte) {
		one := enhanced(little, 0, 0, packet)
		check(t, "pcapng", join(sectionBlock(little), interfaceBlock(little, link), one, one))
	})
}
