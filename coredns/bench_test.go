package degas

import (
	"context"
	"fmt"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// BenchmarkServeDNS is what the plugin adds to a query whose name was asked for before, with the evidence.
func BenchmarkServeDNS(b *testing.B) {
	b.Setenv("XDG_CACHE_HOME", b.TempDir())
	c := caddy.NewTestController("dns", "degas {\naction dga nxdomain\n}")
	c.ServerBlockKeys = []string{"."}
	all, err := parse(c)
	if err != nil {
		b.Fatal(err)
	}
	e, err := newEngine(context.Background(), all[0])
	if err != nil {
		b.Fatal(err)
	}
	e.start()
	defer e.stop()
	answer := new(dns.Msg)
	d := &Degas{engine: e, Next: test.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		return dns.RcodeSuccess, w.WriteMsg(answer)
	})}
	var queries []*dns.Msg
	for i := range 2000 {
		r := new(dns.Msg)
		r.SetQuestion(fmt.Sprintf("www.shop%d.example.com.", i), dns.TypeA)
		queries = append(queries, r)
	}
	answer.SetReply(queries[0])
	answer.Answer = []dns.RR{test.A("www.shop1.example.com. 300 IN A 192.0.2.1")}
	w := &nothing{}
	var next plugin.Handler = d
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := next.ServeDNS(context.Background(), w, queries[i%len(queries)]); err != nil {
			b.Fatal(err)
		}
	}
}

// nothing is a client that does not listen.
type nothing struct{ test.ResponseWriter }

func (*nothing) WriteMsg(*dns.Msg) error { return nil }
