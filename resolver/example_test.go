package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/resolver"
)

// A program whose names were made by malware sends nothing.
func Example() {
	r, err := resolver.New(resolver.WithServers("tls://9.9.9.9#dns.quad9.net", "tls://1.1.1.1#cloudflare-dns.com"))
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	_, err = r.Resolve(context.Background(), "xjpakmdcfuqe.biz", dns.TypeA)

	var old *net.DNSError
	fmt.Println("code that knows nothing of degas:", errors.As(err, &old) && old.IsNotFound)
	var blocked *resolver.Blocked
	if errors.As(err, &blocked) {
		fmt.Printf("code that does: %s, score %.3f, by the %s of %s\n", blocked.Class, blocked.Score, blocked.Rule,
			blocked.Model)
	}
	// Output:
	// code that knows nothing of degas: true
	// code that does: dga, score 1.000, by the score of hybrid-small
}

// One line guards all look-ups of a program that go through package net.
func ExampleNet() {
	before := net.DefaultResolver
	net.DefaultResolver = resolver.Net(resolver.WithServers("192.0.2.53"))
	defer func() { net.DefaultResolver = before }() // only for this example

	_, err := net.Dial("tcp", "xjpakmdcfuqe.biz:443")
	var old *net.DNSError
	fmt.Println(errors.As(err, &old) && old.IsNotFound)
	// Output: true
}

// A policy of one's own: lists, a model, and a threshold. Replace it with Swap while the program runs.
func ExampleWithLive() {
	m, err := model.Builtin()
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := model.NewClassifier(m)
	if err != nil {
		log.Fatal(err)
	}
	policy, err := detect.New(detect.Options{
		Classifier: classifier,
		Action:     detect.Block,
		Allow:      []string{"*.xjpakmdcfuqe.biz"},
		Block:      []string{"ads.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	live := new(detect.Live)
	live.Swap(policy)
	r, err := resolver.New(resolver.WithLive(live), resolver.WithServers("192.0.2.53"))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"www.xjpakmdcfuqe.biz", "ads.example", "google.com"} {
		fmt.Println(name, r.Check(name))
	}
	// Output:
	// www.xjpakmdcfuqe.biz <nil>
	// ads.example lookup ads.example: no such host: blocked by "ads.example" of the block list
	// google.com <nil>
}
