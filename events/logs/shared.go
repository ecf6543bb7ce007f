package logs

import (
	"time"

	"github.com/degas-dns/degas/events"
)

// Name gives the form of Event.Name to a name as a log writes it, with escapes and a final dot, and appends it to dst
// unless it can return a part of text. The error is why the name is of no use.
func Name(dst, text []byte) ([]byte, error) {
	switch out := name(dst, text); {
	case len(out) == 0:
		return nil, noQuestion
	case tooLong(out):
		return nil, longName
	default:
		return out, nil
	}
}

// Peer reads an address, also with a port, or else a name of at most 255 bytes.
func Peer(text []byte) events.Peer { return peer(text) }

// Time reads a time in any form that a log may have. ok is false if text is none.
func Time(text []byte) (at time.Time, ok bool) { return parseTime(text) }
