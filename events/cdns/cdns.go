// Package cdns reads C-DNS (RFC 8618): queries with their responses in blocks of CBOR, as DNS-STATS' compactor, BIND's
// and other servers' collectors write them. It registers the format "c-dns" with package events.
package cdns

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/wire"
)

func init() {
	events.Register(&events.Format{Name: "c-dns", Title: "C-DNS (RFC 8618)", Unit: "rows", Sniff: sniff, Open: open})
}

// magics are how a file may begin: an array of three or of unknown length, and its first element.
var magics = [][]byte{[]byte("\x83\x65C-DNS"), []byte("\x9f\x65C-DNS")}

func sniff(head []byte) (score int, missing string) {
	for _, magic := range magics {
		if bytes.HasPrefix(head, magic) {
			return 100, ""
		}
	}
	return 0, `it does not begin with an array and "C-DNS"`
}

// The structures of RFC 8618, section 7, as far as they are read.
type (
	preamble struct {
		Major      uint64       `cbor:"0,keyasint"`
		Parameters []parameters `cbor:"3,keyasint"`
	}
	parameters struct {
		Storage struct {
			TicksPerSecond uint64 `cbor:"0,keyasint"`
		} `cbor:"0,keyasint"`
	}
	block struct {
		Preamble struct {
			Earliest   []uint64 `cbor:"0,keyasint"` // seconds, ticks
			Parameters uint64   `cbor:"1,keyasint"`
		} `cbor:"0,keyasint"`
		Tables struct {
			Addresses  [][]byte    `cbor:"0,keyasint"`
			ClassTypes []classType `cbor:"1,keyasint"`
			Names      [][]byte    `cbor:"2,keyasint"`
			Signatures []signature `cbor:"3,keyasint"`
		} `cbor:"2,keyasint"`
		Items []item `cbor:"3,keyasint"`
	}
	classType struct {
		Type uint16 `cbor:"0,keyasint"`
	}
	signature struct {
		Server     *uint64 `cbor:"0,keyasint"` // index of Addresses
		ServerPort uint16  `cbor:"1,keyasint"`
		Transport  *uint64 `cbor:"2,keyasint"`
		Kind       *uint64 `cbor:"3,keyasint"`
		Flags      *uint64 `cbor:"4,keyasint"`
		Opcode     uint64  `cbor:"5,keyasint"`
		ClassType  *uint64 `cbor:"8,keyasint"` // index of ClassTypes
		RCode      *uint16 `cbor:"16,keyasint"`
	}
	item struct {
		Time         *int64  `cbor:"0,keyasint"` // ticks after the block's earliest time
		Client       *uint64 `cbor:"1,keyasint"` // index of Addresses
		ClientPort   uint16  `cbor:"2,keyasint"`
		ID           uint16  `cbor:"3,keyasint"`
		Signature    *uint64 `cbor:"4,keyasint"` // index of Signatures
		Name         *uint64 `cbor:"7,keyasint"` // index of Names
		QuerySize    uint32  `cbor:"8,keyasint"`
		ResponseSize uint32  `cbor:"9,keyasint"`
	}
)

// maxBlock bounds a block in bytes. Writers make blocks of some thousand items.
const maxBlock = 32 << 20

var decoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 1 << 17, MaxMapPairs: 1 << 10,
		UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic("cdns: " + err.Error())
	}
	return mode
}()

// reader reads the items of one block after another.
type reader struct {
	stats      *events.Stats
	limit      *io.LimitedReader // below blocks: what the current block may take
	blocks     *cbor.Decoder
	left       uint64 // blocks, if they were counted
	counted    bool
	parameters []parameters

	block block
	items []item // of the block, not yet given
	line  int64
	name  []byte
}

func open(in *events.Source) (events.Reader, error) {
	r := &reader{stats: in.Stats, limit: &io.LimitedReader{R: in.Reader, N: maxBlock}}
	b := bufio.NewReader(r.limit)
	head := make([]byte, len(magics[0]))
	if _, err := io.ReadFull(b, head); err != nil {
		return nil, fmt.Errorf("read the head of C-DNS: %w", err)
	}
	if score, missing := sniff(head); score == 0 {
		return nil, errors.New("no C-DNS: " + missing)
	}
	var p preamble
	d := decoding.NewDecoder(b)
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("read the preamble of C-DNS: %w", err)
	}
	if p.Major != 1 {
		return nil, fmt.Errorf("C-DNS of version %d is not read, only that of RFC 8618, which is 1", p.Major)
	}
	b = bufio.NewReader(io.MultiReader(d.Buffered(), b))
	if err := r.list(b); err != nil {
		return nil, fmt.Errorf("read the list of blocks of C-DNS: %w", err)
	}
	r.parameters, r.blocks = p.Parameters, decoding.NewDecoder(b)
	return r, nil
}

// list reads the head of the array of blocks.
func (r *reader) list(b *bufio.Reader) error {
	c, err := b.ReadByte()
	switch size := c & 0x1f; {
	case err != nil:
		return err
	case c == 0x9f:
		return nil
	case c>>5 != 4 || size > 27:
		return errors.New("no array")
	case size < 24:
		r.left = uint64(size)
	default:
		length := make([]byte, 1<<(size-24))
		if _, err := io.ReadFull(b, length); err != nil {
			return err
		}
		for _, c := range length {
			r.left = r.left<<8 | uint64(c)
		}
	}
	r.counted = true
	return nil
}

// Next implements events.Reader.
func (r *reader) Next(e *events.Event) error {
	for {
		for len(r.items) == 0 {
			if err := r.nextBlock(); err != nil {
				return err
			}
		}
		i := &r.items[0]
		r.items = r.items[1:]
		r.line++
		r.stats.Units++
		switch err := r.event(i, e).(type) {
		case nil:
			e.Line = r.line
			r.stats.Events++
			return nil
		case events.Skip:
			r.stats.Skip(string(err))
		case events.Refuse:
			r.stats.Refuse(string(err))
		}
	}
}

// nextBlock reads a block. What follows one that cannot be read is lost: that counts as one unit.
func (r *reader) nextBlock() error {
	if r.blocks == nil || r.counted && r.left == 0 {
		return io.EOF
	}
	r.left--
	r.block = block{}
	r.limit.N = maxBlock
	err := r.blocks.Decode(&r.block)
	if err == nil {
		r.items = r.block.Items
		return nil
	}
	next := []byte{0}
	if n, _ := r.blocks.Buffered().Read(next); r.counted || n == 0 || next[0] != 0xff { // 0xff ends an array
		r.stats.Units++
		r.stats.Refuse("block that cannot be read")
	}
	r.blocks = nil
	return io.EOF
}

// at is an element of a table; a missing index, or one outside, gives the zero value.
func at[T any](table []T, index *uint64) (v T, ok bool) {
	if index == nil || *index >= uint64(len(table)) {
		return v, false
	}
	return table[*index], true
}

// Bits of signature.Flags.
const (
	hasQuery    = 1 << 0
	hasResponse = 1 << 1
)

// event makes an event of an item.
func (r *reader) event(i *item, e *events.Event) (err error) {
	e.Reset()
	t := &r.block.Tables
	s, _ := at(t.Signatures, i.Signature)
	switch {
	case s.Kind != nil && *s.Kind == 2:
		return events.Skip("the resolver's own query")
	case s.Kind != nil && *s.Kind == 4:
		return events.Skip("forwarded query")
	case s.Opcode != 0:
		return events.Skip("not a query")
	}
	name, ok := at(t.Names, i.Name)
	switch {
	case i.Name == nil:
		return events.Skip("no question")
	case !ok:
		return events.Refuse("index outside a table")
	}
	if r.name, _, err = wire.Name(name, 0, r.name[:0]); err != nil {
		return err
	}
	e.Name = r.name
	e.Kind = events.Query
	if s.RCode != nil {
		e.RCode, e.Kind = events.RCode(*s.RCode&0xfff), events.Both
	}
	if s.Flags != nil {
		switch *s.Flags & (hasQuery | hasResponse) {
		case hasQuery:
			e.Kind, e.RCode = events.Query, events.NoRCode
		case hasResponse:
			e.Kind = events.Response
		case hasQuery | hasResponse:
			e.Kind = events.Both
		}
	}
	question, _ := at(t.ClassTypes, s.ClassType)
	e.Type, e.ID, e.Size = events.Type(question.Type), i.ID, int(i.ResponseSize)
	if e.Size == 0 {
		e.Size = int(i.QuerySize)
	}
	client, _ := at(t.Addresses, i.Client)
	server, _ := at(t.Addresses, s.Server)
	v6 := s.Transport != nil && *s.Transport&1 == 1
	e.Client = events.Peer{Addr: address(client, v6), Port: i.ClientPort}
	e.Server = events.Peer{Addr: address(server, v6), Port: s.ServerPort}
	if s.Transport != nil {
		e.Transport = transports[*s.Transport>>1&15]
	}
	e.Time = r.time(i)
	return nil
}

// transports are by the number in signature.Transport. DTLS is none that degas knows.
var transports = [16]events.Transport{events.UDP, events.TCP, events.TLS, 0, events.HTTPS}

// address reads an address, of which a writer may have left out the last bytes.
func address(data []byte, v6 bool) netip.Addr {
	switch {
	case len(data) == 0 || len(data) > 16:
		return netip.Addr{}
	case v6 || len(data) > 4:
		var whole [16]byte
		copy(whole[:], data)
		return netip.AddrFrom16(whole).Unmap()
	}
	var whole [4]byte
	copy(whole[:], data)
	return netip.AddrFrom4(whole)
}

// time is when an item's query came, or its response without one.
func (r *reader) time(i *item) time.Time {
	p, _ := at(r.parameters, &r.block.Preamble.Parameters)
	ticks, start := p.Storage.TicksPerSecond, r.block.Preamble.Earliest
	if i.Time == nil || len(start) != 2 || ticks == 0 || ticks > 1e9 || start[0] > 1<<40 || start[1] >= ticks {
		return time.Time{}
	}
	// Seconds and the rest apart, since a time in nanoseconds may not fit.
	seconds, rest := *i.Time/int64(ticks), *i.Time%int64(ticks)
	nanos := (int64(start[1]) + rest) * 1e9 / int64(ticks)
	return time.Unix(int64(start[0])+seconds, nanos).UTC()
}
