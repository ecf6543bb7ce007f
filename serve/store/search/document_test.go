package search

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/storetest"
	"github.com/degas-dns/degas/serve/store/tally"
)

var update = flag.Bool("update", false, "write the golden files")

// Dashboards rely on these documents. A change needs a new version of the template.
func TestDocuments(t *testing.T) {
	at := time.Date(2026, 12, 1, 10, 20, 30, 456e6, time.UTC)
	blocked := store.Event{Time: at, Name: `a\032b.example`, Domain: "example", Client: "2001:db8::1", Type: 28,
		RCode: events.NXDomain, Transport: events.HTTPS, Verdict: detect.Blocked, Action: detect.Block,
		Rule: detect.BlockList, Class: "blocked", Reason: "on the block list", Entry: "*.example", Sample: 1}
	scored := store.Event{Time: at, Name: "x1y2z3.example", Domain: "x1y2z3.example", Client: "printer <b>", Type: 1,
		RCode: events.NoRCode, Transport: events.UDP, Verdict: detect.Malicious, Action: detect.Report,
		Rule: detect.Score, Score: 0.9375, Class: "dga", Reason: "score", Model: "degas 3", Sample: 1}
	bare := store.Event{Time: at, RCode: events.NoRCode, Sample: 7}
	l := newLines()
	for i, e := range []store.Event{blocked, scored, bare} {
		if err := l.addEvent(&e, eventID("boot", int64(i)), int64(i), i == 1); err != nil {
			t.Fatal(err)
		}
	}
	ps := parts{boot: "boot", known: map[partKey]*part{}}
	counts := tally.Counts{}
	counts.Add(&blocked)
	ps.add(news{counts: counts}, at)
	hour := ps.known[partKey{store.Hour, at.Truncate(time.Hour).Unix()}]
	hour.id = "boot.2" // parts are made in no order
	if err := hour.write(l, hour.unsent, false, 5); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "documents.jsonl")
	if *update {
		if err := os.WriteFile(golden, l.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != l.String() {
		t.Errorf("documents changed; %v\n%s", err, l.String())
	}
}

// Every field that a document has is in the template, with its type.
func TestTemplateHasAllFields(t *testing.T) {
	e := storetest.Fixture(1)[0]
	e.Client, e.Entry, e.Class, e.Reason, e.Transport = "192.0.2.1", "*.example", "dga", "why", events.UDP
	raw, err := json.Marshal(newDocument(&e, 1, true))
	if err != nil {
		t.Fatal(err)
	}
	var doc, template map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(eventsTemplate, &template); err != nil {
		t.Fatal(err)
	}
	mappings := template["template"].(map[string]any)["mappings"].(map[string]any)
	sameFields(t, "", doc, mappings["properties"].(map[string]any))
}

func sameFields(t *testing.T, path string, doc, properties map[string]any) {
	t.Helper()
	for name, value := range doc {
		field, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s%s is not in the template", path, name)
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			sameFields(t, path+name+".", inner, field["properties"].(map[string]any))
		}
	}
	for name := range properties {
		if _, ok := doc[name]; !ok {
			t.Errorf("%s%s is in the template alone", path, name)
		}
	}
}

// Whatever texts an event has: two lines, valid JSON, and the same event again.
func FuzzDocument(f *testing.F) {
	for _, name := range storetest.Hostile {
		f.Add(name, "192.0.2.1", "dga", uint16(1), int16(3), uint8(4), 0.5)
	}
	f.Add("a\"}\n{\"delete\":{}}", "\xff\x00\u2028", "\\", uint16(65535), int16(-1), uint8(255), 1e-300)
	f.Fuzz(func(t *testing.T, name, client, class string, kind uint16, rcode int16, n uint8, score float64) {
		e := store.Event{Time: time.UnixMilli(1796088402691).UTC(), Name: name, Domain: client, Client: client, Class: class,
			Type: events.Type(kind), RCode: max(events.RCode(rcode), events.NoRCode), Verdict: detect.Verdict(n % 6),
			Action: detect.Action(n % 3), Rule: detect.Rule(n % 9), Transport: events.Transport(n % 6), Score: score,
			Reason: name, Entry: class, Model: client}
		tally.Settle(&e, e.Time)
		l := newLines()
		if err := l.addEvent(&e, "id", 1, true); err != nil {
			if l.Len() > 0 || score-score == 0 {
				t.Fatalf("%v left %q", err, l.String())
			}
			return // no JSON for NaN and infinities
		}
		items := split(l.Bytes())
		if len(items) != 1 || strings.Count(l.String(), "\n") != 2 || !items[0].row() {
			t.Fatalf("%d documents: %q", len(items), l.String())
		}
		var d document
		if err := json.Unmarshal(items[0].doc, &d); err != nil {
			t.Fatal(err)
		}
		got, err := d.event()
		if err != nil {
			t.Fatal(err)
		}
		if e.RCode > 4095 {
			got.RCode = e.RCode // none has more than twelve bits
		}
		for _, text := range []string{name, client, class} {
			if !utf8.ValidString(text) {
				return
			}
		}
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("%+v, want %+v", got, e)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("{\"create\":{}}\n{}\n{\"ind"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		for _, it := range split(data) {
			total += len(it.action) + len(it.doc)
			if it.action[len(it.action)-1] != '\n' || it.doc[len(it.doc)-1] != '\n' {
				t.Fatalf("%q", it)
			}
		}
		if rest := data[total:]; strings.Count(string(rest), "\n") > 1 {
			t.Fatalf("%q is left", rest)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("1796088402691.7")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseCursor(store.Cursor(text))
		if err == nil && text != "" && (len(got) != 2 || got[0] < 0 || got[1] < 0) {
			t.Fatalf("%q: %v", text, got)
		}
	})
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is what an event costs whoever appends it.
func BenchmarkAppend(b *testing.B) {
	p := usual
	p.flush, p.drain = time.Hour, time.Millisecond
	s, err := Open(Options{URL: "http://127.0.0.1:1", Dir: b.TempDir(), pace: p})
	if err != nil {
		b.Fatal(err)
	}
	all := storetest.Fixture(1000)
	for i := range all {
		all[i].Time = time.Now()
	}
	before := cpu(b)
	for b.Loop() {
		s.Append(all)
	}
	b.ReportMetric(float64(b.N*len(all))/(cpu(b)-before).Seconds(), "events/CPU-s")
	s.Close()
}

// BenchmarkDocument is what it costs to write an event to the spool.
func BenchmarkDocument(b *testing.B) {
	all := storetest.Fixture(1000)
	files, err := openSpool(b.TempDir(), 1<<40)
	if err != nil {
		b.Fatal(err)
	}
	bytes := 0
	before := cpu(b)
	for b.Loop() {
		l := newLines()
		for i := range all {
			if err := l.addEvent(&all[i], eventID("0123456789ab", int64(i)), int64(i), false); err != nil {
				b.Fatal(err)
			}
		}
		bytes += l.Len()
		if err := files.add(l.Bytes(), l.rows, 1, time.Now()); err != nil {
			b.Fatal(err)
		}
		if seg := files.first(); len(files.segments) > 4 {
			if err := files.remove(seg); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := float64(b.N * len(all))
	b.ReportMetric(n/(cpu(b)-before).Seconds(), "documents/CPU-s")
	b.ReportMetric(float64(bytes)/n, "bytes/document")
	files.unlock()
}
