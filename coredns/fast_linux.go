package degas

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// mostSockets bounds a front's sockets. One goroutine reads each.
const mostSockets = 8

// listenBefore opens sockets at an address at which CoreDNS has one already, and has the kernel hand every packet to
// them. A group of sockets with SO_REUSEPORT numbers them in the order in which they were bound, and a filter chooses
// by the number (socket(7), SO_ATTACH_REUSEPORT_CBPF): CoreDNS' is 0.
func listenBefore(at netip.AddrPort) (conns []net.PacketConn, err error) {
	n := min(runtime.GOMAXPROCS(0), mostSockets)
	random, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtRand},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.RetA{},
	})
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(random))
	for i, in := range random {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	defer func() {
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
		}
	}()
	for range n {
		l := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			if e := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}); e != nil {
				return e
			}
			return err
		}}
		c, err := l.ListenPacket(context.Background(), "udp", at.String())
		if err != nil {
			return conns, fmt.Errorf("open a second socket: %w", err)
		}
		conns = append(conns, c)
	}
	raw, err := conns[0].(*net.UDPConn).SyscallConn()
	if err != nil {
		return conns, err
	}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}); e != nil {
		return conns, e
	}
	if err != nil {
		return conns, fmt.Errorf("choose among sockets: %w", err)
	}
	return conns, nil
}
