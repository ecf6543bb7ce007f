package logs

import (
	"bytes"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "squid", title: "Squid's access.log, native form", parser: newSquid, alone: true, most: 95,
		missing: `lines "EPOCH MS ADDRESS CODE/STATUS BYTES METHOD URL …"`,
	})
	registerText(textFormat{
		name: "access-log", title: "access logs of proxies and web servers: common or combined, with whole URLs or hosts",
		parser: newAccess, alone: true, most: 85,
		missing: `lines 'ADDRESS - - [TIME] "METHOD http://NAME/…"', or a host before the address`,
	})
}

// squid reads Squid's native log.
type squid struct{ reading }

func newSquid(_ events.Options, clock func() time.Time) events.LineParser {
	s := &squid{newReading(clock)}
	return s.parse
}

func (s *squid) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if i := bytes.Index(line, []byte("]: ")); i > 0 && bytes.Contains(line[:i], []byte("squid")) {
		line = line[i+3:] // behind a syslog's header
	}
	if bytes.IndexByte(line, ' ') != len("1764403200.123") {
		return out, notOurs
	}
	stamp, text := word(line)
	_, text = word(text) // milliseconds
	from, text := word(text)
	result, text := word(text)
	_, text = word(text) // bytes
	_, text = word(text) // method
	url, _ := word(text)
	at, ok := s.times.parse(stamp)
	if !ok || bytes.IndexByte(result, '/') < 0 || len(url) == 0 {
		return out, notOurs
	}
	return visit(&s.reading, out, at, from, url)
}

// visit adds the event of a URL that somebody fetched.
func visit(r *reading, out []events.Event, at time.Time, from, url []byte) ([]events.Event, error) {
	if bytes.HasPrefix(url, []byte("error:")) || url[0] == '/' || url[0] == '*' {
		return out, events.Skip("no host")
	}
	host := urlHost(url)
	if host == nil {
		return out, isAddress
	}
	out, e, err := r.event(out, host)
	if err != nil {
		return out, err
	}
	e.Time, e.Client = at, peer(from)
	return out, nil
}

// access reads the common and the combined log.
type access struct{ reading }

func newAccess(_ events.Options, clock func() time.Time) events.LineParser {
	a := &access{newReading(clock)}
	return a.parse
}

func (a *access) parse(line []byte, out []events.Event) ([]events.Event, error) {
	before, text, ok := bytes.Cut(line, []byte(" ["))
	stamp, text, found := bytes.Cut(text, []byte(`] "`))
	at, isTime := a.times.parse(stamp)
	if !ok || !found || !isTime {
		return out, notOurs
	}
	request, _, _ := bytes.Cut(text, []byte{'"'})
	_, request = word(request) // the method
	url, _ := word(request)
	if len(url) == 0 {
		return out, events.Skip("no host")
	}
	first, before := word(before)
	second, _ := word(before)
	if p, ok := address(second); ok && p.Port == 0 && len(first) > 0 { // the host stands before the client
		return visit(&a.reading, out, at, second, first)
	}
	return visit(&a.reading, out, at, first, url)
}

// urlHost is the name in a URL, or in "name:443". It is nil for an address.
func urlHost(url []byte) []byte {
	if i := bytes.Index(url, []byte("://")); i >= 0 {
		url = url[i+3:]
	}
	if i := bytes.IndexAny(url, "/?#"); i >= 0 {
		url = url[:i]
	}
	if i := bytes.LastIndexByte(url, '@'); i >= 0 {
		url = url[i+1:]
	}
	if _, ok := address(url); ok {
		return nil
	}
	if i := bytes.LastIndexByte(url, ':'); i >= 0 {
		if _, n := number(url[i+1:], 5); i+1+n == len(url) {
			url = url[:i]
		}
	}
	return url
}
