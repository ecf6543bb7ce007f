package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	maxPacket = 256 << 10 // bytes of a packet: libpcap's bound, which jumbograms fit in
	maxSkip   = 64 << 20  // bytes of a packet or block that are passed over: more is damage
)

// window shows a stream piece by piece, without copying.
type window struct{ *bufio.Reader }

func newWindow(in io.Reader) *window { return &window{bufio.NewReaderSize(in, 64<<10)} }

// take returns the next n bytes, at most maxPacket + 4 KiB, which are valid until the next call. The error is io.EOF if
// there are none, and io.ErrUnexpectedEOF if there are fewer.
func (w *window) take(n int) ([]byte, error) {
	if n > w.Size() { // few captures have such packets
		w.Reader = bufio.NewReaderSize(w.Reader, maxPacket+4<<10)
	}
	b, err := w.Peek(n)
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	_, err = w.Discard(n)
	return b, err
}

// skip passes over n bytes of what.
func (w *window) skip(n int64, what string) error {
	if n > maxSkip {
		return fmt.Errorf("the capture is damaged: %s has a length of %d bytes", what, n)
	}
	if _, err := w.Discard(int(n)); err != nil {
		return broken(err, what)
	}
	return nil
}

var (
	little = binary.LittleEndian
	big    = binary.BigEndian
)
