package synth

import (
	"bytes"
	"strings"
)

func init() {
	registerTunnel("iodine", iodine,
		"iodine (protocol 0x502): IP over DNS. The variant is the upstream codec; base128 uses the characters U+00BC to "+
			"U+00FD.",
		"https://github.com/yarrick/iodine/blob/master/doc/proto_00000502.txt",
		"base128", "base32", "base64", "base64u")
}

const iodineLetters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// iodineCodecs are the alphabets and the bits a character carries. On the wire base128 is bytes; a name
// here holds each byte as the Unicode character of the same number.
var iodineCodecs = map[string]struct {
	bits     int
	alphabet []rune
}{
	"base32":  {5, []rune(lower + "012345")},
	"base64":  {6, []rune(iodineLetters + "-0123456789+")},
	"base64u": {6, []rune(iodineLetters + "_0123456789+")},
	"base128": {7, []rune(iodineLetters + digits + latin1(0xbc, 0xfd))},
}

func latin1(first, last rune) string {
	var s strings.Builder
	for r := first; r <= last; r++ {
		s.WriteRune(r)
	}
	return s.String()
}

// iodine writes a client's names: handshake, then packets in fragments among keep-alive pings, as the
// protocol description has it. Default: 200 names of seed 0's tunnel.
func iodine(p Params) ([]string, error) {
	p = p.or(0, day(2022, 3, 30), 200)
	c := &iodineClient{session: newSession(p, "iodine"), codec: p.Variant}
	if c.chance(30) {
		c.user = c.below(16)
	}
	c.misses = c.below(1 << 16)
	c.handshake()
	for len(c.names) < p.Count {
		if c.chance(40) {
			c.ping()
		} else {
			c.send()
		}
	}
	return c.names[:p.Count], nil
}

type iodineClient struct {
	*session
	codec      string
	user       int
	misses     int // counts up so that no cache ever answers
	seq, acked int
	names      []string
}

func (c *iodineClient) ask(payload string) {
	c.names = append(c.names, dotify(payload, 57)+"."+c.zone)
}

func (c *iodineClient) base32(data []byte) string {
	return packBits(data, 5, iodineCodecs["base32"].alphabet)
}

// counter is the cache-miss counter as three base32 characters.
func (c *iodineClient) counter() string {
	c.misses++
	a := iodineCodecs["base32"].alphabet
	return string([]rune{a[c.misses>>10&31], a[c.misses>>5&31], a[c.misses&31]})
}

// handshake asks for a version, logs in, tests what the path leaves intact and sets the codec.
func (c *iodineClient) handshake() {
	c.ask("v" + c.base32([]byte{0, 0, 5, 2, byte(c.misses >> 8), byte(c.misses)}))
	c.ask("l" + c.base32(append([]byte{byte(c.user)}, c.bytes(18)...)))
	c.ask("yt" + "b" + c.counter())
	tests := []string{
		"aA-Aaahhh-Drink-mal-ein-J\u00e4germeister-",
		"aA-La-fl\u00fbte-na\u00efve-fran\u00e7aise-est-retir\u00e9-\u00e0-Cr\u00e8te",
		"aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ",
		"aA0123456789" + latin1(0xbc, 0xcf),
		"aA" + latin1(0xd0, 0xfd),
	}
	for _, test := range tests[:c.between(1, len(tests))] {
		c.ask("z" + c.counter() + test)
	}
	user := string(lower[c.user])
	c.ask("s" + user + string(lower[iodineCodecs[c.codec].bits]) + c.counter())
	c.ask("o" + user + c.pick([]string{"t", "s", "u", "v", "r", "l"}) + c.counter())
	for range c.below(3) { // probes of the answer's size, which repeat a few bytes
		c.ask("r" + user + c.counter() + c.encode(bytes.Repeat(c.bytes(7), c.room(57, 5)*5/8/7)))
	}
	c.ask("n" + user + c.counter())
}

func (c *iodineClient) ping() {
	c.misses += c.between(1, 9)
	data := []byte{byte(c.user), byte(c.acked<<4 | c.below(4)), byte(c.misses >> 8), byte(c.misses)}
	c.ask("p" + c.base32(data))
}

func (c *iodineClient) encode(data []byte) string {
	codec := iodineCodecs[c.codec]
	return packBits(data, codec.bits, codec.alphabet)
}

// send cuts one compressed packet into fragments. A header of five characters names user, sequence,
// fragment, what was received and whether more follows.
func (c *iodineClient) send() {
	size := c.between(34, 70)
	if c.chance(50) {
		size = c.between(90, 700)
	}
	data := c.deflated(size)
	bits := iodineCodecs[c.codec].bits
	limit := c.room(57, 5) * bits / 8
	if c.chance(20) { // resolvers on the way may force shorter names
		limit = limit * c.between(40, 95) / 100
	}
	a := iodineCodecs["base32"].alphabet
	c.seq = (c.seq + 1) & 7
	for fragment := 0; len(data) > 0; fragment++ {
		n := min(limit, len(data))
		last := 0
		if n == len(data) {
			last = 1
		}
		c.acked = (c.acked + c.below(2)) & 7
		c.misses++
		head := string(hexDigits[c.user]) + string([]rune{
			a[c.seq<<2|fragment>>2&3], a[fragment&3<<3|c.acked], a[c.below(4)<<1|last],
		}) + string(lowerDigits[c.misses%len(lowerDigits)])
		c.ask(head + c.encode(data[:n]))
		data = data[n:]
	}
}
