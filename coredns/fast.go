package degas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// A front stands before a UDP socket of CoreDNS: it answers a query that it has seen before, byte by byte but for the
// ID, from the bytes of the answer, with its TTLs counted down. CoreDNS sees all other queries, and each of these again
// after mostKept. The front is for server blocks without plugins that look at the client or change answers: see
// frontable.
//
// CoreDNS keeps its socket. The front's sockets have the same address, and a filter in the kernel hands all packets to
// them (fast_linux.go).
type front struct {
	conns   []net.PacketConn
	servers []*dns.Server // of each
	serving sync.WaitGroup
	packets *packets
	behind  atomic.Pointer[behind]
}

// behind is the server and the plugin that a front stands before.
type behind struct {
	server *dnsserver.Server
	plugin *Degas
	name   string // of the server, for metrics
}

// fronts are those of this process, by address. A Corefile that is read again finds the one that is there, with its
// sockets.
var fronts = struct {
	sync.Mutex
	by map[string]*front
}{by: map[string]*front{}}

// unfit are plugins that look at who asks, or whose answers differ from query to query.
var unfit = []string{"acl", "autopath", "dnstap", "erratic", "geoip", "loadbalance", "local", "log", "nsid",
	"proxyproto", "rewrite", "shed", "template", "trace", "tsig", "view", "whoami"}

// frontable says why a server block can have no front, or "".
func frontable(c *dnsserver.Config) string {
	for _, name := range unfit {
		if c.Handler(name) != nil {
			return "the plugin " + name + " has to see every query"
		}
	}
	if c.NumSockets > 1 {
		return "the plugin multisocket is there"
	}
	if c.ProxyProtoConnPolicy != nil {
		return "the plugin proxyproto is there"
	}
	return ""
}

// stand puts d's front before a server, which is bound already.
func (d *Degas) stand(c *dnsserver.Config, s *dnsserver.Server) {
	why := frontable(c)
	address := strings.TrimPrefix(s.Addr, "dns://")
	at, err := netip.ParseAddrPort(address)
	switch {
	case why != "":
	case err != nil || at.Addr().IsUnspecified() || at.Port() == 0:
		why = "it listens at no certain address. Try: bind ADDRESS"
	case len(s.TsigSecret) > 0:
		why = "queries are signed"
	}
	if why != "" {
		log.Warningf("%s is not fast: %s", s.Addr, why)
		return
	}
	fronts.Lock()
	defer fronts.Unlock()
	if d.left {
		return // the server was stopped before it began
	}
	f := fronts.by[address]
	if f == nil {
		f = &front{packets: newPackets()}
		if f.conns, err = listenBefore(at); err != nil {
			log.Warningf("%s is not fast: %v", s.Addr, err)
			return
		}
		fronts.by[address] = f
	}
	d.fronts = append(d.fronts, address)
	first := f.behind.Swap(&behind{s, d, s.Addr}) == nil
	if !first {
		return
	}
	for _, conn := range f.conns {
		server := &dns.Server{PacketConn: &frontConn{conn.(*net.UDPConn), f}, Handler: f}
		f.servers = append(f.servers, server)
		f.serving.Go(func() {
			if err := server.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				log.Errorf("%s: %v", s.Addr, err)
			}
		})
	}
}

// leave takes d's fronts away, unless another plugin's took their places.
func (d *Degas) leave() {
	fronts.Lock()
	defer fronts.Unlock()
	for _, address := range d.fronts {
		if f := fronts.by[address]; f != nil && f.behind.Load().plugin == d {
			f.close()
			delete(fronts.by, address)
		}
	}
	d.fronts, d.left = nil, true
}

// drain is how long a front that closes still reads what has come to it.
const drain = 20 * time.Millisecond

// close gives the address back to CoreDNS' socket. Queries that came before are answered.
func (f *front) close() {
	if err := handBack(f.conns[0]); err != nil {
		log.Warningf("queries may get lost now: %v", err)
	}
	time.Sleep(drain)
	for i, server := range f.servers {
		_ = server.Shutdown() // it may not have begun
		f.conns[i].Close()
	}
	f.serving.Wait()
}

// frontConn reads queries, and gives those that have no answer yet.
type frontConn struct {
	*net.UDPConn
	front *front
}

// from is the address of a query, and its bytes behind the ID.
type from struct {
	net.UDPAddr
	at  netip.AddrPort
	raw []byte
}

// ReadFrom implements net.PacketConn. The address is a *from.
func (c *frontConn) ReadFrom(p []byte) (int, net.Addr, error) {
	var space [dns.MinMsgSize]byte
	for {
		n, at, err := c.ReadFromUDPAddrPort(p)
		if err != nil {
			return n, nil, err
		}
		if n > 16 {
			if answer := c.front.answer(space[:0], p[:n], at); answer != nil {
				if len(answer) > 0 {
					_, _ = c.WriteToUDPAddrPort(answer, at) // a client that is gone asks again
				}
				continue
			}
		}
		a := &from{UDPAddr: *net.UDPAddrFromAddrPort(at), at: at}
		if n > 2 {
			a.raw = bytes.Clone(p[2:n])
		}
		return n, a, nil
	}
}

// WriteTo implements net.PacketConn.
func (c *frontConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	return c.WriteToUDPAddrPort(p, addr.(*from).at)
}

// answer appends the answer to a query to dst. It is nil if CoreDNS has to answer, and empty if nobody may.
func (f *front) answer(dst, query []byte, at netip.AddrPort) []byte {
	b := f.behind.Load()
	now := time.Now()
	p := f.packets.find(query[2:], now)
	if p == nil || p.version != b.plugin.version() {
		return nil
	}
	client := at.Addr().Unmap()
	if !b.plugin.limits.allow(client, now) {
		limitedCount.WithLabelValues(b.name, "").Inc()
		return dst
	}
	dst = append(append(dst, query[:2]...), p.answer[2:]...)
	if age := uint32(now.Sub(p.born) / time.Second); age > 0 {
		for _, i := range p.ttls {
			ttl := dst[i : i+4]
			binary.BigEndian.PutUint32(ttl, binary.BigEndian.Uint32(ttl)-age)
		}
	}
	q := p.asked
	q.time, q.id, q.client = now, binary.BigEndian.Uint16(query), netip.AddrPortFrom(client, at.Port())
	p.hits.Inc()
	b.plugin.watched.add(&q, &p.decision, p.act)
	return dst
}

// ServeDNS implements dns.Handler: CoreDNS answers.
func (f *front) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	b := f.behind.Load()
	a := w.RemoteAddr().(*from)
	x := &exchange{ResponseWriter: w, front: f, from: a, behind: b, signed: r.IsTsig() != nil}
	ctx := context.WithValue(context.Background(), dnsserver.Key{}, b.server)
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
	b.server.ServeDNS(context.WithValue(ctx, exchangeKey{}, x), x, r)
}

// exchange is a query that CoreDNS answers. The plugin fills in what it decided.
type exchange struct {
	dns.ResponseWriter
	front  *front
	from   *from
	behind *behind
	signed bool

	looked  bool // a plugin before degas asked who the client is
	decided bool
	version uint64
	packet  packet
}

// exchangeKey is the exchange's in a context.
type exchangeKey struct{}

// RemoteAddr implements dns.ResponseWriter.
func (x *exchange) RemoteAddr() net.Addr {
	x.looked = true
	return &x.from.UDPAddr
}

// WriteMsg implements dns.ResponseWriter. It keeps the answer for the next one who asks.
func (x *exchange) WriteMsg(m *dns.Msg) error {
	if x.signed {
		return x.ResponseWriter.WriteMsg(m)
	}
	packed, err := m.Pack()
	if err != nil {
		return err
	}
	if _, err = x.Write(packed); err == nil && x.decided {
		x.keep(m, packed)
	}
	return err
}

// exchangeOf is the exchange that ctx is of, or nil.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// note tells a front what was decided about a query, if it may answer the next one itself.
func (d *Degas) note(ctx context.Context, q *query, decision *detect.Decision, a action) {
	x := q.exchange
	if x == nil {
		return
	}
	x.decided, x.version = true, q.version
	x.packet = packet{decision: *decision, act: a, asked: *q,
		hits: d.counters.of(q.server, q.view, decision.Verdict, a.does)}
	kept := &x.packet.asked
	kept.name, kept.asked, kept.exchange = bytes.Clone(q.name), nil, nil
}

// mostKept bounds how long an answer is kept. CoreDNS' cache then sees its popular names often enough to fetch them
// anew in time, and an answer from before an upstream failed is not given for long.
const mostKept = 10 * time.Second

// keep remembers an answer, if another query of the same bytes would get it too.
func (x *exchange) keep(m *dns.Msg, packed []byte) {
	if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError || len(packed) > dns.MinMsgSize*2 {
		return
	}
	// A pointer in the question leads to the ID, or to nothing: the same bytes can be another name.
	if bytes.IndexFunc(question(x.from.raw), func(r rune) bool { return r >= 0x80 }) >= 0 {
		return
	}
	ttls, least := ttlsOf(packed)
	if least == 0 || ttls == nil {
		return
	}
	p := new(packet) // not in x, which holds the engine
	*p = x.packet
	if p.act.does > report {
		ttls = nil // degas would make the same answer again
	}
	p.query, p.answer, p.ttls, p.version = x.from.raw, packed, ttls, x.version
	p.born = time.Now()
	p.until = p.born.Add(min(mostKept, time.Duration(least)*time.Second*9/10))
	p.asked.rcode, p.asked.size, p.asked.kind = events.RCode(m.Rcode), len(packed), events.Both
	x.front.packets.put(p)
}

// question is the question's name in what stands behind a query's ID.
func question(raw []byte) []byte {
	const counts = 10 // bytes of the header behind the ID
	if len(raw) < counts {
		return raw
	}
	return raw[counts:min(skipName(raw, counts), len(raw))]
}

// ttlsOf are where the TTLs of a message stand, and the least of them. It is nil if there is none, or the message has
// no form that it knows.
func ttlsOf(m []byte) (at []uint16, least uint32) {
	if len(m) < 12 {
		return nil, 0
	}
	i := skipName(m, 12)
	records := 0
	for k := 6; k < 12; k += 2 {
		records += int(binary.BigEndian.Uint16(m[k:]))
	}
	least = 1 << 31
	for i += 4; records > 0; records-- {
		if i = skipName(m, i); i+10 > len(m) {
			return nil, 0
		}
		if binary.BigEndian.Uint16(m[i:]) != dns.TypeOPT {
			at = append(at, uint16(i+4))
			least = min(least, binary.BigEndian.Uint32(m[i+4:]))
		}
		i += 10 + int(binary.BigEndian.Uint16(m[i+8:]))
	}
	return at, least
}

// skipName is where what stands behind a name begins.
func skipName(m []byte, i int) int {
	for i < len(m) {
		switch c := m[i]; {
		case c == 0:
			return i + 1
		case c >= 0xc0:
			return i + 2
		default:
			i += 1 + int(c)
		}
	}
	return len(m)
}

// packets is a table of answers that forgets what it has no room for. Nobody waits for anybody.
type packets struct {
	seed  maphash.Seed // secret, so that nobody can choose queries that push each other out
	slots []atomic.Pointer[packet]
}

// packet is a query with its answer. It never changes, and holds nothing of an engine: it may outlive one.
type packet struct {
	query       []byte // behind the ID
	answer      []byte
	ttls        []uint16 // where they stand in answer
	born, until time.Time
	version     uint64
	decision    detect.Decision
	act         action
	asked       query
	hits        interface{ Inc() }
}

// mostPackets is some 40 MB if every answer has the size that is kept at most.
const mostPackets = 1 << 15

func newPackets() *packets {
	return &packets{maphash.MakeSeed(), make([]atomic.Pointer[packet], mostPackets)}
}

// slotsOf are the two places that a query can have.
func (t *packets) slotsOf(query []byte) [2]*atomic.Pointer[packet] {
	h := maphash.Bytes(t.seed, query)
	return [2]*atomic.Pointer[packet]{&t.slots[h%mostPackets], &t.slots[(h>>32)%mostPackets]}
}

func (t *packets) find(query []byte, now time.Time) *packet {
	for _, slot := range t.slotsOf(query) {
		if p := slot.Load(); p != nil && now.Before(p.until) && bytes.Equal(p.query, query) {
			return p
		}
	}
	return nil
}

// put keeps a packet in place of an older one for the same query, of one that is over, or of either.
func (t *packets) put(p *packet) {
	slots := t.slotsOf(p.query)
	at := slices.IndexFunc(slots[:], func(s *atomic.Pointer[packet]) bool {
		old := s.Load()
		return old == nil || !p.born.Before(old.until) || bytes.Equal(old.query, p.query)
	})
	if at < 0 {
		at = rand.IntN(len(slots))
	}
	slots[at].Store(p)
}
