package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/degas-dns/degas/internal/alloctest"
)

// found is what Scan finds, as text: path index @ element : kind = text.
func found(values []Value) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%d@%d:%d=%s", v.Path, v.Element, v.Kind, v.Text(nil)))
	}
	return strings.Join(out, " ")
}

func TestScan(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, test := range []struct {
		name, paths, doc string
		want             string
		err              error
	}{
		{"plain", "a b", `{"a":"x","c":[1,{"a":2}],"b":-1.5e3}`, "0@-1:0=x 1@-1:1=-1.5e3", nil},
		{"nested", "a.b", `{"a":{"b":"x"}}`, "0@-1:0=x", nil},
		{"dotted", "a.b", `{"a.b":"x"}`, "0@-1:0=x", nil},
		{"half dotted", "a.b.c", `{"a.b":{"c":1},"a":{"b.c":2}}`, "0@-1:1=1 0@-1:1=2", nil},
		{"one path below another", "a a.b", `{"a":{"b":1}}`, "0@-1:4= 1@-1:1=1", nil},
		{"the same path twice", "a a", `{"a":true}`, "0@-1:2=true 1@-1:2=true", nil},
		{"a key twice", "a", `{"a":1,"a":null}`, "0@-1:1=1 0@-1:3=null", nil},
		{"arrays", "a[].b c[]", `{"a":[{"b":1},{"b":[2,3]},{}],"c":["x"]}`,
			"0@0:1=1 0@1:5= 0@1:1=2 0@1:1=3 1@-1:5= 1@3:0=x", nil},
		{"escapes", `a"b c`, `{"a\"b":"\u00e9\ud83d\ude00\n\/","c":"\ud800\q"}`, "0@-1:0=é😀\n/ 1@-1:0=\ufffd\\q", nil},
		{"bytes", "a", "{\"a\":\"\xff\x00\"}", "0@-1:0=\xff\x00", nil},
		{"white space", "a", " {\t\"a\" :\r\n 1 , \"b\" : [ ] } ", "0@-1:1=1", nil},
		{"empty", "a", `{}`, "", nil},
		{"empty key", "a", `{"":1,"a":2}`, "0@-1:1=2", nil},
		{"as deep as may be", "a", deep(MaxDepth), "0@-1:4=", nil},

		{"array", "a", `[{"a":1}]`, "", ErrSyntax},
		{"no JSON", "a", `date=2026`, "", ErrSyntax},
		{"nothing", "a", ``, "", ErrSyntax},
		{"more behind it", "a", `{"a":1}{`, "0@-1:1=1", ErrSyntax},
		{"no colon", "a", `{"a" 1}`, "", ErrSyntax},
		{"no quotes", "a", `{a:1}`, "", ErrSyntax},
		{"no comma", "a", `{"a":1 "b":2}`, "0@-1:1=1", ErrSyntax},
		{"a word", "a", `{"a":nan}`, "", ErrSyntax},
		{"no value", "a", `{"a":}`, "", ErrSyntax},
		{"brackets do not match", "a", `{"b":[{]}}`, "", ErrSyntax},
		{"cut in a string", "a", `{"a":"x`, "", ErrCut},
		{"cut in a key", "a", `{"a":1,"b`, "0@-1:1=1", ErrCut},
		{"cut after a key", "a", `{"a"`, "", ErrCut},
		{"cut behind a backslash", "a", `{"a":"x\`, "", ErrCut},
		{"cut in what is skipped", "a", `{"b":[1,2`, "", ErrCut},
		{"too deep where it is skipped", "b", deep(MaxDepth + 1), "", ErrDepth},
		{"too deep on a path", "a.a", strings.Repeat(`{"a":[`, 40), "0@0:4= 0@0:5= ", ErrDepth},
	} {
		got, err := Compile(strings.Fields(test.paths)).Scan([]byte(test.doc), nil)
		if s := found(got); s != test.want && test.name != "too deep on a path" || !errors.Is(err, test.err) {
			t.Errorf("%s: %q (%v), want %q (%v)", test.name, s, err, test.want, test.err)
		}
	}
}

func TestScanNeedsNoMemory(t *testing.T) {
	p := Compile([]string{"id.orig_h", "query", "answers"})
	doc := []byte(`{"ts":1,"id.orig_h":"192.0.2.7","query":"www.ilmarin.example","answers":["a",{"b":[1]}],"x":{"y":[]}}`)
	out := make([]Value, 0, 8)
	n := testing.AllocsPerRun(100, func() { out, _ = p.Scan(doc, out[:0]) })
	if n != 0 || len(out) != 5 {
		t.Errorf("%v allocations, %d values", n, len(out))
	}
	bad := bytes.Repeat([]byte(`{"query":[`), 1<<20)
	if n := alloctest.Bytes(func() { p.Scan(bad, nil) }); n > 64<<10 {
		t.Errorf("%d bytes for a document that is nested too deeply", n)
	}
}

// flat gives the values of a document as package encoding/json reads it.
func flat(d *json.Decoder, path string, out []string) []string {
	t, err := d.Token()
	if err != nil {
		return out
	}
	switch t {
	case json.Delim('{'):
		for d.More() {
			key, _ := d.Token()
			below := key.(string)
			if path != "" {
				below = path + "." + below
			}
			out = flat(d, below, out)
		}
		d.Token()
		return out
	case json.Delim('['):
		for d.More() {
			out = flat(d, path, out)
		}
		d.Token()
		return out
	case nil:
		t = "null"
	}
	return append(out, fmt.Sprintf("%s=%v", path, t))
}

// FuzzScan holds Walk and Scan to encoding/json, for documents that it takes.
func FuzzScan(f *testing.F) {
	for _, doc := range []string{`{"a":[{"b":"\u00e9\\"},null,true],"c":{"d":1.5}}`, `{"a":{}`, `{"a.b":"\ud83d\ude00"}`,
		"{\"a\":\"\xff\"}", `{"":{"":[[1],2]}}`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(doc))
	}
	p := Compile([]string{"a", "a.b", "c[].d"})
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got []string
		err := Walk(doc, func(path []byte, v Value) { got = append(got, fmt.Sprintf("%s=%s", path, v.Text(nil))) })
		values, err2 := p.Scan(doc, nil)
		for _, v := range values {
			v.Text(nil)
		}
		first := bytes.TrimLeft(doc, " \t\r\n")
		if !json.Valid(doc) || !utf8.Valid(doc) || len(first) == 0 || first[0] != '{' {
			return
		}
		if errors.Is(err, ErrDepth) || errors.Is(err2, ErrDepth) {
			return
		}
		if err != nil || err2 != nil {
			t.Fatalf("%q: %v, %v", doc, err, err2)
		}
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		if want := flat(d, "", nil); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q: %q, encoding/json has %q", doc, got, want)
		}
	})
}

var zeekLine = []byte(`{"ts":1764403200.557741,"uid":"CTudTc7oyRltJwU32","id.orig_h":"192.0.2.7","id.orig_p":54330,` +
	`"id.resp_h":"192.0.2.1","id.resp_p":53,"proto":"udp","trans_id":31185,"rtt":0.000875,"query":"www.ilmarin.example",` +
	`"qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,` +
	`"TC":false,"RD":true,"RA":true,"Z":0,"answers":["relay.ilmarin.example","198.51.100.7"],"TTLs":[6400.0,6400.0],` +
	`"rejected":false}`)

func BenchmarkScan(b *testing.B) {
	p := Compile([]string{"query", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "ts", "qtype", "rcode", "proto",
		"trans_id", "id_orig_h", "zeek.dns.query"})
	b.SetBytes(int64(len(zeekLine)))
	var out []Value
	for b.Loop() {
		out, _ = p.Scan(zeekLine, out[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
