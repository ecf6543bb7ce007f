//go:build !linux

package degas

import (
	"errors"
	"net"
	"net/netip"
)

func listenBefore(netip.AddrPort) ([]net.PacketConn, error) {
	return nil, errors.New("only Linux can")
}
