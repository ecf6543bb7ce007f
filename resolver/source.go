package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/internal/userfile"
)

const (
	systemConf  = "/etc/resolv.conf"
	maxConf     = 1 << 20 // bytes
	rereadAfter = 5 * time.Second

	// As the C library bounds them.
	maxTimeout  = 30 // seconds
	maxAttempts = 5
	maxServers  = 3 // of resolv.conf
)

// settings are the servers to ask and how. They never change, but for what servers know of themselves.
type settings struct {
	list     *dns.ClientConfig // its search list and ndots
	servers  []*server
	timeout  time.Duration // for one answer
	attempts int
	rotate   bool
	turn     atomic.Uint32 // with rotate, the server to begin with
	suffixes []string      // of all search lists, as ".corp.example"
}

func (s *settings) close() {
	for _, server := range s.servers {
		server.close()
	}
}

// source makes settings of options and of files, which may change while the program runs.
type source struct {
	options options
	current atomic.Pointer[settings]

	reading sync.Mutex // guards what is below
	read    time.Time
	files   [2][]byte // resolv.conf, the system's resolv.conf
}

// settings are the ones of now. One caller reads the files again if that is due; the others do not wait for it.
func (s *source) settings() *settings {
	if s.reading.TryLock() {
		due := time.Since(s.read) > rereadAfter
		s.reading.Unlock()
		if due {
			_ = s.load() // a file that is gone or broken for a moment: the last good one stays
		}
	}
	return s.current.Load()
}

// load reads the files, and makes new settings if they have changed.
func (s *source) load() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.read = time.Now()
	o := &s.options
	var files [2][]byte
	var err error
	if o.servers == nil {
		if files[0], err = userfile.Read(o.resolvConf, maxConf); err != nil {
			return fmt.Errorf("find out which DNS servers to ask: %w. Try: resolver.WithServers", err)
		}
	}
	// Nothing depends on the system's file but search lists. Where there is none, package net has none either.
	if files[1], err = userfile.Read(o.systemConf, maxConf); err != nil && !errors.Is(err, fs.ErrNotExist) &&
		s.current.Load() != nil {
		return err
	}
	old := s.current.Load()
	if old != nil && bytes.Equal(files[0], s.files[0]) && bytes.Equal(files[1], s.files[1]) {
		return nil
	}
	fresh, err := o.settings(files[0], files[1])
	if err != nil {
		return err
	}
	s.files = files
	s.current.Store(fresh)
	if old != nil {
		old.close()
	}
	return nil
}

// settings are made of resolv.conf and of the system's resolv.conf. An option goes before both.
func (o *options) settings(conf, system []byte) (*settings, error) {
	list, flags := parseConf(conf)
	if o.servers != nil {
		list.Search = nil
	}
	if o.search != nil {
		list.Search, list.Ndots = o.search, o.ndots
	}
	s := &settings{list: list, attempts: min(list.Attempts, maxAttempts), rotate: flags["rotate"],
		timeout: time.Duration(min(list.Timeout, maxTimeout)) * time.Second}
	if o.timeout != 0 {
		s.timeout = o.timeout
	}
	if o.attempts != 0 {
		s.attempts = o.attempts
	}
	if s.timeout < 0 || s.attempts < 0 || o.cache < 0 {
		return nil, fmt.Errorf("timeout %v, %d attempts, a cache of %d: none may be negative", s.timeout, s.attempts,
			o.cache)
	}
	servers := o.servers
	if servers == nil {
		protocol := "udp://"
		if flags["use-vc"] || flags["usevc"] || flags["tcp"] {
			protocol = "tcp://"
		}
		for _, ip := range list.Servers {
			if _, err := netip.ParseAddr(ip); err == nil && len(servers) < maxServers {
				servers = append(servers, protocol+ip)
			}
		}
		if servers == nil {
			servers = []string{protocol + "127.0.0.1", protocol + "::1"} // as resolv.conf(5) says
		}
	}
	for _, text := range servers {
		server, err := parseServer(text, o.tls)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	ofSystem, _ := parseConf(system)
	for _, suffix := range slices.Concat(list.Search, ofSystem.Search) {
		q, ok := newQuery(dns.Fqdn(suffix), 0)
		if !ok && slices.Contains(o.search, suffix) {
			return nil, fmt.Errorf("search list: %q is no domain name", suffix)
		}
		if ok && q.name != "." && !slices.Contains(s.suffixes, "."+q.text) {
			s.suffixes = append(s.suffixes, "."+q.text)
		}
	}
	return s, nil
}

// parseConf reads a resolv.conf. flags are its options without a number. As in package net, a file without a search
// list has the domain of this host's name.
func parseConf(text []byte) (list *dns.ClientConfig, flags map[string]bool) {
	list, err := dns.ClientConfigFromReader(bytes.NewReader(text))
	if err != nil { // a Reader of bytes has no errors
		list, _ = dns.ClientConfigFromReader(bytes.NewReader(nil))
	}
	flags = map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "options" {
			for _, word := range words[1:] {
				flags[word] = true
			}
		}
	}
	list.Search = slices.DeleteFunc(list.Search, func(s string) bool { return s == "." })
	if len(list.Search) == 0 {
		if host, err := os.Hostname(); err == nil {
			if _, domain, ok := strings.Cut(host, "."); ok && domain != "" {
				list.Search = []string{domain}
			}
		}
	}
	return list, flags
}
