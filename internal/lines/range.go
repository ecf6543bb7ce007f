package lines

import (
	"bytes"
	"io"
)

// Range is a part of a text, in bytes: From is in it, To is not. A line belongs to the range that it begins in, so
// ranges that follow each other have every line once.
type Range struct{ From, To int64 }

// Around says which bytes Reader reads at most: those of the range, some before and behind, and the rest of the last
// line. From is where in has to begin; a negative length would be all.
func (r Range) Around(margin int64) (offset, length int64) {
	offset = max(0, r.From-margin-1)
	return offset, r.To - offset + margin + MaxLine + 2
}

// Reader reads the lines of a range, and those of a margin before and behind it, in bytes. in has the text's bytes from
// the offset on that Around says.
func (r Range) Reader(in io.Reader, margin int64) *RangeReader {
	offset, _ := r.Around(margin)
	return &RangeReader{in: in, Range: r, at: offset, end: r.To + margin, skip: offset > 0}
}

// RangeReader gives whole lines. Count them from 1, and Mine tells which of them are the range's.
type RangeReader struct {
	Range
	in    io.Reader
	at    int64 // of the next byte of in
	end   int64 // no line begins here or later
	skip  bool  // the first line began before in
	begun bool
	ended bool

	before, until int64 // lines that begin before From, and before To
}

// Mine reports whether a line is the range's, by its number from 1. It was read already.
func (r *RangeReader) Mine(line int64) bool { return r.before < line && line <= r.until }

// Read implements io.Reader.
func (r *RangeReader) Read(p []byte) (int, error) {
	for {
		if r.ended || r.skip && r.at >= r.end {
			return 0, io.EOF
		}
		if !r.skip && !r.begun {
			r.begun = true
			if r.begin(r.at); r.at >= r.end {
				r.ended = true
				continue
			}
		}
		n, err := r.in.Read(p)
		chunk := p[:n]
		if r.skip {
			i := bytes.IndexByte(chunk, '\n')
			if i < 0 {
				if r.at += int64(n); err != nil {
					return 0, err
				}
				continue
			}
			r.skip, r.at = false, r.at+int64(i)+1
			n = copy(p, chunk[i+1:])
			chunk = p[:n]
			r.begun = true
			if r.begin(r.at); r.at >= r.end {
				r.ended = true
				return 0, io.EOF
			}
		}
		kept := r.count(chunk)
		if r.ended {
			return kept, io.EOF
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// count notes where lines begin in the next bytes, and returns how many of the bytes are lines of the range or the
// margin.
func (r *RangeReader) count(chunk []byte) int {
	for done := 0; ; {
		i := bytes.IndexByte(chunk[done:], '\n')
		if i < 0 {
			r.at += int64(len(chunk) - done)
			return len(chunk)
		}
		done += i + 1
		if r.at += int64(i) + 1; r.at >= r.end {
			r.ended = true
			return done
		}
		r.begin(r.at)
	}
}

// begin notes that a line begins.
func (r *RangeReader) begin(at int64) {
	if at < r.From {
		r.before++
	}
	if at < r.To {
		r.until++
	}
}
