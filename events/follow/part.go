package follow

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/degas-dns/degas/internal/userfile"
)

const (
	tailSize = 1 << 10  // bytes before an offset that tell whether a file is still the one that was read
	readSize = 64 << 10 // bytes that are read at once
)

// errTruncated is the error for a file that does not have any more what was read of it.
var errTruncated = errors.New("the file was truncated")

// part is one of the files that a log consists of.
type part struct {
	file    *os.File
	buf     []byte // the last bytes that were read
	pos     int    // in buf: where the next line begins
	end     int64  // in file: where buf ends
	long    bool   // the next line is longer than maxLine
	scratch []byte
}

func openPart(path string) (*part, error) {
	file, err := userfile.Open(path)
	if err != nil {
		return nil, err
	}
	return &part{file: file}, nil
}

// offset is where the next line begins.
func (p *part) offset() int64 { return p.end - int64(len(p.buf)-p.pos) }

// tail is what stands before offset.
func (p *part) tail() []byte { return p.buf[max(0, p.pos-tailSize):p.pos] }

// seek goes to an offset. It reports false if the file does not have as much.
func (p *part) seek(offset int64) (bool, error) {
	n := min(offset, tailSize)
	buf := make([]byte, n)
	if _, err := p.file.ReadAt(buf, offset-n); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, err
	}
	p.buf, p.pos, p.end, p.long = buf, int(n), offset, false
	return true, nil
}

// find goes to the place of a state. It reports false if this is another file.
func (p *part) find(s State) (bool, error) {
	found, err := p.seek(s.Offset)
	return found && sumOf(p.tail()) == s.Sum, err
}

// line gives the next whole line, with its end, which is valid until the next call; nil if there is none yet. Of a line
// that is too long, only long is told.
func (p *part) line() (raw []byte, long bool, err error) {
	for from := p.pos; ; {
		// A program that writes on in a file that was truncated leaves a hole.
		if p.pos == 0 || p.buf[p.pos-1] == '\n' || p.buf[p.pos-1] == 0 {
			for p.pos < len(p.buf) && p.buf[p.pos] == 0 {
				p.pos++
			}
			from = max(from, p.pos)
		}
		if i := bytes.IndexByte(p.buf[from:], '\n'); i >= 0 {
			raw, long = p.buf[p.pos:from+i+1], p.long
			p.pos, p.long = from+i+1, false
			if long || len(raw) > maxLine {
				return nil, true, nil
			}
			return raw, false, nil
		}
		if len(p.buf)-p.pos > maxLine {
			p.pos, p.long = len(p.buf), true
		}
		n, err := p.fill()
		if n == 0 || err != nil {
			return nil, false, err
		}
		from = len(p.buf) - n
	}
}

// rest is a last line that has no end.
func (p *part) rest() (raw []byte, long bool) {
	raw, long = p.buf[p.pos:], p.long
	p.pos, p.long = len(p.buf), false
	return raw, long
}

// fill reads more, and tells how much. It reads what it has again, to see whether that is still there.
func (p *part) fill() (n int, err error) {
	drop := max(0, p.pos-tailSize)
	p.buf = p.buf[:copy(p.buf, p.buf[drop:])]
	p.pos -= drop
	known := p.buf[max(0, len(p.buf)-tailSize):]
	if p.scratch == nil {
		p.scratch = make([]byte, tailSize+readSize)
	}
	n, err = p.file.ReadAt(p.scratch[:len(known)+readSize], p.end-int64(len(known)))
	if err != nil && err != io.EOF {
		return 0, err
	}
	if !bytes.HasPrefix(p.scratch[:n], known) {
		return 0, errTruncated
	}
	p.buf = append(p.buf, p.scratch[len(known):n]...)
	p.end += int64(n - len(known))
	return n - len(known), nil
}
