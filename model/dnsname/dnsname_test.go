package dnsname

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		err      error
	}{
		{"Google.COM.", "google.com", nil},
		{" https://user@www.Example.org:8443/a?b=c#d \r\n", "www.example.org", nil},
		{"bücher.example", "xn--bcher-kva.example", nil},
		{"_sip._tcp.example.com", "_sip._tcp.example.com", nil},
		{"q+Z8/A=.hidemyself.org.", "q+z8/a=.hidemyself.org", nil},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", nil},
		{"", "", ErrEmpty},
		{"...", "", ErrEmpty},
		{"a..b", "", ErrLabel},
		{".a", "", ErrLabel},
		{strings.Repeat("a", 64) + ".com", "", ErrLabel},
		{strings.Repeat("a.", 127) + "com", "", ErrLong},
		{"a b.com", "", ErrCharacter},
		{"a\x00b.com", "", ErrCharacter},
		{"what?.com", "", ErrNonASCII},
		{"192.168.1.10", "", ErrAddress},
		{"1.2.3.4.5", "1.2.3.4.5", nil},
		{"\xff\xfe.com", "", ErrNonASCII},
	} {
		got, err := Normalize(tc.in)
		if got != tc.want && tc.err == nil || !errors.Is(err, tc.err) {
			t.Errorf("Normalize(%q) = %q, %v; want %q, %v", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestNormalizeTunnelKeepsLength(t *testing.T) {
	raw, err := NormalizeTunnel("0ab\xbc\xfd.t.example.com")
	if err != nil || raw != "0ab??.t.example.com" {
		t.Errorf("raw bytes: %q, %v", raw, err)
	}
	if letters, err := NormalizeTunnel("0Ë69ïd.t.example.com"); err != nil || letters != "0?69?d.t.example.com" {
		t.Errorf("letters that an IDN could hold: %q, %v", letters, err)
	}
	latin1, err := NormalizeTunnel("0ab\u00bc\u00fd_.t.example.com")
	if err != nil || latin1 != "0ab??_.t.example.com" {
		t.Errorf("Latin-1 text: %q, %v", latin1, err)
	}
}

func TestRegistered(t *testing.T) {
	for in, want := range map[string]string{
		"www.google.co.uk":   "google.co.uk",
		"google.com":         "google.com",
		"com":                "com",
		"a.b.dyndns.org":     "b.dyndns.org",
		"payload":            "payload",
		"x.y.unlistedtld":    "y.unlistedtld",
		"a.www.city.kobe.jp": "city.kobe.jp",
	} {
		if got := Registered(in); got != want {
			t.Errorf("Registered(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		name, host, label, suffix string
		zoned                     bool
	}{
		{"www.google.co.uk", "www.", "google", ".co.uk", true},
		{"a.b.x.dyndns.org", "a.b.", "x", ".dyndns.org", true},
		{"google.com", "", "google", ".com", true},
		{"com", "", "com", "", true},
		{"payload", "", "payload", "", false},
		{"aaa.bbb.ccc1", "aaa.", "bbb", ".ccc1", false},
	} {
		host, label, suffix := Parts(c.name)
		if host != c.host || label != c.label || suffix != c.suffix || Zoned(c.name) != c.zoned {
			t.Errorf("%s: %q, %q, %q, zoned %v", c.name, host, label, suffix, Zoned(c.name))
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"google.com", "bücher.example", "https://a@b:1/c", "\xff", "xn--0.com", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := NormalizeTunnel(s)
		if err != nil {
			return
		}
		if len(got) == 0 || len(got) > MaxName {
			t.Fatalf("NormalizeTunnel(%q) = %q: length %d", s, got, len(got))
		}
		if again, err := NormalizeTunnel(got); err != nil || again != got {
			t.Fatalf("not idempotent: %q -> %q -> %q, %v", s, got, again, err)
		}
		if r := Registered(got); !strings.HasSuffix(got, r) || r == "" {
			t.Fatalf("Registered(%q) = %q", got, r)
		}
	})
}
