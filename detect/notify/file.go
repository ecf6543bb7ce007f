package notify

import (
	"fmt"

	"github.com/degas-dns/degas/internal/logfile"
)

// openFile opens a file for JSON Lines.
func openFile(path string, o Options) (Sink, error) {
	f, err := logfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open a file for findings: %w", err)
	}
	return &fileSink{lineSink{w: f, n: counts(o.Metrics, "file:"+path)}, f}, nil
}

type fileSink struct {
	lineSink
	f *logfile.File
}

// Close implements Sink.
func (s *fileSink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = closedWriter{}
	return s.f.Close()
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, ErrClosed }
