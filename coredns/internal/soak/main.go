// Command soak sends a degas-dns millions of queries, ordinary and hostile, while its upstream dies, lies and hangs,
// its lists fail, TCP clients are slow, and its Corefile is read again. scripts/soak-dns builds both and runs it.
//
// It prints a table of what was expected and what was seen, and exits with status 1 if they differ. Everything is on
// loopback addresses.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	degas       string // the program
	queries     int64
	workers     int
	connections int
	reload      time.Duration // between two reloads
	well        time.Duration // that the upstream is good before it is not
	hostile     string        // an archive of hostile packets, "" for none
	keep        bool
}

func main() {
	var o options
	flag.StringVar(&o.degas, "degas", "", "the degas-dns to test, as `FILE`")
	flag.Int64Var(&o.queries, "queries", 10_000_000, "send `N` well-formed queries over UDP")
	flag.IntVar(&o.workers, "workers", 256, "`N` clients ask over UDP at once")
	flag.IntVar(&o.connections, "connections", 10_000, "keep `N` TCP connections open")
	flag.DurationVar(&o.reload, "reload", 10*time.Second, "read the Corefile again every so often")
	flag.DurationVar(&o.well, "well", 20*time.Second, "the upstream is well so long before it is not for 3 s")
	flag.StringVar(&o.hostile, "hostile", "", "send the packets of a tar.gz, too")
	flag.BoolVar(&o.keep, "keep", false, "keep the logs")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ok, err := soak(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v\n", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// soak starts everything, waits for the queries to be answered, and judges.
func soak(ctx context.Context, o options) (bool, error) {
	dir, err := os.MkdirTemp("", "degas-soak-")
	if err != nil {
		return false, err
	}
	if o.keep {
		fmt.Fprintf(os.Stderr, "logs are in %s\n", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	// What goes wrong on purpose stops before the judgement.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up, err := newUpstream()
	if err != nil {
		return false, err
	}
	defer up.close()
	l, err := newLists(dir)
	if err != nil {
		return false, err
	}
	defer l.close()
	server, err := startServer(ctx, o, dir, up.address, l)
	if err != nil {
		return false, err
	}
	defer server.stop()
	hostile, err := readHostile(o.hostile)
	if err != nil {
		return false, err
	}
	w := newWatcher(server)
	load := newLoad(server.address, up, hostile)
	tcp := newConnections(server.address, o.connections)
	if err := w.ready(ctx, l); err != nil {
		return false, err
	}
	began := time.Now()
	w.start(ctx)
	up.start(ctx, o.well)
	l.start(ctx)
	tcp.start(ctx)
	server.reloads(ctx, o.reload)
	load.run(ctx, o)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	took := time.Since(began)
	cancel()
	tcp.wait()
	w.wait()
	up.set(good)
	w.settle()
	return judge(took, load, tcp, server, w, l), nil
}

// server is the degas-dns under test.
type server struct {
	address, metrics string
	corefile, dir    string
	text             string
	process          *exec.Cmd
	done             chan error
}

// freeAddress is one that nobody listens at.
func freeAddress(host string) (string, error) {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.LocalAddr().String(), nil
}

// startServer starts degas-dns with the Corefile that it makes of flags.
func startServer(ctx context.Context, o options, dir, upstream string, l *lists) (*server, error) {
	s := &server{dir: dir, corefile: filepath.Join(dir, "Corefile"), done: make(chan error, 1)}
	var err error
	if s.address, err = freeAddress("127.0.0.1"); err != nil {
		return nil, err
	}
	if s.metrics, err = freeAddress("127.0.0.1"); err != nil {
		return nil, err
	}
	flags := []string{"--print-corefile", "--listen", s.address, "--upstream", upstream, "--action", "nxdomain",
		"--metrics", s.metrics, "--log", filepath.Join(dir, "queries.jsonl"), "--events", l.url + "/events",
		"--allow", l.allow, "--block", l.file}
	for i := range urls {
		flags = append(flags, "--block", l.of(i))
	}
	made, err := exec.CommandContext(ctx, o.degas, flags...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for a Corefile: %w", o.degas, err)
	}
	s.text = string(made)
	if err := os.WriteFile(s.corefile, made, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "degas-dns.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.process = exec.Command(o.degas, "--corefile", s.corefile)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.Env = append(os.Environ(), "XDG_CACHE_HOME="+dir)
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.process.Wait() }()
	return s, nil
}

// reloads has the Corefile read again and again. Every third one is broken, and has to change nothing.
func (s *server) reloads(ctx context.Context, every time.Duration) {
	go func() {
		for n := 1; sleep(ctx, every); n++ {
			text := strings.Replace(s.text, "degas {", fmt.Sprintf("degas {\n        hold %ds", 60+n), 1)
			if n%3 == 0 {
				text = strings.Replace(s.text, "degas {", "degas {\n        nonsense", 1)
			}
			if err := os.WriteFile(s.corefile, []byte(text), 0o600); err != nil {
				fmt.Fprintf(os.Stderr, "soak: %v\n", err)
			}
			ageCopies(s.dir)
			_ = s.process.Process.Signal(syscall.SIGUSR1) // a server that is gone is seen at the end
			_ = os.Remove(filepath.Join(s.dir, "queries.jsonl"))
		}
	}()
}

// stop ends the server, and reports whether it had run until then.
func (s *server) stop() bool {
	select {
	case err := <-s.done:
		s.done <- err
		return false
	default:
	}
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		s.done <- err
		return true
	case <-time.After(20 * time.Second):
		_ = s.process.Process.Kill()
		return false
	}
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
