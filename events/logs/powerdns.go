package logs

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerText(textFormat{
		name: "powerdns", title: "PowerDNS Recursor with quiet=no, PowerDNS with log-dns-queries", parser: newPowerDNS,
		tag: "pdns_recursor[", most: 90, missing: `lines "question for 'NAME|TYPE' from ADDRESS"`,
	})
}

// powerDNS reads the questions and answers of PowerDNS. Names hold no blanks: PowerDNS writes "\032". The other lines
// trace how the recursor found an answer.
type powerDNS struct {
	reading
	seed  maphash.Seed
	asked [1024]asker // whose questions have no answer yet, by hash
}

// asker is who asked a question. An answer's line says the thread, the task and the question, but not who asked.
type asker struct {
	hash   uint64
	client events.Peer
}

func newPowerDNS(_ events.Options, clock func() time.Time) events.LineParser {
	p := &powerDNS{reading: newReading(clock), seed: maphash.MakeSeed()}
	return p.parse
}

// place finds the place of who asks, or asked. before ends with "3 [17/2]", the thread, the task, and how many run.
func (p *powerDNS) place(before, question []byte) (at *asker, hash uint64) {
	before = before[:max(bytes.LastIndexByte(before, '/'), 0)]
	before = before[bytes.LastIndexByte(before, ':')+1:]
	hash = maphash.Bytes(p.seed, before) ^ maphash.Bytes(p.seed, question)
	return &p.asked[hash%uint64(len(p.asked))], hash
}

var (
	pdnsQuestion = []byte(" question for '")
	pdnsAnswer   = []byte(" answer to question '")
	pdnsWants    = []byte(" wants '")
)

func (p *powerDNS) parse(line []byte, out []events.Event) ([]events.Event, error) {
	if i := bytes.Index(line, pdnsQuestion); i >= 0 {
		out, e, rest, err := p.question(out, line[i+len(pdnsQuestion):], "' from ")
		if err != nil {
			return out, err
		}
		from, _ := word(rest)
		e.Client, e.Time = peer(from), p.time(line[:i])
		at, hash := p.place(line[:i], e.Name)
		*at = asker{hash, e.Client}
		return out, nil
	}
	if i := bytes.Index(line, pdnsAnswer); i >= 0 {
		out, e, rest, err := p.question(out, line[i+len(pdnsAnswer):], "': ")
		if err != nil {
			return out, err
		}
		e.Kind, e.Time = events.Response, p.time(line[:i])
		if at, hash := p.place(line[:i], e.Name); at.hash == hash {
			e.Client = at.client
		}
		if j := bytes.LastIndex(rest, []byte("rcode=")); j >= 0 {
			v, n := number(rest[j+len("rcode="):], 4)
			if n > 0 {
				e.RCode = events.RCode(v)
			}
		}
		return out, nil
	}
	if i := bytes.Index(line, pdnsWants); i >= 0 { // the authoritative server
		out, e, _, err := p.question(out, line[i+len(pdnsWants):], "', ")
		if err != nil {
			return out, err
		}
		if j := bytes.LastIndexByte(line[:i], ' '); j >= 0 {
			e.Client = peer(line[j+1 : i])
		}
		e.Time = p.time(line[:i])
		return out, nil
	}
	if bytes.Contains(line, []byte("pdns")) {
		return out, events.Skip("trace")
	}
	return out, notOurs
}

// question reads "NAME|TYPE" up to end.
func (p *powerDNS) question(out []events.Event, text []byte, end string) (
	_ []events.Event, e *events.Event, rest []byte, err error,
) {
	text, rest, ok := bytes.Cut(text, []byte(end))
	bar := bytes.LastIndexByte(text, '|')
	if !ok || bar < 0 {
		return out, nil, nil, notOurs
	}
	if out, e, err = p.event(out, text[:bar]); err == nil {
		e.Type = typeOf(text[bar+1:])
	}
	return out, e, rest, err
}

func (p *powerDNS) time(text []byte) time.Time {
	at, _ := p.stamp(text)
	return at
}
