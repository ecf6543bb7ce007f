package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Handler answers /metrics, and /livez with "ok" for as long as the process answers at all.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = m.Write(w) // an error means that the client has left
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

// Listen listens at an address. A port alone, as 9153 or :9153, means 127.0.0.1: the numbers tell how busy a network
// is, and nothing asks who wants to know. For every interface, the address is 0.0.0.0:9153.
func Listen(addr string) (net.Listener, error) {
	full := addr
	if !strings.Contains(full, ":") {
		full = ":" + full
	}
	if strings.HasPrefix(full, ":") {
		full = "127.0.0.1" + full
	}
	l, err := net.Listen("tcp", full)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics at %q: %w. Try: another address, such as 127.0.0.1:9153", addr, err)
	}
	return l, nil
}

// Serve answers requests until ctx ends. It closes l.
func (m *Metrics) Serve(ctx context.Context, l net.Listener) error {
	const limit = 10 * time.Second
	s := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: limit, ReadTimeout: limit, WriteTimeout: limit,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // whoever asks for metrics asks again
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics at %s: %w", l.Addr(), err)
	}
	return nil
}
