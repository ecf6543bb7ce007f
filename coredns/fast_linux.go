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
	return conns, choose(conns[0],
		bpf.LoadExtension{Num: bpf.ExtRand},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.RetA{})
}

// handBack has the kernel hand every packet to CoreDNS' socket again.
func handBack(conn net.PacketConn) error { return choose(conn, bpf.RetConstant{Val: 0}) }

// choose has the kernel choose among the sockets of a group by a program, which gives the number of one.
func choose(conn net.PacketConn, program ...bpf.Instruction) error {
	assembled, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(assembled))
	for i, in := range assembled {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("choose among sockets: %w", err)
	}
	return nil
}
