//go:build !linux

package capture

import (
	"fmt"
	"runtime"

	"golang.org/x/net/bpf"
)

// socket is there on Linux alone.
type socket struct{ container }

func openSocket(iface string, _ []bpf.RawInstruction) (*socket, error) {
	return nil, fmt.Errorf("capture at %s: degas captures on Linux alone, not on %s. Try: tcpdump -i %s -w "+
		"dns.pcap port 53, then degas scan dns.pcap", iface, runtime.GOOS, iface)
}

func (*socket) dropped() int64 { return 0 }

// Close implements io.Closer.
func (*socket) Close() error { return nil }
