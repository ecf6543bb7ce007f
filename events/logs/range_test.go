package logs

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/lines"
)

// joinedEvents are a file's events as text, sorted, queries joined with their responses.
func joinedEvents(t *testing.T, f *events.File) (out []string) {
	t.Helper()
	joined := events.Join(f)
	for {
		var e events.Event
		err := joined.Next(&e)
		if err == io.EOF {
			slices.Sort(out)
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Mine(&e) {
			out = append(out, fmt.Sprint(e.Time, string(e.Name), e.Client, e.Server, e.Type, e.RCode, e.Kind, e.Size))
		}
	}
}

// The events of a file's ranges are those of the file, and so is what was counted.
func TestRangesAreTheFile(t *testing.T) {
	files, _ := filepath.Glob("testdata/*")
	shared, _ := filepath.Glob("../../../shared/data/logs/*.log")
	tried := map[string]bool{}
	for _, path := range append(files, shared...) {
		text, err := os.ReadFile(path)
		head := text[:min(len(text), lines.HeadSize)]
		format, unknown := events.Recognize(head)
		if err != nil || unknown != nil || format.Cuts == nil || !format.Cuts(head) || strings.HasSuffix(path, ".golden") {
			continue
		}
		tried[format.Name] = true
		whole, err := events.NewFile(bytes.NewReader(text), path, events.Options{})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		want := joinedEvents(t, whole)
		for _, parts := range []int{1, 2, 7} {
			var got []string
			var stats events.Stats
			size := int64(len(text)/parts + 1)
			for from := int64(0); from < int64(len(text)); from += size {
				r := lines.Range{From: from, To: min(from+size, int64(len(text)))}
				offset, length := r.Around(events.Margin)
				f, err := events.OpenRange(io.NewSectionReader(bytes.NewReader(text), offset, length), path, format, head, r,
					events.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, joinedEvents(t, f)...)
				stats.Units, stats.Events = stats.Units+f.Stats.Units, stats.Events+f.Stats.Events
				for reason, n := range f.Stats.Skipped {
					stats.Skipped = added(stats.Skipped, reason, n)
				}
				for reason, n := range f.Stats.Refused {
					stats.Refused = added(stats.Refused, reason, n)
				}
			}
			slices.Sort(got)
			if w := whole.Stats; !slices.Equal(got, want) || stats.Units != w.Units || stats.Events != w.Events ||
				!maps.Equal(stats.Skipped, w.Skipped) || !maps.Equal(stats.Refused, w.Refused) {
				t.Errorf("%s in %d parts: %d events of %d; %+v, want %+v", path, parts, len(got), len(want), stats, w)
			}
		}
	}
	t.Log(slices.Sorted(maps.Keys(tried)))
	if len(tried) < 10 {
		t.Errorf("only %d formats are cut", len(tried))
	}
	_, err := events.OpenRange(strings.NewReader(""), "x.csv", mustFormat(t, "csv"), nil, lines.Range{}, events.Options{})
	if err == nil {
		t.Error("a table is cut")
	}
}

func added(m map[string]int64, reason string, n int64) map[string]int64 {
	if m == nil {
		m = map[string]int64{}
	}
	m[reason] += n
	return m
}

func mustFormat(t *testing.T, name string) *events.Format {
	t.Helper()
	f, err := events.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
