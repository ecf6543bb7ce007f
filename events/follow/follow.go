// Package follow reads events from a text log while a program writes it, as tail -F does.
//
// A File polls the log. It reads a log that was rotated to its end before it goes on with the new one: a log that was
// renamed, also more than once between two polls, as long as the older ones are path.1, path.2 and so on; one that was
// copied and truncated; one that was deleted and made anew. A line without an end waits for it.
package follow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// pollTime is the time between two looks at a file that has nothing new.
const pollTime = 250 * time.Millisecond

// State is a place in a log. It is found again after a restart, also in path.1 and so on. Its zero value is the
// beginning of the log.
type State struct {
	// Path is the log's, "" for any.
	Path string `json:"path"`
	// Format is the name of the format that was recognised.
	Format string `json:"format"`
	// Offset is how many bytes of the file were read.
	Offset int64 `json:"offset"`
	// Sum is the SHA-256, in hexadecimal, of the last bytes before Offset, at most 1 KiB.
	Sum string `json:"sum"`
}

// File is an events.Reader of a log that grows. Event.Line counts the lines that it has read.
type File struct {
	// Stats are what was read so far.
	Stats events.Stats

	path   string
	o      events.Options
	from   *State
	poll   time.Duration
	parent context.Context // that of the caller
	ctx    context.Context // is done after Close, too
	cancel context.CancelFunc
	mu     sync.Mutex // held by Next: Close waits for it

	current *part  // nil while there is no log
	before  *State // while nothing of current was read
	rotated bool   // current is not at path any more: one more poll, and the next one comes
	told    string // what was said of a log that cannot be read yet

	format *events.Format // nil until it was recognised
	reader events.Reader
	feed   bytes.Reader // what reader reads: one line
	fed    bool         // reader may have more events of that line
	first  []byte       // the log's first line, if it has no event: a header; nil before it was read
	judged bool         // first is the line that is being read
	line   int64
}

// Open begins to follow the log at path, which may come later. Without a State, it begins at the end of the log that
// there is. It refuses captures and packed files.
func Open(ctx context.Context, path string, o events.Options, from *State) (*File, error) {
	return open(ctx, path, o, from, pollTime)
}

func open(ctx context.Context, path string, o events.Options, from *State, poll time.Duration) (*File, error) {
	f := &File{path: path, o: o, from: from, poll: poll, parent: ctx}
	if from != nil && from.Path != "" && from.Path != path {
		return nil, fmt.Errorf("follow %s: the state is that of %s", path, from.Path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil { // nobody makes a folder later
		return nil, fmt.Errorf("follow %s: %w", path, err)
	}
	if from != nil && o.Format == "" {
		f.o.Format = from.Format
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	_, err := f.ready()
	if f.current == nil && from == nil {
		f.from = &State{} // all that comes is new
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Next implements events.Reader. It waits for the next event, and returns ctx's error once ctx is done, and io.EOF
// after Close.
func (f *File) Next(e *events.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.ctx.Err() == nil {
		if f.fed {
			err := f.reader.Next(e)
			if err == nil {
				e.Line = f.line
				e.CheckTime()
				if f.judged {
					f.first, f.judged = []byte{}, false
				}
				return nil
			}
			if err != io.EOF {
				return fmt.Errorf("follow %s: line %d: %w", f.path, f.line, err)
			}
			f.fed, f.judged = false, false
		}
		more, err := f.ready()
		if more && err == nil {
			more, err = f.next()
		}
		if err != nil {
			return err
		}
		if !more {
			f.wait()
		}
	}
	if err := f.parent.Err(); err != nil {
		return err
	}
	return io.EOF
}

// wait waits for the next poll.
func (f *File) wait() {
	select {
	case <-time.After(f.poll):
	case <-f.ctx.Done():
	}
}

// Format is how the log is read, nil until enough of it is there to tell.
func (f *File) Format() *events.Format { return f.format }

// State is where the log was read to: behind the line of the last event. A line with several events counts as read with
// the first one. Call it where you call Next.
func (f *File) State() State {
	if f.before != nil && (f.current == nil || f.current.offset() == 0) {
		return *f.before
	}
	s := State{Path: f.path, Format: f.o.Format}
	switch {
	case f.current != nil:
		s.Offset, s.Sum = f.current.offset(), sumOf(f.current.tail())
	case f.from != nil:
		s.Offset, s.Sum = f.from.Offset, f.from.Sum
	}
	return s
}

// sumOf is the sum of a State.
func sumOf(tail []byte) string {
	if len(tail) == 0 {
		return ""
	}
	sum := sha256.Sum256(tail)
	return hex.EncodeToString(sum[:])
}

// next feeds the reader with a line, or goes on to the next file. more is false if there is nothing to do at present.
func (f *File) next() (more bool, err error) {
	unread := f.current.offset() == 0
	raw, long, err := f.current.line()
	if unread && f.before != nil && raw != nil {
		if missed, err := f.missed(); missed || err != nil {
			return true, err
		}
	}
	switch {
	case errors.Is(err, errTruncated):
		return true, f.truncated()
	case err != nil:
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	case raw == nil && !long:
		return f.advance()
	}
	f.rotated = false
	f.take(raw, long)
	return true, nil
}

// take gives a line to the reader.
func (f *File) take(raw []byte, long bool) {
	f.line++
	switch {
	case long:
		f.Stats.Units++
		f.Stats.Refuse("line longer than 64 KiB")
		return
	case f.first == nil:
		f.first, f.judged = bytes.Clone(raw), true
	case len(f.first) > 0 && bytes.Equal(raw, f.first): // tables have titles in each file
		f.Stats.Units++
		f.Stats.Skip("header")
		return
	}
	f.feed.Reset(raw)
	f.fed = true
}

// say logs something about the log once.
func (f *File) say(text string) {
	if f.told != text {
		f.told = text
		slog.Warn(text, "path", f.path)
	}
}

// Close ends Next, and closes the log.
func (f *File) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if c, ok := f.reader.(io.Closer); ok {
		err = c.Close()
		f.reader = nil
	}
	if f.current != nil {
		s := f.State()
		f.before = &s
		err = errors.Join(err, f.current.file.Close())
		f.current = nil
	}
	return err
}

// maxLine is what a line may have.
const maxLine = lines.MaxLine
