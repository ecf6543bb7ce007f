package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/notify"
	"github.com/degas-dns/degas/detect/stream"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/capture"
	"github.com/degas-dns/degas/events/dnstap"
	"github.com/degas-dns/degas/events/follow"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model/versions"
)

func (c *command) watch() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Usage:     "watch DNS traffic as it passes by, and report clients with malware and domains that carry tunnels",
		ArgsUsage: "[LOG…]",
		Description: "Watches network interfaces (--interface), name servers that send dnstap (--dnstap), and logs that\n" +
			"grow. A log is read from its end on, through rotation. degas recognises its format, as scan does.\n\n" +
			"Findings are JSON, one a line, on standard output or wherever --to says: - or file:PATH, syslog:,\n" +
			"syslog:udp://HOST:514, syslog:tcp://HOST:601, https://HOST/PATH. --state keeps what is known, so that a\n" +
			"restart forgets nothing; without it, evidence is in memory alone.\n\n" +
			"An interface needs the capability CAP_NET_RAW, Linux only. Encrypted DNS cannot be read.\n\n" +
			"Example: degas watch --interface eth0 --state watch.state\n" +
			"Example: degas watch --to syslog: --metrics 9153 /var/log/named/queries.log",
		Flags: append(policyFlags(),
			&cli.StringSliceFlag{Name: "interface", Aliases: []string{"i"}, Usage: "watch a network `INTERFACE`"},
			&cli.StringSliceFlag{Name: "dnstap", Usage: "wait for dnstap at `ADDRESS`: unix:PATH or tcp:HOST:PORT"},
			&cli.StringFlag{Name: "format", Usage: "read every log as `FORMAT`, without recognising it"},
			&cli.StringSliceFlag{Name: "field", Usage: "`KEY=COLUMN` of a table; keys: " + strings.Join(fieldKeys, ", ")},
			&cli.IntSliceFlag{Name: "port", Usage: "`PORT` of DNS on interfaces, besides 53; may be given again"},
			falseAlarmsFlag, baselineFlag,
			&cli.StringSliceFlag{Name: "to", Usage: "send findings to `TARGET`; may be given again",
				Value: cli.NewStringSlice("-")},
			&cli.StringFlag{Name: "token-file", Usage: "`FILE` with a bearer token for an HTTPS target"},
			&cli.StringFlag{Name: "mute", Usage: "`FILE` of what nobody wants to hear of, each with a reason and an end"},
			&cli.StringFlag{Name: "state", Usage: "keep what is known in `FILE`"},
			&cli.StringFlag{Name: "metrics", Usage: "answer Prometheus at `ADDRESS`; a port alone is of this machine only"},
		),
		Action: c.watchAction,
	}
}

var (
	falseAlarmsFlag = &cli.Float64Flag{Name: "false-alarms", Value: watch.DefaultFalseAlarms,
		Usage: "report findings of which `PER_DAY` are expected to be false"}
	baselineFlag = &cli.StringFlag{Name: "baseline", Usage: "do not report what is usual here: `FILE` of scan --learn"}
)

func (c *command) watchAction(ctx *cli.Context) (err error) {
	o := stream.Options{Metrics: metrics.New(version()), State: ctx.String("state")}
	read, err := eventOptions(ctx)
	if err != nil {
		return err
	}
	if ctx.NArg()+len(ctx.StringSlice("interface"))+len(ctx.StringSlice("dnstap")) == 0 {
		return usagef("watch: name an --interface, a --dnstap address or a log")
	}
	j, w, err := newWatch(ctx, watch.Options{Live: true})
	if err != nil {
		return err
	}
	o.Policy, o.Watch = j.policy, w
	if path := ctx.String("mute"); path != "" {
		if o.Mutes, err = notify.ReadMutes(path); err != nil {
			return err
		}
	}
	var places map[string]follow.State
	if o.State != "" {
		if places, err = stream.Restore(o.State, o.Watch); err != nil {
			return err
		}
	}
	sinks := []notify.Sink{}
	defer func() {
		if e := notify.All(sinks...).Close(); err == nil {
			err = e
		}
	}()
	for _, target := range ctx.StringSlice("to") {
		s, err := notify.Open(target, notify.Options{Stdout: c.out, TokenFile: ctx.String("token-file"), Metrics: o.Metrics})
		if err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		sinks = append(sinks, s)
	}
	o.Sink = notify.All(sinks...)
	group, inner := errgroup.WithContext(ctx.Context)
	if err := openSources(inner, ctx, &o, ctx.Args().Slice(), read, places); err != nil {
		return err
	}
	if !c.quiet {
		for _, s := range o.Sources {
			printable.Fprintf(c.err, "watching %s\n", s.Name)
		}
	}
	if address := ctx.String("metrics"); address != "" {
		l, err := metrics.Listen(address)
		if err != nil {
			return err
		}
		slog.Info("metrics", "url", "http://"+l.Addr().String()+"/metrics")
		group.Go(func() error { return o.Metrics.Serve(inner, l) })
	}
	o.Policies = j.follow(inner, group, func(v *versions.Version) {
		o.Metrics.Model.With(v.Model).Set(int64(v.Number))
	})
	group.Go(func() error {
		if err := stream.Run(inner, o); err != nil {
			return err
		}
		return errDone // which ends the metrics
	})
	if err = group.Wait(); err == errDone {
		err = nil
	}
	return err
}

// follow keeps lists and the model up to date until ctx ends, and sends a policy after each change. told is told of the
// version in use, at first and when it changes.
func (j *judge) follow(ctx context.Context, group *errgroup.Group, told func(*versions.Version)) <-chan *detect.Policy {
	policies := make(chan *detect.Policy)
	var mu sync.Mutex // so that no old policy comes after a new one
	version := j.version
	told(version)
	send := func() {
		select {
		case policies <- j.policy.WithModel(version.Classifier).With(j.lists.Lists()):
		case <-ctx.Done():
		}
	}
	group.Go(func() error {
		j.lists.Run(ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			send()
		})
		return nil
	})
	group.Go(func() error {
		j.newest.Run(ctx, watchTime, func(v *versions.Version) {
			slog.Info("another version of the model is in use", "model", v.Model, "version", v.Number)
			mu.Lock()
			defer mu.Unlock()
			version = v
			told(v)
			send()
		}, brokenVersion)
		return nil
	})
	return policies
}

// errDone is that all sources have ended.
var errDone = fmt.Errorf("done")

// openSources opens what the command line names. Everything is open, or nothing runs.
func openSources(inner context.Context, ctx *cli.Context, o *stream.Options, logs []string, read events.Options,
	places map[string]follow.State,
) error {
	for _, name := range ctx.StringSlice("interface") {
		stats := &events.Stats{}
		l, err := capture.Listen(inner, name, read, stats)
		if err != nil {
			return err
		}
		o.Sources = append(o.Sources, stream.Source{Name: name, Reader: l, Stats: stats, Dropped: l.Dropped})
	}
	for _, address := range ctx.StringSlice("dnstap") {
		stats := &events.Stats{}
		l, err := dnstap.Listen(inner, address, stats)
		if err != nil {
			return err
		}
		o.Sources = append(o.Sources, stream.Source{Name: "dnstap", Reader: l, Stats: stats})
	}
	for _, path := range logs {
		var from *follow.State
		if place, ok := places[path]; ok {
			from = &place
		}
		f, err := follow.Open(inner, path, read, from)
		if err != nil {
			return err
		}
		o.Sources = append(o.Sources, stream.Source{Name: path, Reader: f, Stats: &f.Stats, Place: f.State})
	}
	return nil
}
