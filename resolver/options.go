package resolver

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
)

// Option is an option of New.
type Option func(*options)

type options struct {
	servers    []string
	resolvConf string
	systemConf string // read for its search list alone, which package net adds to names before they come here
	tls        *tls.Config
	live       *detect.Live
	threshold  *float64
	timeout    time.Duration
	attempts   int
	ndots      int
	search     []string // nil: as resolv.conf says
	cache      int
	log        *slog.Logger
}

// WithServers are the servers to ask, in their order, instead of those of resolv.conf:
//
//	192.0.2.1  [2001:db8::1]:5353  udp://192.0.2.1   UDP, and TCP for long answers
//	tcp://192.0.2.1:53                               TCP
//	tls://192.0.2.1#dns.example                      DNS over TLS, port 853
//
// The name behind '#' is the one that the server's certificate must have. Without it, the certificate must have the
// address. A server is never a host name, which would have to be resolved first. There is then no search list but that
// of WithSearch.
func WithServers(servers ...string) Option { return func(o *options) { o.servers = servers } }

// WithResolvConf is the file that names servers, the search list and the options timeout, attempts, ndots, rotate and
// use-vc. The default is /etc/resolv.conf. It is read again while the program runs, at most every five seconds.
func WithResolvConf(path string) Option { return func(o *options) { o.resolvConf = path } }

// WithSearch is the search list of Resolve, instead of resolv.conf's: a name of less than ndots dots is tried with each
// suffix first, any other as it is first.
func WithSearch(ndots int, suffixes ...string) Option {
	return func(o *options) { o.ndots, o.search = ndots, append([]string{}, suffixes...) }
}

// WithTimeout is how long to wait for one answer of one server. The default is resolv.conf's, else 5 s.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithAttempts is how often all servers are asked before a look-up fails. The default is resolv.conf's, else 2.
func WithAttempts(n int) Option { return func(o *options) { o.attempts = n } }

// WithTLSConfig is for servers of DNS over TLS, such as those with a certificate of an authority of one's own. Its
// ServerName is not used.
func WithTLSConfig(c *tls.Config) Option { return func(o *options) { o.tls = c } }

// WithPolicy is the policy that judges names. Its action has to be detect.Block if it is to block what its model finds.
func WithPolicy(p *detect.Policy) Option {
	return func(o *options) {
		o.live = new(detect.Live)
		o.live.Swap(p)
	}
}

// WithLive is WithPolicy for a policy that the caller replaces while the program runs.
func WithLive(l *detect.Live) Option { return func(o *options) { o.live = l } }

// WithThreshold is the score of the built-in model from which a name is blocked, above 0 and at most 1. The default is
// the model's own, which was chosen for few false positives. It is deep-lookup's min_proba, whose default was 0.5.
func WithThreshold(t float64) Option { return func(o *options) { o.threshold = &t } }

// WithCache is how many answers are remembered, 4096 by default; 0 remembers none. An answer that is longer than 4 KiB
// is not remembered, so that a full cache of the default size takes less than 100 MB, usually 5 MB.
func WithCache(entries int) Option { return func(o *options) { o.cache = entries } }

// WithLogger gets a line for each name that the policy blocks or reports. nil discards.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// parseServer reads a server as WithServers has it.
func parseServer(text string, base *tls.Config) (*server, error) {
	wrong := func(why string) error { return fmt.Errorf("server %q: %s", text, why) }
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "udp", text
	}
	port := uint16(53)
	switch scheme {
	case "udp", "tcp":
	case "tls":
		port = 853
	default:
		return nil, wrong("unknown protocol. Try: udp, tcp or tls")
	}
	rest, name, named := strings.Cut(rest, "#")
	if named && (scheme != "tls" || name == "") {
		return nil, wrong("a name behind '#' is for the certificate of tls://")
	}
	addr, err := netip.ParseAddrPort(rest)
	if err != nil {
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"))
		if err != nil {
			return nil, wrong("must be an IP address, with or without a port. Try: tls://192.0.2.1#dns.example")
		}
		addr = netip.AddrPortFrom(ip, port)
	}
	s := &server{network: "tcp", addr: addr.String(), slots: make(chan struct{}, maxStreams)}
	switch scheme {
	case "udp":
		s.network = "udp"
	case "tls":
		s.tls = base.Clone()
		if s.tls == nil {
			s.tls = new(tls.Config)
		}
		if s.tls.ServerName = name; !named {
			s.tls.ServerName = addr.Addr().WithZone("").String()
		}
		if s.tls.ClientSessionCache == nil {
			s.tls.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		}
	}
	return s, nil
}
