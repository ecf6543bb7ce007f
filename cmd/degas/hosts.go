package main

import (
	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/evaluate/simulate"
)

// checkHosts refuses flags that belong to protocols which train.
func checkHosts(ctx *cli.Context) error {
	for _, f := range []string{"folds", "epochs"} {
		if ctx.IsSet(f) {
			return usagef("--%s belongs to a protocol that trains: %s does not", f, protocol.Hosts)
		}
	}
	return nil
}

// simulateHosts simulates clients and tunnels with a model's scores, and prints the tables.
func (c *command) simulateHosts(ctx *cli.Context) error {
	bar := c.progress()
	r, err := protocol.RunHosts(ctx.Context, protocol.HostsOptions{
		RunDir: modelArgument(ctx), Data: ctx.String("data"), Out: ctx.String("out"), Names: ctx.Int("names"),
		Options: simulate.Options{Progress: func(what string) { bar.line("%s: done", what) }},
	})
	bar.close()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	return simulate.Print(c.out, r)
}
