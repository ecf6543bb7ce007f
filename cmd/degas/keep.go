package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/stream"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/bytesize"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/shadow"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
	"github.com/degas-dns/degas/serve/store/search"
	"github.com/degas-dns/degas/serve/store/sqlite"
)

// keepFlags are the flags of a server that keeps what it sees.
func keepFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "keep events, findings and decisions in `DIR`"},
		&cli.StringFlag{Name: "keep", Value: "1GiB", Usage: "at most `SIZE` of events in --data"},
		&cli.StringFlag{Name: "console-link", Usage: "print a link with which the admin `NAME` sets a password"},
		&cli.StringSliceFlag{Name: "proxy", Usage: "a `NETWORK` of proxies that speak TLS and send X-Forwarded-For"},
		&cli.StringFlag{Name: "store", Usage: "keep events in OpenSearch or Elasticsearch at `URL` instead"},
		&cli.StringFlag{Name: "store-auth", Usage: "`SCHEME:FILE` with a secret for --store; basic, bearer or apikey"},
		&cli.BoolFlag{Name: "store-all", Usage: "send all events to --store, not those alone that are flagged or sampled"},
		&cli.StringFlag{Name: "store-ca", Usage: "PEM `FILE` of the authority that signed --store's certificate"},
		&cli.StringSliceFlag{Name: "log", Usage: "take events from a `LOG` that grows"},
		&cli.StringFlag{Name: "format", Usage: "read every log as `FORMAT`, without recognising it"},
		&cli.StringSliceFlag{Name: "field", Usage: "`KEY=COLUMN` of a table; keys: " + strings.Join(fieldKeys, ", ")},
		&cli.StringSliceFlag{Name: "dnstap", Usage: "wait for dnstap at `ADDRESS`: unix:PATH or tcp:HOST:PORT"},
		falseAlarmsFlag, baselineFlag,
		&cli.StringSliceFlag{Name: "to", Usage: "send findings to `TARGET`, as watch does; may be given again"},
		&cli.StringFlag{Name: "token-file", Usage: "`FILE` with a bearer token for an HTTPS target"},
	}
}

// keeping is what a server keeps, and the stream that fills it.
type keeping struct {
	engine *serve.Engine
	lists  *lists.Set
	stream *stream.Options // nil without --data
	intake *serve.Intake
	ledger *ledger.Ledger
	people *accounts.Accounts
	shadow *shadow.Shadow
	store  store.Store
	sinks  []notify.Sink
}

// openKeeping opens what the command line names, and puts it into o.
func (c *command) openKeeping(ctx *cli.Context, o *serve.Options, local bool) (k *keeping, err error) {
	k = &keeping{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	dir := ctx.String("data")
	for _, flag := range []string{"store", "log", "dnstap", "to", "baseline", "console-link", "proxy"} {
		if dir == "" && ctx.IsSet(flag) {
			return k, usagef("--%s: where is to be kept what comes in? Try: --data DIR", flag)
		}
	}
	e := serve.EngineOptions{Models: o.Models, Model: o.Models.Names()[0]}
	if e.Policy, k.lists, err = policyOptions(ctx); err != nil {
		return k, err
	}
	e.Lists = k.lists
	if dir != "" {
		k.ledger, err = ledger.Open(ctx.Context, filepath.Join(dir, "ledger"), ledger.Options{Log: slog.Default()})
		if err != nil {
			return k, err
		}
		e.Decided = k.ledger
	}
	if k.engine, err = serve.NewEngine(e); err != nil {
		return k, err
	}
	o.Engine = k.engine
	if dir == "" {
		return k, nil
	}
	if err := k.openStore(ctx, dir); err != nil {
		return k, err
	}
	if err := k.openStream(ctx, dir); err != nil {
		return k, err
	}
	k.shadow, err = shadow.New(shadow.Options{Serving: o.Models, Log: slog.Default(), Policy: func() *detect.Policy {
		p, _ := k.engine.Policy()
		return p
	}})
	if err != nil {
		return k, err
	}
	o.Store, o.Ledger, o.Intake, o.Watching, o.Shadow = k.store, k.ledger, k.intake, k.stream.Metrics, k.shadow
	proxies, err := networks(ctx.StringSlice("proxy"))
	if err != nil {
		return k, err
	}
	if !local && !ctx.IsSet("tls-cert") && len(proxies) == 0 {
		slog.Warn("there is no console: passwords would pass in the clear. Try: --tls-cert and --tls-key, or --proxy " +
			"NETWORK of a proxy that speaks TLS")
		return k, nil
	}
	if k.people, err = accounts.New(ctx.Context, k.ledger, accounts.Options{Log: slog.Default()}); err != nil {
		return k, err
	}
	o.Console, err = console.New(console.Options{Version: o.Version, Engine: k.engine, Models: o.Models, Store: k.store,
		Ledger: k.ledger, Accounts: k.people, Lists: k.lists, Shadow: k.shadow, Watching: k.stream.Metrics,
		Cluster: ctx.IsSet("store"),
		Hosts:   ctx.StringSlice("host"), TLS: ctx.IsSet("tls-cert") || len(proxies) > 0, Proxies: proxies,
		Log: slog.Default()})
	return k, err
}

// networks reads addresses and networks such as 192.0.2.0/24.
func networks(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, alone := netip.ParseAddr(text); err != nil && alone == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, usagef("--proxy %q is no network. Try: 127.0.0.1 or 192.0.2.0/24", text)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// sayConsole prints where the console is, and the link for who opens it first.
func (c *command) sayConsole(ctx *cli.Context, k *keeping, url string) error {
	token, first, err := k.people.FirstRun(ctx.Context)
	if name := ctx.String("console-link"); err == nil && name != "" {
		first = true
		token, err = k.people.Link(ctx.Context, name)
	}
	if err != nil {
		return err
	}
	url += "/console/"
	if first {
		url += "welcome?token=" + token
	}
	_, err = printable.Fprintf(c.out, "%s\n", url)
	return err
}

// openStore opens the events' store.
func (k *keeping) openStore(ctx *cli.Context, dir string) error {
	budget, err := bytesize.Parse(ctx.String("keep"))
	if err != nil {
		return usagef("--keep: %v", err)
	}
	if url := ctx.String("store"); url != "" {
		o := search.Options{URL: url, CAFile: ctx.String("store-ca"), Dir: filepath.Join(dir, "spool"),
			All: ctx.Bool("store-all"), Log: slog.Default()}
		if ctx.IsSet("keep") {
			o.Budget = budget
		}
		if auth := ctx.String("store-auth"); auth != "" {
			scheme, file, _ := strings.Cut(auth, ":")
			o.Auth, o.SecretFile = search.Scheme(scheme), file
		}
		s, err := search.Open(o)
		if err == nil {
			k.store = s // a nil pointer in an interface is not nil
		}
		return err
	}
	s, err := sqlite.Open(filepath.Join(dir, "events"), sqlite.Options{Budget: budget, Log: slog.Default()})
	if err == nil {
		k.store = s
	}
	return err
}

// openStream opens the sources of events.
func (k *keeping) openStream(ctx *cli.Context, dir string) error {
	o := &stream.Options{Metrics: metrics.New(version()), State: filepath.Join(dir, "watch.state")}
	w := watch.Options{Live: true}
	if err := falseAlarms(ctx, &w); err != nil {
		return err
	}
	policy, model := k.engine.Policy()
	var err error
	if o.Watch, err = watchFor(ctx, w, policy, model.Classifier.Model()); err != nil {
		return err
	}
	o.Policy = policy
	places, err := stream.Restore(o.State, o.Watch)
	if err != nil {
		return err
	}
	o.Mutes = k.ledger.Mutes()
	k.sinks = append(k.sinks, k.ledger.Sink())
	for _, target := range ctx.StringSlice("to") {
		s, err := notify.Open(target, notify.Options{TokenFile: ctx.String("token-file"), Metrics: o.Metrics})
		if err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		k.sinks = append(k.sinks, s)
	}
	o.Sink = notify.All(k.sinks...)
	read, err := eventOptions(ctx)
	if err != nil {
		return err
	}
	if err := openSources(ctx.Context, ctx, o, ctx.StringSlice("log"), read, places); err != nil {
		return err
	}
	k.intake = serve.NewIntake()
	o.Sources = append(o.Sources, k.intake.Source())
	k.stream = o
	return nil
}

// run serves until ctx ends or a source of events fails. Events that were accepted are kept.
func (k *keeping) run(ctx context.Context, s *serve.Server, l net.Listener, c *serve.Certificates) error {
	policies := make(chan *detect.Policy, 1)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		k.lists.Run(inner, func() {})
		return nil
	})
	group.Go(func() error {
		k.engine.Run(inner, func(p *detect.Policy) {
			if k.stream == nil {
				return
			}
			select {
			case policies <- p:
			case <-inner.Done():
			}
		}, func(err error) { slog.Error("the policy stays as it was", "error", err) })
		return nil
	})
	if k.ledger != nil {
		group.Go(func() error {
			k.tidy(inner)
			return nil
		})
	}
	if k.shadow != nil {
		group.Go(func() error {
			k.shadow.Run(inner)
			return nil
		})
	}
	streaming, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group.Go(func() error {
		defer end() // after the last request
		return s.Serve(inner, l, c)
	})
	if k.stream != nil {
		k.stream.Policies, k.stream.Keep = policies, s.Keep
		group.Go(func() error { return stream.Run(streaming, *k.stream) })
	}
	return group.Wait()
}

// tidy forgets what is too old in the ledger, at once and then every hour.
func (k *keeping) tidy(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		err := k.ledger.Tidy(ctx, time.Now())
		if k.people != nil {
			err = errors.Join(err, k.people.Tidy(ctx))
		}
		if err != nil && ctx.Err() == nil {
			slog.Error("the ledger is not tidied", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// close closes what is open.
func (k *keeping) close() (err error) {
	if len(k.sinks) > 0 {
		err = notify.All(k.sinks...).Close()
	}
	if k.store != nil {
		err = errors.Join(err, k.store.Close())
	}
	if k.people != nil { // counts of wrong tries are in memory
		err = errors.Join(err, k.people.Tidy(context.Background()))
	}
	if k.ledger != nil {
		err = errors.Join(err, k.ledger.Close())
	}
	return err
}
