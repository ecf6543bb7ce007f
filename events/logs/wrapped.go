package logs

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/jsonscan"
	"github.com/degas-dns/degas/internal/lines"
)

func init() {
	events.Register(&events.Format{
		Name:  "wrapped",
		Title: "lines of another log within JSON, as of containers, journald, CloudWatch, Cloud Logging and Splunk",
		Unit:  "lines",
		Sniff: func(head []byte) (int, string) { return sniffWrapped(head, messages) },
		Open: func(in *events.Source) (events.Reader, error) {
			return openWrapped(in, messages, messages.parser(in.Options))
		},
	})
}

// messages has the paths of lines within JSON, and of their times.
var messages = (&jsonTable{
	name:  "wrapped",
	score: 75,
	paths: map[field]string{
		fieldMessage: "message log MESSAGE logEvents[].message events[].message textPayload result._raw _raw msg line",
		fieldTime:    "@timestamp time timestamp __REALTIME_TIMESTAMP _time",
	},
}).compile()

// unwrap appends the lines that the current line of p holds, each with an end.
func (p *jsonParser) unwrap(dst []byte) []byte {
	best := uint8(255) // the rank of the best path with a text
	for _, v := range p.values {
		if s := p.slots[v.Path]; s.field == fieldMessage && s.rank > 0 && v.Kind == jsonscan.String && len(v.Raw) > 0 {
			best = min(best, s.rank)
		}
	}
	for _, v := range p.values {
		if s := p.slots[v.Path]; s.field == fieldMessage && s.rank == best && v.Kind == jsonscan.String {
			dst = jsonscan.Unescape(dst, v.Raw)
			dst = append(bytes.TrimRight(dst, "\r\n"), '\n')
		}
	}
	return dst
}

// wrappedHead is the head of the log within a log.
func wrappedHead(head []byte, c *compiledTable) (inner []byte) {
	p := c.parser(events.Options{})
	for _, line := range jsonLines(head) {
		if p.scan(line) == nil {
			inner = p.unwrap(inner)
		}
	}
	return inner
}

// sniffWrapped recognises the log within. Its head is shorter than that of the log around it, so this ends.
func sniffWrapped(head []byte, c *compiledTable) (score int, missing string) {
	inner := wrappedHead(head, c)
	if len(inner) == 0 {
		return 0, "no JSON with message, log or MESSAGE"
	}
	if _, err := events.Recognize(inner); err != nil {
		return 0, "no format fits the message, log or MESSAGE of the JSON"
	}
	return c.score, ""
}

// openWrapped reads lines of JSON that p makes events of, or whose texts at fieldMessage another format does. That
// format is recognised once.
func openWrapped(in *events.Source, c *compiledTable, p *jsonParser) (events.Reader, error) {
	r := &wrappedReader{parser: p, outer: in.Stats}
	if head := wrappedHead(in.Head, c); len(head) > 0 {
		f, err := events.Recognize(head)
		if err == nil {
			r.inner, err = f.Open(&events.Source{Reader: &r.feed, Path: in.Path, Head: head, Options: in.Options,
				Stats: &r.stats})
		}
		if err != nil && c == messages {
			return nil, fmt.Errorf("the log within the JSON: %w", err)
		}
	}
	if !objectPerLine(in.Head) {
		in.Reader = splitObjects(in.Reader, in.Head)
	}
	r.in = lines.NewReader(in.Reader)
	return r, nil
}

// wrappedReader reads a log within lines of JSON. The reader of that log is fed one line of JSON after another, and
// sees the end of its file after each.
type wrappedReader struct {
	in     *lines.Reader
	parser *jsonParser
	outer  *events.Stats

	inner   events.Reader // nil if no format was recognised
	feed    bytes.Reader
	text    []byte         // what feed reads
	stats   events.Stats   // of the current line within
	fed     bool           // the inner reader may have more events of the current line
	pending []events.Event // of the current line itself
	next    int            // index in pending
}

// Next implements events.Reader.
func (r *wrappedReader) Next(e *events.Event) error {
	for {
		if r.next < len(r.pending) {
			*e = r.pending[r.next]
			r.next++
			break
		}
		if r.fed {
			err := r.inner.Next(e)
			if err == nil {
				if e.Time.IsZero() && r.parser.common.has(fieldTime) {
					e.Time, _ = r.parser.times.parse(r.parser.common.textOf(fieldTime))
				}
				break
			}
			if err != io.EOF {
				return fmt.Errorf("line %d: the log within the JSON: %w", r.in.Line(), err)
			}
			r.fed = false
			r.account()
		}
		if err := r.line(); err != nil {
			return err
		}
	}
	e.Line = r.in.Line()
	r.outer.Events++
	return nil
}

// account counts a line that gave no event by the reason that the inner reader had.
func (r *wrappedReader) account() {
	if r.stats.Events > 0 {
		return
	}
	for reason := range r.stats.Refused {
		r.outer.Refuse(reason)
		return
	}
	for reason := range r.stats.Skipped {
		r.outer.Skip(reason)
		return
	}
	r.outer.Skip(string(noQuestion))
}

// line reads the next line of JSON.
func (r *wrappedReader) line() error {
	line, long, err := r.in.Next()
	if err != nil {
		return err
	}
	r.outer.Units++
	switch {
	case long:
		r.outer.Refuse("line longer than 64 KiB")
		return nil
	case len(line) == 0:
		r.outer.Skip("empty line")
		return nil
	}
	r.next = 0
	if r.pending, err = r.parser.parse(line, r.pending[:0]); err == nil {
		return nil
	}
	r.pending = r.pending[:0]
	switch reason := err.(type) {
	case events.Refuse:
		if !slices.Contains(r.parser.missing, reason) {
			r.outer.Refuse(string(reason))
			return nil
		}
	case events.Skip:
		if reason != noQuestion {
			r.outer.Skip(string(reason))
			return nil
		}
	}
	if r.text = r.parser.unwrap(r.text[:0]); len(r.text) == 0 || r.inner == nil {
		r.outer.Skip(string(noQuestion))
		return nil
	}
	clear(r.stats.Refused)
	clear(r.stats.Skipped)
	r.stats.Events = 0
	r.feed.Reset(r.text)
	r.fed = true
	return nil
}

// Close implements io.Closer.
func (r *wrappedReader) Close() error {
	if c, ok := r.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
