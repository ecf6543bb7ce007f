package resolver

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	payload     = 1232 // bytes of an answer by UDP that pass every network (dnsflagday.net/2020)
	readPayload = 4096 // bytes, for servers that send more than they were asked for

	maxStreams = 8 // connections to one server at once; look-ups wait for one
	idleTime   = 10 * time.Second

	slowAfter = time.Second
	slowFor   = 30 * time.Second
)

// errForeign is the error for a message that does not answer the query. By UDP somebody else may have sent it.
var errForeign = errors.New("the answer is to another question")

// server is a server to ask. Its methods are safe for concurrent use.
type server struct {
	network string      // "udp" or "tcp"
	addr    string      // with its port
	tls     *tls.Config // nil: not encrypted

	slow  atomic.Int64  // Unix time in nanoseconds until which others are asked first
	slots chan struct{} // one for each stream in use

	mu     sync.Mutex
	idle   []stream // streams in no use, the oldest first
	closed bool
}

// stream is a TCP or TLS connection.
type stream struct {
	net.Conn
	since time.Time // when its last use ended
}

// ask asks the servers until one answers. A server that has kept its silence for a second goes to the end of the line
// for half a minute. So an asker that gives up after one timeout, as package net does, gets to the second server the
// next time.
func (s *settings) ask(ctx context.Context, q query) (*entry, *net.DNSError) {
	last := failed(q.name, "", errors.New("no server was asked"))
	for range s.attempts {
		for _, server := range s.inOrder(time.Now()) {
			m, err := server.answer(ctx, q, s.timeout)
			if err != nil {
				last = failed(q.name, server.addr, err)
				if ctx.Err() != nil {
					return nil, last
				}
				continue
			}
			return newEntry(q, m, server.addr), nil
		}
	}
	return nil, last
}

// inOrder are the servers in the order in which they are to be asked.
func (s *settings) inOrder(now time.Time) []*server {
	var turn int
	if s.rotate {
		turn = int(s.turn.Add(1) % uint32(len(s.servers)))
	}
	order := make([]*server, 0, len(s.servers))
	for _, slow := range []bool{false, true} {
		for i := range s.servers {
			server := s.servers[(turn+i)%len(s.servers)]
			if slow == (now.UnixNano() < server.slow.Load()) {
				order = append(order, server)
			}
		}
	}
	return order
}

// answer is the server's answer to q: one that says whether the name exists. Any other is an error.
func (s *server) answer(ctx context.Context, q query, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	m, err := s.exchange(ctx, q.message())
	switch {
	case err != nil:
		if now := time.Now(); now.Sub(began) >= min(slowAfter, timeout/2) {
			s.slow.Store(now.Add(slowFor).UnixNano())
		}
		if ctx.Err() != nil {
			err = ctx.Err() // and not that of a deadline that ended the reading
		}
		return nil, err
	case blockedBy(m) != nil:
	case m.Rcode == dns.RcodeNameError:
	case m.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("the server answers %s (%d)", dns.RcodeToString[m.Rcode], m.Rcode)
	case m.Truncated && !has(m, q.qtype): // by TCP too: what is missing may be the records
		return nil, errors.New("the server's answer is cut off")
	case !m.Authoritative && !m.RecursionAvailable && len(m.Answer) == 0:
		return nil, errors.New("the server refers to others") // a lame delegation
	}
	return m, nil
}

func (s *server) exchange(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	if s.network == "udp" {
		if m, err := s.datagram(ctx, q); err != nil || !m.Truncated {
			return m, err
		}
	}
	return s.stream(ctx, q)
}

// datagram asks by UDP from a port of its own. It passes over what does not answer q: somebody may be guessing.
func (s *server) datagram(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	c, err := new(net.Dialer).DialContext(ctx, "udp", s.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer bound(ctx, c)()
	co := dns.Conn{Conn: c, UDPSize: readPayload}
	if err := co.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		p, err := co.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m, err := parse(p, q); !errors.Is(err, errForeign) {
			return m, err
		}
	}
}

// stream asks by TCP or TLS. Connections are used again, for one query at a time.
func (s *server) stream(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		c, used := s.take()
		if !used {
			var err error
			if c, err = s.dial(ctx); err != nil {
				return nil, err
			}
		}
		m, err := s.askOn(ctx, c, q)
		if err == nil || !used || ctx.Err() != nil {
			return m, err
		}
		// The server may have closed the connection after its last use.
	}
}

// askOn asks by c, and keeps c or closes it.
func (s *server) askOn(ctx context.Context, c net.Conn, q *dns.Msg) (*dns.Msg, error) {
	unbound := bound(ctx, c)
	co := dns.Conn{Conn: c}
	err := co.WriteMsg(q)
	var m *dns.Msg
	if err == nil {
		var p []byte
		if p, err = co.ReadMsgHeader(nil); err == nil {
			m, err = parse(p, q)
		}
	}
	if unbound() && err == nil {
		s.keep(c)
	} else {
		c.Close()
	}
	return m, err
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	if err != nil || s.tls == nil {
		return c, err
	}
	t := tls.Client(c, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// bound ends c's reading and writing with ctx, until the function that it returns is called, which reports whether c
// may still be used.
func bound(ctx context.Context, c net.Conn) (unbound func() bool) {
	return context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
}

// take is the connection that was used last, if the server will hardly have closed it yet.
func (s *server) take() (net.Conn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.idle) > 0 {
		last := s.idle[len(s.idle)-1]
		if time.Since(last.since) < idleTime {
			s.idle = s.idle[:len(s.idle)-1]
			return last.Conn, true
		}
		for _, old := range s.idle {
			old.Close()
		}
		s.idle = nil
	}
	return nil, false
}

func (s *server) keep(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return
	}
	s.idle = append(s.idle, stream{c, time.Now()}) // at most one for each slot
}

func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.idle {
		old.Close()
	}
	s.idle, s.closed = nil, true
}

// parse reads p, which has at least a header, as the answer to q. A message that is cut off within a record, as some
// servers truncate, is an answer without records.
func parse(p []byte, q *dns.Msg) (*dns.Msg, error) {
	if binary.BigEndian.Uint16(p) != q.Id {
		return nil, errForeign
	}
	m := new(dns.Msg)
	err := m.Unpack(p)
	if !m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return nil, errForeign
	}
	if asked, answered := q.Question[0], m.Question[0]; asked.Qtype != answered.Qtype ||
		asked.Qclass != answered.Qclass || !strings.EqualFold(asked.Name, answered.Name) {
		return nil, errForeign
	}
	if err != nil && !m.Truncated {
		return nil, err
	}
	if err != nil {
		m.Answer, m.Ns, m.Extra = nil, nil, nil
	}
	all := len(m.Answer)
	if m.Answer = onChain(m); len(m.Answer) == 0 && all > 0 && m.Rcode == dns.RcodeSuccess {
		return nil, errors.New("the answer has records of other names alone")
	}
	return m, nil
}

// onChain are the answer's records of the question's class and name, and of the names that CNAME records lead to from
// there, in whatever order. Others would be taken for the answer, although nobody asked for them.
func onChain(m *dns.Msg) (kept []dns.RR) {
	class := m.Question[0].Qclass
	next := map[string]string{}
	for _, rr := range m.Answer {
		if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == class {
			next[dns.CanonicalName(c.Hdr.Name)] = dns.CanonicalName(c.Target)
		}
	}
	chain := map[string]bool{}
	for name, ok := dns.CanonicalName(m.Question[0].Name), true; ok && !chain[name]; name, ok = next[name] {
		chain[name] = true
	}
	for _, rr := range m.Answer {
		if h := rr.Header(); h.Class == class && chain[dns.CanonicalName(h.Name)] {
			kept = append(kept, rr)
		}
	}
	return kept
}
