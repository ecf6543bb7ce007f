package decisions

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Bounds of requests that wait.
const (
	mostWait    = 5 * time.Minute
	mostWaiting = 1024 // at once. Beyond them, requests are answered without waiting
	writeTime   = 30 * time.Second
)

// Nothing is an entry of every list. It is a name that nobody can have (RFC 6761), so it changes nothing, and a list
// without decisions is no empty file: detect/lists takes such a one for a mistake of the server.
const Nothing = "nothing.degas.invalid"

// made are the texts of the newest Snapshot.
type made struct {
	mu           sync.Mutex
	version      uint64
	allow, block text
}

// text is a list.
type text struct {
	body []byte
	etag string
}

// of are the texts of a Snapshot.
func (m *made) of(s *ledger.Snapshot, v ledger.Verdict) text {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version != s.Version {
		m.allow, m.block, m.version = newText(ledger.Allow, s.Allow), newText(ledger.Block, s.Block), s.Version
	}
	if v == ledger.Allow {
		return m.allow
	}
	return m.block
}

// newText writes entries, one a line. A name of one label has a dot behind it, so that nobody takes it for a word of an
// error page.
func newText(v ledger.Verdict, entries []string) text {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: %d names and domains that people decided about, from degas\n%s\n", v, len(entries), Nothing)
	for _, e := range entries {
		b.WriteString(e)
		if !strings.Contains(e, ".") {
			b.WriteByte('.')
		}
		b.WriteByte('\n')
	}
	return text{b.Bytes(), fmt.Sprintf(`"%x"`, sha256.Sum256(b.Bytes()))}
}

// text answers with a list.
func (a *API) text(v ledger.Verdict) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wait, err := waitOf(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		s := a.ledger.InForce(time.Now())
		t := a.lists.of(s, v)
		if wait > 0 && has(r.Header.Get("If-None-Match"), t.etag) {
			if t, err = a.wait(w, r, v, s, wait); err != nil {
				a.refuse(w, r, err)
				return
			}
		}
		header(w, "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", t.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(t.body)) // it answers 304, and to HEAD
	}
}

// waitOf is the parameter wait.
func waitOf(r *http.Request) (time.Duration, error) {
	q, err := parameters(r, "wait")
	if err != nil || !q.Has("wait") {
		return 0, err
	}
	d, err := time.ParseDuration(q.Get("wait"))
	if err != nil || d < 0 || d > mostWait {
		return 0, reply.BadRequest("wait: %q is no time up to %v. Try: 30s", q.Get("wait"), mostWait)
	}
	return d, nil
}

// has reports whether a header If-None-Match has an ETag.
func has(header, etag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); strings.TrimPrefix(one, "W/") == etag || one == "*" {
			return true
		}
	}
	return false
}

// wait waits until a list is another one than in a Snapshot, and returns the newest. An error means that nobody reads
// the answer, or that the ledger is closed.
func (a *API) wait(w http.ResponseWriter, r *http.Request, v ledger.Verdict, s *ledger.Snapshot,
	most time.Duration) (text, error) {
	t := a.lists.of(s, v)
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		return t, nil
	}
	// The server's timeout for answers is shorter. A writer without deadlines needs none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(most + writeTime))
	ctx, cancel := context.WithTimeout(r.Context(), most)
	defer cancel()
	defer context.AfterFunc(a.released, cancel)()
	for old := t.etag; t.etag == old; {
		var err error
		s, err = a.ledger.Wait(ctx, s.Version)
		t = a.lists.of(s, v)
		switch {
		case r.Context().Err() != nil:
			return t, r.Context().Err()
		case ctx.Err() != nil:
			return t, nil
		case err != nil:
			return t, err
		}
	}
	return t, nil
}

// Release answers all requests that wait, and lets none wait any more. A server that stops calls it first, with
// http.Server.RegisterOnShutdown.
func (a *API) Release() { a.release() }
