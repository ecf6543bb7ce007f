package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/netutil"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/tensorflow"
)

func (c *command) serve() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "answer TensorFlow Serving's REST API with a model",
		ArgsUsage: "[MODEL]",
		Description: "MODEL is a version directory, a run, or a directory of numbered versions. Without it, the built-in\n" +
			"model answers, whose name is degas. The command prints the model's URL when it is ready. New, changed\n" +
			"and removed versions are noticed within seconds; the old one answers until the new one works. On Ctrl-C it\n" +
			"finishes the requests in work and stops. Anyone who reaches the address can use the model, so choose an\n" +
			"address that only your clients reach.\n\n" +
			"Example: degas serve models/degas\n" +
			"         curl -d '{\"instances\": [\"google.com\"]}' http://127.0.0.1:8501/v1/models/degas:predict",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Value: "127.0.0.1:8501", Usage: "`ADDRESS` to listen on; port 0 takes a free one"},
			&cli.StringFlag{Name: "name", Usage: "the model's `NAME` (default: the directory above the numbers)"},
		},
		Action: action(0, 1, c.serveAction),
	}
}

// Requests in work may take shutdownTime after an interrupt. A request may take readTime to arrive. Tests change both.
var shutdownTime, readTime = 10 * time.Second, time.Minute

// watchTime passes between two looks for new versions.
const watchTime = 3 * time.Second

// A connection may take maxHeader bytes before its request counts towards models.Memory. All of them together take 64
// MiB.
const maxConnections, maxHeader = 4096, 16 << 10

func (c *command) serveAction(ctx *cli.Context) error {
	set, err := models.Open(slog.Default(), models.Source{Name: ctx.String("name"), Dir: modelArgument(ctx)})
	if err != nil {
		return err
	}
	handler := &tensorflow.Handler{Models: set, Reply: reply.Writer{Log: slog.Default()}}
	l, err := net.Listen("tcp", ctx.String("addr"))
	if err != nil {
		return fmt.Errorf("%w. Try: another --addr, such as 127.0.0.1:0", err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	at := fmt.Sprintf("http://%s/v1/models/%s", l.Addr(), url.PathEscape(set.Names()[0]))
	if _, err := printable.Fprintf(c.out, "%s\n", at); err != nil {
		return errors.Join(err, l.Close())
	}
	go set.Watch(ctx.Context, watchTime)
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Context.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx.Context), shutdownTime)
		defer cancel()
		err := server.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) {
			slog.Warn("requests that were still in work are cut off", "after", shutdownTime)
			err = server.Close()
		}
		stopped <- err
	}()
	if err := server.Serve(netutil.LimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
