package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/feed"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

func (c *Console) liveScreens() []screen {
	return []screen{
		{"GET /console/live", accounts.Viewer, false, c.live},
		{"GET /console/live/stream", accounts.Viewer, true, c.liveStream},
	}
}

const (
	liveRows  = 50               // that a page begins with
	beatTime  = 15 * time.Second // between two comments of a stream, and two looks at the session
	liveSince = time.Hour
)

// livePage is GET /console/live.
type livePage struct {
	Text    string // in a name, a domain, a client or a class
	Flagged bool
	Rows    []*row
	Stream  string // address of what is new
	Back    string // address of this page
}

// readLive reads q and flagged. keep is nil if everything fits.
func readLive(q url.Values) (p livePage, keep func(*store.Event) bool) {
	p = livePage{Text: strings.TrimSpace(q.Get("q")), Flagged: q.Get("flagged") == "1"}
	if p.Text == "" && !p.Flagged {
		return p, nil
	}
	text := strings.ToLower(p.Text)
	return p, func(e *store.Event) bool {
		return (!p.Flagged || e.Flagged()) && (text == "" || strings.Contains(e.Name, text) ||
			strings.Contains(strings.ToLower(e.Client), text) || strings.Contains(e.Domain, text) ||
			strings.Contains(e.Class, text))
	}
}

// live answers GET /console/live: q and flagged. Without scripts, it is what came last.
func (c *Console) live(v *visit) (*view, error) {
	p, keep := readLive(v.q)
	only := ""
	if p.Flagged {
		only = "1"
	}
	p.Stream = link("/console/live/stream", "q", p.Text, "flagged", only)
	p.Back = link("/console/live", "q", p.Text, "flagged", only)
	now := time.Now()
	page, err := c.o.Store.Events(v.ctx(), store.Range{From: now.Add(-liveSince), To: now.Add(time.Minute)},
		store.Filter{Flagged: p.Flagged}, "", chunk)
	if err != nil {
		return nil, err
	}
	var last []store.Event
	for i := range page.Events {
		if e := &page.Events[i]; len(last) < liveRows && (keep == nil || keep(e)) {
			last = append(last, *e)
		}
	}
	p.Rows = group(last)
	err = c.rule(v.ctx(), p.Rows, map[string]*ledger.Decision{})
	return &view{page: "live", title: "Live", data: p, scripts: []string{"live.js"}}, err
}

// liveRow is a row of a batch.
type liveRow struct {
	Name string `json:"name"` // what rows are put together by
	HTML string `json:"html"`
}

// liveBatch is a message of the stream.
type liveBatch struct {
	Rows []liveRow `json:"rows"` // newest first
	Fit  int       `json:"fit"`
	Seen int       `json:"seen"`
}

// liveStream answers GET /console/live/stream with server-sent events: a liveBatch at most four times a second, and
// "end" when nothing will follow. It takes what live takes; after, or the header Last-Event-ID, is the last one that
// the page has.
func (c *Console) liveStream(v *visit) (*view, error) {
	p, keep := readLive(v.q)
	after, _ := strconv.ParseInt(cmp.Or(v.r.Header.Get("Last-Event-ID"), v.q.Get("after")), 10, 64)
	h := v.w.Header()
	if v.r.Method == http.MethodHead {
		return nil, nil
	}
	r, err := c.Feed.Read(keep, after)
	if err != nil {
		return nil, err
	}
	defer c.Feed.Leave(r)
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy such as nginx would collect it
	only := ""
	if p.Flagged {
		only = "1"
	}
	back := link("/console/live", "q", p.Text, "flagged", only)
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Time{}) // the one for requests would end the stream
	send := func(format string, args ...any) error {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := fmt.Fprintf(v.w, format, args...); err != nil {
			return err
		}
		return control.Flush()
	}
	err = send("retry: 3000\n\n")
	known := map[string]*ledger.Decision{}
	beat := time.NewTicker(beatTime)
	defer beat.Stop()
	for err == nil {
		select {
		case <-v.ctx().Done():
			return nil, nil
		case b, ok := <-r.Batches:
			if !ok {
				_ = send("event: end\ndata: the server is stopping\n\n")
				return nil, nil
			}
			var data []byte
			if data, err = c.renderBatch(v, b, back, known); err == nil {
				err = send("id: %d\ndata: %s\n\n", b.ID, data)
			}
		case <-beat.C:
			if _, over := c.o.Accounts.Check(v.ctx(), v.cookie); over != nil {
				_ = send("event: end\ndata: the session is over: log in again\n\n")
				return nil, nil
			}
			clear(known)
			err = send(": \n\n")
		}
	}
	return nil, nil // nobody is left to tell
}

// renderBatch is a liveBatch in JSON. Its rows are the template "row", as those of the page are. known has decisions
// that were looked up before.
func (c *Console) renderBatch(v *visit, b feed.Batch, back string, known map[string]*ledger.Decision) ([]byte, error) {
	out := liveBatch{Rows: []liveRow{}, Fit: b.Fit, Seen: b.Seen}
	rows := each(b.Rows)
	if err := c.rule(v.ctx(), rows, known); err != nil {
		return nil, err
	}
	for _, one := range rows {
		var html bytes.Buffer
		err := c.pages["live"].ExecuteTemplate(&html, "row", dict("row", one, "back", back, "may", v.may(accounts.Vetter)))
		if err != nil {
			c.log.Error("console: a template failed", "page", "live", "error", err)
			return nil, err
		}
		out.Rows = append(out.Rows, liveRow{one.Name, html.String()})
	}
	return json.Marshal(out)
}
