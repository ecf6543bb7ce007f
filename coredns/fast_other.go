//go:build !linux

package degas

import (
	"errors"
	"net"
	"net/netip"
)

var errLinux = errors.New("only Linux can")

func listenBefore(netip.AddrPort) ([]net.PacketConn, error) {
	return nil, errLinux
}

func handBack(net.PacketConn) error { return errLinux }
