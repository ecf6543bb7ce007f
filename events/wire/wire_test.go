package wire

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/degas-dns/degas/events"
)

// header is a message's header with an ID of 0x4711 and as many questions.
func header(flags uint16, questions byte) string {
	return "\x47\x11" + string([]byte{byte(flags >> 8), byte(flags), 0, questions, 0, 0, 0, 0, 0, 0})
}

const www = "\x03www\x07ilmarin\x07example\x00" // 21 bytes

func TestQuestion(t *testing.T) {
	label63 := "\x3f" + strings.Repeat("x", 63)
	long := label63 + label63 + label63 + "\x3d" + strings.Repeat("y", 61) + "\x00" // 255 bytes
	dotted := strings.Repeat("x", 63) + "."
	chain := func(n int) (s string) { // n pointers, each to the next one, then the root
		for i := range n {
			at := 18 + 2*i
			s += string([]byte{0xc0 | byte(at>>8), byte(at)})
			if i == 0 {
				s += "\x00\x01\x00\x01"
			}
		}
		return s + "\x00"
	}
	for _, test := range []struct {
		what, msg, name string
		kind            events.Kind
		rcode           events.RCode
		err             error
	}{
		{"query", header(0x0100, 1) + www + "\x00\x01\x00\x01", "www.ilmarin.example", events.Query, -1, nil},
		{"response", header(0x8183, 1) + www + "\x00\x01\x00\x01", "www.ilmarin.example", events.Response, 3, nil},
		{"later records are broken", header(0x8180, 1)[:7] + "\x09\x00\x09\x00\x09" + www + "\x00\x01\x00\x01\xc0",
			"www.ilmarin.example", events.Response, 0, nil},
		{"root", header(0, 1) + "\x00\x00\x01\x00\x01", ".", events.Query, -1, nil},
		{"dot and backslash in labels", header(0, 1) + "\x03a.\\\x02.b\x00\x00\x01\x00\x01", `a\.\\.\.b`,
			events.Query, -1, nil},
		{"bytes of control and above ASCII", header(0, 1) + "\x03\x00\n\xff\x00\x00\x01\x00\x01", "\x00\n\xff",
			events.Query, -1, nil},
		{"255 bytes", header(0, 1) + long + "\x00\x01\x00\x01", dotted + dotted + dotted + strings.Repeat("y", 61),
			events.Query, -1, nil},
		{"256 bytes", header(0, 1) + "\x01x" + long + "\x00\x01\x00\x01", "", 0, 0, ErrLong},
		{"forward pointer", header(0, 1) + "\x01a\xc0\x14\x00\x01\x00\x01\x01b\x00", "a.b", events.Query, -1, nil},
		{"128 pointers", header(0, 1) + chain(128), ".", events.Query, -1, nil},
		{"129 pointers", header(0, 1) + chain(129), "", 0, 0, ErrLoop},
		{"pointer to itself", header(0, 1) + "\xc0\x0c\x00\x01\x00\x01", "", 0, 0, ErrLoop},
		{"labels in a loop", header(0, 1) + "\x3f" + strings.Repeat("x", 63) + "\xc0\x0c\x00\x01\x00\x01", "", 0, 0, ErrLong},
		{"pointer behind the end", header(0, 1) + "\xff\xff\x00\x01\x00\x01", "", 0, 0, ErrShort},
		{"half a pointer", header(0, 1) + "\xc0", "", 0, 0, ErrShort},
		{"label type 0x40", header(0, 1) + "\x41\x01\x00\x00\x01\x00\x01", "", 0, 0, ErrLabel},
		{"label type 0x80", header(0, 1) + "\x80\x00\x00\x01\x00\x01", "", 0, 0, ErrLabel},
		{"empty", "", "", 0, 0, ErrShort},
		{"header cut", header(0, 1)[:11], "", 0, 0, ErrShort},
		{"only a header", header(0, 1), "", 0, 0, ErrShort},
		{"label cut", header(0, 1) + www[:8], "", 0, 0, ErrShort},
		{"no root", header(0, 1) + www[:20], "", 0, 0, ErrShort},
		{"class cut", header(0, 1) + www + "\x00\x01\x00", "", 0, 0, ErrShort},
		{"no question", header(0x8180, 0) + www + "\x00\x01\x00\x01", "", 0, 0, ErrNoQuestion},
		{"inverse query", header(0x0800, 1) + www + "\x00\x01\x00\x01", "", 0, 0, ErrOpcode},
		{"notify", header(0x2000, 1) + www + "\x00\x06\x00\x01", "", 0, 0, ErrOpcode},
		{"update", header(0x2800, 1) + www + "\x00\x06\x00\x01", "", 0, 0, ErrOpcode},
	} {
		e := events.Event{RCode: events.NoRCode}
		buf, err := Question([]byte(test.msg), &e, []byte("before"))
		if err != test.err || string(e.Name) != test.name || string(buf) != "before"+test.name {
			t.Errorf("%s: name %q, buffer %q, error %v; want %q, %v", test.what, e.Name, buf, err, test.name, test.err)
		}
		if err == nil && (e.ID != 0x4711 || e.Size != len(test.msg) || e.Type != 1 || e.Kind != test.kind ||
			e.RCode != test.rcode) {
			t.Errorf("%s: %+v", test.what, e)
		}
	}
}

// Each question that parses is given, whatever the header says of their number.
func TestQuestions(t *testing.T) {
	msg := header(0, 3) + www + "\x00\x01\x00\x01" + "\x01x\xc0\x10\x00\x1c\x00\x01" + "\x80"
	var e events.Event
	q, err := Questions([]byte(msg), &e)
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for _, want := range []struct {
		name string
		kind events.Type
		err  error
	}{
		{"www.ilmarin.example", 1, nil}, {"x.ilmarin.example", 28, nil}, {"", 0, ErrLabel}, {"", 0, ErrNoQuestion},
	} {
		e = events.Event{}
		if buf, err = q.Next(&e, buf); string(e.Name) != want.name || e.Type != want.kind || err != want.err {
			t.Errorf("%q %d %v, want %+v", e.Name, e.Type, err, want)
		}
	}
}

func TestQuestionAllocatesNothing(t *testing.T) {
	msg, bad := []byte(header(0, 1)+www+"\x00\x01\x00\x01"), []byte(header(0, 1)+"\xc0\x0c")
	var e events.Event
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Question(msg, &e, buf); err != nil || !Plausible(msg) {
			t.Fatal(err)
		}
		if _, err := Question(bad, &e, buf); err != ErrLoop {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPlausible(t *testing.T) {
	for _, test := range []struct {
		what, msg string
		want      bool
	}{
		{"query", header(0x0100, 1) + www + "\x00\x01\x00\x01", true},
		{"response and what follows", header(0x8183, 1) + www + "\x00\x01\x00\x01\xc0\x0c", true},
		{"root", header(0, 1) + "\x00\x00\x02\x00\x01", true},
		{"unicast answer wanted", header(0, 1) + www + "\x00\x0c\x80\x01", true},
		{"update", header(0x2800, 1) + www + "\x00\x06\x00\x01", true},
		{"empty", "", false},
		{"opcode 15", header(0x7800, 1) + www + "\x00\x01\x00\x01", false},
		{"reserved bit", header(0x0040, 1) + www + "\x00\x01\x00\x01", false},
		{"no question", header(0x8000, 0) + www + "\x00\x01\x00\x01", false},
		{"pointer", header(0, 1) + "\xc0\x0c\x00\x01\x00\x01", false},
		{"label cut", header(0, 1) + www[:8], false},
		{"class cut", header(0, 1) + www + "\x00\x01\x00", false},
		{"class 7", header(0, 1) + www + "\x00\x01\x00\x07", false},
		{"type 0", header(0, 1) + www + "\x00\x00\x00\x01", false},
		{"a web request", "GET /index.html HTTP/1.1\r\nHost: www.ilmarin.example\r\n\r\n", false},
	} {
		if got := Plausible([]byte(test.msg)); got != test.want {
			t.Errorf("%s: %v", test.what, got)
		}
	}
}

// FuzzQuestion compares names with x/net's dnsmessage, which refuses more, but reads no name in another way.
func FuzzQuestion(f *testing.F) {
	for _, msg := range []string{"", header(0, 2) + www + "\x00\x01\x00\x01" + "\x01x\xc0\x10\x00\x1c\x00\x01",
		header(0x8180, 1) + "\xc0\x0c", header(0, 1) + "\x03a.\\\x00\x00\x01\x00\x01"} {
		f.Add([]byte(msg))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var e events.Event
		buf, err := Question(msg, &e, nil)
		if err == nil && (len(e.Name) == 0 || len(e.Name) > 2*maxName || !bytes.Equal(buf, e.Name)) {
			t.Errorf("name %q, buffer %q", e.Name, buf)
		}
		var p dnsmessage.Parser
		if _, e := p.Start(msg); e != nil {
			return
		}
		q, theirs := p.Question()
		if theirs != nil || msg[2]&0x78 != 0 {
			return
		}
		got := strings.TrimSuffix(strings.ReplaceAll(string(e.Name), `\\`, `\`), ".")
		if want := strings.TrimSuffix(q.Name.String(), "."); err != nil || got != want {
			t.Errorf("%q: %q, %v; dnsmessage reads %q", msg, e.Name, err, want)
		}
	})
}

func BenchmarkQuestion(b *testing.B) {
	msg := []byte(header(0, 1) + www + "\x00\x01\x00\x01")
	var e events.Event
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		if _, err := Question(msg, &e, buf); err != nil {
			b.Fatal(err)
		}
	}
}
