package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
)

// File is an open capture or log.
type File struct {
	// Format is how it is read.
	Format *Format
	// Stats are what was read so far.
	Stats Stats

	reader Reader
	stream io.Closer
	mine   func(line int64) bool // of a range
}

// Open opens the file at path, unpacks it and recognises its format. progress, if not nil, is told the bytes read from
// disk. The error names the file.
func Open(ctx context.Context, path string, o Options, progress func(int64)) (*File, error) {
	s, err := unpack.File(ctx, path, progress)
	if _, named := errors.AsType[*fs.PathError](err); named {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	f, err := NewFile(s.Reader, path, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), s.Close())
	}
	f.stream = s
	return f, nil
}

// OpenStream is Open for a stream such as standard input. name is for messages, and the error does not have it.
func OpenStream(ctx context.Context, in io.Reader, name string, o Options, progress func(int64)) (*File, error) {
	head, again, err := lines.Peek(unpack.Watch(ctx, in, progress))
	if err != nil {
		return nil, err
	}
	s, _, err := unpack.Decompress(name, again, head)
	if err != nil {
		return nil, err
	}
	f, err := NewFile(s, "", o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	f.stream = s
	return f, nil
}

// NewFile reads a stream that is not packed, such as a pipe. path is for messages.
func NewFile(in io.Reader, path string, o Options) (*File, error) {
	head, again, err := lines.Peek(in)
	cut := errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !cut {
		return nil, err
	}
	if unpack.IsArchive(head) {
		return nil, errors.New("it is an archive. Try: unpack it, and read the folder")
	}
	f := &File{}
	if o.Format != "" {
		f.Format, err = formats.Lookup(o.Format)
	} else {
		f.Format, err = Recognize(head)
	}
	if err != nil && cut {
		return nil, fmt.Errorf("the file is cut off, and %w", err)
	}
	if err != nil {
		return nil, err
	}
	if p, ok := in.(*unpack.Plain); ok {
		again = &unpack.Plain{Reader: again, ReaderAt: p.ReaderAt, Size: p.Size}
	}
	f.reader, err = f.Format.Open(&Source{Reader: again, Path: path, Head: head, Options: o, Stats: &f.Stats})
	return f, err
}

// Times that no source can mean: neither JSON nor nanoseconds since 1970 in 64 bits can hold them all.
var (
	firstTime = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Next implements Reader.
func (f *File) Next(e *Event) error {
	err := f.reader.Next(e)
	if err == nil {
		e.CheckTime()
	}
	return err
}

// CheckTime forgets a time before 1700 or after 2261: it is one that the source does not say.
func (e *Event) CheckTime() {
	if e.Time.Before(firstTime) || !e.Time.Before(endOfTime) {
		e.Time = time.Time{}
	}
}

// Close closes the file.
func (f *File) Close() (err error) {
	if c, ok := f.reader.(io.Closer); ok {
		err = c.Close()
	}
	if f.stream != nil {
		err = errors.Join(err, f.stream.Close())
	}
	return err
}
