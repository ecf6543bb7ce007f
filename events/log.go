package events

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/degas-dns/degas/internal/lines"
)

// LogKeys are the keys of degas' event log that [AppendJSON] fills in from an Event's fields. A column of one of these
// names is not written.
var LogKeys = []string{"time", "client", "client_port", "client_name", "server", "server_port",
	"server_name", "name", "type", "rcode", "id", "transport", "kind", "size"}

// LogTime is how degas' event log writes times, in UTC: RFC 3339 with nanoseconds, always as long.
const LogTime = "2006-01-02T15:04:05.000000000Z07:00"

// AppendJSON appends e to dst as one line of degas' event log, without a line's end. The line is an object of JSON.
// Fields that e does not know are left out. In the name, bytes of control and bytes above ASCII are \DDD, as RFC 1035
// writes them, so that the format "degas" reads the same bytes back. Columns come last: a score as a number, others as
// texts.
func AppendJSON(dst []byte, e *Event) []byte {
	dst = append(dst, '{')
	if !e.Time.IsZero() {
		dst = append(dst, `"time":"`...)
		dst = append(e.Time.In(time.UTC).AppendFormat(dst, LogTime), `",`...)
	}
	dst = appendPeer(dst, `"client`, e.Client)
	dst = appendPeer(dst, `"server`, e.Server)
	dst = appendName(append(dst, `"name":"`...), e.Name)
	dst = append(dst, '"')
	if e.Type != NoType {
		dst = append(append(append(dst, `,"type":"`...), e.Type.String()...), '"')
	}
	if e.RCode != NoRCode {
		dst = append(append(append(dst, `,"rcode":"`...), e.RCode.String()...), '"')
	}
	if e.ID != 0 {
		dst = strconv.AppendUint(append(dst, `,"id":`...), uint64(e.ID), 10)
	}
	if e.Transport != UnknownTransport {
		dst = append(append(append(dst, `,"transport":"`...), e.Transport.String()...), '"')
	}
	dst = append(append(append(dst, `,"kind":"`...), e.Kind.String()...), '"')
	if e.Size > 0 {
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(e.Size), 10)
	}
	for _, c := range e.Columns {
		dst = appendColumn(dst, c)
	}
	return append(dst, '}')
}

// appendPeer appends what is known of a peer, each with a comma. key is `"client` or `"server`.
func appendPeer(dst []byte, key string, p Peer) []byte {
	if p.Addr.IsValid() {
		dst = append(append(dst, key...), `":"`...)
		dst = appendText(dst, p.Addr.String()) // a zone may be any text
		dst = append(dst, `",`...)
	}
	if p.Port != 0 {
		dst = append(append(dst, key...), `_port":`...)
		dst = append(strconv.AppendUint(dst, uint64(p.Port), 10), ',')
	}
	if p.Name != "" {
		dst = append(append(dst, key...), `_name":"`...)
		dst = append(appendText(dst, p.Name), `",`...)
	}
	return dst
}

func appendColumn(dst []byte, c Column) []byte {
	for _, key := range LogKeys {
		if c.Name == key {
			return dst
		}
	}
	dst = append(appendText(append(dst, `,"`...), c.Name), `":`...)
	if c.Name == "score" && isNumber(c.Value) {
		return append(dst, c.Value...)
	}
	return append(appendText(append(dst, '"'), c.Value), '"')
}

// isNumber reports whether JSON takes s for a number: 0.25, but neither .25 nor NaN.
func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	digits := len(s) > 0 && '0' <= s[0] && s[0] <= '9' && (len(s) == 1 || s[0] != '0' || s[1] == '.')
	for _, c := range s {
		digits = digits && ('0' <= c && c <= '9' || c == '.' || c == 'e' || c == '-')
	}
	return err == nil && digits && s[len(s)-1] != '.'
}

const hexDigits = "0123456789abcdef"

// appendText appends s as the inside of a string of JSON. Bytes that are no UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c < ' ' || c == 0x7f:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsPrint(r) {
			dst = utf8.AppendRune(dst, r)
		} else { // of control, or one that turns the reading direction
			for _, unit := range utf16.AppendRune(nil, r) {
				dst = append(dst, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			}
		}
		i += n
	}
	return dst
}

// appendName appends a name as the inside of a string of JSON.
func appendName(dst, name []byte) []byte {
	for i, c := range name {
		if c < ' ' || c >= 0x7f {
			dst = append(dst, '\\', '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			continue
		}
		dst = appendText(dst, lines.View(name[i:i+1]))
	}
	return dst
}
