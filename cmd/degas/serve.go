package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/token"
)

func (c *command) serve() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "score names over HTTP, take events in, and keep what was seen",
		ArgsUsage: "[[NAME=]MODEL…]",
		Description: "MODEL is a version directory, a run, or a directory of numbered versions. Without it, the built-in\n" +
			"model answers, whose name is degas. The command prints the URL of each model when it is ready. Clients may\n" +
			"speak TensorFlow Serving's REST API, KServe v2, or ask /v1/names, which the first model answers. New,\n" +
			"changed and removed versions are noticed within seconds; the old one answers until the new one works.\n\n" +
			"--data keeps events, findings and decisions in a folder. Events come by POST /v1/events, from logs that\n" +
			"grow and from dnstap. docs/serve.md says more.\n\n" +
			"On Ctrl-C the server finishes the requests in work and stops. It listens on this machine alone unless\n" +
			"--addr says otherwise; then let --tokens say who may do what.\n\n" +
			"Example: degas serve models/degas\n" +
			"         curl '127.0.0.1:8501/v1/names?name=xjpakmdcfuqe.biz'\n" +
			"Example: degas serve --data /var/lib/degas --log /var/log/named/queries.log",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "addr", Value: "127.0.0.1:8501", Usage: "`ADDRESS` to listen on; port 0 takes a free one"},
			&cli.StringFlag{Name: "name", Usage: "the model's `NAME` (default: the directory above the numbers)"},
			&cli.StringSliceFlag{Name: "label", Usage: "`LABEL=VERSION` of the first model, such as stable=2"},
			&cli.StringSliceFlag{Name: "host", Usage: "`NAME` by which clients reach the server; others are refused then"},
			&cli.StringFlag{Name: "tls-cert", Usage: "PEM `FILE` with the certificate: speak TLS"},
			&cli.StringFlag{Name: "tls-key", Usage: "PEM `FILE` with the certificate's key"},
			&cli.StringFlag{Name: "tokens", Usage: "`FILE` of tokens, which degas token makes: who may do what"},
			&cli.StringFlag{Name: "metrics", Usage: "answer Prometheus at another `ADDRESS`; a port alone is of this machine"},
		}, listFlags()...), keepFlags()...),
		Action: action(0, -1, c.serveAction),
	}
}

// serveLimits are changed by tests.
var serveLimits serve.Limits

// watchTime passes between two looks for new versions.
const watchTime = time.Second

func (c *command) serveAction(ctx *cli.Context) (err error) {
	sources, err := modelSources(ctx)
	if err != nil {
		return err
	}
	set, err := models.Open(slog.Default(), sources...)
	if err != nil {
		return err
	}
	o := serve.Options{Version: version(), Models: set, Limits: serveLimits, Log: slog.Default()}
	var certificates *serve.Certificates
	if cert, key := ctx.String("tls-cert"), ctx.String("tls-key"); cert != "" || key != "" {
		if cert == "" || key == "" {
			return usagef("--tls-cert and --tls-key belong together")
		}
		if certificates, err = serve.LoadCertificates(cert, key, slog.Default()); err != nil {
			return err
		}
	}
	if path := ctx.String("tokens"); path != "" {
		if o.Tokens, err = token.Load(path); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", ctx.String("addr"))
	if err != nil {
		return fmt.Errorf("%w. Try: another --addr, such as 127.0.0.1:0", err)
	}
	defer l.Close()
	local := isLocal(l.Addr())
	if !local && o.Tokens == nil && ctx.IsSet("data") {
		return usagef("whoever reaches %s could send events and decide about names. Try: --tokens FILE, which degas token "+
			"makes, or an --addr of this machine", l.Addr())
	}
	if o.Hosts = ctx.StringSlice("host"); local || len(o.Hosts) > 0 {
		host, _, _ := net.SplitHostPort(ctx.String("addr"))
		o.Hosts = append(o.Hosts, "localhost", "127.0.0.1", "::1", strings.ToLower(host))
	}
	keeping, err := c.openKeeping(ctx, &o, local)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keeping.close()) }()
	var pages net.Listener
	if address := ctx.String("metrics"); address != "" {
		if pages, err = metrics.Listen(address); err != nil {
			return err
		}
		o.OwnMetrics = true
	}
	server, err := serve.New(o)
	if err != nil {
		return err
	}
	scheme := "http"
	if certificates != nil {
		scheme = "https"
	}
	for _, name := range set.Names() {
		if _, err := printable.Fprintf(c.out, "%s://%s/v1/models/%s\n", scheme, l.Addr(), url.PathEscape(name)); err != nil {
			return err
		}
	}
	if o.Console != nil {
		if err := c.sayConsole(ctx, keeping, scheme+"://"+l.Addr().String()); err != nil {
			return err
		}
	}
	go set.Watch(ctx.Context, watchTime)
	if pages != nil {
		slog.Info("metrics", "url", "http://"+pages.Addr().String()+"/metrics")
		side := &http.Server{Handler: server.MetricsHandler(), ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
		go func() { _ = side.Serve(pages) }()
		defer side.Close()
	}
	return keeping.run(ctx.Context, server, l, certificates)
}

// modelSources are the models that the command line names.
func modelSources(ctx *cli.Context) (all []models.Source, err error) {
	for _, arg := range ctx.Args().Slice() {
		from := models.Source{Dir: arg}
		if name, dir, ok := strings.Cut(arg, "="); ok {
			if _, err := os.Stat(arg); err != nil { // no folder with = in its name
				from = models.Source{Name: name, Dir: dir}
			}
		}
		all = append(all, from)
	}
	if len(all) == 0 {
		all = []models.Source{{Dir: model.BuiltinName}}
	}
	if name := ctx.String("name"); name != "" {
		if len(all) > 1 {
			return nil, usagef("--name: of which model? Try: NAME=MODEL for each")
		}
		all[0].Name = name
	}
	for _, label := range ctx.StringSlice("label") {
		name, number, _ := strings.Cut(label, "=")
		n, err := strconv.Atoi(number)
		if err != nil || name == "" {
			return nil, usagef("--label %q: want LABEL=VERSION, such as stable=2", label)
		}
		if all[0].Labels == nil {
			all[0].Labels = map[string]int{}
		}
		all[0].Labels[name] = n
	}
	return all, nil
}

// isLocal reports whether only this machine reaches an address.
func isLocal(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().IsLoopback()
}
