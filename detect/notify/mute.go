package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/model/dnsname"
)

// Mute is one entry of a file of mutes.
type Mute struct {
	// Domain is a name, or "*.example.com" for a name and all below it.
	Domain string `yaml:"domain" json:"domain,omitempty"`
	// Client is an address, a network such as 192.0.2.0/24, or a client's name as the log has it. If Domain is there too,
	// both must fit.
	Client string `yaml:"client" json:"client,omitempty"`
	// Kind leaves findings of other kinds alone; "" fits all.
	Kind string `yaml:"kind" json:"kind,omitempty"`
	// Reason says why nobody wants to hear of it.
	Reason string `yaml:"reason" json:"reason"`
	// Until is when the mute ends: a time as in RFC 3339, or a day, whose end in UTC counts. It is at most a year ahead.
	Until string `yaml:"until" json:"until"`
}

// muteExample ends errors about files of mutes.
const muteExample = `Try: mutes: [{domain: example.com, reason: the mail filter asks for these, until: 2027-01-31}]`

// Mutes are the entries of a file, which is read again when it changes, or those of Set. A nil *Mutes mutes nothing. It
// is safe for concurrent use.
type Mutes struct {
	path  string // "" for those of Set
	mu    sync.Mutex
	stamp userfile.Stamp
	rules []rule
	said  map[Mute]bool // that it has expired
	gone  bool          // said that the file cannot be read
}

// rule is a Mute that was read.
type rule struct {
	Mute
	domains *detect.List // nil for any
	network netip.Prefix // zero for any, or if the client is a name
	until   time.Time
}

// ReadMutes reads a file of mutes.
func ReadMutes(path string) (*Mutes, error) {
	m := &Mutes{path: path, said: map[Mute]bool{}}
	stamp, err := userfile.StampOf(path)
	if err == nil {
		m.stamp, err = stamp, m.read()
	}
	if err != nil {
		return nil, fmt.Errorf("read the mutes: %w", err)
	}
	return m, nil
}

// NewMutes has no entry until Set gives it some.
func NewMutes() *Mutes { return &Mutes{said: map[Mute]bool{}} }

// Set takes the place of all entries. If one is wrong, the error says which, and nothing changes.
func (m *Mutes) Set(all []Mute, now time.Time) error {
	rules := make([]rule, len(all))
	for i, one := range all {
		r, err := one.rule(now)
		if err != nil {
			return fmt.Errorf("mute %d: %w", i+1, err)
		}
		rules[i] = r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = rules
	maps.DeleteFunc(m.said, func(old Mute, _ bool) bool { return !slices.Contains(all, old) })
	return nil
}

// End is when a Mute ends. The error says what is wrong with the Mute.
func (m Mute) End(now time.Time) (time.Time, error) {
	r, err := m.rule(now)
	return r.until, err
}

func (m *Mutes) read() error {
	data, err := userfile.Read(m.path, userfile.Config)
	if err != nil {
		return err
	}
	rules, err := parseMutes(data, time.Now())
	if err != nil {
		return fmt.Errorf("%s, %w", m.path, err)
	}
	m.rules = rules
	return nil
}

// Muted reports whether a mute holds back a finding, and its reason. If the file has changed, Muted reads it first; a
// version that cannot be read is logged and changes nothing. A mute that has expired is logged once.
func (m *Mutes) Muted(f *watch.Finding, now time.Time) (reason string, ok bool) {
	if m == nil {
		return "", false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.renew()
	for i := range m.rules {
		r := &m.rules[i]
		if !now.Before(r.until) {
			if !m.said[r.Mute] {
				slog.Warn("a mute has expired. Remove it, or set a later day", "file", m.path, "domain", r.Domain,
					"client", r.Client, "until", r.Until, "reason", r.Reason)
			}
			m.said[r.Mute] = true
			continue
		}
		if !ok && r.fits(f) {
			reason, ok = r.Reason, true
		}
	}
	return reason, ok
}

// renew reads the file again if it is another than before.
func (m *Mutes) renew() {
	if m.path == "" {
		return
	}
	stamp, err := userfile.StampOf(m.path)
	if err == nil && stamp == m.stamp {
		m.gone = false
		return
	}
	if err == nil {
		m.stamp, m.gone = stamp, false
		err = m.read()
	}
	if err == nil {
		slog.Info("the mutes were read again", "file", m.path, "mutes", len(m.rules))
	} else if !m.gone {
		m.gone = true
		slog.Error("the mutes cannot be read again: those from before stay", "error", err)
	}
}

// fits reports whether a rule is about a finding.
func (r *rule) fits(f *watch.Finding) bool {
	if r.Kind != "" && r.Kind != f.Kind {
		return false
	}
	if r.domains != nil {
		name, err := dnsname.Fold(strings.TrimPrefix(strings.TrimPrefix(f.Domain, "*"), ".")) // a list's entry has a *
		if _, found := r.domains.Find(name); err != nil || !found {
			return false
		}
	}
	return r.Client == "" || r.fitsClients(f)
}

// fitsClients reports whether the rule is about all clients of a finding: one that is muted must not hide another.
func (r *rule) fitsClients(f *watch.Finding) bool {
	clients := f.Clients
	if f.Client != "" && !slices.Contains(clients, f.Client) {
		clients = append(slices.Clip(clients), f.Client)
	}
	other := func(client string) bool {
		addr, err := netip.ParseAddr(client)
		if r.network.IsValid() {
			return err != nil || !r.network.Contains(addr.Unmap().WithZone(""))
		}
		return !strings.EqualFold(client, r.Client)
	}
	return len(clients) > 0 && f.MoreClients == 0 && !slices.ContainsFunc(clients, other)
}

// parseMutes reads the text of a file. An error says which line is at fault, and has an example.
func parseMutes(data []byte, now time.Time) ([]rule, error) {
	var file struct {
		Mutes []Mute `yaml:"mutes"`
	}
	if err := yamlfile.Decode(data, &file, yaml.Strict()); err != nil {
		hint := ""
		if strings.Contains(err.Error(), "aliases") {
			hint = `. A domain that begins with * needs quotes: "*.example.com"`
		}
		return nil, fmt.Errorf("%w%s\n%s", err, hint, muteExample)
	}
	rules := make([]rule, len(file.Mutes))
	for i, m := range file.Mutes {
		r, err := m.rule(now)
		if err != nil {
			place := yamlfile.Place(data, fmt.Sprintf("mutes[%d]", i))
			return nil, fmt.Errorf("%smute %d: %w\n%s", place, i+1, err, muteExample)
		}
		rules[i] = r
	}
	return rules, nil
}

// rule checks a Mute.
func (m Mute) rule(now time.Time) (r rule, err error) {
	r.Mute = m
	kinds := []string{watch.Tunnel, watch.DGAClient, watch.List}
	switch {
	case m.Domain == "" && m.Client == "":
		return r, errors.New("it has neither a domain nor a client")
	case strings.TrimSpace(m.Reason) == "":
		return r, errors.New("it has no reason")
	case m.Until == "":
		return r, errors.New("it has no until, the day on which it ends")
	case m.Kind != "" && !slices.Contains(kinds, m.Kind):
		return r, fmt.Errorf("kind: %q is none of %s", m.Kind, strings.Join(kinds, ", "))
	}
	if m.Domain != "" {
		if r.domains, err = detect.NewList([]string{m.Domain}); err != nil {
			return r, fmt.Errorf("domain: %q is no domain", m.Domain)
		}
	}
	if r.network, err = network(m.Client); err != nil {
		return r, err
	}
	if r.until, err = time.Parse(time.RFC3339, m.Until); err != nil {
		if r.until, err = time.Parse(time.DateOnly, m.Until); err != nil {
			return r, fmt.Errorf("until: %q is no day such as 2027-01-31, and no time such as 2027-01-31T12:00:00Z", m.Until)
		}
		r.until = r.until.AddDate(0, 0, 1)
	}
	if r.until.After(now.AddDate(1, 0, 1)) {
		last := now.AddDate(1, 0, 0).Format(time.DateOnly)
		return r, fmt.Errorf("until: %s is more than a year ahead. Try: %s", m.Until, last)
	}
	return r, nil
}

// network is the network of a client: of an address the one with itself, of a name none.
func network(client string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(client); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if !strings.Contains(client, "/") && strings.ContainsFunc(client, func(r rune) bool {
		return r != '.' && (r < '0' || r > '9')
	}) && !strings.Contains(client, ":") || client == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(client)
	if err != nil {
		return p, fmt.Errorf("client: %q is no address, and no network such as 192.0.2.0/24", client)
	}
	return p.Masked(), nil
}
