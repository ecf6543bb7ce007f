package degas

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/model"
)

// settings are what a block of a Corefile says.
type settings struct {
	zones       []string
	model       string // a directory, or model.BuiltinName
	threshold   float64
	falseAlarms float64 // the rate that threshold is chosen for; 0 for the model's own
	actions     [kinds]action
	monitor     bool // nothing is blocked
	lists       lists.Options
	ttl         uint32 // of answers; 0 for 30 seconds, or 60 if a list decided
	explain     bool   // a TXT query gets the reason
	filtered    bool   // the client wants it so: EDE 17 instead of 15
	log         string // a file or stdout
	events      string // a URL
	notify      []string
	async       bool
	cache       int
	failClosed  bool
	rate        float64 // queries a second of a client; 0 for no limit
	burst       int
	hold        time.Duration // how long a domain with a tunnel is blocked
	fast        bool
	remote      *remote // of dnstun
}

// usual are the settings of a bare "degas". Nothing of the model's is blocked until somebody asks for it.
func usual() settings {
	s := settings{model: model.BuiltinName, cache: 1 << 16, hold: time.Hour}
	s.actions = [kinds]action{dga: {does: report}, tunnel: {does: report}, list: {does: nxdomain}}
	s.lists.Later = true
	return s
}

// parse reads every block of a directive in a server block.
func parse(c *caddy.Controller) ([]settings, error) {
	var all []settings
	for c.Next() {
		s := usual()
		s.zones = plugin.OriginsFromArgsOrServerBlock(c.RemainingArgs(), c.ServerBlockKeys)
		for c.NextBlock() {
			if err := s.property(c); err != nil {
				return nil, err
			}
		}
		if s.threshold != 0 && s.falseAlarms != 0 {
			return nil, c.Err("threshold and false_alarms: one of them decides. Try: leave one out")
		}
		root := dnsserver.GetConfig(c).Root
		for _, paths := range [][]string{s.lists.Allow, s.lists.Block} {
			for i, path := range paths {
				paths[i] = rooted(root, path)
			}
		}
		s.lists.Popular = rooted(root, s.lists.Popular)
		if s.model != model.BuiltinName {
			s.model = rooted(root, s.model)
		}
		all = append(all, s)
	}
	return all, nil
}

// rooted is a path as the plugin root asks for it. A URL stays as it is.
func rooted(root, path string) string {
	if root == "" || path == "" || filepath.IsAbs(path) || strings.Contains(path, "://") {
		return path
	}
	return filepath.Join(root, path)
}

// properties are the lines of a block.
var properties = map[string]func(s *settings, args []string) error{
	"model":        one(func(s *settings, arg string) error { s.model = arg; return nil }),
	"threshold":    one(number(0, 1, func(s *settings, v float64) { s.threshold = v })),
	"false_alarms": one(number(0, 1, func(s *settings, v float64) { s.falseAlarms = v })),
	"action":       (*settings).setAction,
	"allow": some(func(s *settings, args []string) error {
		s.lists.Allow = append(s.lists.Allow, args...)
		return nil
	}),
	"block": some(func(s *settings, args []string) error {
		s.lists.Block = append(s.lists.Block, args...)
		return nil
	}),
	"popular":  (*settings).setPopular,
	"broad":    none(func(s *settings) { s.lists.Broad = true }),
	"monitor":  none(func(s *settings) { s.monitor = true }),
	"ttl":      one(number(0, 86400, func(s *settings, v float64) { s.ttl = uint32(v) })),
	"explain":  words("txt", func(s *settings) { s.explain = true }),
	"filtered": none(func(s *settings) { s.filtered = true }),
	"log":      (*settings).setLog,
	"events":   one((*settings).setEvents),
	"notify":   some(func(s *settings, args []string) error { s.notify = append(s.notify, args...); return nil }),
	"async":    none(func(s *settings) { s.async = true }),
	"cache":    one(number(0, 1<<24, func(s *settings, v float64) { s.cache = int(v) })),
	"fail":     words("closed", func(s *settings) { s.failClosed = true }),
	"limit":    (*settings).setLimit,
	"hold":     one((*settings).setHold),
	"fast":     none(func(s *settings) { s.fast = true }),
}

// property reads one line of a block.
func (s *settings) property(c *caddy.Controller) error {
	word := c.Val()
	set, ok := properties[word]
	if !ok {
		return c.Errf("unknown property %q", word)
	}
	if err := set(s, c.RemainingArgs()); err != nil {
		return c.Errf("%s: %v", word, err)
	}
	return nil
}

func none(set func(*settings)) func(*settings, []string) error {
	return func(s *settings, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("takes no argument, not %q", args[0])
		}
		set(s)
		return nil
	}
}

func one(set func(*settings, string) error) func(*settings, []string) error {
	return func(s *settings, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("takes one argument, not %d", len(args))
		}
		return set(s, args[0])
	}
}

func some(set func(*settings, []string) error) func(*settings, []string) error {
	return func(s *settings, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("needs an argument")
		}
		return set(s, args)
	}
}

// words takes one argument that can only be word.
func words(word string, set func(*settings)) func(*settings, []string) error {
	return one(func(s *settings, arg string) error {
		if arg != word {
			return fmt.Errorf("%q is unknown. Try: %s", arg, word)
		}
		set(s)
		return nil
	})
}

// number takes a number above low and at most high.
func number(low, high float64, set func(*settings, float64)) func(*settings, string) error {
	return func(s *settings, arg string) error {
		v, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(v > low && v <= high) {
			return fmt.Errorf("%q: must be a number above %g and at most %g", arg, low, high)
		}
		set(s, v)
		return nil
	}
}

// setAction reads "action dga|tunnel|list nxdomain|nodata|refused|sinkhole ADDRESS…|drop|log".
func (s *settings) setAction(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("needs what it is for and what to do. Try: action dga nxdomain")
	}
	does, ok := deedNames[args[1]]
	if !ok {
		return fmt.Errorf("%q is unknown. Try: nxdomain, nodata, refused, sinkhole ADDRESS, drop or log", args[1])
	}
	a := action{does: does}
	if does != sinkhole && len(args) > 2 {
		return fmt.Errorf("%s takes no argument, not %q", args[1], args[2])
	}
	if does == sinkhole && len(args) == 2 {
		return fmt.Errorf("sinkhole needs an address. Try: action %s sinkhole 192.0.2.1 2001:db8::1", args[0])
	}
	for _, arg := range args[2:] {
		addr, err := netip.ParseAddr(arg)
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is no address", arg)
		}
		to := &a.v6
		if addr = addr.Unmap(); addr.Is4() {
			to = &a.v4
		}
		if to.IsValid() {
			return fmt.Errorf("%s: one IPv4 and one IPv6 address at most", arg)
		}
		*to = addr
	}
	for k, known := range kindNames {
		if args[0] == known {
			s.actions[k] = a
			return nil
		}
	}
	return fmt.Errorf("%q is unknown. Try: %s", args[0], strings.Join(kindNames[:], ", "))
}

// setPopular reads "popular FILE [N]".
func (s *settings) setPopular(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("takes a file and how many of its first names, not %d arguments", len(args))
	}
	s.lists.Popular = args[0]
	if len(args) == 1 {
		return nil
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("%q: must be how many of the first names count", args[1])
	}
	s.lists.PopularTop = n
	return nil
}

func (s *settings) setEvents(arg string) error {
	if !strings.HasPrefix(arg, "http://") && !strings.HasPrefix(arg, "https://") {
		return fmt.Errorf("%q is no URL. Try: https://HOST/v1/events", arg)
	}
	s.events = arg
	return nil
}

// setLog reads "log FILE|stdout [json]". There is no other form than JSON.
func (s *settings) setLog(args []string) error {
	if len(args) == 2 && args[1] != "json" || len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("takes a file or stdout, and may end in json")
	}
	s.log = args[0]
	return nil
}

// setLimit reads "limit RATE [BURST]".
func (s *settings) setLimit(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("takes queries a second, and how many at once, not %d arguments", len(args))
	}
	var burst float64
	err := number(0, 1e6, func(s *settings, v float64) { s.rate = v })(s, args[0])
	if err == nil && len(args) == 2 {
		err = number(0, 1e6, func(_ *settings, v float64) { burst = v })(s, args[1])
	}
	s.burst = max(int(burst), int(s.rate), 1)
	return err
}

func (s *settings) setHold(arg string) error {
	d, err := time.ParseDuration(arg)
	if err != nil || d < time.Second {
		return fmt.Errorf("%q: must be a time of at least 1s. Try: 1h", arg)
	}
	s.hold = d
	return nil
}
