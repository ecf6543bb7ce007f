package notify

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/watch"
)

// golden is how a syslogger writes at a fixed time on a fixed host.
func golden(network string) *syslogger {
	return &syslogger{network: network, host: "sensor 1", pid: 42, now: func() time.Time {
		return time.Date(2026, 10, 8, 12, 34, 56, 789_000_000, time.UTC)
	}}
}

func TestSyslogLines(t *testing.T) {
	client := watch.Finding{Kind: watch.DGAClient, Client: "2001:db8::1", Names: 40, Evidence: 6.75, Reason: "40 domains"}
	const sd = `[degas@32473 kind="tunnel" domain="t.example.com" client="192.0.2.7" names="512" evidence="14.2"]`
	const said = "Domain with names that look like a DNS tunnel: t.example.com. 512 different names."
	udp := "<28>1 2026-10-08T12:34:56.789000Z sensor_1 degas 42 tunnel " + sd + " " + said
	for _, test := range []struct {
		network string
		f       watch.Finding
		want    string
	}{
		{"udp", tunnel, udp},
		{"tcp", tunnel, fmt.Sprintf("%d %s", len(udp), udp)},
		{"", tunnel, "<28>Oct  8 12:34:56 degas[42]: " + said + " " + sd + "\n"},
		{"udp", client, `<28>1 2026-10-08T12:34:56.789000Z sensor_1 degas 42 dga-client [degas@32473 kind="dga-client" ` +
			`domain="" client="2001:db8::1" names="40" evidence="6.8"] Client that asks for names like those of malware: ` +
			"2001:db8::1. 40 domains."},
		{"udp", watch.Finding{Kind: watch.List, Domain: `*.a"]\b`, Reason: "on your block list; asked for 3 times"},
			`<28>1 2026-10-08T12:34:56.789000Z sensor_1 degas 42 list [degas@32473 kind="list" domain="*.a\"\]\\b" client="" ` +
				`names="0" evidence="0.0"] Questions for an entry of the block list: *.a"]\b. ` +
				"on your block list; asked for 3 times."},
	} {
		got, err := golden(test.network).encode(&test.f)
		if err != nil || string(got) != test.want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, test.want)
		}
	}
}

var message = regexp.MustCompile(`^<28>1 \S+ \S+ degas 42 \S+ ` +
	`\[degas@32473( [a-z]+="(\\["\]\\]|[^"\]\\])*"){5}\] [ -~]*$`)

// FuzzSyslog: no text of a stranger begins a message, ends its data or moves a cursor.
func FuzzSyslog(f *testing.F) {
	f.Add(hostile.Domain, hostile.Reason)
	f.Add(strings.Repeat("\\\"]\U0010ffff", 2000), strings.Repeat("é", 3000))
	f.Fuzz(func(t *testing.T, a, b string) {
		finding := watch.Finding{Kind: a, Domain: a, Client: b, Server: a, Reason: b}
		got, err := golden("udp").encode(&finding)
		if err != nil || !message.Match(got) || len(got) > 2048 {
			t.Errorf("%d bytes, %v: %q", len(got), err, got)
		}
		local, err := golden("").encode(&finding)
		if err != nil || strings.Count(string(local), "\n") != 1 || !strings.HasSuffix(string(local), "]\n") {
			t.Errorf("%v: %q", err, local)
		}
	})
}

func TestSyslogUDP(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := open(t, "syslog:udp://"+server.LocalAddr().String(), Options{})
	send(t, s, tunnel, hostile)
	for _, want := range []string{`domain="t.example.com"`,
		`domain="a\" b\]\\\\n<10>1 - - root - - - x\\r\\x00\\x1b[31m\\u202e`} {
		b := make([]byte, 4096)
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := server.ReadFrom(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), "<28>1 ") || !strings.Contains(string(b[:n]), want) {
			t.Errorf("%q, %v, want %s", b[:n], err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// frame reads a message with its octet count.
func frame(r *bufio.Reader) (string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return string(b), err
}

// A server that goes and comes back gets every finding.
func TestSyslogTCPReconnects(t *testing.T) {
	log := logged(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, m := server.Addr().String(), metrics.New("")
	s := open(t, "syslog:tcp://"+addr, Options{Metrics: m})
	receive := func(want string) (c net.Conn) {
		t.Helper()
		c, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := frame(bufio.NewReader(c)); err != nil || !strings.Contains(got, want) {
			t.Fatalf("%q, %v, want %s", got, err, want)
		}
		return c
	}
	send(t, s, tunnel)
	c := receive(`domain="t.example.com"`)
	c.Close()
	time.Sleep(50 * time.Millisecond) // so that the end of the connection is known
	second := tunnel
	second.Domain = "second.example"
	send(t, s, second)
	c = receive(`domain="second.example"`)
	server.Close()
	c.Close()
	time.Sleep(50 * time.Millisecond)
	third := tunnel
	third.Domain = "third.example"
	send(t, s, third)
	until(t, "an error", func() bool { return m.SinkErrors.With("syslog:tcp://"+addr).Load() > 2 })
	if server, err = net.Listen("tcp", addr); err != nil {
		t.Skip(err) // somebody else has the port
	}
	defer server.Close()
	receive(`domain="third.example"`).Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if text := log(); strings.Count(text, "trying again") != 1 || strings.Count(text, "delivered again") != 1 {
		t.Error(text)
	}
}

func TestSyslogLocal(t *testing.T) {
	old := localSyslog
	defer func() { localSyslog = old }()
	localSyslog = []string{filepath.Join(t.TempDir(), "log")}
	if _, err := Open("syslog:", Options{}); err == nil || !strings.Contains(err.Error(), "no syslog daemon") {
		t.Error(err)
	}
	server, err := net.ListenPacket("unixgram", localSyslog[0])
	if err != nil {
		t.Skip(err)
	}
	defer server.Close()
	s := open(t, "syslog:", Options{})
	send(t, s, tunnel)
	b := make([]byte, 4096)
	if n, _, err := server.ReadFrom(b); err != nil || !strings.Contains(string(b[:n]), "]: Domain with names that look") {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
