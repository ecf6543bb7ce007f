package notify

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/degas-dns/degas/internal/userfile"
)

// openFile opens a file for JSON Lines. Findings tell who asked for what, so that only the owner and the group read it.
func openFile(path string, o Options) (Sink, error) {
	f := &logFile{path: path}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open a file for findings: %w", err)
	}
	return &fileSink{lineSink{w: f, n: counts(o.Metrics, "file:"+path)}, f}, nil
}

type fileSink struct {
	lineSink
	f *logFile
}

// Close implements Sink.
func (s *fileSink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = closedWriter{}
	return s.f.f.Close()
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, ErrClosed }

// logFile writes at the end of the file at a path. If that was renamed or removed, it makes a new one.
type logFile struct {
	path string
	f    *os.File
}

// open opens the file. Nothing but a file will do: a named pipe without a reader would make the watch wait.
func (l *logFile) open() error {
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
func (l *logFile) Write(line []byte) (int, error) {
	there, err := os.Stat(l.path)
	if err == nil {
		var mine os.FileInfo
		if mine, err = l.f.Stat(); err == nil && os.SameFile(there, mine) {
			return l.f.Write(line)
		}
	}
	// A new file that cannot be made, as in a directory that lost its rights, is no reason to lose the finding.
	if err := l.open(); err != nil {
		warn("file:"+l.path, "the file for findings was moved away, and no new one can be opened", err)
	}
	return l.f.Write(line)
}
