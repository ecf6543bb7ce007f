package degas

import (
	"context"
	"fmt"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

func init() {
	plugin.Register(name, setup)
	for _, old := range []string{"dnstun", "mlplugin", "mlbridge"} {
		plugin.Register(old, func(c *caddy.Controller) error { return setupOld(old, c) })
	}
}

func setup(c *caddy.Controller) error {
	all, err := parse(c)
	if err != nil {
		return plugin.Error(name, err)
	}
	return add(c, name, all)
}

// setupOld reads a block of one of the plugins that degas takes over from.
func setupOld(old string, c *caddy.Controller) error {
	all, err := parseOld(old, c)
	if err != nil {
		return plugin.Error(old, err)
	}
	return add(c, old, all)
}

// add puts a plugin into the chain for each block. The first block asks first.
func add(c *caddy.Controller, directive string, all []settings) error {
	for _, s := range all {
		e, err := newEngine(context.Background(), s)
		if err != nil {
			return plugin.Error(directive, err)
		}
		d := &Degas{engine: e}
		config := dnsserver.GetConfig(c)
		config.AddPlugin(func(next plugin.Handler) plugin.Handler {
			d.Next = next
			return d
		})
		if s.fast {
			if old := config.UDPDecorateWriterFunc; old != nil {
				return plugin.Error(directive, c.Err("fast: another plugin writes answers over UDP"))
			}
			// CoreDNS calls this for each UDP server, when its socket is there.
			config.UDPDecorateWriterFunc = func(s *dnsserver.Server) dns.DecorateWriter {
				d.stand(config, s)
				return nil
			}
		}
		c.OnStartup(func() error {
			e.start()
			log.Info(d.started())
			return nil
		})
		// Also when a Corefile is replaced: the new one has an engine of its own by then.
		c.OnShutdown(func() error {
			if e.cancel == nil {
				return nil // it was never started
			}
			d.leave()
			return e.stop()
		})
	}
	return nil
}

// started says in a line what the plugin will do.
func (d *Degas) started() string {
	s := fmt.Sprintf("model %s, threshold %.6f", d.called(), d.policy.Load().policy.Threshold())
	for k, word := range kindNames {
		s += fmt.Sprintf(", %s: %s", word, d.actions[k].does)
	}
	if d.monitor {
		s += "; monitor: nothing is blocked"
	}
	return s
}
