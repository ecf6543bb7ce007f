package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect/watch"
)

// transport delivers over a network. Only one goroutine sends and closes.
type transport interface {
	// encode is what the finding looks like on the wire. It keeps nothing of f.
	encode(f *watch.Finding) ([]byte, error)
	// send delivers a batch and says how many of its first findings arrived. An error of type *refusal is final; after
	// any other the rest is sent again.
	send(ctx context.Context, batch [][]byte) (sent int, err error)
	close() error
}

// refusal is the error of what would be refused again.
type refusal struct{ error }

// later is an error with the time that a server asks to wait.
type later struct {
	error
	wait time.Duration
}

// Unwrap gives the error itself.
func (l *later) Unwrap() error { return l.error }

// pace says how fast a queue tries again.
type pace struct {
	first, longest time.Duration // wait after failures; it doubles
	drain          time.Duration // how long Close may take
}

var usual = pace{time.Second, time.Minute, 5 * time.Second}

// Bounds of a queue, and of the wait that a server can ask for.
const (
	mostWaiting = 1000
	mostBatch   = 50
	longestWait = 10 * time.Minute
)

// queue is a Sink in front of a transport. A goroutine of its own sends, so that nobody waits for the network. When
// mostWaiting findings wait, the oldest is given up for each new one; those that are being sent do not count.
type queue struct {
	name string // without credentials
	t    transport
	pace pace
	n    tally

	mu      sync.Mutex
	waiting [][]byte
	closed  bool
	full    bool // said that findings are given up

	wake   chan struct{}      // something waits, or the queue was closed
	ctx    context.Context    // ends what is being sent, after Close has waited
	cancel context.CancelFunc // of ctx
	hurry  chan struct{}      // closed by Close: try again at once
	done   chan struct{}      // nothing is being sent any more
	lost   int                // given up as the queue closed; read after done
	said   string             // the last refusal that was logged
}

func newQueue(name string, t transport, o Options) *queue {
	q := &queue{name: name, t: t, pace: o.pace, n: counts(o.Metrics, name), wake: make(chan struct{}, 1),
		hurry: make(chan struct{}), done: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// Send implements Sink.
func (q *queue) Send(_ context.Context, f watch.Finding) error {
	message, err := q.t.encode(&f)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fmt.Errorf("%s: %w", q.name, ErrClosed)
	}
	if len(q.waiting) == mostWaiting {
		q.waiting = q.waiting[1:]
		q.n.dropped.Add(1)
		if !q.full {
			slog.Warn("too many findings wait: the oldest are given up", "sink", q.name, "waiting", mostWaiting)
		}
		q.full = true
	}
	q.waiting = append(q.waiting, message)
	q.poke()
	return nil
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close implements Sink.
func (q *queue) Close() error {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	q.mu.Unlock()
	if !first {
		<-q.done
		return nil
	}
	close(q.hurry)
	q.poke()
	limit := time.AfterFunc(q.pace.drain, q.cancel)
	<-q.done
	limit.Stop()
	q.cancel()
	err := q.t.close()
	if q.lost > 0 {
		return errors.Join(fmt.Errorf("%s: %d findings were not delivered", q.name, q.lost), err)
	}
	return err
}

// take gives what is to be sent next.
func (q *queue) take() (batch [][]byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), mostBatch)
	batch = append(batch, q.waiting[:n]...)
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting, q.full = nil, false
	}
	return batch, q.closed
}

func (q *queue) run() {
	defer close(q.done)
	hurry := q.hurry
	for {
		batch, closed := q.take()
		switch {
		case len(batch) > 0:
			hurry = q.deliver(batch, hurry)
		case closed:
			return
		default:
			<-q.wake
		}
	}
}

// deliver sends a batch until it arrives, is refused, or the queue's time is over. It returns hurry, or nil once that
// has been obeyed.
func (q *queue) deliver(batch [][]byte, hurry chan struct{}) chan struct{} {
	for failures := 0; ; {
		var sent int
		err := q.ctx.Err()
		if err == nil {
			sent, err = q.t.send(q.ctx, batch)
		}
		q.n.sent.Add(int64(sent))
		if batch = batch[sent:]; err == nil {
			if failures > 0 {
				slog.Info("findings are delivered again", "sink", q.name)
			}
			q.said = ""
			return hurry
		}
		if q.ctx.Err() != nil {
			q.lost += len(batch)
			q.n.dropped.Add(int64(len(batch)))
			return hurry
		}
		q.n.errors.Add(1)
		if r := (*refusal)(nil); errors.As(err, &r) {
			if q.said != err.Error() {
				warn(q.name, "findings were refused and are given up; further ones are not reported", err)
			}
			q.said = err.Error()
			q.n.dropped.Add(int64(len(batch)))
			return hurry
		}
		if failures == 0 {
			warn(q.name, "findings are not delivered; trying again", err)
		}
		failures++
		select {
		case <-time.After(q.wait(err, failures)):
		case <-hurry:
			hurry, failures = nil, 1
		case <-q.ctx.Done():
		}
	}
}

// wait is how long to wait after a number of failures: half of it is random, so that many programs do not come back at
// the same moment. It is never less than a server asked for.
func (q *queue) wait(err error, failures int) time.Duration {
	d := min(q.pace.longest, q.pace.first<<min(failures-1, 20))
	d = d/2 + rand.N(d/2+1)
	if l := (*later)(nil); errors.As(err, &l) {
		d = max(d, min(l.wait, longestWait))
	}
	return d
}
