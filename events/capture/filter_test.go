package capture

import (
	"testing"

	"golang.org/x/net/bpf"
)

func TestFilter(t *testing.T) {
	ports := []uint16{53, 5353}
	data := dns(query, "ilmarin.example")
	fragment6 := func(offset int) []byte {
		return ip6(protoFragment, join([]byte{protoUDP, 0}, u16(offset), u32(1), udp(5000, 53, data)))
	}
	for name, test := range map[string]struct {
		packet []byte
		six    bool
		want   bool
	}{
		"to the port":               {packet: ip4(protoUDP, udp(5000, 53, data)), want: true},
		"from the port":             {packet: ip4(protoUDP, udp(53, 5000, data)), want: true},
		"to the second port":        {packet: ip4(protoUDP, udp(5000, 5353, data)), want: true},
		"from the second port":      {packet: ip4(protoUDP, udp(5353, 5000, data)), want: true},
		"other ports":               {packet: ip4(protoUDP, udp(5000, 54, data))},
		"TCP":                       {packet: ip4(protoTCP, tcp(5000, 53, 1, 0, data)), want: true},
		"TCP of other ports":        {packet: ip4(protoTCP, tcp(5000, 443, 1, 0, data))},
		"neither TCP nor UDP":       {packet: ip4(1, udp(5000, 53, data))},
		"first fragment":            {packet: fragment4(protoUDP, 0x2000, udp(5000, 53, data)), want: true},
		"first fragment, others":    {packet: fragment4(protoUDP, 0x2000, udp(5000, 54, data))},
		"later fragment":            {packet: fragment4(protoUDP, 0x2001, data), want: true},
		"last fragment":             {packet: fragment4(protoUDP, 0x00ff, data), want: true},
		"later fragment of ICMP":    {packet: fragment4(1, 0x2001, data)},
		"cut off":                   {packet: ip4(protoUDP, nil)},
		"IPv6 to the port":          {packet: ip6(protoUDP, udp(5000, 53, data)), six: true, want: true},
		"IPv6 from the second port": {packet: ip6(protoTCP, tcp(5353, 5000, 1, 0, data)), six: true, want: true},
		"IPv6 of other ports":       {packet: ip6(protoUDP, udp(5000, 54, data)), six: true},
		"IPv6 first fragment":       {packet: fragment6(1), six: true, want: true},
		"IPv6 later fragment":       {packet: fragment6(9), six: true, want: true},
		"ICMPv6":                    {packet: ip6(58, udp(5000, 53, data)), six: true},
	} {
		for at, packet := range map[uint32][]byte{0: test.packet, 4: tag(0, test.packet)} {
			program := ip4Filter(at, ports)
			if test.six {
				program = ip6Filter(at, ports)
			}
			vm, err := bpf.NewVM(program)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := vm.Run(packet); err != nil || (n > 0) != test.want {
				t.Errorf("%s, at %d: %d, %v", name, at, n, err)
			}
		}
	}
	for n, ok := range map[int]bool{0: true, 1: true, maxPorts: true, maxPorts + 1: false} {
		if _, err := filter(make([]uint16, n)); (err == nil) != ok {
			t.Errorf("%d ports: %v", n, err)
		}
	}
}

func TestUntag(t *testing.T) {
	datagram := udp(5000, 53, dns(query, "a.example"))
	four, six := ip4(protoUDP, datagram), ip6(protoUDP, datagram)
	long := ip4(protoUDP, make([]byte, 0x0800-20)) // its length looks like an EtherType, and its number like a version
	long[4] = 0x45
	padded := append(ip4(protoUDP, udp(5000, 53, nil)), make([]byte, 18)...)
	for name, packet := range map[string][]byte{"IPv4": four, "IPv6": six, "long": long, "padded": padded, "empty": {}} {
		if got := untag(packet); len(got) != len(packet) {
			t.Errorf("%s: %d of %d bytes", name, len(got), len(packet))
		}
	}
	for etherType, packet := range map[int][]byte{0x0800: four, 0x86dd: six} {
		if got := untag(tag(etherType, packet)); len(got) != len(packet) {
			t.Errorf("%x: %d of %d bytes", etherType, len(got), len(packet))
		}
	}
}
