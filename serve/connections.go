package serve

import (
	"container/list"
	"context"
	"net"
	"sync"
)

// connections bounds how many are open. When one comes that is too many, the one that has been without a request for
// the longest time is closed: idle clients cannot keep others out. If all have requests in work, the new one is closed.
type connections struct {
	net.Listener
	most int

	mu   sync.Mutex
	all  map[net.Conn]*connection
	idle *list.List // of *connection, the oldest first
}

// connection is one of connections. The fields are guarded by its mu.
type connection struct {
	net.Conn
	of    *connections
	place *list.Element // in idle, nil while a request is in work
	open  int           // requests in work: over HTTP/2 there may be several
}

func limit(l net.Listener, most int) *connections {
	return &connections{Listener: l, most: most, all: map[net.Conn]*connection{}, idle: list.New()}
}

// Accept implements net.Listener.
func (l *connections) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, of: l}
		l.mu.Lock()
		var old net.Conn
		if len(l.all) >= l.most {
			if front := l.idle.Front(); front != nil {
				old = l.forget(front.Value.(*connection))
			} else {
				old = conn
			}
		}
		if old != conn {
			l.all[c] = c
			c.place = l.idle.PushBack(c)
		}
		l.mu.Unlock()
		if old != nil {
			_ = old.Close()
		}
		if old != conn {
			return c, nil
		}
	}
}

// forget takes a connection out, and returns what is below it. It needs mu.
func (l *connections) forget(c *connection) net.Conn {
	if c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
	delete(l.all, c)
	return c.Conn
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// connectionKey is the key of a request's *connection in its context.
type connectionKey struct{}

// connContext is http.Server.ConnContext. A connection with TLS is found below it.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if c, ok := conn.(*connection); ok {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return ctx
}

// busy says that a request is in work, until the returned function is called.
func busy(ctx context.Context) (done func()) {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}
	}
	l := c.of
	l.mu.Lock()
	if c.open++; c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		if c.open--; c.open == 0 && l.all[c] != nil {
			c.place = l.idle.PushBack(c)
		}
		l.mu.Unlock()
	}
}
