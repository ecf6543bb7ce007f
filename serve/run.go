package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/userfile"
)

// A connection may take maxHeader bytes before its request counts towards models.Memory.
const maxHeader = 16 << 10

// Serve answers at a listener until ctx ends. Then readiness fails, new connections are refused, and requests in work
// have Limits.Shutdown to end. It closes l. certificates, if not nil, makes it speak TLS, and HTTP/2.
func (s *Server) Serve(ctx context.Context, l net.Listener, certificates *Certificates) error {
	limits := s.o.Limits
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: limits.Header,
		ReadTimeout:       limits.Body,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       connContext,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what strangers send to a port
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true) // for gRPC without TLS
	l = limit(l, limits.Connections)
	stopped := make(chan error, 1)
	serving, ended := context.WithCancel(ctx)
	defer ended()
	go func() {
		<-serving.Done()
		s.stopping.Store(true)
		if s.decisions != nil {
			s.decisions.Release() // those who wait for a list to change
		}
		if s.o.Console != nil {
			s.o.Console.Release() // those who look on
		}
		until, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Shutdown)
		defer cancel()
		err := server.Shutdown(until)
		if errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn("requests that were still in work are cut off", "after", limits.Shutdown)
			err = server.Close()
		}
		stopped <- err
	}()
	var err error
	if certificates != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates.get}
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve at %s: %w", l.Addr(), err)
	}
	return <-stopped
}

// Certificates are a certificate with its key in PEM files, which are read again when they change: certificates are
// renewed every few weeks.
type Certificates struct {
	// Look is the time between two looks at the files. LoadCertificates sets ten seconds.
	Look time.Duration

	certificate, key string
	log              *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stamp  [2]userfile.Stamp
	looked time.Time
}

// LoadCertificates reads a certificate, with those between it and a root behind it, and its key.
func LoadCertificates(certificate, key string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{Look: 10 * time.Second, certificate: certificate, key: key, log: log}
	return c, c.load()
}

func (c *Certificates) load() error {
	stamps, err := c.stamps()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		return fmt.Errorf("read the certificate %s with the key %s: %w. Try: PEM files that belong together",
			c.certificate, c.key, err)
	}
	c.now, c.stamp = &pair, stamps
	return nil
}

func (c *Certificates) stamps() (s [2]userfile.Stamp, err error) {
	for i, path := range []string{c.certificate, c.key} {
		if s[i], err = userfile.StampOf(path); err != nil {
			return s, err
		}
	}
	return s, nil
}

// get is tls.Config.GetCertificate.
func (c *Certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > c.Look {
		c.looked = now
		if s, err := c.stamps(); err != nil || s != c.stamp {
			if err == nil {
				err = c.load()
			}
			if err != nil { // half a renewal: the old one goes on
				c.log.Warn("the certificate cannot be read again; the old one goes on", "error", err)
			}
		}
	}
	return c.now, nil
}
