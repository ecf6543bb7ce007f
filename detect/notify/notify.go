// Package notify delivers the findings of a live watch: as JSON Lines, to syslog, or to a web hook. [Mutes] hold back
// what somebody has looked at already.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/degas-dns/degas/detect/metrics"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/internal/printable"
)

// Sink takes findings. Its methods are safe for concurrent use, but nothing may be sent after Close.
type Sink interface {
	// Send delivers a finding, or puts it into a queue if the sink is not on this machine: it never waits for a network.
	// It keeps nothing of f.
	Send(ctx context.Context, f watch.Finding) error
	// Close delivers what waits, for at most five seconds. The error says how much is lost.
	Close() error
}

// ErrClosed is the error of Send after Close.
var ErrClosed = errors.New("the sink is closed")

// Options of Open.
type Options struct {
	// Stdout is where "-" leads; nil is os.Stdout.
	Stdout io.Writer
	// TokenFile holds a bearer token for HTTP. It is read for every request, so that the token can be replaced. Without a
	// file the token is that of the environment variable TokenVariable, if it is set.
	TokenFile string
	// Metrics counts deliveries by sink; nil counts nowhere.
	Metrics *metrics.Metrics

	pace pace // zero but in tests
}

// TokenVariable is the environment variable with a bearer token.
const TokenVariable = "DEGAS_NOTIFY_TOKEN"

// Open opens the sink at target:
//
//   - JSON Lines on standard output
//     file:PATH or PATH        JSON Lines at the end of a file, which logrotate may rename
//     syslog:                  the syslog daemon of this machine
//     syslog:udp://HOST:514    RFC 5424 over UDP
//     syslog:tcp://HOST:601    RFC 5424 over TCP, with octet counting
//     https://HOST/PATH        POST of a JSON array of findings
//
// A remote sink need not answer yet.
func Open(target string, o Options) (Sink, error) {
	if o.Metrics == nil {
		o.Metrics = metrics.New("")
	}
	if o.pace == (pace{}) {
		o.pace = usual
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	switch scheme, rest, _ := strings.Cut(target, ":"); {
	case target == "-":
		return &lineSink{w: o.Stdout, n: counts(o.Metrics, "stdout")}, nil
	case scheme == "syslog":
		return openSyslog(rest, o)
	case scheme == "http", scheme == "https":
		return openHTTP(target, o)
	case scheme == "file" && rest != "" && !strings.HasPrefix(rest, "//"):
		return openFile(rest, o)
	case target != "" && !strings.Contains(target, "://") && scheme != "file":
		return openFile(target, o)
	case scheme == "file":
		return nil, fmt.Errorf("%q is no place for findings. Try: file:/var/log/degas.jsonl", target)
	}
	return nil, errors.New("no place for findings. Try: - or file:PATH, syslog:, syslog:udp://HOST:514, " +
		"syslog:tcp://HOST:601, https://HOST/PATH") // not the target: it may hold a password
}

// All sends to several sinks. One that fails keeps nothing from the others.
func All(sinks ...Sink) Sink { return all(sinks) }

type all []Sink

// Send implements Sink.
func (a all) Send(ctx context.Context, f watch.Finding) error {
	var errs []error
	for _, s := range a {
		errs = append(errs, s.Send(ctx, f))
	}
	return errors.Join(errs...)
}

// Close implements Sink. The sinks close at the same time, so that it takes no longer than one of them.
func (a all) Close() error {
	errs := make([]error, len(a))
	var w sync.WaitGroup
	for i, s := range a {
		w.Go(func() { errs[i] = s.Close() })
	}
	w.Wait()
	return errors.Join(errs...)
}

// tally are the counts of one sink.
type tally struct{ sent, errors, dropped *metrics.Value }

func counts(m *metrics.Metrics, sink string) tally {
	return tally{m.SinkSent.With(sink), m.SinkErrors.With(sink), m.SinkDropped.With(sink)}
}

// lineSink writes JSON Lines.
type lineSink struct {
	mu   sync.Mutex
	w    io.Writer
	n    tally
	torn bool // the last line lacks its end
}

// Send implements Sink. Each line is one write.
func (l *lineSink) Send(_ context.Context, f watch.Finding) error {
	line, err := Encode(&f)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.w.Write(line)
	l.torn = n > 0 && n < len(line) || n == 0 && l.torn
	if err != nil {
		l.n.errors.Add(1)
		l.n.dropped.Add(1)
		return fmt.Errorf("write a finding: %w", err)
	}
	l.n.sent.Add(1)
	return nil
}

// Close implements Sink. Standard output stays open.
func (l *lineSink) Close() error { return nil }

// Encode is a finding as one line of JSON that a terminal can show, with its line end. Numbers that JSON does not have
// become the nearest ones that it has.
func Encode(f *watch.Finding) ([]byte, error) {
	g := *f
	g.Evidence, g.FalseAlarms = finite(g.Evidence), finite(g.FalseAlarms)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(&g); err != nil {
		return nil, fmt.Errorf("write a finding as JSON: %w", err)
	}
	return printable.JSON(b.Bytes()), nil
}

// finite is x, or the nearest number that JSON has.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return max(min(x, math.MaxFloat64), -math.MaxFloat64)
}

// warn logs trouble with a sink.
func warn(sink, what string, err error) { slog.Warn(what, "sink", sink, "error", err) }
