package dnstap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/degas-dns/degas/events"
)

// Bounds of a Listener. Frames that wait take 32 MiB at most.
const (
	maxConnections = 64
	maxWaiting     = 128              // frames that were read, for all connections together
	handshakeTime  = 10 * time.Second // until a connection's start frame
)

// Listener is an events.Reader of what name servers send to a socket. While nobody calls Next it takes nothing, and the
// senders drop what they cannot send.
type Listener struct {
	listener net.Listener
	parent   context.Context // that of the caller
	ctx      context.Context // is done after Close, too
	cancel   context.CancelFunc
	waiting  chan arrival
	done     sync.WaitGroup
	slots    chan struct{} // one for each connection

	// Owned by the goroutine that calls Next:
	stats   *events.Stats
	decoder decoder
	line    int64
}

// arrival is a frame, or the reason why one cannot be read.
type arrival struct {
	frame  []byte
	reason events.Refuse
}

// Listen waits at address, unix:PATH or tcp:HOST:PORT, for senders of dnstap: unidirectional ones, and bidirectional
// ones that begin with a handshake. A socket that a program left behind at PATH is replaced. Next counts in stats, and
// returns ctx's error once ctx is done, and io.EOF after Close.
func Listen(ctx context.Context, address string, stats *events.Stats) (*Listener, error) {
	network, where, found := strings.Cut(address, ":")
	if !found || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("listen at %q: want unix:PATH or tcp:HOST:PORT", address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, where)
	if errors.Is(err, syscall.EADDRINUSE) && network == "unix" && abandoned(where) {
		if err = os.Remove(where); err == nil {
			listener, err = config.Listen(ctx, network, where)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen for dnstap: %w", err)
	}
	l := &Listener{listener: listener, parent: ctx, stats: stats, waiting: make(chan arrival, maxWaiting),
		slots: make(chan struct{}, maxConnections)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	context.AfterFunc(l.ctx, func() { listener.Close() })
	l.done.Go(l.accept)
	return l, nil
}

// abandoned reports whether path is a socket that nobody listens at.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Addr is where the listener waits.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Next implements events.Reader.
func (l *Listener) Next(e *events.Event) error {
	for {
		select {
		case a := <-l.waiting:
			l.line++
			l.stats.Units++
			if a.reason != "" {
				l.stats.Refuse(string(a.reason))
				continue
			}
			if l.decoder.count(l.stats, a.frame, e) {
				e.Line = l.line
				return nil
			}
		case <-l.ctx.Done():
			if err := l.parent.Err(); err != nil {
				return err
			}
			return io.EOF
		}
	}
}

// Close ends the listener and its connections, and returns when their goroutines have ended.
func (l *Listener) Close() error {
	l.cancel()
	l.done.Wait()
	return nil
}

func (l *Listener) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			if l.ctx.Err() != nil {
				return
			}
			l.put(arrival{reason: "connection that cannot be accepted"})
			select { // too many open files, which pass
			case <-time.After(100 * time.Millisecond):
			case <-l.ctx.Done():
			}
			continue
		}
		select {
		case l.slots <- struct{}{}:
			l.done.Go(func() {
				l.serve(conn)
				<-l.slots
			})
		default:
			conn.Close()
			l.put(arrival{reason: "more than 64 connections"})
		}
	}
}

// put hands on what arrived. It reports false if the listener is closed.
func (l *Listener) put(a arrival) bool {
	select {
	case l.waiting <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// serve reads a connection to its end.
func (l *Listener) serve(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(l.ctx, func() { conn.Close() })()
	f := frames{in: bufio.NewReaderSize(conn, 64<<10)}
	conn.SetDeadline(time.Now().Add(handshakeTime))
	if _, err := f.in.Peek(1); err != nil {
		return // a probe, which sent nothing
	}
	both, ok := handshake(&f, conn)
	if !ok {
		l.put(arrival{reason: "connection that does not start with dnstap"})
		return
	}
	conn.SetDeadline(time.Time{})
	for {
		frame, control, err := f.next()
		reason, refused := err.(events.Refuse)
		switch {
		case refused:
			if !l.put(arrival{reason: reason}) {
				return
			}
		case err != nil:
			return // the sender ended without a stop, or the listener did
		case control == stop:
			if both {
				conn.SetDeadline(time.Now().Add(handshakeTime))
				conn.Write(controlFrame(finish, "")) // nothing follows that an error could concern
			}
			return
		case control == 0:
			if !l.put(arrival{frame: bytes.Clone(frame)}) {
				return
			}
		}
	}
}

// handshake reads until the start frame. both says that the sender wants answers.
func handshake(f *frames, conn io.Writer) (both, ok bool) {
	_, control, err := f.next()
	if err == nil && control == ready && f.dnstap {
		both = true
		if _, err = conn.Write(controlFrame(accept, contentType)); err == nil {
			_, control, err = f.next()
		}
	}
	return both, err == nil && control == start && f.dnstap
}

// controlFrame is a control frame, with a content type unless that is "".
func controlFrame(kind uint32, content string) []byte {
	body := binary.BigEndian.AppendUint32(nil, kind)
	if content != "" {
		body = binary.BigEndian.AppendUint32(body, contentField)
		body = binary.BigEndian.AppendUint32(body, uint32(len(content)))
		body = append(body, content...)
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(body)))
	return append(out, body...)
}
