// degas-dns is a DNS server that asks degas about every name: CoreDNS with the plugin degas, and with a Corefile that
// it makes of its flags. `degas dns` starts it.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/urfave/cli/v2"
)

func main() {
	if err := app().Run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "degas-dns: %v\n", err)
		os.Exit(1)
	}
}

func app() *cli.App {
	return &cli.App{
		Name:            "degas-dns",
		Usage:           "a DNS server that blocks names made by malware and names that carry tunnels",
		Version:         "CoreDNS " + coremain.CoreVersion,
		HideHelpCommand: true,
		Description: "Forwards queries to --upstream, unless a list or the model says that the name is malicious.\n" +
			"Without --action nothing of the model's is blocked: the log says what would be, with a summary each hour.\n" +
			"It listens on this machine only, until --listen says otherwise.\n\n" +
			"Example: degas-dns --listen 127.0.0.1:5353 --upstream 9.9.9.9\n" +
			"Example: degas-dns --listen 192.0.2.53:53 --upstream tls://9.9.9.9%dns.quad9.net --action nxdomain " +
			"--allow allow.txt",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Value: cli.NewStringSlice("127.0.0.1:5353"),
				Usage: "answer over UDP and TCP at `ADDRESS`; may be given again"},
			&cli.StringSliceFlag{Name: "tls", Usage: "answer DNS over TLS at `ADDRESS`"},
			&cli.StringSliceFlag{Name: "https", Usage: "answer DNS over HTTPS at `ADDRESS`"},
			&cli.StringSliceFlag{Name: "quic", Usage: "answer DNS over QUIC at `ADDRESS`"},
			&cli.StringFlag{Name: "cert", Usage: "`FILE` with the certificate"},
			&cli.StringFlag{Name: "key", Usage: "`FILE` with the certificate's key"},
			&cli.StringSliceFlag{Name: "upstream", Value: cli.NewStringSlice("/etc/resolv.conf"),
				Usage: "ask `SERVER`: an address, tls://, https:// or quic://, or a resolv.conf; may be given again"},
			&cli.StringFlag{Name: "action", Value: "log",
				Usage: "what to do with a malicious name: nxdomain, nodata, refused, sinkhole, drop or log, as `ACTION`; " +
					"with log, a name on a block list gets nxdomain"},
			&cli.StringSliceFlag{Name: "sinkhole", Usage: "`ADDRESS` that --action sinkhole gives"},
			&cli.BoolFlag{Name: "monitor", Usage: "block nothing, not even what a block list has"},
			&cli.StringFlag{Name: "model", DefaultText: "builtin",
				Usage: "`MODEL`: a run, a version, or a folder of versions, of which the newest decides"},
			&cli.StringFlag{Name: "threshold", Usage: "the `SCORE` from which a name is malicious",
				DefaultText: "the model's own"},
			&cli.StringFlag{Name: "false-alarms", Usage: "choose the threshold for a `RATE` of clean names, such as 1e-3"},
			&cli.StringSliceFlag{Name: "allow", Usage: "`LIST` of names that pass: a file, a folder or a URL"},
			&cli.StringSliceFlag{Name: "block", Usage: "`LIST` of names that are blocked; an allowed name passes"},
			&cli.BoolFlag{Name: "broad", Usage: "apply entries of lists for all names below a public suffix, such as *.com"},
			&cli.StringFlag{Name: "popular", Usage: "`FILE` of popular names with ranks, which are not taken for generated"},
			&cli.StringFlag{Name: "popular-top", Usage: "use the first `N` popular names"},
			&cli.StringFlag{Name: "log", Usage: "write every query to `FILE`, or to stdout, as JSON Lines"},
			&cli.StringFlag{Name: "events", Usage: "send every query to `URL`"},
			&cli.StringSliceFlag{Name: "notify", Usage: "send findings to `TARGET`, as degas watch --to"},
			&cli.StringSliceFlag{Name: "clients", Usage: "answer only a `NETWORK` such as 192.0.2.0/24; may be given again"},
			&cli.StringFlag{Name: "limit", Usage: "answer at most `RATE` queries a second of each client"},
			&cli.StringFlag{Name: "health", Usage: "say at HTTP `ADDRESS` that the server is alive"},
			&cli.StringFlag{Name: "ready", Usage: "say at HTTP `ADDRESS` that model and lists are loaded"},
			&cli.StringFlag{Name: "metrics", Usage: "answer Prometheus at `ADDRESS`"},
			&cli.BoolFlag{Name: "no-stale", Usage: "do not answer with an old answer while upstreams fail"},
			&cli.BoolFlag{Name: "no-fast", Usage: "answer repeated queries through all plugins, too"},
			&cli.StringFlag{Name: "corefile", Usage: "start with `FILE` in place of all other flags"},
			&cli.BoolFlag{Name: "print-corefile", Usage: "print the Corefile, and do not start"},
		},
		Action: run,
	}
}

func run(ctx *cli.Context) error {
	if ctx.NArg() > 0 {
		return fmt.Errorf("argument %q is not expected. Try: degas-dns --help", ctx.Args().First())
	}
	input, err := input(ctx)
	if err != nil {
		return err
	}
	if ctx.Bool("print-corefile") {
		fmt.Fprint(ctx.App.Writer, string(input.Body()))
		return nil
	}
	if err := unused(ctx); err != nil {
		return err
	}
	if err := order(); err != nil {
		return err
	}
	caddy.AppName, caddy.Quiet, dnsserver.Quiet = "degas-dns", true, true
	clog.SetOutput(os.Stderr)
	// The plugin reload asks for the Corefile again and again, and SIGUSR1 for the one that LoadCaddyfile gave.
	caddy.SetDefaultCaddyfileLoader("degas-dns", caddy.LoaderFunc(func(string) (caddy.Input, error) {
		if path := ctx.String("corefile"); path != "" {
			return readCorefile(path)
		}
		return input, nil
	}))
	caddy.TrapSignals()
	if input, err = caddy.LoadCaddyfile(input.ServerType()); err != nil {
		return err
	}
	instance, err := caddy.Start(input)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "degas-dns answers at %s\n", strings.Join(addresses(instance), ", "))
	instance.Wait()
	return nil
}

// unused reports whether nobody listens at the addresses of the flags. CoreDNS shares its addresses with other
// processes that do, so that two servers would each get a part of the queries.
func unused(ctx *cli.Context) error {
	if ctx.String("corefile") != "" {
		return nil
	}
	for _, t := range []struct {
		flag     string
		udp, tcp bool
	}{{"listen", true, true}, {"tls", false, true}, {"https", false, true}, {"quic", true, false}} {
		for _, address := range ctx.StringSlice(t.flag) {
			if t.udp {
				conn, err := net.ListenPacket("udp", address)
				if err != nil {
					return fmt.Errorf("--%s %s: %w", t.flag, address, err)
				}
				conn.Close()
			}
			if t.tcp {
				l, err := net.Listen("tcp", address)
				if err != nil {
					return fmt.Errorf("--%s %s: %w", t.flag, address, err)
				}
				l.Close()
			}
		}
	}
	return nil
}

// addresses are what an instance listens at.
func addresses(i *caddy.Instance) (all []string) {
	for _, s := range i.Servers() {
		if a := s.LocalAddr(); a != nil {
			all = append(all, a.Network()+" "+a.String())
		}
		if a := s.Addr(); a != nil {
			all = append(all, a.Network()+" "+a.String())
		}
	}
	return all
}

func readCorefile(path string) (caddy.Input, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the Corefile: %w", err)
	}
	return caddy.CaddyfileInput{Filepath: path, Contents: text, ServerTypeName: "dns"}, nil
}

// input is the Corefile that the flags name or ask for.
func input(ctx *cli.Context) (caddy.Input, error) {
	if path := ctx.String("corefile"); path != "" {
		for _, f := range ctx.App.Flags {
			if name := f.Names()[0]; ctx.IsSet(name) && name != "corefile" && name != "print-corefile" {
				return nil, fmt.Errorf("--%s and --corefile: the Corefile has everything. Try: leave one out", name)
			}
		}
		return readCorefile(path)
	}
	o := options{listen: ctx.StringSlice("listen"), tls: ctx.StringSlice("tls"), https: ctx.StringSlice("https"),
		quic: ctx.StringSlice("quic"), cert: ctx.String("cert"), key: ctx.String("key"),
		upstream: ctx.StringSlice("upstream"), clients: ctx.StringSlice("clients"), health: ctx.String("health"),
		ready: ctx.String("ready"), metrics: ctx.String("metrics"), stale: !ctx.Bool("no-stale")}
	for _, address := range []*string{&o.health, &o.ready, &o.metrics} { // a port alone is of this machine only
		if _, err := strconv.ParseUint(*address, 10, 16); err == nil {
			*address = "127.0.0.1:" + *address
		}
	}
	for i, server := range o.upstream { // as package resolver writes it: tls://ADDRESS#NAME
		o.upstream[i] = strings.Replace(server, "#", "%", 1)
	}
	if len(ctx.StringSlice("sinkhole")) > 0 != (ctx.String("action") == "sinkhole") {
		return nil, fmt.Errorf("--action sinkhole and --sinkhole ADDRESS go together")
	}
	if ctx.String("popular-top") != "" && ctx.String("popular") == "" {
		return nil, fmt.Errorf("--popular-top needs --popular FILE")
	}
	if (o.cert == "") != (o.key == "") {
		return nil, fmt.Errorf("--cert and --key: both are needed")
	}
	o.degas = degasLines(ctx, len(o.clients) == 0)
	text, err := o.corefile()
	return caddy.CaddyfileInput{Filepath: "generated", Contents: []byte(text), ServerTypeName: "dns"}, err
}

// degasLines are the lines of the block of the plugin degas. fast says that repeated queries may be answered before
// other plugins see them.
func degasLines(ctx *cli.Context, fast bool) (lines [][]string) {
	for _, name := range []string{"model", "threshold", "false-alarms", "log", "events", "limit"} {
		if v := ctx.String(name); v != "" {
			lines = append(lines, []string{strings.ReplaceAll(name, "-", "_"), v})
		}
	}
	for _, name := range []string{"allow", "block", "notify"} {
		if v := ctx.StringSlice(name); len(v) > 0 {
			lines = append(lines, append([]string{name}, v...))
		}
	}
	if v := ctx.String("popular"); v != "" {
		popular := []string{"popular", v}
		if n := ctx.String("popular-top"); n != "" {
			popular = append(popular, n)
		}
		lines = append(lines, popular)
	}
	kinds := []string{"dga", "tunnel"}
	if ctx.String("action") != "log" { // what is on a block list is blocked in any case
		kinds = append(kinds, "list")
	}
	for _, k := range kinds {
		lines = append(lines, append([]string{"action", k, ctx.String("action")}, ctx.StringSlice("sinkhole")...))
	}
	if ctx.Bool("broad") {
		lines = append(lines, []string{"broad"})
	}
	if ctx.Bool("monitor") {
		lines = append(lines, []string{"monitor"})
	}
	if fast && !ctx.Bool("no-fast") {
		lines = append(lines, []string{"fast"})
	}
	return lines
}
