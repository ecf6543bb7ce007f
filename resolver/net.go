package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// Net is a net.Resolver that is guarded by a new Resolver:
//
//	net.DefaultResolver = resolver.Net()
//
// It is for the beginning of a program, which has no place for an error: if New fails, each look-up fails with New's
// error. See [Resolver.Net] for what it guards.
func Net(opts ...Option) *net.Resolver {
	r, err := New(opts...)
	if err != nil {
		return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, err
		}}
	}
	return r.Net()
}

// Net is a net.Resolver whose look-ups go through r. Code that takes a *net.Resolver, such as a net.Dialer, is guarded
// by it. A blocked name gives a *net.DNSError whose IsNotFound is true; [Resolver.Check] says whether it is blocked,
// and why. The look-ups of r itself, such as [Resolver.LookupHost], give an error that unwraps to *Blocked.
//
// Package net still does its part. It reads /etc/hosts first, and no name there is judged. It adds the search list of
// /etc/resolv.conf, and waits as long and tries as often as that file says. On Windows it has no search list. Programs
// that are started, and C code that resolves names, are not guarded.
func (r *Resolver) Net() *net.Resolver { return r.tracked(nil) }

// tracked is Net with causes, which may be nil, for what net.Resolver does not pass on.
func (r *Resolver) tracked(t *causes) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		client, server := net.Pipe()
		ctx, cancel := context.WithCancel(ctx) // package net's query has the same one
		go r.serve(ctx, server, t)
		return &conn{client, cancel}, nil
	}}
}

// conn is a connection to a DNS server within the program. Package net sends messages with their lengths, as by TCP,
// since it has no method of a net.PacketConn. Whoever dials it has to close it.
type conn struct {
	net.Conn
	cancel context.CancelFunc
}

// Close ends what the server does for the connection.
func (c *conn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// serve answers queries on c until its other end is closed.
func (r *Resolver) serve(ctx context.Context, c net.Conn, t *causes) {
	defer c.Close()
	co := &dns.Conn{Conn: c}
	for {
		q, err := co.ReadMsg()
		if err != nil || co.WriteMsg(r.reply(ctx, q, t)) != nil {
			return
		}
	}
}

// reply answers a query. Names that are blocked do not exist.
func (r *Resolver) reply(ctx context.Context, q *dns.Msg, t *causes) *dns.Msg {
	out := new(dns.Msg)
	out.SetReply(q)
	out.RecursionAvailable = true
	if q.Response || q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 || q.Question[0].Qclass != dns.ClassINET {
		out.Rcode = dns.RcodeRefused
		return out
	}
	asked, ok := newQuery(q.Question[0].Name, q.Question[0].Qtype)
	if !ok {
		out.Rcode = dns.RcodeFormatError
		return out
	}
	settings := r.source.settings()
	_, failure := r.judge(ctx, settings, asked)
	var e *entry
	if failure == nil {
		e, failure = r.lookup(ctx, settings, asked)
	}
	if failure == nil && e.blocked != nil {
		failure = notFound(asked.name, e.server, e.blocked)
	}
	switch {
	case failure == nil:
		out.Rcode, out.Answer, out.Ns, out.Compress = e.msg.Rcode, e.msg.Answer, e.msg.Ns, true
	case failure.IsNotFound:
		t.add(failure)
		out.Rcode = dns.RcodeNameError
	default:
		t.add(failure)
		out.Rcode = dns.RcodeServerFailure
	}
	return out
}

// causes keeps why a name of one look-up was blocked, and why the servers gave no answer: the first of each. A nil
// causes keeps nothing.
type causes struct {
	mu              sync.Mutex
	blocked, failed *net.DNSError
}

func (t *causes) add(e *net.DNSError) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	to := &t.failed
	if e.IsNotFound {
		to = &t.blocked
	}
	if *to == nil {
		*to = e
	}
}

// explain gives package net's error the cause that it does not know.
func (t *causes) explain(err error) error {
	var e *net.DNSError
	if !errors.As(err, &e) {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	cause := t.failed
	if e.IsNotFound {
		cause = t.blocked
	}
	if cause == nil {
		return err
	}
	out := *cause
	out.Name = e.Name
	return &out
}

// look does a look-up of net.Resolver. A resolver of its own for each keeps causes apart: one resolver joins look-ups.
func look[T any](r *Resolver, f func(*net.Resolver) (T, error)) (T, error) {
	var t causes
	out, err := f(r.tracked(&t))
	return out, t.explain(err)
}

// LookupHost is net.Resolver's. As with all look-ups here, the error for a blocked name unwraps to *Blocked or
// *UpstreamBlocked, and package net does its part as [Resolver.Net] says.
func (r *Resolver) LookupHost(ctx context.Context, host string) (addrs []string, err error) {
	return look(r, func(n *net.Resolver) ([]string, error) { return n.LookupHost(ctx, host) })
}

// LookupIP is net.Resolver's. network is "ip", "ip4" or "ip6".
func (r *Resolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	return look(r, func(n *net.Resolver) ([]net.IP, error) { return n.LookupIP(ctx, network, host) })
}

// LookupIPAddr is net.Resolver's.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return look(r, func(n *net.Resolver) ([]net.IPAddr, error) { return n.LookupIPAddr(ctx, host) })
}

// LookupNetIP is net.Resolver's. network is "ip", "ip4" or "ip6".
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return look(r, func(n *net.Resolver) ([]netip.Addr, error) { return n.LookupNetIP(ctx, network, host) })
}

// LookupAddr is net.Resolver's. Reverse names are not scored.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) (names []string, err error) {
	return look(r, func(n *net.Resolver) ([]string, error) { return n.LookupAddr(ctx, addr) })
}

// LookupCNAME is net.Resolver's.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	return look(r, func(n *net.Resolver) (string, error) { return n.LookupCNAME(ctx, host) })
}

// LookupMX is net.Resolver's.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return look(r, func(n *net.Resolver) ([]*net.MX, error) { return n.LookupMX(ctx, name) })
}

// LookupNS is net.Resolver's.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	return look(r, func(n *net.Resolver) ([]*net.NS, error) { return n.LookupNS(ctx, name) })
}

// LookupTXT is net.Resolver's.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return look(r, func(n *net.Resolver) ([]string, error) { return n.LookupTXT(ctx, name) })
}

// LookupSRV is net.Resolver's.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV,
	err error) {
	var t causes
	cname, records, err = r.tracked(&t).LookupSRV(ctx, service, proto, name)
	return cname, records, t.explain(err)
}
