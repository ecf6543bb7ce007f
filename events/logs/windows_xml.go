package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"

	"github.com/degas-dns/degas/internal/lines"
)

// xmlEvents gives each <Event> of Windows' XML a line of JSON with the keys EventID, Computer, TimeCreated and
// EventData. An event that is no XML becomes an empty object, and one without an end is a line that is too long.
func xmlEvents(in io.Reader) io.Reader { return &xmlReader{in: bufio.NewReaderSize(in, 4<<10)} }

// eventLines are the first events of a head.
func eventLines(head []byte) (out [][]byte) {
	for r := lines.NewReader(xmlEvents(bytes.NewReader(head))); len(out) < 50; {
		line, _, err := r.Next()
		if err != nil {
			break
		}
		out = append(out, bytes.Clone(line))
	}
	if len(head) == lines.HeadSize && len(out) > 1 {
		out = out[:len(out)-1] // may be cut
	}
	return out
}

// xmlReader is xmlEvents' Reader.
type xmlReader struct {
	in    *bufio.Reader
	event []byte // from "<Event" on
	out   []byte
	buf   []byte
}

const (
	eventStart = "<Event"
	eventEnd   = "</Event>"
)

// Read implements io.Reader.
func (r *xmlReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		piece, err := r.in.ReadSlice('>')
		if len(piece) == 0 && err != nil && err != bufio.ErrBufferFull {
			if len(r.event) == 0 {
				return 0, err
			}
			r.event, r.out = nil, []byte("{}\n") // cut off
			break
		}
		r.piece(piece)
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// piece takes what ends with a tag.
func (r *xmlReader) piece(piece []byte) {
	if len(r.event) == 0 {
		i := bytes.LastIndex(piece, []byte(eventStart))
		if i < 0 || i+len(eventStart) < len(piece) && piece[i+len(eventStart)] > '>' { // <Events>, <EventData>
			return
		}
		piece = piece[i:]
	}
	if r.event = append(r.event, piece...); len(r.event) > lines.MaxLine {
		r.event, r.out = r.event[:0], append(bytes.Repeat([]byte{' '}, lines.MaxLine+1), '\n')
		return
	}
	if bytes.HasSuffix(r.event, []byte(eventEnd)) {
		r.buf = append(eventJSON(r.event), '\n')
		r.event, r.out = r.event[:0], r.buf
	}
}

// eventJSON is an event as JSON, "{}" if it is not well formed.
func eventJSON(event []byte) []byte {
	var v struct {
		System struct {
			EventID     string
			Computer    string
			TimeCreated struct {
				SystemTime string `xml:",attr"`
			}
		}
		EventData struct {
			Data []struct {
				Name  string `xml:",attr"`
				Value string `xml:",chardata"`
			}
		}
	}
	if xml.Unmarshal(event, &v) != nil {
		return []byte("{}")
	}
	data := map[string]string{}
	for _, d := range v.EventData.Data {
		data[d.Name] = d.Value
	}
	out, err := json.Marshal(map[string]any{"EventID": v.System.EventID, "Computer": v.System.Computer,
		"TimeCreated": v.System.TimeCreated.SystemTime, "EventData": data})
	if err != nil {
		return []byte("{}")
	}
	return out
}
