package logs

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
)

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"www.example.com":  "www.example.com",
		"www.example.com.": "www.example.com",
		".":                ".",
		"":                 "",
		`a\032b.example.`:  "a b.example",
		`a\(b\"c.example`:  `a(b"c.example`,
		`a\.b.example`:     `a\.b.example`,
		`a\046b.example`:   `a\.b.example`,
		`a\\b.example`:     `a\\b.example`,
		`a\x5cb\x2e.c`:     `a\\b\..c`,
		`as\xe2\x80\x99s.`: "as\xe2\x80\x99s",
		`end\.`:            `end\.`,
		`end\..`:           `end\.`,
		`end\`:             `end\\`,
		`a\300\xzz`:        "a300xzz",
		`\000\255.example`: "\x00\xff.example",
		"J\xe4ger.example": "J\xe4ger.example",
		"MiXed.Example":    "MiXed.Example",
	} {
		if got := string(name(nil, []byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := string(name([]byte("x"), []byte(text))); strings.Contains(text, `\`) && got != "x"+want {
			t.Errorf("%q appended: %q", text, got)
		}
	}
}

func TestCountedName(t *testing.T) {
	for text, want := range map[string]string{
		"(3)www(7)example(3)com(0)": "www.example.com",
		"(0)":                       ".",
		"(5)a(1)b(3)com(0)":         "a(1)b.com", // the count decides where a label ends
		"(3)a.b(3)com(0)":           `a\.b.com`,
		"(2)\\344x(3)com(0)":        `\\344x.com`, // the count is no count of what the log wrote
		"(3)www":                    "-",
		"(3)www(0)x":                "-",
		"www.example.com":           "-",
		"(99999)a(0)":               "-",
		"":                          "-",
	} {
		got, ok := countedName(nil, []byte(text))
		if !ok {
			got = []byte("-")
		}
		if string(got) != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTooLong(t *testing.T) {
	for text, want := range map[string]bool{
		strings.Repeat("a", 253): false, strings.Repeat("a", 254): true,
		strings.Repeat(`\.`, 253): false, strings.Repeat(`\.`, 254): true,
	} {
		if tooLong([]byte(text)) != want {
			t.Errorf("%d bytes: %v", len(text), !want)
		}
	}
}

func TestPeer(t *testing.T) {
	for text, want := range map[string]struct {
		addr string
		port uint16
		name string
	}{
		"192.0.2.7":             {"192.0.2.7", 0, ""},
		" 192.0.2.7 ":           {"192.0.2.7", 0, ""},
		"192.0.2.7:53":          {"192.0.2.7", 53, ""},
		"192.0.2.7#53":          {"192.0.2.7", 53, ""},
		"192.0.2.7/53":          {"192.0.2.7", 53, ""},
		"2001:db8::7":           {"2001:db8::7", 0, ""},
		"2001:db8::7#53":        {"2001:db8::7", 53, ""},
		"[2001:db8::7]:53":      {"2001:db8::7", 53, ""},
		"[2001:db8::7]":         {"2001:db8::7", 0, ""},
		"::ffff:192.0.2.7":      {"192.0.2.7", 0, ""},
		"[::ffff:192.0.2.7]:53": {"192.0.2.7", 53, ""},
		"fe80::1%eth0":          {"fe80::1%eth0", 0, ""},
		"::1":                   {"::1", 0, ""},
		"laptop-7":              {"", 0, "laptop-7"},
		"7":                     {"", 0, "7"},
		"192.0.2.7:65536":       {"", 0, "192.0.2.7:65536"},
		"192.0.2.7:5x":          {"", 0, "192.0.2.7:5x"},
		"00:11:22:33:44:55":     {"", 0, "00:11:22:33:44:55"},
		"-":                     {},
		"":                      {},
	} {
		got := peer([]byte(text))
		addr := ""
		if got.Addr.IsValid() {
			addr = got.Addr.String()
		}
		if addr != want.addr || got.Port != want.port || got.Name != want.name {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if got := peer([]byte(strings.Repeat("x", 1000))); len(got.Name) != maxPeer {
		t.Errorf("a name of %d bytes", len(got.Name))
	}
	if got := peer([]byte("fe80::1%" + strings.Repeat("x", 1000))); len(got.String()) != maxPeer {
		t.Errorf("a zone of %d bytes", len(got.String()))
	}
	if (peer(nil) != events.Peer{}) {
		t.Error("nobody has a name")
	}
}

// A name keeps its form if it is read again, and no input is a panic.
func FuzzName(f *testing.F) {
	f.Add(`a\032\.b\\c\x5c.`)
	f.Add("(3)www(0)")
	f.Fuzz(func(t *testing.T, text string) {
		got := string(name(nil, []byte(text)))
		if len(got) > 2*len(text) {
			t.Errorf("%q: %d bytes", text, len(got))
		}
		if counted, ok := countedName(nil, []byte(text)); ok && len(counted) > 2*len(text) {
			t.Errorf("%q: %d bytes", text, len(counted))
		}
		tooLong([]byte(text))
		peer([]byte(text))
	})
}
