package printable

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes text, which is JSON, so that it can also be shown on a terminal: the characters that Terminal escapes
// become \u escapes. It means the same as before. If nothing needs an escape, it returns text itself.
func JSON(text []byte) []byte {
	strange := func(r rune) bool { return r >= 0x7f && !harmless(r, utf8.RuneLen(r)) } // encoders escape the ones below
	if bytes.IndexFunc(text, strange) < 0 {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for _, r := range string(text) {
		switch {
		case !strange(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// JSONWriter passes JSON on to w as JSON writes it. Each Write must have whole characters, as those of a json.Encoder
// and of a slog.JSONHandler have.
func JSONWriter(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(p []byte) (int, error) {
	if _, err := j.w.Write(JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
