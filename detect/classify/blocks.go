package classify

import (
	"bytes"
	"io"

	"github.com/degas-dns/degas/internal/lines"
)

const (
	readSize  = 128 << 10 // bytes that are read at once
	maxRow    = 1 << 20   // bytes of a row; a longer one is passed through in pieces
	maxJoined = 64 << 10  // bytes of a row over several lines
	maxLines  = 64        // lines of such a row
)

// block is some rows of a table.
type block struct {
	data []byte
	ends []int // of the rows in data, with their line ends
	// piece is set for a piece of a row that is too long, and last for its last piece.
	piece, last bool
	header      bool // the first row may be the header, if it is no comment

	// Workers fill in what follows.
	out   []byte
	found []found // for lists
	stats Stats
	err   error
	done  chan struct{}
}

// blockReader cuts a table into blocks of whole rows.
type blockReader struct {
	in     io.Reader
	close  func() error
	layout *layout
	buf    []byte // read, and not given yet
	err    error  // of in
	long   bool   // buf goes on with a row that is too long
	begun  bool   // a row was given
	fields [][]byte
}

// fill reads until buf has so many lines, or 64 KiB, or in ends.
func (r *blockReader) fill(n int) error {
	for r.err == nil && bytes.Count(r.buf, []byte{'\n'}) < n && len(r.buf) < lines.HeadSize {
		r.read()
	}
	return r.err
}

// read adds what one read of in gives to buf. A pipe gives what is there: nobody waits for more.
func (r *blockReader) read() {
	if cap(r.buf)-len(r.buf) < readSize {
		r.buf = append(make([]byte, 0, 2*len(r.buf)+readSize), r.buf...)
	}
	n, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf, r.err = r.buf[:len(r.buf)+n], err
}

// next gives the next block, whose memory is the caller's. After the last one, the error is in's.
func (r *blockReader) next() (*block, error) {
	for {
		if len(r.buf) > 0 || r.long && r.err != nil {
			if b := r.cut(); b != nil {
				return b, nil
			}
		}
		if r.err != nil {
			return nil, r.err
		}
		r.read()
	}
}

// cut takes a block from buf, nil if it needs more.
func (r *blockReader) cut() *block {
	switch end := bytes.IndexByte(r.buf, '\n') + 1; {
	case r.long && end > 0:
		r.long = false
		return r.take(&block{piece: true, last: true}, end)
	case r.long:
		r.long = r.err == nil
		return r.take(&block{piece: true, last: !r.long}, len(r.buf))
	case end == 0 && len(r.buf) > maxRow:
		r.long, r.begun = true, true
		return r.take(&block{piece: true}, len(r.buf))
	}
	b := &block{header: !r.begun}
	at := 0
	for at < len(r.buf) {
		n, whole := r.row(r.buf[at:])
		if !whole {
			break
		}
		at += n
		b.ends = append(b.ends, at)
	}
	if at == 0 {
		return nil
	}
	r.begun = r.begun || !comments(r.buf[:at])
	return r.take(b, at)
}

// comments reports whether there is no row in data but empty lines and comments.
func comments(data []byte) bool {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// take gives b the first n bytes of buf.
func (r *blockReader) take(b *block, n int) *block {
	b.data, b.done = r.buf[:n:n], make(chan struct{})
	r.buf = append(make([]byte, 0, max(readSize, 2*(len(r.buf)-n))), r.buf[n:]...)
	return b
}

// row is the length of the row at the start of data, with its line's end. It is one line, unless a quoted cell holds
// line ends. whole is false if more has to be read to know.
func (r *blockReader) row(data []byte) (n int, whole bool) {
	n = bytes.IndexByte(data, '\n') + 1
	if n == 0 {
		return len(data), r.err != nil // the last line may have no end
	}
	if l := r.layout; l.json || l.list || bytes.Count(data[:n], []byte{'"'})%2 == 0 || r.splits(data[:n]) {
		return n, true
	}
	end := n
	for range maxLines {
		next := bytes.IndexByte(data[end:], '\n') + 1
		switch {
		case end+next > maxJoined:
			return n, true
		case next > 0:
			end += next
		case r.err == nil:
			return 0, false
		case end == len(data):
			return n, true
		default:
			end = len(data)
		}
		if bytes.Count(data[:end], []byte{'"'})%2 == 0 && r.splits(data[:end]) && len(r.fields) == r.layout.width {
			return end, true
		}
	}
	return n, true // a stray quote must not swallow other rows
}

func (r *blockReader) splits(row []byte) (ok bool) {
	r.fields, ok = lines.SplitRow(r.fields, trimEnd(row), r.layout.sep)
	return ok
}

// trimEnd drops a line's end.
func trimEnd(row []byte) []byte {
	row = bytes.TrimSuffix(row, []byte{'\n'})
	return bytes.TrimSuffix(row, []byte{'\r'})
}
