package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// mood is how an upstream behaves.
type mood int32

const (
	good  mood = iota
	dead       // its port is closed
	lies       // wrong IDs, wrong questions, garbage
	hangs      // it reads and says nothing
)

func (m mood) String() string { return [...]string{"good", "dead", "lies", "hangs"}[m] }

// bad is how long a bad mood lasts. Before each, the upstream is good for a time.
const bad = 3 * time.Second

// recovery is how long after a bad mood a SERVFAIL counts as the upstream's fault: forward gives up after 5 s, and the
// cache then keeps the failure for 5 s.
const recovery = 12 * time.Second

// startUp is how long it takes until the TCP clients are there. While they come, packets to the upstream get lost.
const startUp = 5 * time.Second

// lie is the address that only a lie has.
var lie, truth = net.IPv4(198, 51, 100, 66), net.IPv4(192, 0, 2, 80)

// upstream is a DNS server on UDP and TCP that has moods.
type upstream struct {
	address string
	mood    atomic.Int32
	well    atomic.Int64 // since when it is good, in nanoseconds; 0 while it is not
	rounds  atomic.Int64
	servers []*dns.Server
}

func newUpstream() (*upstream, error) {
	u := &upstream{}
	u.well.Store(1)
	var err error
	for range 20 { // until a port that is free by UDP is free by TCP too
		if err = u.listen("127.0.0.1:0"); err == nil {
			break
		}
	}
	return u, err
}

func (u *upstream) listen(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	u.address = conn.LocalAddr().String()
	l, err := net.Listen("tcp", u.address)
	if err != nil {
		conn.Close()
		return fmt.Errorf("listen as an upstream: %w", err)
	}
	u.servers = []*dns.Server{{PacketConn: conn, Handler: u}, {Listener: l, Handler: u}}
	for _, s := range u.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
	}
	return nil
}

func (u *upstream) close() {
	for _, s := range u.servers {
		_ = s.Shutdown()
	}
	u.servers = nil
}

// set changes the mood.
func (u *upstream) set(m mood) {
	if m == dead {
		u.close()
	} else if len(u.servers) == 0 {
		for end := time.Now().Add(10 * time.Second); u.listen(u.address) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if old := mood(u.mood.Swap(int32(m))); m != good {
		u.well.Store(0)
	} else if old != good {
		u.well.Store(time.Now().UnixNano())
	}
}

// start goes through the moods until ctx ends.
func (u *upstream) start(ctx context.Context, well time.Duration) {
	u.well.Store(time.Now().Add(startUp).UnixNano())
	go func() {
		for {
			for _, m := range []mood{lies, dead, hangs} {
				u.set(good)
				if !sleep(ctx, well) {
					return
				}
				u.set(m)
				if !sleep(ctx, bad) {
					return
				}
			}
			u.rounds.Add(1)
		}
	}()
}

// fine reports whether a query that was sent then has no excuse to fail.
func (u *upstream) fine(sent time.Time) bool {
	well := u.well.Load()
	return well != 0 && sent.UnixNano() > well+recovery.Nanoseconds()
}

// ServeDNS implements dns.Handler.
func (u *upstream) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true
	q := r.Question[0]
	address, how := truth, rand.IntN(6)
	now := mood(u.mood.Load())
	switch now {
	case hangs:
		return
	case lies:
		if how < 3 {
			address = lie
		}
	}
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 30 + rand.Uint32N(300)}
	switch {
	case strings.HasPrefix(q.Name, "nx"):
		m.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA && q.Qclass == dns.ClassINET:
		m.Answer = []dns.RR{&dns.A{Hdr: header, A: address}}
	case q.Qtype == dns.TypeTXT:
		for range rand.IntN(20) {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: header, Txt: []string{strings.Repeat("x", 200)}})
		}
	}
	if o := r.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := r.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	b, err := m.Pack()
	if err != nil {
		return
	}
	if now == lies {
		b = twist(b, m, how)
	}
	_, _ = w.Write(b)
}

// twist makes a lie of an answer. No resolver may believe the first three: they answer nothing that it asked.
func twist(b []byte, m *dns.Msg, how int) []byte {
	switch how {
	case 0: // another ID
		binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)+1)
	case 1: // another question
		m.Question[0].Name = "other.example."
		if other, err := m.Pack(); err == nil {
			return other
		}
	case 2: // a query
		b[2] &^= 0x80
	case 3: // garbage
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
	case 4: // cut off
		return b[:rand.IntN(len(b))]
	case 5: // more records than there are
		binary.BigEndian.PutUint16(b[6:], 60000)
	}
	return b
}
