// Package degas is a plugin of CoreDNS that decides about names before they are looked up. Names on an allow list pass,
// names on a block list are blocked, and a model scores all others: names made by malware (DGA) and names that carry
// data (tunnels). What the queries of a client or of a domain say together is evidence for a watch, which finds tunnels
// that no single name betrays.
//
// README.md is the manual. The package follows CoreDNS' conventions for plugins; https://coredns.io/manual/plugins has
// them.
package degas

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

const name = "degas"

var log = clog.NewWithPlugin(name)

// Degas is the plugin of a server block. It implements plugin.Handler, metadata.Provider and ready.Readiness.
type Degas struct {
	// Next is the plugin behind this one.
	Next plugin.Handler
	*engine
	fronts []string // addresses that it stands before
}

// Name implements plugin.Handler.
func (d *Degas) Name() string { return name }

// ServeDNS implements plugin.Handler. It answers a query itself, drops it, or hands it to the next plugin.
func (d *Degas) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || r.Question[0].Qclass != dns.ClassINET ||
		plugin.Zones(d.zones).Matches(strings.ToLower(r.Question[0].Name)) == "" {
		return plugin.NextOrFailure(name, d.Next, ctx, w, r)
	}
	q := d.query(ctx, w, r)
	if !d.limits.allow(q.Client.Addr, q.Time) {
		limitedCount.WithLabelValues(q.server, metrics.WithView(ctx)).Inc()
		return dns.RcodeSuccess, nil // nothing is written: an answer would serve whoever forged the client's address
	}
	decision, err := d.engine.decide(ctx, q)
	if err != nil {
		engineErrors.Inc()
		if d.failClosed {
			return dns.RcodeServerFailure, plugin.Error(name, err)
		}
		decision = detect.Decision{Class: detect.Benign.String()}
	}
	act, kind := d.action(&decision)
	if err == nil && !(d.async && decision.Rule == detect.NoRule) { // the next one may hear otherwise
		d.note(ctx, q, &decision, act)
	}
	if act.does == pass || act.does == report {
		return d.forward(ctx, w, r, q, &decision, act)
	}
	q.Kind = events.Both
	done := func(rcode int) (int, error) {
		d.observe(ctx, q, &decision, act)
		return rcode, nil
	}
	if act.does == drop {
		return done(dns.RcodeSuccess)
	}
	m := d.answer(r, act, kind, &decision)
	q.RCode, q.Size = events.RCode(m.Rcode), m.Len()
	if err := w.WriteMsg(m); err != nil {
		log.Debugf("answer %s: %v", q.Client, err)
	}
	// The answer is written whatever its code is: returning the code would make CoreDNS write another one.
	return done(dns.RcodeSuccess)
}

// forward hands a query on, and observes what the answer is.
func (d *Degas) forward(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, q *query, decision *detect.Decision,
	act action) (int, error) {
	rec := recorder{ResponseWriter: w, rcode: events.NoRCode}
	rcode, err := plugin.NextOrFailure(name, d.Next, ctx, &rec, r)
	if rec.rcode == events.NoRCode && !plugin.ClientWrite(rcode) {
		rec.rcode = events.RCode(rcode)
	}
	q.RCode, q.Size, q.Kind = rec.rcode, rec.size, events.Query
	if q.RCode != events.NoRCode {
		q.Kind = events.Both
	}
	d.observe(ctx, q, decision, act)
	return rcode, err
}

// query is a query as events describe it, and the server that it came to.
type query struct {
	events.Event
	server string
}

// query describes r. The name is the event's own memory.
func (d *Degas) query(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) *query {
	q := &query{server: metrics.WithServer(ctx)}
	q.Time = time.Now()
	q.Name = appendName(make([]byte, 0, len(r.Question[0].Name)), r.Question[0].Name)
	q.Type, q.RCode, q.ID = events.Type(r.Question[0].Qtype), events.NoRCode, r.Id
	q.Client, q.Server = peer(w.RemoteAddr()), peer(w.LocalAddr())
	q.Transport = transportOf(q.server, w)
	return q
}

// appendName appends a name of a message to dst as events write it: without the final dot, every byte itself but for a
// dot and a backslash inside a label, which have a backslash before them.
func appendName(dst []byte, s string) []byte {
	if s != "." {
		s = strings.TrimSuffix(s, ".")
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			dst = append(dst, c)
			continue
		}
		if i++; i+2 < len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			c = (s[i]-'0')*100 + (s[i+1]-'0')*10 + (s[i+2] - '0')
			i += 2
		} else {
			c = s[i]
		}
		if c == '.' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return dst
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// peer is an end of an exchange.
func peer(a net.Addr) events.Peer {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		at = a.AddrPort()
	case *net.TCPAddr:
		at = a.AddrPort()
	case nil:
	default:
		at, _ = netip.ParseAddrPort(a.String())
	}
	return events.Peer{Addr: at.Addr().Unmap(), Port: at.Port()}
}

// transportOf is what carried a query to a server such as "tls://.:853".
func transportOf(server string, w dns.ResponseWriter) events.Transport {
	if scheme, _, ok := strings.Cut(server, "://"); ok && scheme != "dns" {
		return events.ParseTransport(strings.TrimSuffix(scheme, "3")) // https3
	}
	if _, ok := w.RemoteAddr().(*net.TCPAddr); ok {
		return events.TCP
	}
	return events.UDP
}

// recorder remembers what was answered.
type recorder struct {
	dns.ResponseWriter
	rcode events.RCode
	size  int
}

// WriteMsg implements dns.ResponseWriter.
func (r *recorder) WriteMsg(m *dns.Msg) error {
	r.rcode, r.size = events.RCode(m.Rcode), m.Len()
	return r.ResponseWriter.WriteMsg(m)
}

// Write implements dns.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if len(b) > 3 {
		r.rcode, r.size = events.RCode(b[3]&0xf), len(b)
	}
	return r.ResponseWriter.Write(b)
}

// Ready implements ready.Readiness: the model and every list are there.
func (d *Degas) Ready() bool { return d.ready() }

// Metadata implements metadata.Provider. Nothing is scored unless somebody asks.
func (d *Degas) Metadata(ctx context.Context, state request.Request) context.Context {
	d.publish(ctx, state.Req)
	return ctx
}

// reason says in at most 120 bytes why a query is blocked. Its parts are fixed texts, numbers, and the base of a path
// from the Corefile: nothing that a stranger chose.
func (d *Degas) reason(decision *detect.Decision) string {
	s := "degas class=" + decision.Class
	switch decision.Rule {
	case detect.BlockList:
		s += " rule=block:" + baseOf(decision.List)
	case detect.Evidence:
		s += " rule=evidence"
	default:
		s += fmt.Sprintf(" score=%.3f model=%s rule=model", decision.Score, d.called)
	}
	return s[:min(len(s), 120)]
}
