package resolver

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
)

// ede adds an extended error to an answer.
func ede(m *dns.Msg, code uint16, text string) *dns.Msg {
	m.SetEdns0(payload, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: text})
	return m
}

// packed is m in wire format.
func packed(m *dns.Msg) []byte {
	p, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return p
}

// good is a right answer to q.
func good(q *dns.Msg) *dns.Msg {
	return answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A 192.0.2.1")
}

// overTCP reports whether a query came by TCP.
func overTCP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

// A server that lies or fails is found out, and the next one answers. A name that a server denies or blocks is not
// looked for elsewhere.
func TestLies(t *testing.T) {
	const first, next, missing, blocked = "first", "next", "missing", "blocked"
	for _, c := range []struct {
		name, want string
		protocol   string
		handle     func(w dns.ResponseWriter, q *dns.Msg)
	}{
		{"wrong ID, then right", first, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := good(q)
			m.Id++
			w.WriteMsg(m)
			w.WriteMsg(good(q))
		}},
		{"wrong question, then right", first, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := good(q)
			m.Question[0].Name = "evil.example."
			w.WriteMsg(m)
			m.Question[0] = dns.Question{Name: q.Question[0].Name, Qtype: dns.TypeMX, Qclass: dns.ClassINET}
			w.WriteMsg(m)
			w.Write(packed(q)) // no response
			w.Write([]byte{1, 2, 3})
			w.Write(nil)
			m = good(q)
			m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
			w.WriteMsg(m)
		}},
		{"half a message", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			p := packed(good(q))
			w.Write(p[:len(p)-3])
		}},
		{"truncated", first, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := good(q)
			if !overTCP(w) {
				m.Truncated, m.Answer = true, nil
			}
			w.WriteMsg(m)
		}},
		{"truncated within a record", first, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := good(q)
			m.Truncated = !overTCP(w)
			p := packed(m)
			if m.Truncated {
				p = p[:len(p)-3]
			}
			w.Write(p)
		}},
		{"truncated by TCP too", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN CNAME other.example.")
			m.Truncated = true
			w.WriteMsg(m)
		}},
		{"another name's record", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(answer(q, dns.RcodeSuccess, "evil.example. 60 IN A 192.0.2.66"))
		}},
		{"another class", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 CH A 192.0.2.66"))
		}},
		{"SERVFAIL", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(answer(q, dns.RcodeServerFailure)) }},
		{"REFUSED", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(answer(q, dns.RcodeRefused)) }},
		{"BADVERS", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := answer(q, dns.RcodeBadVers)
			m.SetEdns0(payload, false)
			w.WriteMsg(m)
		}},
		{"a referral", next, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := answer(q, dns.RcodeSuccess)
			m.RecursionAvailable = false
			w.WriteMsg(m)
		}},
		{"NXDOMAIN", missing, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(answer(q, dns.RcodeNameError, soa))
		}},
		{"NXDOMAIN of the authority", missing, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := answer(q, dns.RcodeNameError, soa)
			m.RecursionAvailable, m.Authoritative = false, true
			w.WriteMsg(m)
		}},
		{"no such records", missing, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN CNAME other.example.", soa))
		}},
		{"NXDOMAIN without recursion", blocked, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := answer(q, dns.RcodeNameError)
			m.RecursionAvailable = false
			w.WriteMsg(m)
		}},
		{"EDE 15", blocked, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(ede(answer(q, dns.RcodeNameError), dns.ExtendedErrorCodeBlocked, "mal\x1bware"))
		}},
		{"EDE 16 with REFUSED", blocked, "tcp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(ede(answer(q, dns.RcodeRefused), dns.ExtendedErrorCodeCensored, ""))
		}},
		{"EDE 17 with an address", blocked, "udp", func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(ede(answer(q, dns.RcodeSuccess, q.Question[0].Name+" 60 IN A 0.0.0.0"), 17, ""))
		}},
		{"EDE 3, a stale answer", first, "udp", func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(ede(good(q), 3, "")) }},
		{"wrong ID", next, "tcp", func(w dns.ResponseWriter, q *dns.Msg) {
			m := good(q)
			m.Id++
			w.WriteMsg(m)
		}},
		{"half a message", next, "tcp", func(w dns.ResponseWriter, q *dns.Msg) {
			p := packed(good(q))
			w.Write(p[:len(p)-3])
		}},
		{"closed at once", next, "tcp", func(w dns.ResponseWriter, _ *dns.Msg) { w.Close() }},
	} {
		t.Run(c.protocol+" "+c.name, func(t *testing.T) {
			liar, other := serve(t, nil, c.handle), serve(t, nil, nil)
			r := fresh(t, WithServers(c.protocol+"://"+liar.addr, other.addr), WithAttempts(1))
			a, err := r.Resolve(context.Background(), "www.google.com.", dns.TypeA)
			var old *net.DNSError
			var by *UpstreamBlocked
			errors.As(err, &old)
			errors.As(err, &by)
			got := ""
			switch {
			case err == nil && a.Server == liar.addr:
				got = first
			case err == nil:
				got = next
			case by != nil && old.IsNotFound:
				got = blocked
			case old.IsNotFound:
				got = missing
			}
			if got != c.want || (got == next) != (other.asked() > 0) {
				t.Fatalf("%q, want %q: %+v, %v; the next server got %d queries", got, c.want, a, err, other.asked())
			}
			if by != nil && (by.Server != liar.addr || by.Name != "www.google.com" || strings.Contains(by.Error(), "\x1b") ||
				strings.HasPrefix(c.name, "EDE 15") != (by.Reason == "mal\x1bware")) {
				t.Errorf("%+v: %v", by, by)
			}
		})
	}
}

// Records beside the chain from the question are not the answer's, whatever the order of the others.
func TestOnChain(t *testing.T) {
	u := serve(t, nil, func(w dns.ResponseWriter, q *dns.Msg) {
		name := q.Question[0].Name
		w.WriteMsg(answer(q, dns.RcodeSuccess, "evil.example. 60 IN A 192.0.2.66", "b.example. 60 IN A 192.0.2.1",
			name+" 60 CH A 192.0.2.66", "A.example. 60 IN CNAME b.example.", name+" 60 IN CNAME a.EXAMPLE.",
			"evil.example. 60 IN CNAME a.example.", "b.example. 60 IN CNAME "+name))
	})
	a, err := fresh(t, WithServers(u.addr)).Resolve(t.Context(), "www.google.com.", dns.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	var owners []string
	for _, rr := range a.Records {
		owners = append(owners, rr.Header().Name)
	}
	if got, want := strings.Join(owners, " "), "b.example. A.example. www.google.com. b.example."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// silent never answers.
func silent(dns.ResponseWriter, *dns.Msg) {}

// The next server is asked if one is dead or says nothing; the silent one is then asked last.
func TestDeadServers(t *testing.T) {
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	mute, other := serve(t, nil, silent), serve(t, nil, nil)
	r := fresh(t, WithServers(dead.LocalAddr().String(), mute.addr, other.addr), WithTimeout(200*time.Millisecond),
		WithAttempts(5))
	for i := range 5 {
		if _, err := r.Resolve(context.Background(), fmt.Sprintf("www%d.google.com.", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	if n := mute.asked(); n == 0 || n > 4 { // once, if the other is never slow
		t.Errorf("the silent server was asked %d times", mute.asked())
	}
	r = fresh(t, WithServers(mute.addr, dead.LocalAddr().String()), WithTimeout(50*time.Millisecond), WithAttempts(1))
	_, err = r.Resolve(context.Background(), "www.google.com", dns.TypeA)
	var e *net.DNSError
	if !errors.As(err, &e) || e.IsNotFound || !e.IsTemporary || e.Server == "" || e.Name != "www.google.com" {
		t.Errorf("%+v", err)
	}
	// Package net would name the system's server, which was never asked.
	_, err = r.LookupHost(context.Background(), "www.google.com")
	if !errors.As(err, &e) || e.IsNotFound || e.Unwrap() == nil ||
		e.Server != mute.addr && e.Server != dead.LocalAddr().String() {
		t.Errorf("LookupHost: %+v, want one of the servers, and the cause", err)
	}
}

// A caller gets away when its context ends, and takes its query along.
func TestCancelled(t *testing.T) {
	mute := serve(t, nil, silent)
	for _, protocol := range []string{"udp://", "tcp://"} {
		r := fresh(t, WithServers(protocol+mute.addr))
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := r.Resolve(ctx, "www.google.com", dns.TypeA)
		if e, ok := err.(*net.DNSError); !ok || !e.IsTimeout || e.IsNotFound || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v", err)
		}
		asked := mute.asked()
		if _, err := r.Resolve(ctx, "www.google.com", dns.TypeA); err == nil || mute.asked() != asked {
			t.Error("asked after the end:", err)
		}
		if _, err := r.LookupMX(ctx, "google.com"); err == nil || mute.asked() != asked {
			t.Error("asked after the end:", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		settle(t, before)
	}
	r := fresh(t, WithServers(mute.addr))
	time.AfterFunc(20*time.Millisecond, func() { r.Close() })
	if _, err := r.Resolve(context.Background(), "www.google.com", dns.TypeA); !errors.Is(err, context.Canceled) {
		t.Errorf("after Close: %v", err)
	}
}

// settle waits until no more goroutines run than before.
func settle(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, and %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// DNS over TLS trusts no certificate of another name, and uses connections again.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	var closing atomic.Bool // after each answer
	u := serve(t, cert, func(w dns.ResponseWriter, q *dns.Msg) {
		records(w, q)
		if closing.Load() {
			w.Close()
		}
	})
	ctx := context.Background()
	for server, ok := range map[string]bool{"tls://" + u.addr: true, "tls://" + u.addr + "#dns.example": true,
		"tls://" + u.addr + "#other.example": false} {
		r := fresh(t, WithServers(server), WithTLSConfig(&tls.Config{RootCAs: pool}), WithAttempts(1))
		if _, err := r.Resolve(ctx, "www.google.com", dns.TypeA); (err == nil) != ok {
			t.Errorf("%s: %v", server, err)
		}
	}
	if r := fresh(t, WithServers("tls://"+u.addr), WithAttempts(1)); true {
		if _, err := r.Resolve(ctx, "www.google.com", dns.TypeA); err == nil {
			t.Error("a certificate of nobody is trusted")
		}
	}
	for _, closes := range []bool{false, true} {
		closing.Store(closes)
		r := fresh(t, WithServers("tls://"+u.addr), WithTLSConfig(&tls.Config{RootCAs: pool}), WithAttempts(1))
		accepted := u.accepted.Load()
		for i := range 5 {
			if _, err := r.Resolve(ctx, fmt.Sprintf("www%d.google.com.", i), dns.TypeA); err != nil {
				t.Errorf("query %d of connections that are closed (%v): %v", i, closes, err)
			}
		}
		if n := u.accepted.Load() - accepted; !closes && n != 1 {
			t.Errorf("%d connections", n)
		}
	}
	closing.Store(false)
	r := fresh(t, WithServers("tls://"+u.addr), WithTLSConfig(&tls.Config{RootCAs: pool}))
	accepted := u.accepted.Load()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if _, err := r.Resolve(ctx, fmt.Sprintf("many%d.google.com.", i), dns.TypeA); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := u.accepted.Load() - accepted; n > maxStreams {
		t.Errorf("%d connections, more than %d", n, maxStreams)
	}
}

// A connection that was idle for long is not used again, and none is kept after Close.
func TestIdle(t *testing.T) {
	u := serve(t, nil, nil)
	r := fresh(t, WithServers("tcp://"+u.addr))
	s := r.source.settings().servers[0]
	for i := range 3 {
		if _, err := r.Resolve(context.Background(), fmt.Sprintf("www%d.google.com", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
		if len(s.idle) != 1 || u.accepted.Load() != int64(1+i) {
			t.Errorf("%d idle after %d connections", len(s.idle), u.accepted.Load())
		}
		s.idle[0].since = s.idle[0].since.Add(-idleTime)
	}
	r.Close()
	if c, err := s.dial(context.Background()); err != nil {
		t.Error(err)
	} else if s.keep(c); len(s.idle) != 0 {
		t.Error("kept after Close")
	}
}

// hostile gives the messages of ../shared/data/hostile to use, if they are there.
func hostile(t testing.TB, use func([]byte)) {
	f, err := os.Open("../../shared/data/hostile/dns-fuzzing.tar.gz")
	if err != nil {
		return
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			p, err := io.ReadAll(io.LimitReader(in, 1<<16))
			if err != nil {
				t.Fatal(err)
			}
			use(p)
		}
	}
}

// take gives a message as an answer to its own question, so that parse believes it, to all that handles answers.
func take(t testing.TB, p []byte) {
	if len(p) < 12 {
		return // ReadMsgHeader refuses it
	}
	asked := new(dns.Msg)
	asked.Unpack(p)
	question := dns.Question{Name: "www.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
	if len(asked.Question) == 1 {
		question = asked.Question[0]
	}
	q, ok := newQuery(question.Name, question.Qtype)
	if !ok {
		return
	}
	p = bytes.Clone(p)
	p[2] |= 0x80 // a response
	query := q.message()
	query.Id, query.Question[0].Qclass = uint16(p[0])<<8|uint16(p[1]), question.Qclass
	m, err := parse(p, query)
	if err != nil {
		return
	}
	e := newEntry(q, m, "192.0.2.1:53")
	if life := e.until.Sub(e.came); life < 0 || life > maxTTL {
		t.Errorf("%x: holds %v", p, life)
	}
	c := newCache(2)
	c.put(q.key(), e)
	a, failure := e.answer(q, detect.Decision{})
	if (a == nil) == (failure == nil) || failure != nil && !failure.IsNotFound {
		t.Errorf("%x: %+v, %v", p, a, failure)
	}
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.Rcode, reply.Answer, reply.Ns, reply.Compress = m.Rcode, m.Answer, m.Ns, true
	reply.Pack() // may be an error
}

func TestHostileAnswers(t *testing.T) {
	n := 0
	hostile(t, func(p []byte) {
		if n++; n%4 == 0 {
			take(t, p)
		}
	})
	t.Log(n, "messages")
}

func FuzzAnswer(f *testing.F) {
	q, _ := newQuery("www.example.", dns.TypeA)
	for _, m := range []*dns.Msg{good(q.message()), answer(q.message(), dns.RcodeNameError, soa),
		ede(answer(q.message(), dns.RcodeNameError), 15, "text")} {
		p := packed(m)
		f.Add(p)
		f.Add(p[:len(p)-5])
		p[2] |= 2 // truncated
		f.Add(p[:len(p)-5])
	}
	n := 0
	hostile(f, func(p []byte) {
		if n++; n%200 == 0 {
			f.Add(p)
		}
	})
	f.Fuzz(func(t *testing.T, p []byte) { take(t, p) })
}
