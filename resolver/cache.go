package resolver

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

const (
	defaultCache = 4096
	maxAnswer    = 4096 // bytes of an answer that is remembered

	maxTTL      = time.Hour
	maxNegative = 5 * time.Minute // for names that do not exist or are blocked by a server
)

// key is what an answer is to.
type key struct {
	name  string
	qtype uint16
}

// entry is a server's answer. It never changes.
type entry struct {
	msg     *dns.Msg
	server  string
	blocked *UpstreamBlocked // nil if the server does not block the name
	came    time.Time
	until   time.Time // when it is forgotten
}

func newEntry(q query, m *dns.Msg, server string) *entry {
	e := &entry{msg: m, server: server, blocked: blockedBy(m), came: time.Now()}
	if e.blocked != nil {
		e.blocked.Name, e.blocked.Server = strings.TrimSuffix(q.name, "."), server
	}
	e.until = e.came.Add(lifetime(m, q.qtype, e.blocked != nil))
	return e
}

// lifetime is how long an answer holds: as long as its first record that ends. That a name or its records are not there
// holds as RFC 2308 says, and not at all if the answer does not say how long.
func lifetime(m *dns.Msg, qtype uint16, blocked bool) time.Duration {
	seconds, found := uint32(maxTTL/time.Second), false
	for _, rr := range m.Answer {
		seconds = min(seconds, rr.Header().Ttl)
		found = found || rr.Header().Rrtype == qtype
	}
	if found && m.Rcode == dns.RcodeSuccess && !blocked {
		return time.Duration(seconds) * time.Second
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(time.Duration(min(seconds, soa.Minttl, soa.Hdr.Ttl))*time.Second, maxNegative)
		}
	}
	return 0
}

// blockedBy says that the server that sent m blocks the name, else nil.
func blockedBy(m *dns.Msg) *UpstreamBlocked {
	if opt := m.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			e, ok := option.(*dns.EDNS0_EDE)
			if !ok {
				continue
			}
			switch e.InfoCode {
			case dns.ExtendedErrorCodeBlocked, dns.ExtendedErrorCodeCensored, dns.ExtendedErrorCodeFiltered:
				return &UpstreamBlocked{Reason: e.ExtraText, Code: e.InfoCode}
			}
		}
	}
	if m.Rcode == dns.RcodeNameError && !m.RecursionAvailable && !m.Authoritative {
		return new(UpstreamBlocked)
	}
	return nil
}

// answer is what Resolve returns for e.
func (e *entry) answer(q query, d detect.Decision) (*Answer, *net.DNSError) {
	if e.blocked != nil {
		return nil, notFound(q.name, e.server, e.blocked)
	}
	if !has(e.msg, q.qtype) || e.msg.Rcode != dns.RcodeSuccess {
		return nil, notFound(q.name, e.server, nil)
	}
	age := uint32(time.Since(e.came) / time.Second)
	records := make([]dns.RR, len(e.msg.Answer))
	for i, rr := range e.msg.Answer {
		records[i] = dns.Copy(rr)
		h := records[i].Header()
		h.Ttl -= min(age, h.Ttl)
	}
	return &Answer{Name: q.name, Records: records, Server: e.server, Decision: d}, nil
}

// has reports whether an answer has a record of a type.
func has(m *dns.Msg, qtype uint16) bool {
	return slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		return rr.Header().Rrtype == qtype || qtype == dns.TypeANY
	})
}

// cache remembers answers, and throws out the one that was not asked for the longest. It is safe for concurrent use. A
// nil cache is empty and stays so.
type cache struct{ entries *lru.Cache[key, *entry] }

// newCache makes a cache of at most n entries.
func newCache(n int) *cache {
	entries, err := lru.New[key, *entry](n)
	if err != nil { // n is not positive
		return nil
	}
	return &cache{entries}
}

// get is the entry for k, nil if there is none that still holds.
func (c *cache) get(k key) *entry {
	if c == nil {
		return nil
	}
	e, ok := c.entries.Get(k)
	if !ok || !time.Now().Before(e.until) {
		return nil
	}
	return e
}

func (c *cache) put(k key, e *entry) {
	if c != nil && time.Now().Before(e.until) && e.msg.Len() <= maxAnswer {
		c.entries.Add(k, e)
	}
}

// joined are the look-ups under way. Callers that look up the same thing at the same time share one.
type joined struct {
	mu    sync.Mutex
	calls map[key]*call
}

type call struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int // callers; guarded by the lock of joined
	entry   *entry
	err     *net.DNSError
}

// do calls ask once for all callers that want k meanwhile. A caller leaves when its ctx ends. The context that ask gets
// ends when the last caller has left, or with base. (Package singleflight cannot tell when the last one leaves.)
func (j *joined) do(ctx, base context.Context, k key, ask func(context.Context) (*entry, *net.DNSError)) (*entry,
	*net.DNSError) {
	j.mu.Lock()
	c := j.calls[k]
	if c == nil {
		c = &call{done: make(chan struct{})}
		if j.calls == nil {
			j.calls = map[key]*call{}
		}
		j.calls[k] = c
		var asking context.Context
		asking, c.cancel = context.WithCancel(base)
		go func() {
			c.entry, c.err = ask(asking)
			j.leave(k, c, true)
			close(c.done)
		}()
	}
	c.waiting++
	j.mu.Unlock()
	select {
	case <-c.done:
		return c.entry, c.err
	case <-ctx.Done():
		j.leave(k, c, false)
		return nil, failed(k.name, "", ctx.Err())
	}
}

// leave takes a caller off c, or all of them if c is over. The next caller begins a new call if nobody is left.
func (j *joined) leave(k key, c *call, over bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.waiting--; over || c.waiting == 0 {
		c.cancel()
		if j.calls[k] == c {
			delete(j.calls, k)
		}
	}
}
