package serve

import (
	"io"
	"net/http"
	"net/netip"
	"sync"

	"github.com/degas-dns/degas/serve/reply"
)

// places bounds requests. One is open from its header on, and in work once its body is here: a client that sends slowly
// keeps nobody from working. Eight times as many may be open as in work, half of them from one address.
type places struct {
	work, most int

	mu      sync.Mutex
	working int
	open    int
	from    map[netip.Addr]int // open ones
}

func newPlaces(work int) *places {
	return &places{work: work, most: 8 * work, from: map[netip.Addr]int{}}
}

// place is that of one request. Leave it.
type place struct {
	of      *places
	from    netip.Addr
	working bool // guarded by of.mu
}

var errBusy = reply.Busy("Too many requests are in work: try again")

// enter opens a request. One without a body is in work at once.
func (p *places) enter(r *http.Request) (*place, error) {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	x := &place{of: p, from: at.Addr()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.most || p.from[x.from] >= p.most/2 {
		return nil, errBusy
	}
	if r.Body == nil || r.Body == http.NoBody {
		if p.working >= p.work {
			return nil, errBusy
		}
		x.working = true
		p.working++
	} else {
		r.Body = body{r.Body, x}
	}
	p.open++
	p.from[x.from]++
	return x, nil
}

// begin is when the body has come.
func (x *place) begin() error {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	switch {
	case x.working:
	case x.of.working >= x.of.work:
		return errBusy
	default:
		x.working = true
		x.of.working++
	}
	return nil
}

func (x *place) leave() {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	if x.working {
		x.of.working--
	}
	x.of.open--
	if x.of.from[x.from]--; x.of.from[x.from] == 0 {
		delete(x.of.from, x.from)
	}
}

// body is a request's body. Its end puts the request into work.
type body struct {
	io.ReadCloser
	*place
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		if full := b.begin(); full != nil {
			return n, full
		}
	}
	return n, err
}
