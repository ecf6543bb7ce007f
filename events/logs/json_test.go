package logs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/alloctest"
)

var update = flag.Bool("update", false, "write the golden files of testdata")

// readLog gives a file's events in degas' own form, and a last line with what was counted.
func readLog(t testing.TB, in io.Reader, path string, o events.Options) (f *events.File, text string) {
	t.Helper()
	f, err := events.NewFile(in, path, o)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer f.Close()
	var out []byte
	for e := (events.Event{}); ; {
		if err = f.Next(&e); err != nil {
			break
		}
		out = append(events.AppendJSON(fmt.Appendf(out, "%d ", e.Line), &e), '\n')
	}
	if err != io.EOF {
		t.Fatalf("%s: %v", path, err)
	}
	counts, err := json.Marshal(f.Stats) // maps in the order of their keys
	if err != nil {
		t.Fatal(err)
	}
	return f, string(out) + string(counts) + "\n"
}

// fixtures are the files of testdata whose events golden files have. Each is recognised as its format.
var fixtures = map[string]string{
	"adguard.json":             "adguard",
	"azure-pretty.json":        "azure",
	"azure.json":               "azure",
	"cloudflare-firewall.json": "cloudflare-firewall",
	"cloudflare-gateway.json":  "cloudflare-gateway",
	"degas.json":               "degas",
	"ecs-message.json":         "ecs",
	"ecs.json":                 "ecs",
	"gcp-dns.json":             "gcp-dns",
	"jsonl.json":               "jsonl",
	"ocsf.json":                "ocsf",
	"route53.json":             "route53",
	"suricata.json":            "suricata",
	"windows-analytic.json":    "windows-analytic",
	"windows-xml.xml":          "windows-xml",
	"wrapped.json":             "wrapped",
	"zeek-json.json":           "zeek-json",
}

func TestFixtures(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(fixtures)) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, got := readLog(t, bytes.NewReader(data), path, events.Options{})
			if f.Format.Name != fixtures[name] {
				t.Errorf("recognised as %s, want %s", f.Format.Name, fixtures[name])
			}
			golden := path + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Columns are what a line says besides its fields, in its order.
func TestColumns(t *testing.T) {
	line := `{"time":"2026-11-29T08:00:00Z","name":"a.example","kind":"query","score":0.5,` +
		`"label":"dga","x":{"y":[1,"\u00e9"]}}`
	f, err := events.NewFile(strings.NewReader(line), "", events.Options{Columns: true})
	if err != nil {
		t.Fatal(err)
	}
	var e events.Event
	if err := f.Next(&e); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(e.Columns); got != "[{score 0.5} {label dga} {x.y 1} {x.y é}]" {
		t.Errorf("%s has the columns %s", f.Format.Name, got)
	}
	lines := `{"event_type":"dns","timestamp":"","src_ip":"","host":"probe","dns":{"type":"request","queries":` +
		`[{"rrname":"a.example","z":1},{"rrname":"b.example","z":2}]}}`
	if f, err = events.NewFile(strings.NewReader(lines), "", events.Options{Columns: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[{host probe} {dns.queries.z 1}]", "[{host probe} {dns.queries.z 2}]"} {
		if err := f.Next(&e); err != nil || fmt.Sprint(e.Columns) != want {
			t.Errorf("columns %v (%v), want %s", e.Columns, err, want)
		}
	}
}

func TestFieldsOfUser(t *testing.T) {
	line := `{"a":{"b":[{"n":"www.ilmarin.example."}]},"who.ip":"192.0.2.7","query":"other.example","qtype":16,"t":"MX"}`
	o := events.Options{Fields: map[string]string{"name": "a.b[].n", "client": "who.ip", "type": "t"}}
	_, got := readLog(t, strings.NewReader(line), "", o)
	want := `1 {"client":"192.0.2.7","name":"www.ilmarin.example","type":"MX","kind":"query"}`
	if first, _, _ := strings.Cut(got, "\n"); first != want {
		t.Errorf("got %s, want %s", first, want)
	}
	for _, fields := range []map[string]string{{"name": "nothing"}, {"rname": "a"}} {
		if _, err := events.NewFile(strings.NewReader(line), "", events.Options{Fields: fields}); err == nil {
			t.Errorf("%v: no error", fields)
		}
	}
}

// Lines of strangers are refused or read, one by one, and cost no more memory than they are long.
func TestHostileJSON(t *testing.T) {
	good := `{"ts":1,"id.orig_h":"192.0.2.7","query":"www.ilmarin.example"}`
	for _, test := range []struct{ name, line, want string }{
		{"nested deeply", `{"ts":1,"id.orig_h":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `,"query":"a"}`,
			`{"JSON nested too deeply":1}`},
		{"nested deeply where nobody looks", `{"x":` + strings.Repeat(`{"a":`, 10000), `{"JSON nested too deeply":1}`},
		{"string without end", `{"ts":1,"query":"` + strings.Repeat("a", 60000), `{"JSON that is cut off":1}`},
		{"line without end", `{"ts":1,"query":"` + strings.Repeat("a", 1<<20), `{"line longer than 64 KiB":1}`},
		{"long name", `{"ts":1,"id.orig_h":"","query":"` + strings.Repeat("a.", 200) + `"}`,
			`{"name longer than 253 bytes":1}`},
		{"huge numbers", `{"ts":1e999,"id.orig_h":1e999,"id.orig_p":99999999999999999999,"query":"a","qtype":70000,` +
			`"rcode":-1,"trans_id":65536}`, "null"},
		{"keys twice", `{"ts":1,"ts":2,"id.orig_h":"x","id.orig_h":"192.0.2.9","query":"a","query":"b"}`, "null"},
		{"no UTF-8", "{\"ts\":1,\"id.orig_h\":\"\xff\xfe\",\"query\":\"\xff\xc3.ilmarin.example\"}", "null"},
		{"bytes of control",
			"{\"ts\":1,\"id.orig_h\":\"\\u001b[31m\",\"query\":\"\x01\\u0000\\u0007.ilmarin.example\"}", "null"},
		{"mark of byte order", "\ufeff" + `{"ts":1,"id.orig_h":"192.0.2.9","query":"a"}`, "null"},
		{"many values", `{"ts":1,"id.orig_h":"","answers":[` + strings.Repeat(`{"a":1},`, 5000) + `0]}`, "null"},
		{"many names", `{"ts":1,"id.orig_h":"","query":[` + strings.Repeat(`"a",`, 5000) + `"a"]}`, "null"},
		{"wrong kinds", `{"ts":{},"id.orig_h":[],"query":{"query":"a"}}`, "null"},
		{"array", `[1,2]`, `{"no JSON object":1}`},
		{"two on a line", `{"ts":1}{"ts":2}`, `{"no JSON object":1}`},
		{"zeros", "\x00\x00\x00", `{"no JSON object":1}`},
	} {
		text := strings.Repeat(good+"\n", 3) + test.line + "\n" + good + "\n"
		var f *events.File
		var got string
		n := alloctest.Bytes(func() { f, got = readLog(t, strings.NewReader(text), "", events.Options{}) })
		refused, err := json.Marshal(f.Stats.Refused)
		if err != nil {
			t.Fatal(err)
		}
		if f.Format.Name != "zeek-json" || string(refused) != test.want || !strings.Contains(got, "\n5 {") {
			t.Errorf("%s: %s refused %s, want %s; the line behind it is read: %v", test.name, f.Format.Name, refused,
				test.want, strings.Contains(got, "\n5 {"))
		}
		if n > 64<<20 {
			t.Errorf("%s: %d bytes", test.name, n)
		}
	}
}

// Where objects do not stand on lines of their own, a damaged one does not take the others with it.
func TestObjectsWithoutLines(t *testing.T) {
	object := func(name string) string { return `{"ts":1,"id.orig_h":"192.0.2.7","query":"` + name + `.example"}` }
	pretty := strings.ReplaceAll(object("a"), ",", ",\n  ")
	for _, test := range []struct {
		name, text     string
		events, refuse int64
	}{
		{"lines", object("a") + "\n" + object("b"), 2, 0},
		{"array", "[" + object("a") + ",\n" + object("b") + "]", 2, 0},
		{"array on a line", "[" + object("a") + "," + object("b") + "]", 2, 0},
		{"array within an object", `{"records": [` + object("a") + "," + object("b") + `], "more": 1}`, 2, 0},
		{"one after another", object("a") + object("b") + " " + object("c"), 3, 0},
		{"line breaks", pretty + "\n" + pretty + "\n", 2, 0},
		{"damaged in the middle", pretty + "\n{\"ts\":[1,\n 2\n" + pretty + "\n", 2, 1},
		{"cut in a string", "[" + object("a") + ",\n{\"ts\":\"1,\n" + object("b") + "]", 2, 1},
		{"first line cut off", `{"ts":1,"que` + "\n" + object("a") + "\n" + object("b"), 2, 1},
		{"brackets in texts", "[" + object(`a\"}]{`) + "," + object("b") + "]", 2, 0},
	} {
		f, got := readLog(t, iotest.OneByteReader(strings.NewReader(test.text)), test.name, events.Options{})
		if f.Stats.Events != test.events || f.Stats.Refused["JSON that is cut off"]+f.Stats.Refused["no JSON object"] !=
			test.refuse || f.Format.Name != "zeek-json" {
			t.Errorf("%s: %s has\n%s", test.name, f.Format.Name, got)
		}
	}
}

// No format of JSON takes what is another's or no log at all.
func TestSniffJSON(t *testing.T) {
	for _, text := range []string{"", "\n", "{", "[", "[]", "{}x", `{"kind":"Pod","name":"x"}`, "www.example\n", "a,b\n",
		`"text"`, `{"@timestamp":"x","message":"GET / HTTP/1.1"}`, `{"log":"GET /"}`} {
		for _, f := range events.Formats() {
			if score, missing := f.Sniff([]byte(text)); score > 1 && fixtureOf(f.Name) != "" {
				t.Errorf("%s takes %q with %d", f.Name, text, score)
			} else if score == 0 && missing == "" {
				t.Errorf("%s does not say what %q lacks", f.Name, text)
			}
		}
	}
}

// fixtureOf is the name of a format's fixture, "" if it is no format of JSON.
func fixtureOf(format string) string {
	for name, f := range fixtures {
		if f == format {
			return name
		}
	}
	return ""
}

// The shared data are not part of the repository.
func TestSharedJSON(t *testing.T) {
	for _, test := range []struct {
		file, format                    string
		units, events, skipped, refused int64
		names                           int
	}{
		{"slips/test9-zeek-json-dns.log", "zeek-json", 239, 239, 0, 0, 161},
		{"slips/test6-suricata-eve-v1-dns-only.json", "suricata", 680, 680, 0, 0, 2},
		{"rita/zeek-json-all-fields-dns.log", "zeek-json", 34, 34, 0, 0, 29},
		{"korving/c2-dns2tcp-bind9-key-filebeat.json", "ecs", 104, 104, 0, 0, 104},
		{"korving/c2-dns2tcp-coredns-key-filebeat.json", "ecs", 138, 133, 5, 0, 133},
		{"korving/c2-dns2tcp-dnsmasq-key-filebeat.json", "ecs", 251, 119, 132, 0, 118},
	} {
		path := filepath.Join("..", "..", "..", "shared", "data", "pcap2", filepath.FromSlash(test.file))
		if _, err := os.Stat(path); err != nil {
			t.Skip("the shared data are not there")
		}
		f, err := events.Open(t.Context(), path, events.Options{}, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		names := map[string]bool{}
		for e := (events.Event{}); ; {
			if err = f.Next(&e); err != nil {
				break
			}
			names[string(e.Name)] = true
		}
		s := f.Stats
		if err != io.EOF || f.Format.Name != test.format || s.Units != test.units || s.Events != test.events ||
			sum(s.Skipped) != test.skipped || sum(s.Refused) != test.refused || len(names) != test.names {
			t.Errorf("%s: %s, %+v, %d names, %v", test.file, f.Format.Name, s, len(names), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// A line of any bytes is an event, skipped or refused. Each table reads lines that others made.
func FuzzJSON(f *testing.F) {
	for name := range fixtures {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("[{\"log\":\"{\\\"log\\\":\\\"{}\\\"}\"},\xff"))
	var formats []string
	for _, name := range fixtures {
		formats = append(formats, name)
	}
	slices.Sort(formats)
	formats = slices.Compact(formats)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range formats {
			file, err := events.NewFile(bytes.NewReader(data), "", events.Options{Format: format, Columns: true})
			if err != nil {
				continue
			}
			var e events.Event
			units := map[int64]bool{}
			for err = file.Next(&e); err == nil; err = file.Next(&e) {
				if units[e.Line] = true; len(e.Name) == 0 || tooLong(e.Name) {
					t.Fatalf("%s: the name %q", format, e.Name)
				}
				events.AppendJSON(nil, &e)
			}
			if err != io.EOF {
				t.Fatalf("%s: %v", format, err)
			}
			if s := file.Stats; s.Units != int64(len(units))+sum(s.Skipped)+sum(s.Refused) {
				t.Fatalf("%s: %d lines with events, and %+v", format, len(units), s)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	for name, line := range map[string]string{
		"zeek-json": `{"ts":1764403200.557741,"uid":"CTudTc7oyRltJwU32","id.orig_h":"192.0.2.7","id.orig_p":54330,` +
			`"id.resp_h":"192.0.2.1","id.resp_p":53,"proto":"udp","trans_id":31185,"rtt":0.000875,` +
			`"query":"www.ilmarin.example","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,` +
			`"rcode_name":"NOERROR","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"answers":["relay.ilmarin.example",` +
			`"198.51.100.7"],"TTLs":[6400.0,6400.0],"rejected":false}`,
		"suricata": `{"timestamp":"2026-11-29T08:00:00.310000+0000","flow_id":1567838537225881,"pcap_cnt":3883,` +
			`"event_type":"dns","src_ip":"192.0.2.1","src_port":53,"dest_ip":"192.0.2.7","dest_port":53126,"proto":"UDP",` +
			`"dns":{"version":2,"type":"answer","id":9,"flags":"8180","qr":true,"rd":true,"ra":true,` +
			`"rrname":"v2.ilmarin.example","rrtype":"AAAA","rcode":"NOERROR","answers":[{"rrname":"alias.ilmarin.example",` +
			`"rrtype":"AAAA","ttl":60,"rdata":"2001:db8::9"}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(line+"\n", 1000)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				f, err := events.NewFile(strings.NewReader(text), "", events.Options{Format: name})
				if err != nil {
					b.Fatal(err)
				}
				var e events.Event
				for f.Next(&e) == nil {
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
