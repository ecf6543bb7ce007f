package logs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
)

var updateText = flag.Bool("update-text", false, "write the golden files of text formats")

// textFixtures are the logs in testdata. Their names start with their formats.
func textFixtures(t testing.TB) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if _, ours := textFormats[formatOf(file)]; ours && filepath.Ext(file) != ".golden" {
			files = append(files, file)
		}
	}
	if len(files) < len(textFormats) {
		t.Fatalf("%d fixtures", len(files))
	}
	return files
}

func formatOf(file string) string {
	format, _, _ := strings.Cut(filepath.Base(file), ".")
	return format
}

// clock stands still at the time now.
func clock() time.Time { return now }

// read reads a log at the time now.
func read(t testing.TB, format string, text []byte, o events.Options) (list []string, st events.Stats, err error) {
	t.Helper()
	parser := textFormats[format].parser
	open := events.Lines(func(o events.Options) events.LineParser { return parser(o, clock) })
	r, err := open(&events.Source{Reader: bytes.NewReader(text), Options: o, Stats: &st})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var e events.Event
		if err := r.Next(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return list, st, err
		}
		list = append(list, show(&e))
	}
	if sum := st.Events + total(st.Skipped) + total(st.Refused); sum != st.Units {
		t.Errorf("%s: %d units, %d accounted for", format, st.Units, sum)
	}
	return list, st, nil
}

// show writes an event as a line of a golden file, without its number.
func show(e *events.Event) string {
	at := "-"
	if !e.Time.IsZero() {
		at = e.Time.Format(time.RFC3339Nano)
	}
	end := func(p events.Peer) string {
		text := p.String()
		if p.Addr.IsValid() && p.Name != "" {
			text += "(" + p.Name + ")"
		}
		if p.Port != 0 {
			text += fmt.Sprint("#", p.Port)
		}
		return text
	}
	text := fmt.Sprintf("%s %s %q %s %s client=%s server=%s %s id=%d size=%d", at, e.Kind, e.Name, e.Type, e.RCode,
		end(e.Client), end(e.Server), e.Transport, e.ID, e.Size)
	for _, c := range e.Columns {
		text += fmt.Sprintf(" %s=%q", c.Name, c.Value)
	}
	return text
}

// Each fixture gives the events and counts of its golden file, which was checked by hand.
func TestTextFixtures(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range textFixtures(t) {
		seen[formatOf(file)] = true
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, st, err := read(t, formatOf(file), text, events.Options{Columns: true})
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		got := strings.Join(list, "\n") + "\n"
		got += fmt.Sprintf("units %d\n", st.Units)
		for _, m := range []map[string]int64{st.Skipped, st.Refused} {
			for _, reason := range slices.Sorted(maps.Keys(m)) {
				got += fmt.Sprintf("%d %s\n", m[reason], reason)
			}
		}
		golden := file + ".golden"
		if *updateText {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
		}
	}
	for format := range textFormats {
		if !seen[format] {
			t.Errorf("no fixture of %s", format)
		}
	}
}

// Each fixture is recognised as its own format, and no other format rates it as high.
func TestTextFixturesDoNotTie(t *testing.T) {
	for _, file := range textFixtures(t) {
		head, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scores := map[string]int{}
		for _, f := range events.Formats() {
			scores[f.Name], _ = f.Sniff(head)
		}
		want := scores[formatOf(file)]
		for name, score := range scores {
			if name != formatOf(file) && score >= want {
				t.Errorf("%s: %s scores %d, its own format %d", file, name, score, want)
			}
		}
	}
}

// What a format says it misses is for a file that is of no format.
func TestNoTextIsRecognisedInRubbish(t *testing.T) {
	for _, head := range []string{
		"Dear all,\nthis is a letter. It has a few lines,\nand no names at all.\n",
		"\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 100),
		strings.Repeat("\x00", 1000) + "\n",
		"<html>\n<body>\n</body>\n</html>\n",
		"package main\n\nfunc main() {\n\tx := 1\n}\n",
		"192.0.2.7\n192.0.2.8\n",
		"1,2,3\n4,5\n",
	} {
		if f, err := events.Recognize([]byte(head)); err == nil {
			t.Errorf("%.40q is %s", head, f.Name)
		} else if !strings.Contains(err.Error(), "--format") {
			t.Error(err)
		}
	}
}

// Lines of a log within JSON are another format's to unwrap.
func TestJSONIsNoText(t *testing.T) {
	for _, f := range events.Formats() {
		if _, ours := textFormats[f.Name]; !ours {
			continue
		}
		head := `{"message":"client 192.0.2.7#53124: query: www.ilmarin.example IN A +"}` + "\n"
		if score, missing := f.Sniff([]byte(head)); score > 0 || missing == "" {
			t.Errorf("%s scores %d, %q", f.Name, score, missing)
		}
	}
}

// Windows' own tools write UTF-16.
func TestUTF16(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "windows-dns.log"))
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xff, 0xfe}
	for _, c := range text {
		wide = append(wide, c, 0)
	}
	file := filepath.Join(t.TempDir(), "dns.log")
	if err := os.WriteFile(file, wide, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := events.Open(t.Context(), file, events.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var e events.Event
	if err := f.Next(&e); err != nil || string(e.Name) != "www.ilmarin.example" || f.Format.Name != "windows-dns" {
		t.Errorf("%s: %q, %v", f.Format.Name, e.Name, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// A log that turns into something else is read before and after. Every line is counted.
func TestBadText(t *testing.T) {
	for _, file := range textFixtures(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		format := formatOf(file)
		want, _, err := read(t, format, text, events.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for what, rubbish := range map[string][]byte{
			"binary":      []byte("\x00\x01\x02\xff\xfe(\x80\n\x1b[31m\"\x7f'|,;=\\\n"),
			"long":        append(bytes.Repeat([]byte("long "), 200_000), '\n'),
			"nulls":       []byte(strings.Repeat("\x00", 1000) + "\n"),
			"long name":   []byte("x " + strings.Repeat("a.", 1000) + " x\n"),
			"other lines": []byte("some.other text of a log: a=b, c\n\n   \n\t\n"),
		} {
			bad := slices.Concat(text, rubbish, text)
			got, st, err := read(t, format, bad, events.Options{})
			if err != nil {
				t.Errorf("%s with %s: %v", file, what, err)
			}
			if !hasAll(got, append(slices.Clone(want), want...)) {
				t.Errorf("%s with %s: %d events, not twice %d", file, what, len(got), len(want))
			}
			anyName := format == "csv" || format == "tsv" || format == "list" // any text may be a name in them
			if !anyName && st.Events > int64(2*len(want)) || what == "long" && st.Refused["line longer than 64 KiB"] != 1 {
				t.Errorf("%s with %s: %d events, refused %v", file, what, st.Events, st.Refused)
			}
		}
	}
}

// hasAll reports whether list has want in its order, perhaps with more between.
func hasAll(list, want []string) bool {
	for _, line := range list {
		if len(want) > 0 && line == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// FuzzText reads any text with every format.
func FuzzText(f *testing.F) {
	for _, file := range textFixtures(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for line := range bytes.Lines(text) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, format := range textFormats {
			parse := format.parser(events.Options{Columns: true}, clock)
			for line := range bytes.Lines(text) {
				line = bytes.TrimRight(line, "\r\n")
				if len(line) == 0 {
					continue
				}
				out, err := parse(line, nil)
				if (err == nil) != (len(out) > 0) {
					t.Fatalf("%s: %q: %d events, %v", name, line, len(out), err)
				}
				for _, e := range out {
					if len(e.Name) == 0 || tooLong(e.Name) {
						t.Errorf("%s: %q: name %q", name, line, e.Name)
					}
				}
			}
		}
		for _, format := range events.Formats() {
			if score, missing := format.Sniff(text); score < 0 || score > 100 || score == 0 && missing == "" {
				t.Errorf("%s: score %d, %q", format.Name, score, missing)
			}
		}
	})
}
