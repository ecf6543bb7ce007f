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
	"sync"
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
	left   bool     // it was stopped
}

// Name implements plugin.Handler.
func (d *Degas) Name() string { return name }

// ServeDNS implements plugin.Handler. It answers a query itself, drops it, or hands it to the next plugin.
func (d *Degas) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || !d.zoned(r) || probe(r.Question[0]) {
		if d.limits != nil && !d.limits.allow(peer(w.RemoteAddr()).Addr(), time.Now()) {
			limitedCount.WithLabelValues(metrics.WithServer(ctx), metrics.WithView(ctx)).Inc()
			return dns.RcodeSuccess, nil
		}
		return plugin.NextOrFailure(name, d.Next, ctx, w, r)
	}
	q := queries.Get().(*query)
	defer queries.Put(q)
	q.fill(ctx, d, w, r)
	if !d.limits.allow(q.client.Addr(), q.time) {
		limitedCount.WithLabelValues(q.server, q.view).Inc()
		return dns.RcodeSuccess, nil // nothing is written: an answer would serve whoever forged the client's address
	}
	if !ofInternet(r.Question[0].Qclass) { // such a query would reach the upstream, and nothing is known of it
		return dns.RcodeRefused, nil
	}
	decision, err := d.engine.decide(ctx, q)
	if err != nil {
		engineErrors.Inc()
		if d.failClosed {
			return dns.RcodeServerFailure, plugin.Error(name, err)
		}
		decision = detect.Decision{Class: detect.Benign.String()}
	}
	if p, ok := ctx.Value(publishedKey{d.engine}).(*published); ok {
		done := decision // a copy, so that no query but this one takes memory for it
		p.decision = &done
	}
	act, kind := d.action(&decision)
	if err == nil && !(d.async && decision.Rule == detect.NoRule) { // the next one may hear otherwise
		d.note(ctx, q, &decision, act)
	}
	if act.does <= report {
		return d.forward(ctx, w, r, q, &decision, act)
	}
	q.kind = events.Both
	if act.does != drop {
		m := d.answer(r, act, kind, &decision)
		q.rcode, q.size = events.RCode(m.Rcode), m.Len()
		if err := w.WriteMsg(m); err != nil {
			log.Debugf("answer %s: %v", q.client, err)
		}
	}
	d.observe(q, &decision, act)
	// The answer is written whatever its code is: returning the code would make CoreDNS write another one.
	return dns.RcodeSuccess, nil
}

// probe reports whether a question is the plugin loop's, which has to come back to it: two random numbers, and no
// domain.
func probe(q dns.Question) bool {
	first, second, ok := strings.Cut(strings.TrimSuffix(q.Name, "."), ".")
	return ok && q.Qtype == dns.TypeHINFO && strings.Trim(first+second, "0123456789") == ""
}

// zoned reports whether a query is about the zones that the plugin is for.
func (d *Degas) zoned(r *dns.Msg) bool {
	return d.everything || plugin.Zones(d.zones).Matches(strings.ToLower(r.Question[0].Name)) != ""
}

// ofInternet reports whether a query of a class may be answered with what the Internet has. Some resolvers take ANY so.
func ofInternet(class uint16) bool { return class == dns.ClassINET || class == dns.ClassANY }

// forward hands a query on, and observes what the answer is.
func (d *Degas) forward(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, q *query, decision *detect.Decision,
	act action) (int, error) {
	rec := recorder{ResponseWriter: w, rcode: events.NoRCode}
	rcode, err := plugin.NextOrFailure(name, d.Next, ctx, &rec, r)
	if rec.rcode == events.NoRCode && !plugin.ClientWrite(rcode) {
		rec.rcode = events.RCode(rcode)
	}
	q.rcode, q.size, q.kind = rec.rcode, rec.size, events.Query
	if q.rcode != events.NoRCode {
		q.kind = events.Both
	}
	d.observe(q, decision, act)
	return rcode, err
}

// query is what is known of a query. It is used again for another one.
type query struct {
	time         time.Time
	name         []byte // as events write it
	asked        []byte // as a Policy reads it
	qtype, id    uint16
	client       netip.AddrPort
	server, view string
	transport    events.Transport
	rcode        events.RCode
	size         int
	kind         events.Kind

	exchange *exchange // of a front that may keep the answer, or nil
	version  uint64    // the engine's, before it decides
}

var queries = sync.Pool{New: func() any { return &query{name: make([]byte, 0, 256), asked: make([]byte, 0, 256)} }}

// fill describes r, to which nothing is answered yet.
func (q *query) fill(ctx context.Context, d *Degas, w dns.ResponseWriter, r *dns.Msg) {
	*q = query{time: time.Now(), qtype: r.Question[0].Qtype, id: r.Id, server: metrics.WithServer(ctx),
		view: metrics.WithView(ctx), rcode: events.NoRCode, version: d.version(), name: q.name[:0], asked: q.asked[:0]}
	q.name = appendName(q.name, r.Question[0].Name)
	q.asked = detect.AppendAsked(q.asked, q.name)
	// Where a plugin has looked at the client, as a view does, the answer may be for this client alone.
	x := exchangeOf(ctx)
	if x != nil && !x.looked {
		q.exchange = x
	}
	from := w.RemoteAddr()
	q.client, q.transport = peer(from), transportOf(q.server, from)
	if q.exchange != nil {
		x.looked = false // this look changes nothing
	}
}

// event describes q to the watch and the log. The name stays q's.
func (q *query) event(e *events.Event) {
	e.Reset()
	e.Time, e.Name, e.ID, e.Type = q.time, q.name, q.id, events.Type(q.qtype)
	e.Client = events.Peer{Addr: q.client.Addr(), Port: q.client.Port()}
	e.Transport, e.RCode, e.Size, e.Kind = q.transport, q.rcode, q.size, q.kind
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
func peer(a net.Addr) netip.AddrPort {
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
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// transportOf is what carried a query from an address to a server such as "tls://.:853".
func transportOf(server string, from net.Addr) events.Transport {
	if scheme, _, ok := strings.Cut(server, "://"); ok && scheme != "dns" {
		return events.ParseTransport(strings.TrimSuffix(scheme, "3")) // https3
	}
	if _, ok := from.(*net.TCPAddr); ok {
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
	return d.publish(ctx, state.Req)
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
		s += fmt.Sprintf(" score=%.3f model=%s rule=model", decision.Score, d.called())
	}
	return s[:min(len(s), 120)]
}
