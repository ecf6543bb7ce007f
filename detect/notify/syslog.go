package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect/watch"
)

// priority is the facility daemon (3) and the severity warning (4).
const priority = 3<<3 | 4

// Bounds of a message's parts in bytes. Together they stay below the 2,048 that RFC 5424 asks receivers to take.
const (
	longestDomain = 255
	longestClient = 100
	longestText   = 1000
)

// syslogTime is how long connecting and writing may each take.
const syslogTime = 5 * time.Second

// localSyslog are the sockets of syslog daemons.
var localSyslog = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// syslogger is the transport to a syslog daemon.
type syslogger struct {
	network, addr string // "" for this machine's
	host          string
	pid           int
	now           func() time.Time
	conn          net.Conn
}

// openSyslog opens what follows "syslog:".
func openSyslog(to string, o Options) (Sink, error) {
	s := &syslogger{pid: os.Getpid(), now: time.Now}
	s.host, _ = os.Hostname() // "" becomes "-"
	name := "syslog"
	if to != "" {
		u, err := url.Parse(to)
		ports := map[string]string{"udp": "514", "tcp": "601"}
		if err != nil || u.Hostname() == "" || ports[u.Scheme] == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("%q is no syslog server. Try: syslog:udp://HOST:514 or syslog:tcp://HOST:601", "syslog:"+to)
		}
		s.network, s.addr = u.Scheme, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
		name = "syslog:" + s.network + "://" + s.addr
	} else if err := s.connect(context.Background()); err != nil { // a daemon on this machine runs, or never will
		return nil, err
	}
	return newQueue(name, s, o), nil
}

// encode implements transport.
func (s *syslogger) encode(f *watch.Finding) ([]byte, error) {
	data := fmt.Sprintf(`[degas@32473 kind="%s" domain="%s" client="%s" names="%d" evidence="%.1f"]`, param(f.Kind, 32),
		param(f.Domain, longestDomain), param(f.Client, longestClient), f.Names, finite(f.Evidence))
	text := sentence(f)
	if s.network == "" {
		// Daemons expect the older format on their socket: journald would log a header of RFC 5424 as text.
		return fmt.Appendf(nil, "<%d>%s degas[%d]: %s %s\n", priority, s.now().Format(time.Stamp), s.pid, text, data), nil
	}
	m := fmt.Appendf(nil, "<%d>1 %s %s degas %d %s %s %s", priority,
		s.now().UTC().Format("2006-01-02T15:04:05.000000Z"), token(s.host, 255), s.pid, token(f.Kind, 32), data, text)
	if s.network == "tcp" {
		m = append(fmt.Appendf(nil, "%d ", len(m)), m...) // octet counting, RFC 6587
	}
	return m, nil
}

// sentence is a finding for people.
func sentence(f *watch.Finding) string {
	what := map[string]string{
		watch.Tunnel:    "Domain with names that look like a DNS tunnel",
		watch.DGAClient: "Client that asks for names like those of malware",
		watch.List:      "Questions for an entry of the block list",
	}[f.Kind]
	subject := plain(f.Subject(), 2*longestDomain)
	return plain(fmt.Sprintf("%s: %s. %s.", cmp.Or(what, "Finding"), subject, f.Reason), longestText)
}

// plain is a text in printable ASCII of at most some bytes: whatever could end a line, move a cursor or reorder text
// is escaped as Go escapes it.
func plain(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		add := string(r)
		if r < ' ' || r > '~' {
			add = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(add) > most {
			return b.String()[:max(0, min(b.Len(), most-3))] + "..."
		}
		b.WriteString(add)
	}
	return b.String()
}

var paramEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// param is a value of structured data.
func param(s string, most int) string { return paramEscape.Replace(plain(s, most)) }

// token is a field of the header, "-" if there is nothing to say.
func token(s string, most int) string {
	s = strings.ReplaceAll(plain(s, most), " ", "_")
	return cmp.Or(s, "-")
}

// send implements transport. A connection that was open may have been closed by the server in the meantime, so that it
// gets a second chance at once.
func (s *syslogger) send(ctx context.Context, batch [][]byte) (sent int, err error) {
	for ; sent < len(batch); sent++ {
		fresh := s.conn == nil
		if err = s.write(ctx, batch[sent]); err != nil && !fresh {
			err = s.write(ctx, batch[sent])
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// write writes a message, on a new connection if there is none. After an error there is none.
func (s *syslogger) write(ctx context.Context, message []byte) error {
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	conn := s.conn
	err := conn.SetWriteDeadline(time.Now().Add(syslogTime))
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now()) })
		defer stop()
		_, err = conn.Write(message)
	}
	if err != nil {
		_ = s.close()
	}
	return err
}

func (s *syslogger) connect(ctx context.Context) (err error) {
	d := net.Dialer{Timeout: syslogTime}
	if s.network != "" {
		if s.conn, err = d.DialContext(ctx, s.network, s.addr); err != nil {
			s.conn = nil
			return err
		}
		if s.network == "tcp" { // a server only ever says that it goes, which the next write must know
			go func(c net.Conn) {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}(s.conn)
		}
		return nil
	}
	for _, path := range localSyslog {
		for _, network := range []string{"unixgram", "unix"} {
			if c, err := d.DialContext(ctx, network, path); err == nil {
				s.conn = c
				return nil
			}
		}
	}
	return fmt.Errorf("no syslog daemon listens at %s. Try: syslog:udp://HOST:514", strings.Join(localSyslog, " or "))
}

// close implements transport.
func (s *syslogger) close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	if errors.Is(err, net.ErrClosed) { // the server was first
		return nil
	}
	return err
}
