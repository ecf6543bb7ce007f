package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"
)

// startServing starts a TensorFlow Serving that takes names of more than 30 letters for tunnels.
func startServing(t *testing.T) (server *httptest.Server, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var body struct{ Instances [][]int }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Instances) != 1 ||
			len(body.Instances[0]) != 256 || r.URL.Path != "/v1/models/tunnels/versions/3:predict" {
			t.Errorf("%s asks for %v: %v", r.URL.Path, body, err)
		}
		letters := 0
		for _, code := range body.Instances[0] {
			if code > 0 {
				letters++
			}
		}
		said := []float64{.9, .1}
		if letters > 30 {
			said = []float64{.1, .9}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"predictions": [][]float64{said}})
	}))
	t.Cleanup(server.Close)
	return server, asked
}

func TestDNSTun(t *testing.T) {
	const short = "www.example.org."
	long := strings.Repeat("a", 40) + ".example.org."
	for _, c := range []struct {
		mapping     string
		short, long int
	}{{"", dns.RcodeSuccess, dns.RcodeRefused}, {"mapping forward", dns.RcodeSuccess, dns.RcodeRefused},
		{"mapping reverse", dns.RcodeRefused, dns.RcodeSuccess}} {
		serving, asked := startServing(t)
		upstream, address := startVaried(t), freePort(t)
		serveCorefile(t, block(".", address, upstream, "dnstun {",
			"runtime "+strings.TrimPrefix(serving.URL, "http://"), "detector tunnels:3", c.mapping, "}"))
		for range 3 {
			for name, want := range map[string]int{short: c.short, long: c.long} {
				for _, network := range []string{"udp", "tcp"} {
					if m := ask(t, network, address, name, dns.TypeA); m.Rcode != want {
						t.Errorf("%q: %v", c.mapping, m)
					}
				}
			}
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("%q: the other machine was asked %d times about two names", c.mapping, n)
		}
		// A model that does not answer blocks nobody.
		serving.Close()
		for _, name := range []string{"x." + short, "x." + long} {
			if m := ask(t, "udp", address, name, dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 2 {
				t.Errorf("%q, without the model: %v", c.mapping, m)
			}
		}
	}
}

// TestOldNames starts the other plugins that degas takes over from, and dnstun with the model in the box.
func TestOldNames(t *testing.T) {
	for _, lines := range [][]string{{"mlplugin"}, {"mlbridge"}, {"dnstun"}, {"dnstun {", "model builtin", "}"}} {
		upstream, address := startVaried(t), freePort(t)
		serveCorefile(t, block(".", address, upstream, lines...))
		for range 2 { // they forward, and names of a DGA are reported
			for _, name := range []string{passedName, blockedName} {
				if m := ask(t, "udp", address, name, dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 2 {
					t.Errorf("%v: %v", lines, m)
				}
			}
		}
	}
	for _, lines := range [][]string{{"mlplugin now"}, {"mlbridge {", "model x", "}"}, {"dnstun {", "runtime here", "}"},
		{"dnstun {", "runtime h:1", "detector tunnels", "}"}, {"dnstun {", "mapping sideways", "}"},
		{"dnstun {", "colour red", "}"}} {
		i, err := caddy.Start(testInput(block(".", freePort(t), "192.0.2.1", lines...)))
		if err == nil {
			stop(t, i)
			t.Errorf("%v is taken", lines)
		}
	}
}
