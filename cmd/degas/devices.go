package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

func (c *command) devices() *cli.Command {
	return &cli.Command{
		Name:  "devices",
		Usage: "list the GPUs that --engine cuda could use",
		Description: "Prints every NVIDIA device and, where it cannot be used, why. " +
			"Exits with 1 where there is none that can.\n\nExample: degas devices",
		Flags:  []cli.Flag{jsonFlag},
		Action: c.devicesAction,
	}
}

func (c *command) devicesAction(ctx *cli.Context) error {
	if err := arguments(ctx, 0, 0); err != nil {
		return err
	}
	all, err := device.List()
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		err = c.printJSON(all)
	} else {
		err = c.printDevices(all)
	}
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Problem == "" {
			return nil
		}
	}
	return fmt.Errorf("none of %d devices can be used", len(all))
}

func (c *command) printDevices(all []device.Info) error {
	const gib = 1 << 30
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	printable.Fprintf(w, "DEVICE\tNAME\tMEMORY\tFREE\tCOMPUTE\tDRIVER\tUSABLE\n")
	for _, d := range all {
		usable := "yes"
		if d.Problem != "" {
			usable = "no: " + d.Problem
		}
		printable.Fprintf(w, "%d\t%s\t%.1f GiB\t%.1f GiB\t%s\tCUDA %s\t%s\n",
			d.Index, d.Name, float64(d.Memory)/gib, float64(d.Free)/gib, d.Compute, d.Driver, usable)
	}
	return w.Flush()
}
