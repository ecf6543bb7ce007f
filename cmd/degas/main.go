// Command degas trains, measures and ships classifiers for DNS names. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/internal/printable"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends degas at once, whatever it waits for
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// release is the version of this source. It takes part in the fingerprints of pipeline stages.
const release = "0.1.0"

// version is the release with the commit it was built from, where Go recorded one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	commit, modified := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = "+" + s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = ".modified"
			}
		}
	}
	if commit == "" {
		return release
	}
	return release + commit + modified
}

func (c *command) version() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version and the built-in model's hash",
		Action: action(0, 0, c.versionAction)}
}

func (c *command) versionAction(*cli.Context) error {
	b, err := describeBuiltin()
	if err != nil {
		return err
	}
	_, err = printable.Fprintf(c.out, "degas %s %s %s/%s\nbuilt-in model %s %.12s\n",
		version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, b.Name, b.Hash)
	return err
}
