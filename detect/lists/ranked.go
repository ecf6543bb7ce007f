package lists

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/model/dnsname"
)

// ranked reads a list of popular names: "RANK,NAME" a line, as Tranco and Umbrella publish them, or names in their
// order. The first top count.
func ranked(in io.Reader, top int) (*content, error) {
	c := &content{format: "ranked", skipped: map[string]int{}}
	p := &parser{content: *c}
	r := lines.NewReader(&limited{in, mostText})
	var failed error
	c.popular = detect.NewPopular(func(yield func(string) bool) {
		for place := 1; ; {
			line, long, err := r.Next()
			if err != nil {
				if err != io.EOF {
					failed = err
				}
				return
			}
			if line = bytes.TrimSpace(line); len(line) == 0 && !long || len(line) > 0 && isComment(line) {
				continue
			}
			rank, text := place, line
			if before, after, ok := bytes.Cut(line, []byte{','}); ok {
				n, err := strconv.Atoi(string(before))
				if err == nil {
					rank, text = n, after
				}
			}
			name, err := dnsname.Normalize(lines.View(text))
			if err != nil || !isName(text) {
				p.skip(r.Line(), line, notName)
				continue
			}
			place++
			if rank < 1 || rank > top {
				continue
			}
			if p.entries++; p.entries > mostKeys { // many names may have one rank
				failed = errTooMany()
				return
			}
			if !yield(name) {
				return
			}
		}
	})
	c.entries, c.skipped, c.first = p.entries, p.skipped, p.first
	switch bad := c.skipped[notName]; {
	case failed != nil:
		return nil, failed
	case c.entries == 0 || bad > c.entries:
		return nil, fmt.Errorf("no list of popular names: %d lines with a name of the first %d, and %d others. Try: lines "+
			"such as 1,example.com", c.entries, top, bad)
	}
	return c, nil
}
