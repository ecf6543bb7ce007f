package search

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
)

// maxSegment is the size in bytes that a segment may grow to. A segment is one bulk request.
const maxSegment = 4 << 20

// errSpoolFull is the error of what has no room in the spool.
var errSpoolFull = errors.New("the files of what waits for the search cluster have reached their limit")

// spool keeps the lines of bulk requests in files until the cluster has them. Each batch goes there first, so that
// degas may be killed at any time and the cluster be away for as long as the limit lasts. Nothing is synced: a power
// failure can lose the last seconds.
type spool struct {
	dir    string
	limit  int64
	unlock func()

	mu       sync.Mutex
	segments []*segment // oldest first
	number   uint64     // of the last segment
	bytes    int64
}

// segment is a file of whole pairs of lines: where a document goes, and the document.
type segment struct {
	path   string
	day    time.Time // when it was begun, in UTC
	bytes  int64
	rows   int64  // events in it, 0 for those of an earlier run
	batch  uint64 // the last one in it
	closed bool   // nothing is added any more
}

var segmentName = regexp.MustCompile(`^([0-9]{12})-([0-9]{4}\.[0-9]{2}\.[0-9]{2})\.jsonl$`)

// openSpool opens the directory and takes it for this process. The error wraps dirlock.ErrLocked if another has it.
func openSpool(dir string, limit int64) (*spool, error) {
	unlock, err := dirlock.LockInside(dir)
	if err != nil {
		return nil, fmt.Errorf("open the spool for the search cluster: %w", err)
	}
	s := &spool{dir: dir, limit: limit, unlock: unlock}
	entries, err := os.ReadDir(dir)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open the spool for the search cluster: %w", err)
	}
	for _, entry := range entries { // in the order of their names
		found := segmentName.FindStringSubmatch(entry.Name())
		if found == nil {
			continue
		}
		day, err := time.Parse(dayLayout, found[2])
		info, statErr := entry.Info()
		if err != nil || statErr != nil || !info.Mode().IsRegular() {
			continue
		}
		if _, err := fmt.Sscanf(found[1], "%d", &s.number); err != nil {
			continue
		}
		s.segments = append(s.segments, &segment{path: filepath.Join(dir, entry.Name()), day: day, bytes: info.Size(),
			closed: true})
		s.bytes += info.Size()
	}
	if err := s.adopt(); err != nil {
		unlock()
		return nil, fmt.Errorf("open the spool for the search cluster: %w", err)
	}
	return s, nil
}

// adopt makes a segment of the journal of a run that was killed.
func (s *spool) adopt() error {
	info, err := os.Stat(s.journal())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	seg, err := s.last(0, info.ModTime())
	if err != nil {
		return err
	}
	seg.bytes, seg.closed = info.Size(), true
	s.bytes += seg.bytes
	return os.Rename(s.journal(), seg.path)
}

// journal is the file of counts that are not in a segment yet.
func (s *spool) journal() string { return filepath.Join(s.dir, "counts.journal") }

// save appends whole lines to the journal and gives its size. After an error nothing of them is there.
func (s *spool) save(data []byte) (size int64, err error) {
	f, err := os.OpenFile(s.journal(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write the journal for the search cluster: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		if _, err = f.Write(data); err != nil {
			err = errors.Join(err, f.Truncate(info.Size()))
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("write the journal for the search cluster: %w", err)
	}
	return info.Size() + int64(len(data)), nil
}

// forget empties the journal.
func (s *spool) forget() error {
	if err := os.Remove(s.journal()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty the journal for the search cluster: %w", err)
	}
	return nil
}

// room is how many bytes are left of a share of the limit.
func (s *spool) room(share float64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(share*float64(s.limit)) - s.bytes
}

// add appends whole lines. After an error nothing of them is there.
func (s *spool) add(data []byte, rows int, batch uint64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+int64(len(data)) > s.limit {
		return errSpoolFull
	}
	seg, err := s.last(int64(len(data)), now)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(seg.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write the spool for the search cluster: %w", err)
	}
	if _, err = f.Write(data); err != nil {
		err = errors.Join(err, f.Truncate(seg.bytes))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the spool for the search cluster: %w", err)
	}
	seg.bytes += int64(len(data))
	seg.rows += int64(rows)
	seg.batch = batch
	s.bytes += int64(len(data))
	return nil
}

// last is the segment that takes so many bytes more.
func (s *spool) last(more int64, now time.Time) (*segment, error) {
	day := now.UTC().Truncate(24 * time.Hour)
	if n := len(s.segments); n > 0 {
		seg := s.segments[n-1]
		if !seg.closed && seg.bytes+more <= maxSegment && seg.day.Equal(day) {
			return seg, nil
		}
		seg.closed = true
	}
	s.number++
	name := fmt.Sprintf("%012d-%s.jsonl", s.number, day.Format(dayLayout))
	if !segmentName.MatchString(name) {
		return nil, fmt.Errorf("%s: the numbers of files are used up. Try: an empty directory", s.dir)
	}
	seg := &segment{path: filepath.Join(s.dir, name), day: day}
	s.segments = append(s.segments, seg)
	return seg, nil
}

// little reports whether the spool has something, and less than a request should have.
func (s *spool) little() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.segments) == 1 && !s.segments[0].closed && s.bytes < maxSegment/4
}

// first is the oldest segment, to which nothing is added any more; nil without one.
func (s *spool) first() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return nil
	}
	s.segments[0].closed = true
	return s.segments[0]
}

// remove deletes a segment that the cluster has.
func (s *spool) remove(seg *segment) error {
	err := os.Remove(seg.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == seg })
	s.bytes -= seg.bytes
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// waiting is how many bytes and how many events of this run are in the spool.
func (s *spool) waiting() (bytes, rows int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		rows += seg.rows
	}
	return s.bytes, rows
}

// item is a document of a bulk request, with the line before it. Both have their newline.
type item struct{ action, doc []byte }

// row reports whether the item is an event, and not a count.
func (i *item) row() bool { return bytes.HasPrefix(i.action, []byte(`{"create"`)) }

// read gives the items of a segment. What a killed process left half written at its end is left out.
func (seg *segment) read() ([]item, error) {
	data, err := os.ReadFile(seg.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // a write of it failed
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool for the search cluster: %w", err)
	}
	return split(data), nil
}

func split(data []byte) []item {
	var out []item
	for {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			return out
		}
		next := bytes.IndexByte(data[end:], '\n') + 1
		if next == 0 {
			return out
		}
		out = append(out, item{data[:end], data[end : end+next]})
		data = data[end+next:]
	}
}
