// Command degas-beam runs degas on Apache Beam. Beam's own flags choose the runner: --runner=prism (the default, in
// this process), flink, dataflow, universal.
//
//	degas-beam process --input data/raw --output data/shards
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// command is a subcommand. Its flags join Beam's own, which are package flag's.
type command struct {
	name, about string
	// flags adds the command's flags and returns what runs it when they are parsed.
	flags func(*flag.FlagSet) func(context.Context) error
}

var commands = []command{
	{"process", "degas process-data: clean and split raw files into Arrow shards", processFlags},
	{"score", "degas predict and degas scan --events: score names and traffic, in a folder for each day", scoreFlags},
	{"watch", "degas scan: find infected clients and tunnels in traffic", watchFlags},
}

func main() {
	flag.Usage = usage
	name, run := choose()
	flag.Parse()
	beam.Init() // a worker that a runner started ends in here: it has Beam's flags, but no command
	if run == nil || flag.NArg() > 0 {
		if flag.NArg() > 0 {
			fmt.Fprintf(os.Stderr, "degas-beam: unexpected %q\n", flag.Arg(0))
		}
		usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "degas-beam %s: %v\n", name, err)
		os.Exit(1)
	}
}

// choose takes the command off the arguments and adds its flags. Without a command, run is nil.
func choose() (name string, run func(context.Context) error) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		return "", nil
	}
	for _, c := range commands {
		if c.name == os.Args[1] {
			os.Args = append(os.Args[:1], os.Args[2:]...)
			return c.name, c.flags(flag.CommandLine)
		}
	}
	return "", nil
}

func usage() {
	fmt.Fprintln(os.Stderr, "Usage: degas-beam COMMAND [flags]. Commands:")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", c.name, c.about)
	}
	fmt.Fprintln(os.Stderr, "Flags of a command and of Beam: degas-beam COMMAND --help")
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-") {
		flag.PrintDefaults()
	}
}
