package follow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
)

// How many lines tell a format. A format that fits many files, such as CSV, is taken after some lines, and only after
// many of them it is an error that none fits.
const (
	someLines  = 10
	manyLines  = 50
	vagueScore = 30
)

// ready opens the log and recognises its format. It reports false as long as that is not possible.
func (f *File) ready() (bool, error) {
	if f.format != nil {
		return true, nil
	}
	if f.current == nil {
		if ok, err := f.start(); !ok || err != nil {
			return false, err
		}
	}
	head := make([]byte, lines.HeadSize)
	n, err := f.current.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	}
	head = bytes.TrimLeft(head[:n], "\x00")
	ok, err := f.recognize(head)
	if err != nil {
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	}
	if !ok {
		f.say("waiting for lines that tell the log's format")
	}
	return ok, nil
}

// start opens the file to begin with, and goes to the place to begin at.
func (f *File) start() (ok bool, err error) {
	if f.from != nil && f.from.Offset > 0 {
		if f.current, err = f.search(*f.from, 0); err != nil {
			return false, err
		}
		if f.current != nil {
			return true, nil
		}
	}
	p, err := openPart(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.say("waiting for the log, which is not there yet")
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	}
	switch {
	case f.from == nil:
		err = p.toEnd()
	case f.from.Offset > 0:
		slog.Warn("the place where reading ended is neither in the log nor in its older files: it begins at the log's start",
			"path", f.path)
		f.from = &State{}
	}
	if err != nil {
		p.file.Close()
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	}
	f.current = p
	return true, nil
}

// toEnd goes to the last line, if it has no end yet, or behind it.
func (p *part) toEnd() error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	at := max(0, info.Size()-maxLine)
	last := make([]byte, info.Size()-at)
	n, err := p.file.ReadAt(last, at)
	if err != nil && err != io.EOF {
		return err
	}
	offset := at + int64(bytes.LastIndexByte(last[:n], '\n')+1)
	_, err = p.seek(offset)
	return err
}

// recognize finds the format by the log's first bytes, and makes the reader. ok is false if it needs more of them.
func (f *File) recognize(head []byte) (ok bool, err error) {
	if err := refused(f.path, head); err != nil {
		return false, err
	}
	full := len(head) == lines.HeadSize
	whole := head[:bytes.LastIndexByte(head, '\n')+1]
	if len(whole) == 0 && !full {
		return false, nil
	}
	n := bytes.Count(whole, []byte{'\n'})
	enough := func(want int) bool { return full || n >= want }
	var format *events.Format
	if f.o.Format != "" {
		format, err = events.Lookup(f.o.Format)
	} else if format, err = events.Recognize(whole); err != nil && !enough(manyLines) {
		return false, nil
	}
	if err == nil {
		err = followable(format, whole)
	}
	if err != nil {
		return false, err
	}
	if score, _ := format.Sniff(whole); f.o.Format == "" && score <= vagueScore && !enough(someLines) {
		return false, nil
	}
	reader, err := format.Open(&events.Source{Reader: &f.feed, Path: f.path, Head: whole, Options: f.o, Stats: &f.Stats})
	if err != nil {
		if enough(manyLines) {
			return false, err
		}
		return false, nil
	}
	f.format, f.o.Format, f.reader = format, format.Name, reader
	return true, f.prime(whole)
}

// prime shows the reader the first lines of the log that are not read anyway: they may say what the columns are. Their
// events do not count.
func (f *File) prime(head []byte) error {
	var e events.Event
	skip := f.current.offset()
	for line := range bytes.Lines(head) {
		if skip -= int64(len(line)); skip < 0 {
			break
		}
		if f.first == nil {
			f.first = bytes.Clone(line)
		}
		f.feed.Reset(line)
		err := f.reader.Next(&e)
		if err == nil && f.Stats.Units == 1 {
			f.first = []byte{}
		}
		for err == nil {
			err = f.reader.Next(&e)
		}
		if err != io.EOF {
			return err
		}
	}
	f.Stats = events.Stats{}
	return nil
}

// refused is an error for a file that is no text.
func refused(path string, head []byte) error {
	_, packed, err := unpack.Decompress(path, bytes.NewReader(head), head)
	var kind *unpack.KindError
	switch {
	case packed || errors.As(err, &kind) || unpack.IsArchive(head):
		return fmt.Errorf("it is packed, and does not grow. Try: degas scan %s", path)
	case len(head) > 0 && len(asutf8.Bytes(head)) < len(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))):
		return fmt.Errorf("it is text in UTF-16, which degas does not follow. Try: degas scan %s", path)
	}
	if format, err := events.Recognize(head); err == nil {
		return followable(format, nil)
	}
	return nil
}

// followable is an error for a format whose events are not lines.
func followable(format *events.Format, head []byte) error {
	if format.Unit != "lines" {
		return fmt.Errorf("it is a file of the format %s, not a text log, and cannot be followed. Try: degas scan",
			format.Name)
	}
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte{'\n'})
	if format.Name == "windows-xml" || len(first) > 0 && (first[0] == '{' || first[0] == '[') && !json.Valid(first) {
		return errors.New("its events go over several lines, and cannot be followed. Try: degas scan")
	}
	return nil
}
