package capture

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/degas-dns/degas/events"
)

// Any is the interface that stands for all of them.
const Any = "any"

// Live is an events.Reader of the DNS packets that pass a network interface.
type Live struct {
	*reader
	socket *socket
	parent context.Context // that of the caller
	close  func() error    // closes the socket once
	stop   func() bool     // no longer closes it when parent is done
}

// Listen captures the DNS packets that come to and leave the computer by an interface, or by all of them for [Any]. It
// needs Linux and the capability CAP_NET_RAW. The kernel passes on UDP and TCP of o.Ports, and later fragments of UDP;
// it does not look into tunnels. Next counts in stats. It returns ctx's error once ctx is done, and io.EOF after Close.
func Listen(ctx context.Context, iface string, o events.Options, stats *events.Stats) (*Live, error) {
	source := &events.Source{Options: o, Stats: stats}
	r := newReader(nil, source)
	program, err := filter(r.walk.ports)
	if err != nil {
		return nil, err
	}
	s, err := openSocket(iface, program)
	if err != nil {
		return nil, err
	}
	r.in = s
	l := &Live{reader: r, socket: s, parent: ctx, close: sync.OnceValue(s.Close)}
	l.stop = context.AfterFunc(ctx, func() { l.close() })
	return l, nil
}

// Next implements events.Reader.
func (l *Live) Next(e *events.Event) error {
	err := l.reader.Next(e)
	switch {
	case l.parent.Err() != nil:
		return l.parent.Err()
	case errors.Is(err, os.ErrClosed):
		return io.EOF
	}
	return err
}

// Dropped counts the packets that the kernel dropped since Listen, because Next was called too late. Any goroutine may
// call it.
func (l *Live) Dropped() int64 { return l.socket.dropped() }

// Close ends the capture, also for a Next that waits.
func (l *Live) Close() error {
	l.stop()
	return l.close()
}
