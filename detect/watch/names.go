package watch

import (
	"bytes"
	"math"
	"math/bits"
	"strings"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
)

// Bounds of what is known of a zone in a stretch of time. A sample of 256 names is right to 6 %.
const (
	mostNames   = 256
	mostAskers  = 16
	shortestSub = 6 // bytes before the zone, with the dot, below which no tunnel's name is: see package detect
)

// names is what was asked for below a zone. It takes at most 5 KB.
type names struct {
	Sample   sample // values are those of pack
	Askers   sample // clients; the values mean nothing
	Clients  examples
	Examples examples
	Line     timeline
	Queries  int64
	Odd      int64 // queries for types that carry data
	Answers  int64 // whose size is known
	Bytes    int64 // of them
	NX       int64
	First    int64 // nanoseconds since 1970
	Last     int64
}

func newNames() *names { return &names{First: math.MaxInt64, Last: math.MinInt64} }

func (n *names) least() uint64 {
	if len(n.Sample.Hashes) == 0 {
		return math.MaxUint64
	}
	return n.Sample.Hashes[0]
}

// asked is one event below a zone, as names counts it.
type asked struct {
	event  *events.Event
	name   []byte // in lower case
	hash   uint64 // of name
	value  uint32 // pack of name
	asker  string
	client uint64 // hash of asker; 0 if there is none
	second int64
	times  uint32 // how often
}

func (n *names) add(a *asked) {
	e := a.event
	n.Sample.add(mostNames, a.hash, a.value)
	n.Examples.add(a.value>>scoreShift, a.hash, func() string { return string(events.AppendEscaped(nil, a.name)) })
	if a.client != 0 {
		n.Askers.add(mostAskers, a.client, 0)
		n.Clients.add(0, a.client, func() string { return strings.Clone(a.asker) })
	}
	times := int64(a.times)
	n.Queries += times
	if carriesData(e.Type) {
		n.Odd += times
	}
	if e.Kind != events.Query && e.Size > 0 {
		n.Answers += times
		n.Bytes += times * int64(e.Size)
	}
	if e.RCode == events.NXDomain {
		n.NX += times
	}
	if !e.Time.IsZero() {
		at := e.Time.UnixNano()
		n.First, n.Last = min(n.First, at), max(n.Last, at)
	}
	n.Line.add(a.second, a.times)
}

func (n *names) merge(o *names) {
	n.Sample.merge(mostNames, &o.Sample)
	n.Askers.merge(mostAskers, &o.Askers)
	n.Clients.merge(o.Clients)
	n.Examples.merge(o.Examples)
	n.Line.merge(&o.Line)
	n.Queries, n.Odd, n.Answers = n.Queries+o.Queries, n.Odd+o.Odd, n.Answers+o.Answers
	n.Bytes, n.NX = n.Bytes+o.Bytes, n.NX+o.NX
	n.First, n.Last = min(n.First, o.First), max(n.Last, o.Last)
}

// clone is a copy that shares no memory.
func (n *names) clone() *names {
	c := newNames()
	c.merge(n)
	return c
}

// carriesData reports whether tunnels ask for a type because its answer holds many bytes, and few others do: CNAME,
// NULL, MX, TXT, KEY, SRV, SPF, private ones, ANY.
func carriesData(t events.Type) bool {
	switch t {
	case 5, 10, 15, 16, 25, 33, 99, 255:
		return true
	}
	return t >= 0xff00
}

// What a name's value holds: score, length, information and longest label, from the highest bits to the lowest.
const (
	scoreShift  = 24
	lengthShift = 16
	infoShift   = 6
	infoUnit    = 2 // bits
)

// pack is what is known of a name: its tunnel score, and of what stands before its zone the length, the information and
// the longest label. A name that holds bytes above ASCII is no host's, whatever the model says.
func pack(name []byte, sub int, d *detect.Decision, pairs []byte) uint32 {
	score := level(d.Tunnel)
	if bytes.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		score = level(1)
	}
	longest, run := 0, 0
	for _, c := range name[:sub] {
		if run++; c == '.' {
			run = 0
		}
		longest = max(longest, run)
	}
	info := min(information(name[:sub], pairs)/infoUnit, 1<<(lengthShift-infoShift)-1)
	return uint32(score)<<scoreShift | uint32(min(sub, 255))<<lengthShift | uint32(info)<<infoShift |
		uint32(min(longest, 63))
}

// Levels are probabilities as log odds, 1/10 nat apart.
const (
	levelZero = 120
	levelStep = 0.1
)

// level is a probability's level, 0 to 255.
func level(p float64) int {
	if p <= 0 {
		return 0
	}
	if p >= 1 {
		return 255
	}
	return int(math.Round(min(max(math.Log(p/(1-p))/levelStep+levelZero, 0), 255)))
}

// logOdds are those of a value's score.
func logOdds(value uint32) float64 { return (float64(value>>scoreShift) - levelZero) * levelStep }

// letter is the code of a byte in the table of information, which knows letters, digits, hyphen and dot.
func letter(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return int(c - 'a')
	case '0' <= c && c <= '9':
		return 26 + int(c-'0')
	case c == '-':
		return 36
	case c == '.':
		return dotLetter
	}
	return -1
}

const (
	dotLetter = 37
	letters   = 38
)

// information is how many bits a reader learns from a text who knows how ordinary host names are written: −log2 of its
// probability by Tables.Pairs, but at most 8 bits a byte.
func information(sub, pairs []byte) int {
	eighths, before := 0, dotLetter
	for _, c := range sub {
		at := letter(c)
		if at < 0 || before < 0 {
			eighths += 64
		} else {
			eighths += min(int(pairs[before*letters+at]), 64)
		}
		before = at
	}
	return eighths / 8
}

// mix is a hash of two hashes.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}
