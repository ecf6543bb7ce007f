// Command degas-beam runs degas on Apache Beam. Beam's own flags choose the runner: --runner=prism (the default, in
// this process), flink, dataflow, universal.
//
//	degas-beam process --input data/raw --output data/shards
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
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
			fmt.Fprintf(os.Stderr, "degas-beam: unexpected %q. Try: --input %[1]s\n", flag.Arg(0))
		}
		usage()
		os.Exit(2)
	}
	quiet()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "degas-beam %s: %v\n", name, err)
		os.Exit(1)
	}
}

// quiet leaves out what Beam says of itself, such as the whole pipeline as a protobuf. Warnings and errors stay.
func quiet() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log.SetLogger(warnings{&log.Standard{}})
}

// warnings is a logger that leaves out what is less than a warning.
type warnings struct{ to log.Logger }

// Log implements log.Logger.
func (w warnings) Log(ctx context.Context, level log.Severity, depth int, text string) {
	if level >= log.SevWarn {
		w.to.Log(ctx, level, depth+1, text)
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
