package lists

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestReadEntries(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		allow   bool
		format  string
		want    string // an exception has a @ before it
		skipped string
	}{
		"hosts": {text: "# x\n0.0.0.0 A.example b.example # c\n127.0.0.1 localhost\n192.0.2.1 c.example\n", format: "hosts",
			want: "a.example b.example", skipped: isLocalhost + ", " + leadsOn},
		"hosts that allow": {text: "192.0.2.1 c.example\n", allow: true, format: "hosts", want: "c.example"},
		"domains": {text: "a.example\n*.b.example\n.c.example # d\nbücher.example\nx y\n*.com\n", format: "domains",
			want: "a.example *.b.example *.c.example xn--bcher-kva.example", skipped: notOurs + ", " + isBroad},
		"adblock": {text: "! x\n||a.example^\n@@||b.example^\n||*.c.example^\n", format: "adblock",
			want: "*.a.example @*.b.example", skipped: onlyBelow},
		"rpz": {text: "$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\n*.b.example CNAME .\n" +
			"c.example CNAME rpz-passthru.\n", format: "rpz", want: "a.example @c.example", skipped: onlyBelow},
		"UTF-16":   {text: "\xff\xfea\x00.\x00e\x00x\x00\n\x00", format: "domains", want: "a.ex"},
		"comments": {text: "# nothing\n"},
	} {
		l, err := ReadEntries(strings.NewReader(c.text), !c.allow, 10)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, e := range l.Entries {
			if e.Exception {
				e.Pattern = "@" + e.Pattern
			}
			got = append(got, e.Pattern)
		}
		if text := strings.Join(got, " "); text != c.want || l.Format != c.format {
			t.Errorf("%s: %q has %q, and not %q", name, l.Format, text, c.want)
		}
		if skipped := strings.Join(slices.Sorted(maps.Keys(l.Skipped)), ", "); skipped != c.skipped {
			t.Errorf("%s: it leaves out %q, and not %q", name, skipped, c.skipped)
		}
	}
	for text, want := range map[string]error{"a.example\nb.example\nc.example\n": ErrTooMany, "<html>": errNoList,
		"": errEmpty} {
		if _, err := ReadEntries(strings.NewReader(text), true, 2); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzReadEntries: what ReadEntries returns is what a Set would keep of the same text, and within bounds.
func FuzzReadEntries(f *testing.F) {
	for _, seed := range []string{"0.0.0.0 a.example\n", "*.a.example\nb.example\n", "||a.example^\n@@||b.example^\n",
		"$TTL 60\na.example CNAME .\n", "\xff\xfea\x00", "a\x00b", "# x\n", "||*.a.example^\n"} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, isBlock bool) {
		l, err := ReadEntries(strings.NewReader(string(text)), isBlock, 50)
		if err != nil {
			return
		}
		if len(l.Entries) > 50 || len(l.Left) > mostLeft {
			t.Fatalf("%d entries, %d lines that are none", len(l.Entries), len(l.Left))
		}
		for _, e := range l.Entries {
			name := strings.TrimPrefix(e.Pattern, "*.")
			if !isName([]byte(name)) || strings.ToLower(name) != name {
				t.Fatalf("the entry %q is no name", e.Pattern)
			}
		}
	})
}
