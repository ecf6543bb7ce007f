package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// A stub resolver asks three times and waits five seconds each time.
const (
	tries   = 3
	oneTry  = 5 * time.Second
	perTurn = 64 // queries that a worker takes at once
)

// load is what clients ask over UDP, and what came of it.
type load struct {
	address string
	up      *upstream
	hostile [][]byte

	taken                                  atomic.Int64 // queries that a worker has or had
	asked, broken, again, lost             atomic.Int64
	failedBadly, failed, believed, allowed atomic.Int64
	denied                                 atomic.Int64
	slowest                                atomic.Int64
	said                                   atomic.Int64
}

func newLoad(address string, up *upstream, hostile [][]byte) *load {
	return &load{address: address, up: up, hostile: hostile}
}

// run sends the queries, and at least until the upstream has had every mood.
func (l *load) run(ctx context.Context, o options) {
	var running sync.WaitGroup
	for i := range o.workers {
		running.Go(func() {
			conn, err := dialFrom(i, "udp", l.address)
			if err != nil {
				fmt.Fprintf(os.Stderr, "soak: %v\n", err)
				return
			}
			defer conn.Close()
			m := newMaker(uint64(i), l.hostile)
			for ctx.Err() == nil && (l.taken.Add(perTurn) <= o.queries || l.up.rounds.Load() == 0) {
				for range perTurn {
					if m.r.IntN(20) == 0 {
						l.broken.Add(1)
						_, _ = conn.Write(m.broken())
					}
					l.ask(conn, m)
				}
			}
		})
	}
	running.Wait()
}

// dialFrom dials from an address that only a client of this number has.
func dialFrom(client int, network, address string) (net.Conn, error) {
	ip := net.IPv4(127, 1, byte(client>>8), byte(client))
	var local net.Addr = &net.UDPAddr{IP: ip}
	if network == "tcp" {
		local = &net.TCPAddr{IP: ip}
	}
	d := net.Dialer{LocalAddr: local, Timeout: 10 * time.Second}
	return d.Dial(network, address)
}

// ask asks as a stub resolver does.
func (l *load) ask(conn net.Conn, m *maker) {
	r, w := m.next()
	query, err := r.Pack()
	if err != nil {
		return
	}
	l.asked.Add(1)
	began := time.Now()
	var answer [1 << 16]byte
	for try := range tries {
		if try > 0 {
			l.again.Add(1)
		}
		sent := time.Now()
		binary.BigEndian.PutUint16(query, uint16(rand.Uint32()))
		if _, err := conn.Write(query); err != nil {
			time.Sleep(50 * time.Millisecond) // the port is closed for a moment
			continue
		}
		got := read(conn, query, answer[:])
		if got == nil {
			continue
		}
		l.slowest.Store(max(l.slowest.Load(), int64(time.Since(began))))
		l.check(r, got, w, sent)
		return
	}
	if l.lost.Add(1) <= 5 {
		fmt.Fprintf(os.Stderr, "soak: no answer to %v\n", r.Question[0])
	}
}

// read waits for the answer to a query, or gives nil.
func read(conn net.Conn, query, space []byte) *dns.Msg {
	_ = conn.SetReadDeadline(time.Now().Add(oneTry))
	for {
		n, err := conn.Read(space)
		if err != nil {
			if ne, ok := err.(net.Error); ok && !ne.Timeout() {
				time.Sleep(50 * time.Millisecond)
			}
			return nil
		}
		m := new(dns.Msg)
		if n < 12 || space[0] != query[0] || space[1] != query[1] || m.Unpack(space[:n]) != nil {
			continue // late, or to a broken packet
		}
		q := new(dns.Msg)
		if q.Unpack(query) != nil || len(m.Question) != 1 || m.Question[0] != q.Question[0] {
			continue
		}
		return m
	}
}

// check counts what is wrong with an answer.
func (l *load) check(r, m *dns.Msg, w want, sent time.Time) {
	name := r.Question[0].Name
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok && a.A.Equal(lie) {
			l.count(&l.believed, "a lie is believed", name)
		}
	}
	byDegas := false
	for _, rr := range m.Ns {
		soa, ok := rr.(*dns.SOA)
		byDegas = byDegas || ok && strings.HasPrefix(soa.Ns, "blocked.degas.")
	}
	switch {
	case w == blocked && !byDegas && m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeBadVers:
		l.count(&l.allowed, "a listed name passes", name)
	case w == passes && byDegas:
		l.count(&l.denied, "an allowed name is blocked", name)
	}
	if m.Rcode == dns.RcodeServerFailure {
		l.failed.Add(1)
		if l.up.fine(sent) {
			l.count(&l.failedBadly, "SERVFAIL though the upstream is well", fmt.Sprint(r.Question[0]))
		}
	}
}

// count counts something wrong, and shows the first few.
func (l *load) count(n *atomic.Int64, what, name string) {
	n.Add(1)
	if l.said.Add(1) <= 20 {
		fmt.Fprintf(os.Stderr, "soak: %s %s: %q\n", time.Now().Format(time.TimeOnly), what, name)
	}
}
