// Package userfile reads files whose path a person names and whose content may be a stranger's: it never waits for a
// named pipe, and never reads more than the caller expects.
package userfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/degas-dns/degas/internal/asutf8"
)

// Limits of small files, in bytes.
const (
	Config = 256 << 10 // a configuration that somebody wrote
	Text   = 64 << 20  // a description that a program wrote: dataset.json, model.json, a history
)

// Open opens the regular file at path. Opening a named pipe waits for its other end, and a device may never end: both
// are errors at once.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New(NoFile(info.Mode()))}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Lockable is an error if path leads to something else than a file or to nothing: opening it for a lock could wait.
func Lockable(path string) error {
	f, err := Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// NoFile says what is no regular file.
func NoFile(m fs.FileMode) string {
	kind := "something else"
	switch {
	case m.IsDir():
		kind = "a directory"
	case m&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case m&fs.ModeDevice != 0:
		kind = "a device"
	case m&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return "it is " + kind + ", not a file"
}

// Read reads the text file at path as Bytes does, as UTF-8 without a byte-order mark.
func Read(path string, limit int64) ([]byte, error) {
	data, err := Bytes(path, limit)
	return asutf8.Bytes(data), err
}

// Bytes reads the regular file at path, which must have at most limit bytes.
func Bytes(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if info.Size() <= limit {
		data.Grow(int(info.Size()) + bytes.MinRead) // growing by doubling would take three times the file
		if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
			return nil, err
		}
	}
	if max(info.Size(), int64(data.Len())) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return data.Bytes(), nil
}
