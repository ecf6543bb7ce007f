package formats

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(listReader{}) }

// listReader reads one name a line, which may be in quotes and have "*." or "." before it. The first line may be a
// header. The class comes from the path: below dga/ (dga-lists/, …) the names are made by the algorithm that the file
// is named after, below tunnel/ by the tool; benign, legit, alexa, … are benign. Lists called blacklist, blocklist,
// malicious or ctc hold names that are bad for an unknown reason, see datasets.BlocklistFamily. A file without such a
// hint is not read: a label must not be guessed.
type listReader struct{}

func (listReader) Name() string { return "list" }

func (listReader) Match(path string, head []byte) (int, string) {
	found, hint := lines.Head(head, 50), hintOf(path)
	payloads := hint.known && hint.class == tunnel
	if len(found) > 1 && isHeader(found[0], payloads) {
		header := found[0]
		found = slices.DeleteFunc(found, func(l []byte) bool { return bytes.Equal(l, header) })
	}
	names := 0
	for _, l := range found {
		if looksLikeName(trimWildcard(unquote(l))) || payloads && isPayload(l) {
			names++
		}
	}
	switch {
	case len(found) == 0:
		return 0, missesLines
	case names*10 < len(found)*9:
		return 0, "its lines are not a name each"
	case !hint.known:
		return 0, "no folder or file name tells the class, such as dga, benign or tunnel"
	}
	return 40, ""
}

// oddLine is the first line that is no name, with its number, or "".
func oddLine(head []byte) string {
	for n, line := range bytes.Split(head, []byte{'\n'}) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || looksLikeName(trimWildcard(unquote(line))) {
			continue
		}
		if len(line) > 40 {
			line = append(bytes.Clone(line[:40]), "…"...)
		}
		return fmt.Sprintf("line %d is no name: %q", n+1, line)
	}
	return ""
}

// isPayload accepts the names without a dot that are below tunnel/: payloads whose zone was stripped. Their bytes above
// ASCII may be written as two each.
func isPayload(line []byte) bool {
	return utf8.RuneCount(line) < 260 && !bytes.ContainsAny(line, notInNames)
}

func (listReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	rec := pathRecord(f, sink, "lines", false)
	hint := hintOf(f.Path)
	payloads := hint.known && hint.class == tunnel || f.Class != nil && *f.Class == tunnel
	var header []byte
	first := true
	return eachLine(in, sink, func(line int64, text []byte) error {
		if first && isHeader(text, payloads) {
			header = bytes.Clone(text)
			if m, plain := meaningOf(string(text)); f.Class == nil && !plain && m.contradicts(label{class: rec.Class}) {
				return unclearf("its first line says %.40q, but its path says %s. %s", header, rec.Class,
					settles(`"class": "…"`))
			}
		}
		first = false
		if header != nil && bytes.Equal(text, header) {
			return nil // again, where files were joined
		}
		text = unquote(text)
		if !payloads {
			text = trimWildcard(text)
		}
		if !payloads && bytes.IndexByte(text, '.') < 0 {
			return sink.Refuse(line, reasonUndotted)
		}
		rec.Name = lines.View(text)
		return sink.Record(line, rec)
	})
}

// isHeader reports whether a list's first line heads its column. Names have a dot and headers do not, but payloads of
// tunnels may be without.
func isHeader(line []byte, payloads bool) bool {
	word := strings.Trim(string(line), "\" \t")
	return word != "" && !strings.Contains(word, ".") && (!payloads || tierOf(nameHeaders, word) > 0)
}

// unquote takes the quotes off a line, as programs put them around the one field of a table.
func unquote(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if n := len(line); n > 2 && line[0] == '"' && line[n-1] == '"' {
		return line[1 : n-1]
	}
	return line
}

// trimWildcard drops what stands for all names below a name: "*.example.com" and ".example.com".
func trimWildcard(name []byte) []byte {
	return bytes.TrimPrefix(bytes.TrimPrefix(name, []byte("*.")), []byte("."))
}
