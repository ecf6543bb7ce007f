package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// options are what a generated Corefile is made of.
type options struct {
	listen, tls, https, quic []string // HOST:PORT
	cert, key                string
	upstream                 []string
	clients                  []string // networks that may ask; none for all
	// degas are the lines of the block of the plugin degas.
	degas                  [][]string
	health, ready, metrics string // addresses, "" for none
	stale                  bool
}

// corefile writes the Corefile that options ask for: one server block for all transports, so that they share lists,
// verdicts and evidence.
func (o *options) corefile() (string, error) {
	keys, hosts, err := o.addresses()
	if err != nil {
		return "", err
	}
	var b writer
	b.line(0, append(keys, "{")...)
	b.line(1, append([]string{"bind"}, hosts...)...)
	// Without this, an upstream that fails writes a line for each query.
	b.block(1, []string{"errors"}, []string{"consolidate", "1m", ".*", "error", "show_first"})
	for plugin, address := range map[string]string{"ready": o.ready, "health": o.health, "prometheus": o.metrics} {
		if address != "" {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return "", fmt.Errorf("address %q: must be HOST:PORT, such as 127.0.0.1:9153", address)
			}
			b.optional = append(b.optional, plugin+" "+address)
		}
	}
	slices.Sort(b.optional)
	for _, l := range b.optional {
		b.line(1, strings.SplitN(l, " ", 2)...)
	}
	b.line(1, "reload")
	b.line(1, "bufsize", "1232")
	b.block(1, []string{"timeouts"}, []string{"read", "5s"}, []string{"write", "5s"}, []string{"idle", "20s"})
	b.line(1, "any")
	b.line(1, "loop")
	if o.cert != "" {
		b.line(1, "tls", o.cert, o.key)
	}
	if len(o.clients) > 0 {
		b.block(1, []string{"acl"}, append([]string{"allow", "net"}, o.clients...), []string{"block"})
	}
	b.block(1, []string{"degas"}, o.degas...)
	cache := [][]string{{"success", "65536"}, {"denial", "16384"}, {"prefetch", "5"}}
	if o.stale {
		cache = append(cache, []string{"serve_stale", "1h", "immediate", "30s", "30s"})
	}
	b.block(1, []string{"cache"}, cache...)
	b.block(1, append([]string{"forward", "."}, o.upstream...), []string{"max_concurrent", "10000"},
		[]string{"policy", "sequential"}, []string{"prefer_udp"})
	b.line(0, "}")
	return b.text.String(), b.err
}

// addresses are the keys of the server block, and what to bind to. Every port is bound on every host: CoreDNS knows
// nothing else within a block.
func (o *options) addresses() (keys, hosts []string, err error) {
	type pair struct{ host, key string }
	var pairs []pair
	for _, t := range []struct {
		scheme    string
		addresses []string
	}{{"", o.listen}, {"tls://", o.tls}, {"https://", o.https}, {"quic://", o.quic}} {
		for _, a := range t.addresses {
			host, port, err := net.SplitHostPort(a)
			if err != nil {
				return nil, nil, fmt.Errorf("address %q: must be HOST:PORT, such as 127.0.0.1:5353", a)
			}
			if _, err := netip.ParseAddr(host); err != nil && host != "" {
				return nil, nil, fmt.Errorf("address %q: the host must be an IP address, or nothing for all", a)
			}
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return nil, nil, fmt.Errorf("address %q: the port must be a number from 1 to 65535", a)
			}
			if host == "" {
				host = "::"
			}
			if t.scheme != "" && o.cert == "" {
				return nil, nil, fmt.Errorf("%s%s needs a certificate. Try: --cert FILE --key FILE", t.scheme, a)
			}
			pairs = append(pairs, pair{host, t.scheme + ".:" + port})
			if !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
			if key := t.scheme + ".:" + port; !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			_, port, _ := strings.Cut(a, ".:")
			both := a == ".:"+port || strings.HasPrefix(b, "quic") == strings.HasPrefix(a, "quic") // UDP, or TCP
			if both && strings.HasSuffix(b, ".:"+port) {
				return nil, nil, fmt.Errorf("%s and %s: one port cannot have both", a, b)
			}
		}
	}
	for _, host := range hosts {
		for _, key := range keys {
			if !slices.Contains(pairs, pair{host, key}) {
				return nil, nil, fmt.Errorf("%s has no %s: all addresses have the same ports. "+
					"Try: --print-corefile for one of them, add a server block, and start with --corefile", host, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, nil, fmt.Errorf("no address to listen at. Try: --listen 127.0.0.1:5353")
	}
	return keys, hosts, nil
}

// writer writes the lines of a Corefile. err is the first word that a Corefile cannot hold.
type writer struct {
	text     strings.Builder
	optional []string
	err      error
}

func (b *writer) line(depth int, words ...string) {
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '"' }) ||
			strings.Contains(w, "{$") || strings.Contains(w, "{%") || w == "" {
			if b.err == nil {
				b.err = fmt.Errorf("%q cannot stand in a Corefile: it is empty, or has a control character, a backslash, "+
					"a quote or {$", w)
			}
			return
		}
		brace := i > 0 && w != "{" && strings.ContainsAny(w, "{}")
		if brace || strings.ContainsFunc(w, unicode.IsSpace) || strings.Contains(w, "#") {
			w = `"` + w + `"`
		}
		words[i] = w
	}
	b.text.WriteString(strings.Repeat("    ", depth) + strings.Join(words, " ") + "\n")
}

// block writes a directive with a block of lines, or without one if there are none.
func (b *writer) block(depth int, head []string, lines ...[]string) {
	if len(lines) == 0 {
		b.line(depth, head...)
		return
	}
	b.line(depth, append(head, "{")...)
	for _, l := range lines {
		b.line(depth+1, l...)
	}
	b.line(depth, "}")
}
