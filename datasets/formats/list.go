package formats

import (
	"bytes"
	"context"
	"io"
	"unicode/utf8"

	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(listReader{}) }

// listReader reads one name a line. The class comes from the path: below dga/ (dga-lists/, …) the names are made by the
// algorithm that the file is named after, below tunnel/ by the tool; benign, legit, alexa, … are benign. Lists called
// blacklist, blocklist, malicious or ctc hold names that are bad for an unknown reason, see datasets.BlocklistFamily. A
// file without such a hint is not read: a label must not be guessed.
type listReader struct{}

func (listReader) Name() string { return "list" }

func (listReader) Match(path string, head []byte) (int, string) {
	found, hint := lines.Head(head, 50), hintOf(path)
	names := 0
	for _, l := range found {
		if looksLikeName(l) || hint.known && hint.class == tunnel && isPayload(l) {
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

// isPayload accepts the names without a dot that are below tunnel/: payloads whose zone was stripped. Their bytes above
// ASCII may be written as two each.
func isPayload(line []byte) bool {
	return utf8.RuneCount(line) < 260 && !bytes.ContainsAny(line, notInNames)
}

func (listReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	rec := pathRecord(f, sink, "lines", false)
	return eachLine(in, sink, func(line int64, text []byte) error {
		rec.Name = lines.View(text)
		return sink.Record(line, rec)
	})
}
