package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
)

// input is a Corefile of a test.
func testInput(text string) caddy.Input {
	return caddy.CaddyfileInput{Filepath: "test", Contents: []byte(text), ServerTypeName: "dns"}
}

// block is a server block at an address, with lines and a forwarder.
func block(zone, address, upstream string, lines ...string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("%s:%s {\nbind %s\n%s\nforward . %s\n}\n", zone, port, host, strings.Join(lines, "\n"), upstream)
}

func stop(t *testing.T, i *caddy.Instance) {
	t.Helper()
	for _, err := range i.ShutdownCallbacks() {
		t.Error(err)
	}
	if err := i.Stop(); err != nil {
		t.Error(err)
	}
}

// sockets counts the UDP sockets of this machine at an address: CoreDNS' own, and those of a front.
func sockets(t *testing.T, address string) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Skip(err)
	}
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(table), fmt.Sprintf(": 0100007F:%04X ", at.Port))
}

// waitForSockets waits until there are as many sockets as wanted.
func waitForSockets(t *testing.T, address string, want int) {
	t.Helper()
	got := 0
	for range 200 {
		if got = sockets(t, address); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d sockets at %s, want %d", got, address, want)
}

// TestReload puts new Corefiles in place of old ones while a client asks. Each query has an answer, the new Corefile
// decides, and the front is taken over, given back and made again. Then another server starts at the same port.
func TestReload(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	upstream, address := startVaried(t), freePort(t)
	front := min(runtime.GOMAXPROCS(0), 8)
	corefile := func(action string, fast bool) caddy.Input {
		lines := []string{"degas {", "action dga " + action}
		if fast {
			lines = append(lines, "fast")
		}
		return testInput(block(".", address, upstream, append(lines, "}", "cache")...))
	}
	i, err := caddy.Start(corefile("nxdomain", true))
	if err != nil {
		t.Fatal(err)
	}
	waitForSockets(t, address, 1+front)

	done := make(chan struct{})
	var asking sync.WaitGroup
	var asked, lost atomic.Int64
	asking.Go(func() {
		r := new(dns.Msg)
		r.SetQuestion(passedName, dns.TypeA)
		for c := (dns.Client{Timeout: 3 * time.Second}); ; asked.Add(1) {
			select {
			case <-done:
				return
			default:
			}
			if m, _, err := c.Exchange(r, address); err != nil || len(m.Answer) != 2 {
				lost.Add(1)
				t.Logf("query %d: %v", asked.Load(), err)
			}
		}
	})
	for _, c := range []struct {
		action string
		fast   bool
		rcode  int
	}{{"refused", true, dns.RcodeRefused}, {"nodata", false, dns.RcodeSuccess}, {"refused", false, dns.RcodeRefused},
		{"nxdomain", true, dns.RcodeNameError}, {"nodata", true, dns.RcodeSuccess}} {
		if i, err = i.Restart(corefile(c.action, c.fast)); err != nil {
			t.Fatal(err)
		}
		want := 1
		if c.fast {
			want += front
		}
		waitForSockets(t, address, want)
		for range 3 {
			if m := ask(t, "udp", address, blockedName, dns.TypeA); m.Rcode != c.rcode || len(m.Answer) != 0 {
				t.Errorf("after a restart with %s: %v", c.action, m)
			}
		}
	}
	// A Corefile that is wrong changes nothing.
	if _, err := i.Restart(testInput(block(".", address, upstream, "degas {", "action dga explode", "}"))); err == nil {
		t.Error("a wrong Corefile is taken")
	}
	if m := ask(t, "udp", address, blockedName, dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("after a wrong Corefile: %v", m)
	}
	close(done)
	asking.Wait()
	t.Logf("%d queries", asked.Load())
	if lost.Load() > 0 {
		t.Errorf("%d of %d queries were lost", lost.Load(), asked.Load())
	}

	for range 2 {
		stop(t, i)
		waitForSockets(t, address, 0)
		if i, err = caddy.Start(corefile("nxdomain", true)); err != nil {
			t.Fatal(err)
		}
		waitForSockets(t, address, 1+front)
		for range 3 {
			if m := ask(t, "udp", address, blockedName, dns.TypeA); m.Rcode != dns.RcodeNameError {
				t.Errorf("started again: %v", m)
			}
		}
	}
	stop(t, i)
	waitForSockets(t, address, 0)
}

// TestStopAtOnce stops a server before its front may have begun. No front stays. CoreDNS' own socket may: it does not
// stop what has not begun.
func TestStopAtOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	upstream := startVaried(t)
	for range 5 {
		address := freePort(t)
		i, err := caddy.Start(testInput(block(".", address, upstream, "degas {", "fast", "}")))
		if err != nil {
			t.Fatal(err)
		}
		stop(t, i)
		time.Sleep(50 * time.Millisecond)
		if n := sockets(t, address); n > 1 {
			t.Errorf("%d sockets after the end", n)
		}
	}
}

func TestServerBlocks(t *testing.T) {
	upstream, address := startVaried(t), freePort(t)
	list := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(list, []byte("bad.example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serveCorefile(t, block("example.org", address, upstream, "degas {", "block "+list, "action list refused", "fast", "}")+
		block(".", address, upstream, "degas {", "action dga nxdomain", "fast", "}"))
	for range 3 {
		for name, want := range map[string]int{"bad.example.org.": dns.RcodeRefused, "good.example.org.": dns.RcodeSuccess,
			blockedName: dns.RcodeNameError, passedName: dns.RcodeSuccess} {
			for _, network := range []string{"udp", "tcp"} {
				if m := ask(t, network, address, name, dns.TypeA); m.Rcode != want {
					t.Errorf("%s: %v", network, m)
				}
			}
		}
	}
}

// TestTwoInABlock has two degas in one server block. The first one that blocks answers.
func TestTwoInABlock(t *testing.T) {
	upstream, address := startVaried(t), freePort(t)
	serveCorefile(t, block(".", address, upstream, "degas example.org {", "fast", "}",
		"degas {", "action dga nxdomain", "}"))
	for range 3 {
		if m := ask(t, "udp", address, blockedName, dns.TypeA); m.Rcode != dns.RcodeNameError {
			t.Errorf("%v", m)
		}
		if m := ask(t, "udp", address, "www.example.org.", dns.TypeA); len(m.Answer) != 2 {
			t.Errorf("%v", m)
		}
	}
}

// askFrom asks from an address of this machine.
func askFrom(t *testing.T, client, server, name string) *dns.Msg {
	t.Helper()
	r := new(dns.Msg)
	r.SetQuestion(name, dns.TypeA)
	c := dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(client)}}}
	m, _, err := c.Exchange(r, server)
	if err != nil {
		t.Skipf("from %s: %v", client, err)
	}
	return m
}

// TestViews has one block for some clients and one for all others. What is kept for one of them is not given to others,
// though the block that keeps has no view.
func TestViews(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 may not be there")
	}
	upstream, address := startVaried(t), freePort(t)
	serveCorefile(t, block(".", address, upstream, "view trusted {", "expr client_ip() == '127.0.0.2'", "}", "degas {",
		"action dga nxdomain", "monitor", "}")+
		block(".", address, upstream, "degas {", "action dga nxdomain", "fast", "}"))
	for range 3 {
		if m := askFrom(t, "127.0.0.1", address, blockedName); m.Rcode != dns.RcodeNameError {
			t.Errorf("a client without a view: %v", m)
		}
		if m := askFrom(t, "127.0.0.2", address, blockedName); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 2 {
			t.Errorf("a client with a view: %v", m)
		}
	}
}

// output collects the lines of a log.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) has(s string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Contains(o.text.String(), s)
}

// TestMetadataInLog writes what was decided with the plugin log. A reverse look-up is not scored, whatever its name is.
func TestMetadataInLog(t *testing.T) {
	upstream, address := startVaried(t), freePort(t)
	var out output
	old := clogOutput
	clog.SetOutput(&out)
	t.Cleanup(func() { clog.SetOutput(old) })
	serveCorefile(t, block(".", address, upstream, "metadata",
		`log . "{name} {type} verdict={/degas/verdict} class={/degas/class} score={/degas/score} model={/degas/model}"`,
		"degas {", "action dga nxdomain", "}"))
	ask(t, "udp", address, blockedName, dns.TypeA)
	ask(t, "udp", address, blockedName, dns.TypePTR)
	ask(t, "udp", address, passedName, dns.TypeA)
	for _, want := range []string{
		blockedName + " A verdict=malicious class=dga score=0.99",
		blockedName + " PTR verdict=malicious class=dga score=0.99",
		passedName + " A verdict=benign class=benign score=0.0",
	} {
		for n := 0; !out.has(want); n++ {
			if n == 100 {
				t.Fatalf("no %q in\n%s", want, out.text.String())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
