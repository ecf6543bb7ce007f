package degas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/logfile"
	"github.com/degas-dns/degas/internal/printable"
)

// queryLog writes every query with what was decided, a line of JSON each, as the format "degas" of degas scan reads
// them. One goroutine writes.
type queryLog struct {
	buffer []byte
	out    io.Writer // or nil
	file   *logfile.File
	post   *poster // or nil
	said   bool    // that writing fails
}

// openQueryLog writes to a file, or to standard output, and to a URL; "" leaves either out.
func openQueryLog(path, url string) (*queryLog, error) {
	q := &queryLog{}
	switch path {
	case "":
	case "stdout":
		q.out = newPipe(os.Stdout)
	default:
		f, err := logfile.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open the log of queries: %w", err)
		}
		q.out, q.file = f, f
	}
	if url != "" {
		q.post = newPoster(url)
	}
	return q, nil
}

func (q *queryLog) write(s *seen) {
	q.buffer = append(detect.AppendJSON(q.buffer, &s.event, &s.decision,
		events.Column{Name: "done", Value: s.act.does.String()}), '\n')
}

func (q *queryLog) flush() {
	if len(q.buffer) == 0 {
		return
	}
	if q.out != nil {
		if _, err := q.out.Write(q.buffer); err != nil {
			eventsDropped.WithLabelValues("log").Add(float64(bytes.Count(q.buffer, []byte{'\n'})))
			if !q.said {
				log.Errorf("write the log of queries: %v", err)
			}
			q.said = true
		} else {
			q.said = false
		}
	}
	if q.post != nil {
		q.post.add(q.buffer)
	}
	q.buffer = q.buffer[:0]
}

func (q *queryLog) close() error {
	if q.post != nil {
		q.post.close()
	}
	if p, ok := q.out.(*pipe); ok {
		p.close()
	}
	if q.file != nil {
		return q.file.Close()
	}
	return nil
}

// pipe writes in a goroutine of its own: whoever reads at the other end may stop reading. What comes then is lost.
type pipe struct {
	waiting chan []byte
	done    chan struct{}
}

// mostBuffers is how much waits for a reader: what a pause brings, some times.
const mostBuffers = 16

func newPipe(to io.Writer) *pipe {
	p := &pipe{make(chan []byte, mostBuffers), make(chan struct{})}
	go func() {
		defer close(p.done)
		for b := range p.waiting {
			_, _ = to.Write(b) // nobody is there who could be told
		}
	}()
	return p
}

// Write implements io.Writer. It never waits.
func (p *pipe) Write(b []byte) (int, error) {
	select {
	case p.waiting <- bytes.Clone(b):
		return len(b), nil
	default:
		return 0, errors.New("nobody reads it")
	}
}

// close gives what waits some time.
func (p *pipe) close() {
	close(p.waiting)
	select {
	case <-p.done:
	case <-time.After(lastTry):
	}
}

// poster sends lines to a URL. What cannot be sent waits; when too much waits, new lines are counted and lost.
type poster struct {
	url        string
	client     *http.Client
	cancel     context.CancelFunc // of what is being sent
	wake       chan struct{}
	stop, done chan struct{}

	mu      sync.Mutex
	waiting []byte
}

// Bounds of a poster.
const (
	mostPosted = 16 << 20
	mostBody   = 1 << 20
	postTime   = 10 * time.Second
	lastTry    = 2 * time.Second
)

func newPoster(url string) *poster {
	ctx, cancel := context.WithCancel(context.Background())
	p := &poster{url: url, client: &http.Client{Timeout: postTime}, cancel: cancel, wake: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(ctx)
	return p
}

func (p *poster) add(lines []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting)+len(lines) > mostPosted {
		eventsDropped.WithLabelValues("url").Add(float64(bytes.Count(lines, []byte{'\n'})))
		return
	}
	p.waiting = append(p.waiting, lines...)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// batch is a copy of the first whole lines.
func (p *poster) batch() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.waiting)
	if n > mostBody {
		n = bytes.LastIndexByte(p.waiting[:mostBody], '\n') + 1
	}
	return bytes.Clone(p.waiting[:n])
}

// run sends what waits, until stop. What waits then gets a last try.
func (p *poster) run(ctx context.Context) {
	defer close(p.done)
	wait, said := time.Second, false
	for stopped := false; !stopped; {
		select {
		case <-p.stop:
			stopped = true
		case <-p.wake:
		}
		for body := p.batch(); len(body) > 0; body = p.batch() {
			err := p.send(ctx, body)
			if err == nil {
				wait, said = time.Second, false
				p.sent(len(body))
				continue
			}
			if stopped {
				p.lose(err)
				return
			}
			if !said {
				log.Warningf("send events: %s; trying again", printable.Terminal(err.Error()))
			}
			said = true
			select {
			case <-p.stop:
				stopped = true
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Minute)
		}
	}
}

// sent forgets the first bytes that waited.
func (p *poster) sent(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting[:0], p.waiting[n:]...)
}

// lose counts what waited to the end.
func (p *poster) lose(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := bytes.Count(p.waiting, []byte{'\n'})
	eventsDropped.WithLabelValues("url").Add(float64(n))
	log.Warningf("%d events are lost at the end: %s", n, printable.Terminal(err.Error()))
}

func (p *poster) send(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the server answers %s", answer.Status)
	}
	return nil
}

// close gives what waits a last try.
func (p *poster) close() {
	close(p.stop)
	defer time.AfterFunc(lastTry, p.cancel).Stop()
	<-p.done
	p.cancel()
}
