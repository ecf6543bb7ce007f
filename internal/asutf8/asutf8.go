// Package asutf8 reads text in UTF-16 as UTF-8, and drops byte-order marks. Windows PowerShell's > writes UTF-16, and
// Excel puts a mark before UTF-8.
package asutf8

import (
	"bufio"
	"bytes"
	"io"

	"golang.org/x/text/encoding/unicode"
)

const (
	mark = "\xef\xbb\xbf" // UTF-8's byte-order mark
	look = 512            // bytes of a stream that Reader looks at
)

// Reader is r with UTF-16 as UTF-8. UTF-16 begins with a byte-order mark, or every second byte at its beginning is
// zero. Other bytes stay as they are, valid UTF-8 or not: tunnels have such names. Reader looks at what the first reads
// of r give, and does not wait for more. The error is r's.
func Reader(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 4096)
	head, err := b.Peek(2)
	if len(head) == 2 && (head[0] == 0 || head[1] == 0 || head[0] == mark[0]) {
		head, err = b.Peek(4) // two bytes do not tell; nobody types these
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) > 1 {
		head, _ = b.Peek(min(b.Buffered(), look)) // no error: they are there
	}
	if bytes.HasPrefix(head, []byte(mark)) {
		_, err := b.Discard(len(mark))
		return b, err
	}
	if order, ok := byteOrder(head); ok {
		return unicode.UTF16(order, unicode.UseBOM).NewDecoder().Reader(b), nil
	}
	return b, nil
}

// Bytes is Reader for a whole text.
func Bytes(text []byte) []byte {
	if order, ok := byteOrder(text[:min(len(text), look)]); ok {
		if out, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(text); err == nil {
			return out
		}
	}
	return bytes.TrimPrefix(text, []byte(mark))
}

// byteOrder says in which order the bytes of UTF-16 come, by its first ones.
func byteOrder(head []byte) (order unicode.Endianness, ok bool) {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return unicode.BigEndian, true
	case len(head) < 4:
		return false, false
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[0] == 0 && zeros[1] == len(head)/2:
		return unicode.LittleEndian, true
	case zeros[1] == 0 && zeros[0] == (len(head)+1)/2:
		return unicode.BigEndian, true
	}
	return false, false
}
