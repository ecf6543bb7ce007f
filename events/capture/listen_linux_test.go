package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/degas-dns/degas/events"
)

// listen captures, or skips the test where nobody may.
func listen(t *testing.T, ctx context.Context, iface string, port int, stats *events.Stats) *Live {
	t.Helper()
	l, err := Listen(ctx, iface, events.Options{Ports: []uint16{uint16(port)}}, stats)
	if errors.Is(err, os.ErrPermission) {
		if !strings.Contains(err.Error(), "setcap cap_net_raw+ep") {
			t.Errorf("no advice: %v", err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// take lists n events, without the clients' ports.
func take(t *testing.T, l *Live, n int) (out []string) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { l.Close() })
	defer late.Stop()
	var e events.Event
	for range n {
		if err := l.Next(&e); err != nil {
			t.Fatalf("%v after %q, %+v", err, out, l.stats)
		}
		if age := time.Since(e.Time); age < -time.Minute || age > time.Minute {
			t.Errorf("time %v", e.Time)
		}
		out = append(out, fmt.Sprintf("%s %s %s > %s %s", e.Transport, e.Kind, e.Client, e.Server, e.Name))
	}
	return out
}

func send(t *testing.T, network, to string, data []byte) {
	t.Helper()
	conn, err := net.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

// Real sockets on the loopback interface: each packet comes once, and those of other ports do not come.
func TestListenLoopback(t *testing.T) {
	server, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	port := server.Addr().(*net.TCPAddr).Port
	for _, iface := range []string{"lo", Any} {
		var stats events.Stats
		l := listen(t, t.Context(), iface, port, &stats)
		at := func(host string) string { return net.JoinHostPort(host, fmt.Sprint(port)) }
		send(t, "udp", "127.0.0.1:9", dns(query, "other.example"))
		send(t, "udp", at("127.0.0.1"), dns(query, "a.ilmarin.example"))
		want := []string{"udp query 127.0.0.1 > 127.0.0.1 a.ilmarin.example"}
		if conn, err := net.Dial("udp", at("::1")); err == nil {
			conn.Write(dns(query, "b.ilmarin.example"))
			conn.Close()
			want = append(want, "udp query ::1 > ::1 b.ilmarin.example")
		}
		message := dns(query, "c.ilmarin.example")
		send(t, "tcp", at("127.0.0.1"), join(u16(len(message)), message))
		want = append(want, "tcp query 127.0.0.1 > 127.0.0.1 c.ilmarin.example")
		if got := take(t, l, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", iface, got, want)
		}
		if n := stats.Skipped["no DNS"]; n > 0 || stats.Events != int64(len(want)) || l.Dropped() != 0 {
			t.Errorf("%s: %+v, dropped %d", iface, stats, l.Dropped())
		}
	}
}

// While nobody calls Next, the kernel drops what its buffer cannot hold, and counts it.
func TestListenDropped(t *testing.T) {
	var stats events.Stats
	l := listen(t, t.Context(), "lo", 9, &stats)
	l.socket.conn.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	for range 1000 {
		send(t, "udp", "127.0.0.1:9", dns(query, "ilmarin.example"))
	}
	dropped := l.Dropped()
	if dropped < 900 || l.Dropped() != dropped {
		t.Errorf("%d, then %d of 1000 packets dropped", dropped, l.Dropped())
	}
	if l.Close(); l.Dropped() != dropped {
		t.Errorf("%d dropped after Close, %d before", l.Dropped(), dropped)
	}
}

// A context and Close end a Next that waits.
func TestListenEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for what, test := range map[string]struct {
		end  func(l *Live)
		want error
	}{
		"context": {func(*Live) { cancel() }, context.Canceled},
		"close":   {func(l *Live) { l.Close() }, io.EOF},
	} {
		parent := t.Context()
		if what == "context" {
			parent = ctx
		}
		l := listen(t, parent, "lo", 9, &events.Stats{})
		time.AfterFunc(50*time.Millisecond, func() { test.end(l) })
		var e events.Event
		for range 2 {
			if err := l.Next(&e); err != test.want {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	_, err := Listen(t.Context(), "degas-none", events.Options{}, &events.Stats{})
	if err == nil || !strings.Contains(err.Error(), `no network interface "degas-none". There are: any, `) {
		t.Error(err)
	}
	if _, err := Listen(t.Context(), "lo", events.Options{Ports: make([]uint16, 1000)}, &events.Stats{}); err == nil {
		t.Error("a thousand ports")
	}
}

// command runs the program ip.
func command(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Skipf("ip %s: %v: %s", args, err, out)
	}
}

// waitUntilUp waits until v0 and v1 carry packets.
func waitUntilUp(t *testing.T) {
	t.Helper()
	for _, name := range []string{"v0", "v1"} {
		for i := 0; ; i++ {
			if in, err := net.InterfaceByName(name); err == nil && in.Flags&net.FlagRunning != 0 {
				break
			}
			if i == 1000 {
				t.Fatal(name, " is not up")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Frames without a VLAN tag, with one and with two, and fragments, where they leave and where they arrive. Then an
// interface that goes down and up, and then away.
func TestListenFrames(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no network namespace: ", err)
	}
	for _, args := range []string{"link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"} {
		command(t, args)
	}
	waitUntilUp(t)
	v0, err := net.InterfaceByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	transmit := func(frame []byte) {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: v0.Index}); err != nil {
			t.Fatal(err)
		}
	}
	var stats [2]events.Stats
	from, to := listen(t, t.Context(), "v0", 53, &stats[0]), listen(t, t.Context(), "v1", 53, &stats[1])
	four := ip4(protoUDP, udp(5000, 53, dns(query, "a.ilmarin.example")))
	six := ip6(protoUDP, udp(53, 5000, dns(response, "b.ilmarin.example")))
	arp := append(u16(1), four...)
	later := fragment4(protoUDP, 0x0010, []byte("more of a datagram"))
	for _, frame := range [][]byte{ether(0x0800, four), ether(0x86dd, six), ether(0x8100, tag(0x0800, four)),
		ether(0x8100, tag(0x86dd, six)), ether(0x88a8, tag(0x8100, tag(0x0800, four))),
		ether(0x88a8, tag(0x8100, tag(0x86dd, six))), ether(0x0806, arp), ether(0x8100, tag(0x0806, arp)),
		ether(0x0800, ip4(protoUDP, udp(5000, 54, nil))), ether(0x0800, later), ether(0x8100, tag(0x0800, later)),
		ether(0x0800, four)} {
		transmit(frame)
	}
	wantFour := "udp query 192.0.2.7 > 192.0.2.53 a.ilmarin.example"
	wantSix := "udp response 2001:db8::53 > 2001:db8::7 b.ilmarin.example"
	want := []string{wantFour, wantSix, wantFour, wantSix, wantFour, wantSix, wantFour}
	for i, l := range []*Live{from, to} {
		if got := take(t, l, len(want)); !slices.Equal(got, want) {
			t.Errorf("v%d: %q, want %q", i, got, want)
		}
		if stats[i].Units != 9 || stats[i].Skipped[string(laterFragment)] != 2 {
			t.Errorf("v%d: %+v", i, stats[i])
		}
	}
	for _, args := range []string{"link set v1 down", "link set v1 up"} {
		command(t, args)
	}
	waitUntilUp(t)
	transmit(ether(0x0800, four))
	if got := take(t, to, 1); got[0] != wantFour {
		t.Errorf("after it was down: %q", got)
	}
	command(t, "link del v0")
	if err := to.Next(&events.Event{}); err == nil || !strings.Contains(err.Error(), "the interface is gone") {
		t.Error(err)
	}
}
