package prepare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// spill holds rows in numbered parts, to which any number of writers append chunks: in memory as long as there is some
// for it, then in a file. Which chunk comes first depends on timing, so whoever reads a part must not depend on the
// order of its rows.
type spill struct {
	f      *os.File
	mu     sync.Mutex
	end    int64
	memory int64 // bytes that chunks may still keep in memory
	parts  []spillPart
	pool   *chunkPool
}

type spillPart struct {
	chunks []spillChunk
	rows   int64
	bytes  int64
}

type spillChunk struct {
	data   []byte // nil when it is in the file
	offset int64
	size   int
}

// chunkPool keeps the memory of chunks that were read for chunks to come: memory fresh from the system costs as much as
// what is done with it.
type chunkPool struct {
	mu   sync.Mutex
	free [][]byte
}

// get gives an empty buffer of at least size bytes.
func (p *chunkPool) get(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 && cap(p.free[n-1]) >= size {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, size)
}

func (p *chunkPool) put(chunks []spillChunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range chunks {
		if c.data != nil {
			p.free = append(p.free, c.data)
		}
	}
}

// newSpill keeps up to memory bytes out of the file at path.
func newSpill(path string, parts int, memory int64, pool *chunkPool) (*spill, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	return &spill{f: f, memory: memory, parts: make([]spillPart, parts), pool: pool}, nil
}

// close forgets the rows and removes the file.
func (s *spill) close() error {
	s.parts = nil
	err := s.f.Close()
	return errors.Join(err, os.Remove(s.f.Name()))
}

// flush implements chunkTaker.
func (s *spill) flush(part int, data []byte, rows int64) (next []byte, err error) {
	chunk := spillChunk{size: len(data)}
	s.mu.Lock()
	inMemory := s.memory >= int64(cap(data))
	if inMemory {
		s.memory -= int64(cap(data))
		chunk.data = data
	} else {
		chunk.offset = s.end
		s.end += int64(len(data))
	}
	s.mu.Unlock()
	if next = data[:0]; inMemory {
		next = nil
	} else if _, err := s.f.WriteAt(data, chunk.offset); err != nil {
		return next, fmt.Errorf("write temporary file: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.parts[part]
	p.chunks = append(p.chunks, chunk)
	p.rows += rows
	p.bytes += int64(len(data))
	return next, nil
}

// load calls f for every chunk of a part. What is not in memory is read into buf, which grows when it must and is given
// back; all chunks stay valid until the part is released and buf is used again.
func (s *spill) load(part int, buf []byte, f func(data []byte) error) ([]byte, error) {
	p, stored := &s.parts[part], 0
	for _, c := range p.chunks {
		if c.data == nil {
			stored += c.size
		}
	}
	if cap(buf) < stored {
		buf = make([]byte, stored+stored/8)
	}
	rest := buf[:stored]
	for _, c := range p.chunks {
		data, err := s.chunk(c, rest)
		if err == nil {
			err = f(data)
		}
		if err != nil {
			return buf, err
		}
		if c.data == nil {
			rest = rest[c.size:]
		}
	}
	return buf, nil
}

// chunk is what c holds, read into buf if it is in the file.
func (s *spill) chunk(c spillChunk, buf []byte) ([]byte, error) {
	if c.data != nil {
		return c.data, nil
	}
	if _, err := s.f.ReadAt(buf[:c.size], c.offset); err != nil {
		return nil, fmt.Errorf("read temporary file: %w", err)
	}
	return buf[:c.size], nil
}

// release drops a part's rows and returns its memory to the pool.
func (s *spill) release(part int) {
	s.pool.put(s.parts[part].chunks)
	s.parts[part].chunks = nil
}

// stream hands a part to f chunk by chunk, for parts that do not fit in memory. The data is valid during the call.
func (s *spill) stream(part int, f func(data []byte) error) error {
	var buf []byte
	for _, c := range s.parts[part].chunks {
		if c.data == nil {
			buf = slices.Grow(buf[:0], c.size)
		}
		data, err := s.chunk(c, buf)
		if err == nil {
			err = f(data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spillWriter buffers the rows of one goroutine.
type spillWriter struct {
	to   chunkTaker
	size int
	bufs [][]byte
	rows []int64
}

// chunkTaker takes the chunks of a spillWriter: a spill, or a runner.
type chunkTaker interface {
	// flush takes data, some rows of a part, and gives the caller a buffer to go on with, or nil.
	flush(part int, data []byte, rows int64) (next []byte, err error)
	// buffer gives an empty buffer of at least size bytes.
	buffer(size int) []byte
}

// newSpillWriter returns a writer whose buffers hold size bytes a part.
func newSpillWriter(to chunkTaker, parts, size int) *spillWriter {
	return &spillWriter{to: to, size: max(size, 512), bufs: make([][]byte, parts), rows: make([]int64, parts)}
}

// writer is a spillWriter to s.
func (s *spill) writer(size int) *spillWriter { return newSpillWriter(s, len(s.parts), size) }

// buffer implements chunkTaker.
func (s *spill) buffer(size int) []byte { return s.pool.get(size) }

// room is the part's buffer, with space for n more bytes of one row.
func (w *spillWriter) room(part, n int) (b []byte, err error) {
	b = w.bufs[part]
	if len(b)+n > cap(b) {
		if len(b) > 0 {
			if b, err = w.to.flush(part, b, w.rows[part]); err != nil {
				return nil, err
			}
			w.rows[part] = 0
		}
		if b == nil {
			b = w.to.buffer(w.size)
		}
	}
	w.rows[part]++
	return b, nil
}

func (w *spillWriter) add(part int, r row) error {
	b, err := w.room(part, len(r.name)+8)
	if err == nil {
		w.bufs[part] = appendRow(b, r)
	}
	return err
}

// addKey adds a number instead of a row: a spill holds one or the other.
func (w *spillWriter) addKey(part int, key uint64) error {
	b, err := w.room(part, 8)
	if err == nil {
		w.bufs[part] = binary.LittleEndian.AppendUint64(b, key)
	}
	return err
}

func (w *spillWriter) flush() (err error) {
	for part, b := range w.bufs {
		if len(b) > 0 {
			if w.bufs[part], err = w.to.flush(part, b, w.rows[part]); err != nil {
				return err
			}
			w.rows[part] = 0
		}
	}
	return nil
}

// spillBuffer is the bytes a writer's buffer may have when all of them together may take an eighth of memory. Larger
// ones gain nothing and go unfilled where parts are many.
func spillBuffer(memory int64, workers, parts int) int {
	return int(min(max(memory/8/int64(workers*parts), 1<<10), 16<<10))
}

// spillMemory is the bytes that a spill may keep in memory: there are two large ones at a time.
func spillMemory(memory int64) int64 { return memory / 16 }
