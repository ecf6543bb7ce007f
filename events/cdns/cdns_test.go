package cdns

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/eventstest"
	"github.com/degas-dns/degas/internal/alloctest"
)

var update = flag.Bool("update", false, "write the fixture and the golden file of testdata")

type m = map[int]any
type list = []any

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := data.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func head(ticks int) m { return m{0: 1, 1: 0, 3: list{m{0: m{0: ticks, 1: 5000}}}} }

// example is a block with an item of each kind.
var example = m{
	0: m{0: list{1795939200, 500}, 1: 0},
	1: m{0: 9},
	2: m{
		0: list{[]byte{192, 0, 2, 7}, []byte{0x20, 1, 0xd, 0xb8}, []byte{192, 0, 2, 1}},
		1: list{m{0: 1, 1: 1}, m{0: 16, 1: 1}},
		2: list{[]byte("\x03www\x07ilmarin\x07example\x00"), []byte("\x03a.b\x00"), []byte("\xc0\x00"), []byte("\x00")},
		3: list{
			m{0: 2, 1: 53, 2: 0, 3: 1, 4: 3, 5: 0, 8: 0, 16: 3}, // UDP, client, query and response, NXDOMAIN
			m{2: 3, 4: 1, 8: 1, 16: 0},                          // TCP over IPv6, query only
			m{3: 2}, m{3: 4}, m{5: 5},                           // resolver, forwarder, update
			m{4: 2, 2: 8, 16: 5}, // HTTPS, response only
		},
	},
	3: list{
		m{0: 123456, 1: 0, 2: 53124, 3: 4711, 4: 0, 7: 0, 8: 41, 9: 104},
		m{0: 1000500, 1: 1, 4: 1, 7: 1, 8: 30},
		m{4: 5, 7: 3},
		m{4: 2, 7: 0}, m{4: 3, 7: 0}, m{4: 4, 7: 0},
		m{4: 0}, m{7: 9}, m{7: 2},
		m{7: 0, 1: 99, 4: 99},
	},
}

func TestFixture(t *testing.T) {
	path := filepath.Join("testdata", "c-dns.cdns")
	if *update {
		if err := os.WriteFile(path, encode(t, list{"C-DNS", head(1000000), list{example, m{}}}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := events.Open(t.Context(), path, events.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := eventstest.List(f, &f.Stats)
	if err != io.EOF || f.Format.Name != "c-dns" {
		t.Errorf("%s: %v", f.Format.Name, err)
	}
	if *update {
		if err := os.WriteFile(path+".golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path + ".golden"); err != nil || got != string(want) {
		t.Errorf("got\n%s\nwant\n%s (%v)", got, want, err)
	}
}

// Arrays may say their length or not, and what cannot be read is one counted reason.
func TestLengths(t *testing.T) {
	first, one := encode(t, head(1000)), encode(t, m{2: m{2: list{[]byte("\x01a\x00")}}, 3: list{m{7: 0}}})
	many := append([]byte("\xa1\x03\x9a\x00\xff\xff\xff"), bytes.Repeat([]byte{0xa0}, 1<<20)...)
	for _, test := range []struct {
		name string
		file []byte
		want string
		err  string
	}{
		{"counted", slices.Concat(magics[0], first, []byte{0x82}, one, one), "units 2, events 2\n", ""},
		{"counted in a byte", slices.Concat(magics[0], first, []byte{0x98, 1}, one), "units 1, events 1\n", ""},
		{"not counted", slices.Concat(magics[1], first, []byte{0x9f}, one, one, []byte{0xff, 0xff}),
			"units 2, events 2\n", ""},
		{"none", slices.Concat(magics[0], first, []byte{0x80}), "units 0, events 0\n", ""},
		{"cut off", slices.Concat(magics[0], first, []byte{0x82}, one, one[:len(one)-3]),
			"units 2, events 1\n1 block that cannot be read\n", ""},
		{"cut off between blocks", slices.Concat(magics[1], first, []byte{0x9f}, one),
			"units 2, events 1\n1 block that cannot be read\n", ""},
		{"too many blocks promised", slices.Concat(magics[0], first, []byte("\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), one),
			"units 2, events 1\n1 block that cannot be read\n", ""},
		{"too many items", slices.Concat(magics[0], first, []byte{0x82}, one, many),
			"units 2, events 1\n1 block that cannot be read\n", ""},
		{"long text", slices.Concat(magics[0], first, []byte("\x82"), one,
			[]byte("\xa1\x03\x7b\x7f\xff\xff\xff\xff\xff\xff\xff")),
			"units 2, events 1\n1 block that cannot be read\n", ""},
		{"nested", slices.Concat(magics[0], first, []byte{0x81}, bytes.Repeat([]byte{0x81}, 1<<20)),
			"units 1, events 0\n1 block that cannot be read\n", ""},
		{"a draft", slices.Concat(magics[0], encode(t, m{0: 0}), []byte{0x80}), "", "version 0"},
		{"no blocks", slices.Concat(magics[0], first, []byte{0x01}), "", "no array"},
		{"cut in the preamble", slices.Concat(magics[0], first[:5]), "", "preamble"},
	} {
		n := alloctest.Bytes(func() {
			f, err := events.NewFile(bytes.NewReader(test.file), "", events.Options{})
			if err != nil {
				if test.err == "" || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%s: %v, want %q", test.name, err, test.err)
				}
				return
			}
			got, err := eventstest.List(f, &f.Stats)
			if err != io.EOF || got[strings.Index(got, "units"):] != test.want {
				t.Errorf("%s: %s (%v), want %s", test.name, got, err, test.want)
			}
		})
		if n > 64<<20 {
			t.Errorf("%s: %d bytes", test.name, n)
		}
	}
}

func FuzzCDNS(f *testing.F) {
	f.Add(encode(f, list{"C-DNS", head(1000000), list{example}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := events.NewFile(bytes.NewReader(data), "", events.Options{Format: "c-dns"})
		if err != nil {
			return
		}
		var e events.Event
		for err = file.Next(&e); err == nil; err = file.Next(&e) {
			if len(e.Name) == 0 {
				t.Fatal("no name")
			}
		}
		if err != io.EOF {
			t.Fatal(err)
		}
	})
}
