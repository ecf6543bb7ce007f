// upstream is a DNS server for measurements: it has an address for every name, and answers as fast as it can.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/miekg/dns"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: upstream HOST:PORT")
		os.Exit(2)
	}
	conn, err := net.ListenPacket("udp", os.Args[1])
	if err == nil {
		err = (&dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(answer)}).ActivateAndServe()
	}
	fmt.Fprintf(os.Stderr, "upstream: %v\n", err)
	os.Exit(1)
}

func answer(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET,
		Ttl: 3600}, A: net.IPv4(192, 0, 2, 1)}}
	_ = w.WriteMsg(m) // a client that is gone asks again
}
