package capture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/events"
)

const shared = "../../../shared/data"

// readAll gives all events of a capture, and the error that ended it, nil for its end.
func readAll(in io.Reader, o events.Options, each func(e *events.Event)) (events.Stats, error) {
	f, err := events.NewFile(in, "", o)
	if err != nil {
		return events.Stats{}, err
	}
	var e events.Event
	for {
		switch err := f.Next(&e); {
		case err == io.EOF:
			return f.Stats, f.Close()
		case err != nil:
			return f.Stats, err
		}
		each(&e)
	}
}

func benchmark(b *testing.B, data []byte) {
	packets, given := int64(0), 0
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		stats, err := readAll(bytes.NewReader(data), events.Options{}, func(e *events.Event) { given += len(e.Name) })
		if err != nil {
			b.Fatal(err)
		}
		packets += stats.Units
	}
	if given == 0 {
		b.Fatal("no names")
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
}

// BenchmarkShared reads captures in memory, on one core.
func BenchmarkShared(b *testing.B) {
	for _, name := range []string{"clean.pcap", "tunnel-iodine-cname.pcap", "normal-00000.pcapng"} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(shared, "pcap", name))
			if err != nil {
				b.Skip(err)
			}
			benchmark(b, data)
		})
	}
}

// BenchmarkBuilt reads 20,000 packets over Ethernet: two of three are DNS messages, over IPv4 and IPv6 in turn, and the
// third one is of another port.
func BenchmarkBuilt(b *testing.B) {
	name := "a-name-of-usual-length.example"
	packets := [][]byte{
		ether(0x0800, ip4(protoUDP, udp(40000, 53, dns(query, name)))),
		ether(0x86dd, ip6(protoUDP, udp(53, 40000, dns(response, name)))),
		ether(0x0800, ip4(protoUDP, udp(40000, 443, make([]byte, 100)))),
	}
	var all [][]byte
	for i := range 20_000 {
		all = append(all, packets[i%len(packets)])
	}
	benchmark(b, pcapFile(little, magicMicro, linkEthernet, all...))
}
