// Package logfile writes at the end of a file that logrotate may rename.
package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
)

// File is a file that is written at its end. If it was renamed or removed, the next Write makes a new one. It is not
// safe for concurrent use.
type File struct {
	path string
	f    *os.File
	said bool // that no new file can be made
}

// Open opens the file at path, or makes it. What is in it tells who asked for what, so that only the owner and the
// group read it. Nothing but a file will do: a named pipe without a reader would make the caller wait.
func Open(path string) (*File, error) {
	l := &File{path: path}
	return l, l.open()
}

func (l *File) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("%s: it is a named pipe or a socket, not a file", l.path)
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %s. Try: -, for standard output", l.path, userfile.NoFile(info.Mode()))
	}
	if err != nil {
		f.Close()
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

// Write implements io.Writer.
func (l *File) Write(p []byte) (int, error) {
	there, err := os.Stat(l.path)
	if err == nil {
		var mine os.FileInfo
		if mine, err = l.f.Stat(); err == nil && os.SameFile(there, mine) {
			return l.f.Write(p)
		}
	}
	// A new file that cannot be made, as in a directory that lost its rights, is no reason to lose what is written.
	if err := l.open(); err == nil {
		l.said = false
	} else if !l.said {
		l.said = true
		slog.Warn("the file was moved away, and no new one can be opened", "file", printable.Terminal(l.path),
			"error", printable.Terminal(err.Error()))
	}
	return l.f.Write(p)
}

// Close closes the file.
func (l *File) Close() error { return l.f.Close() }
