package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

func (c *command) dns() *cli.Command {
	return &cli.Command{
		Name:      "dns",
		Usage:     "answer DNS queries, and block names made by malware and names that carry tunnels",
		ArgsUsage: "[FLAG…]",
		Description: "Starts degas-dns, a program of its own, with the same flags. It must stand beside degas or in a\n" +
			"directory of PATH. In the sources of degas, this builds it:\n\n" +
			"  (cd coredns && CGO_ENABLED=0 go build -o .. ./cmd/degas-dns)\n\n" +
			"Example: degas dns --listen 127.0.0.1:5353 --upstream 9.9.9.9\n" +
			"Example: degas dns --help",
		SkipFlagParsing: true,
		Action:          c.dnsAction,
	}
}

func (c *command) dnsAction(ctx *cli.Context) error {
	args := ctx.Args().Slice()
	path, err := dnsProgram()
	if err != nil {
		if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
			return cli.ShowSubcommandHelp(ctx)
		}
		return err
	}
	if c.in == os.Stdin && runtime.GOOS != "windows" { // the server takes this process' place, and its signals
		return fmt.Errorf("start %s: %w", path, syscall.Exec(path, append([]string{path}, args...), os.Environ()))
	}
	// A server stops by a signal and finishes what it is answering.
	server := exec.CommandContext(ctx.Context, path, args...)
	server.Stdin, server.Stdout, server.Stderr = c.in, c.out, c.err
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 15 * time.Second
	if err := server.Run(); err != nil && ctx.Context.Err() == nil {
		return fmt.Errorf("degas-dns: %w", err)
	}
	return nil
}

// dnsProgram is the path of degas-dns: beside this program, else in PATH.
func dnsProgram() (string, error) {
	name := "degas-dns"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); isFile(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) || errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("degas-dns is neither beside degas nor in PATH. " +
			"Try: (cd coredns && CGO_ENABLED=0 go build -o .. ./cmd/degas-dns) in the sources of degas")
	}
	return path, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
