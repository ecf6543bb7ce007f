package logs

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/degas-dns/degas/events"
)

func init() {
	registerJSON(&jsonTable{
		name: "adguard", title: "AdGuard Home's querylog.json",
		keys: []string{"QH", "QT", "T"}, score: 95,
		paths: map[field]string{
			fieldName:       "QH",
			fieldClient:     "IP",
			fieldClientName: "CID",
			fieldTime:       "T",
			fieldType:       "QT",
			fieldTransport:  "CP",
			fieldExtra:      "Answer",
		},
		rule: adguardRule,
	})
}

// adguardRule takes the response code from the answer, which is a DNS message in base64.
func adguardRule(r *jsonRecord, e *events.Event) error {
	e.Kind = events.Query
	text := r.textOf(fieldExtra)
	var header [12]byte
	if len(text) < 16 {
		return nil
	}
	if _, err := base64.StdEncoding.Decode(header[:], text[:16]); err != nil {
		return nil // the question is good without its answer
	}
	e.Kind = events.Both
	e.ID = binary.BigEndian.Uint16(header[:])
	e.RCode = events.RCode(header[3] & 0x0f)
	e.Size = base64.StdEncoding.DecodedLen(len(text))
	for n := len(text) - 1; n >= len(text)-2 && text[n] == '='; n-- {
		e.Size--
	}
	return nil
}
