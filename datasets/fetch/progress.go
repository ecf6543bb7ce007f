package fetch

import (
	"sync"
	"time"
)

const progressEvery = 100 * time.Millisecond

// meter turns what the transfers tell it into Events, one at a time.
type meter struct {
	mu    sync.Mutex
	emit  func(Event)
	files map[string]*fileMeter
	done  int
}

type fileMeter struct {
	m     *meter
	path  string
	bytes int64
	size  int64 // -1 unknown
	last  time.Time
}

func newMeter(files []File, emit func(Event)) *meter {
	m := &meter{emit: emit, files: make(map[string]*fileMeter, len(files))}
	for _, f := range files {
		size := f.Size
		if size <= 0 {
			size = -1
		}
		m.files[f.Path] = &fileMeter{m: m, path: f.Path, size: size}
	}
	return m
}

// start reports that the file begins, or begins again, at offset bytes.
func (f *fileMeter) start(offset, size int64) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.bytes = offset
	if size > 0 {
		f.size = size
	}
	f.send(Event{Kind: EventStart})
}

func (f *fileMeter) add(n int64) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.bytes += n
	if now := time.Now(); now.Sub(f.last) >= progressEvery {
		f.last = now
		f.send(Event{Kind: EventProgress})
	}
}

func (f *fileMeter) event(e Event) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.send(e)
}

// finish reports a file that is done, size bytes long, or failed.
func (f *fileMeter) finish(size int64, err error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.done++
	if err != nil {
		f.size = f.bytes // what is not coming does not count towards the total
		f.send(Event{Kind: EventFailed, Err: err})
		return
	}
	f.bytes, f.size = size, size
	f.send(Event{Kind: EventDone})
}

// send fills in the totals; the caller holds the lock.
func (f *fileMeter) send(e Event) {
	if f.m.emit == nil {
		return
	}
	e.Path, e.Bytes, e.Size = f.path, f.bytes, f.size
	e.Done, e.Files = f.m.done, len(f.m.files)
	for _, other := range f.m.files {
		e.TotalBytes += other.bytes
		if other.size < 0 || e.TotalSize < 0 {
			e.TotalSize = -1
			continue
		}
		e.TotalSize += other.size
	}
	f.m.emit(e)
}
