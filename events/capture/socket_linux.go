package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const receiveBuffer = 8 << 20 // bytes of packets that wait in the kernel, if it grants them

// socket is a container of the packets that pass an interface. It is a packet socket without link layers, so that all
// kinds of interfaces look the same.
type socket struct {
	file  *os.File
	conn  syscall.RawConn
	iface string
	index int // of iface, 0 for all
	buf   []byte
	oob   []byte

	mu    sync.Mutex
	drops int64 // counted until the last look
}

func openSocket(iface string, program []bpf.RawInstruction) (*socket, error) {
	s := &socket{iface: iface, buf: make([]byte, maxPacket),
		oob: make([]byte, unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))))}
	if iface != Any {
		found, err := net.InterfaceByName(iface)
		if err != nil {
			return nil, noSuchInterface(iface)
		}
		s.index = found.Index
	}
	// Without a protocol, the socket gets nothing until bind: no packet passes before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, os.ErrPermission) {
		program, _ := os.Executable() // without a path, the advice still says what to do
		return nil, fmt.Errorf("capture at %s: %w. It needs CAP_NET_RAW. Try: sudo setcap cap_net_raw+ep %s", iface, err,
			program)
	}
	if err != nil {
		return nil, fmt.Errorf("capture at %s: open a packet socket: %w", iface, err)
	}
	if err := s.bind(fd, program); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("capture at %s: %w", iface, err)
	}
	s.file = os.NewFile(uintptr(fd), iface)
	if s.conn, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, fmt.Errorf("capture at %s: %w", iface, err)
	}
	return s, nil
}

// noSuchInterface is the error for an interface that does not exist.
func noSuchInterface(iface string) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("no network interface %q, and the others are unknown: %w", iface, err)
	}
	names := []string{Any}
	for _, i := range all {
		names = append(names, i.Name)
	}
	return fmt.Errorf("no network interface %q. There are: %s", iface, strings.Join(names, ", "))
}

// bind sets the filter and begins to receive.
func (s *socket) bind(fd int, program []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(program))
	for i, in := range program {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	if err != nil {
		return fmt.Errorf("set the filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("ask for the times of packets: %w", err)
	}
	// The larger buffer needs CAP_NET_ADMIN, and the other one is as large as the system allows. Neither has to work.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: s.index})
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// networkOrder turns the bytes of a number around where the computer has the lower one first.
func networkOrder(n uint16) uint16 { return binary.NativeEndian.Uint16(big.AppendUint16(nil, n)) }

// next implements container. It waits for a packet, and returns os.ErrClosed after Close.
func (s *socket) next(p *packet) error {
	for {
		var n, oob int
		var failed error
		err := s.conn.Read(func(fd uintptr) bool {
			n, oob, _, _, failed = unix.Recvmsg(int(fd), s.buf, s.oob, unix.MSG_TRUNC)
			return failed != unix.EAGAIN
		})
		switch {
		case err != nil:
			return os.ErrClosed // there are no others without a deadline
		case failed == unix.EINTR:
			continue
		case failed == unix.ENETDOWN: // it may come up again
			if _, gone := net.InterfaceByIndex(s.index); s.index != 0 && gone != nil {
				return fmt.Errorf("capture at %s: the interface is gone", s.iface)
			}
			continue
		case failed != nil:
			return fmt.Errorf("capture at %s: %w", s.iface, failed)
		}
		p.data = untag(s.buf[:min(n, maxPacket)])
		p.length = max(n-len(s.buf), 0) + len(p.data)
		p.link, p.time = linkRaw, arrival(s.oob[:oob])
		return nil
	}
}

// arrival is the time that the kernel gives with a packet.
func arrival(oob []byte) time.Time {
	if len(oob) < unix.CmsgLen(int(unsafe.Sizeof(unix.Timespec{}))) {
		return time.Now().UTC()
	}
	at := (*unix.Timespec)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
	return time.Unix(at.Unix()).UTC()
}

// dropped counts the packets that the kernel dropped. The kernel counts from the last look on.
func (s *socket) dropped() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.Control(func(fd uintptr) { // no error but that of a closed socket, which counts no more
		if stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			s.drops += int64(stats.Drops)
		}
	})
	return s.drops
}

// Close closes the socket after a last look at what was dropped.
func (s *socket) Close() error {
	s.dropped()
	return s.file.Close()
}
