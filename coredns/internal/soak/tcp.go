package main

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// connections are TCP clients. Most are slow, silent or stop in the middle; one in ten asks as it should.
type connections struct {
	address              string
	n                    int
	opened, refused      atomic.Int64
	open, most           atomic.Int64
	asked, retried, lost atomic.Int64
	running              sync.WaitGroup
}

func newConnections(address string, n int) *connections {
	return &connections{address: address, n: n}
}

func (c *connections) wait() { c.running.Wait() }

// start opens the connections within some seconds, and opens another one for each that the server closes.
func (c *connections) start(ctx context.Context) {
	for i := range c.n {
		c.running.Go(func() {
			if !sleep(ctx, time.Duration(i)*5*time.Second/time.Duration(c.n)) {
				return
			}
			r := rand.New(rand.NewPCG(uint64(i), 2))
			failed := 0
			for ctx.Err() == nil {
				if c.connection(ctx, i, r) || ctx.Err() != nil {
					failed = 0
					sleep(ctx, pause/2+time.Duration(r.Int64N(int64(pause))))
				} else if failed++; failed == tries {
					c.lost.Add(1)
				}
			}
		})
	}
}

// pause is between two connections of a client.
const pause = 30 * time.Second

// connection opens a connection and does with it what its number says. It is false if a query had no answer.
func (c *connections) connection(ctx context.Context, i int, r *rand.Rand) bool {
	conn, err := dialFrom(i, "tcp", c.address)
	if err != nil {
		c.refused.Add(1)
		return false
	}
	c.opened.Add(1)
	c.most.Store(max(c.most.Load(), c.open.Add(1)))
	defer c.open.Add(-1)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	q := new(dns.Msg)
	q.SetQuestion("www.warm1.com.", dns.TypeA)
	b, err := q.Pack()
	if err != nil {
		return true
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	switch i % 10 {
	case 0:
		return c.ask(ctx, conn, framed)
	case 1: // half of the length
		_, _ = conn.Write(framed[:1])
	case 2: // half of the query
		_, _ = conn.Write(framed[:len(framed)/2])
	case 3: // a length that is a lie
		_, _ = conn.Write(append([]byte{0xff, 0xff}, b...))
	case 4: // a byte at a time
		for k := range framed {
			if _, err := conn.Write(framed[k : k+1]); err != nil || !sleep(ctx, time.Second) {
				return true
			}
		}
	case 5: // noise
		noise := make([]byte, 1+r.IntN(4000))
		for k := range noise {
			noise[k] = byte(r.Uint32())
		}
		_, _ = conn.Write(noise)
	case 6: // many queries whose answers nobody reads
		for range 50 {
			if _, err := conn.Write(framed); err != nil {
				return true
			}
		}
		sleep(ctx, 10*time.Second)
		return true
	default: // nothing
	}
	_, _ = io.Copy(io.Discard, conn)
	return true
}

// ask asks some times, a second apart, and reads each answer. A server that reads its Corefile again closes
// connections: then the query is asked again in another one.
func (c *connections) ask(ctx context.Context, conn net.Conn, framed []byte) bool {
	var length [2]byte
	for range 5 {
		_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
		_, err := conn.Write(framed)
		if err == nil {
			if _, err = io.ReadFull(conn, length[:]); err == nil {
				_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(length[:])))
			}
		}
		if err != nil {
			c.retried.Add(1)
			return false
		}
		c.asked.Add(1)
		if !sleep(ctx, time.Second) {
			return true
		}
	}
	return true
}
