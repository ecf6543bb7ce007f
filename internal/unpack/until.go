package unpack

import (
	"context"
	"io"
)

// Until reads from r until ctx is done, even while a read of r waits for a pipe that nobody writes to. That read goes
// on in a goroutine of its own, which ends with it, and what it gives is lost.
func Until(ctx context.Context, r io.Reader) io.Reader {
	return &untilReader{ctx: ctx, r: r, read: make(chan piece, 1), buf: make([]byte, maxBuffer)}
}

// piece is what one read gave.
type piece struct {
	n   int
	err error
}

// untilReader is Until's Reader. While a read is under way, buf is its goroutine's.
type untilReader struct {
	ctx  context.Context
	r    io.Reader
	read chan piece
	buf  []byte
	rest []byte // of buf, not given yet
	err  error  // after rest
}

func (u *untilReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := u.ctx.Err(); err != nil && u.err == nil {
		u.rest, u.err = nil, err
	}
	if len(u.rest) == 0 && u.err == nil {
		go func() {
			n, err := u.r.Read(u.buf)
			u.read <- piece{n, err}
		}()
		select {
		case got := <-u.read:
			u.rest, u.err = u.buf[:got.n], got.err
		case <-u.ctx.Done():
			u.err = u.ctx.Err()
		}
	}
	n := copy(p, u.rest)
	if u.rest = u.rest[n:]; n > 0 {
		return n, nil
	}
	return 0, u.err
}
