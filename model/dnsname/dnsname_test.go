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
		// Each label for itself: the underscore and the hyphens of one are no fault of another.
		{"_dmarc.M\u00fcller.de", "_dmarc.xn--mller-kva.de", nil},
		{"A--b.-c.m\u00fcller\u3002DE", "a--b.-c.xn--mller-kva.de", nil},
		{"_m\u00fcller.de", "", ErrNonASCII},
		{"m\u00fcller..de", "", ErrLabel},
		// Ports, paths and queries go, with and without a scheme.
		{"google.com:443", "google.com", nil},
		{"google.com.:443", "google.com", nil},
		{"localhost:8080", "localhost", nil},
		{"google.com:", "google.com", nil},
		{"google.com:443:443", "", ErrCharacter},
		{"google.com:https", "", ErrCharacter},
		{"aa:bb:cc:dd:ee:11", "", ErrCharacter},
		{"Google.com/index.html", "google.com", nil},
		{"google.com:8080/a/b.com?c#d", "google.com", nil},
		{"google.com./", "google.com", nil},
		{"_dmarc.google.com?q=a.com", "_dmarc.google.com", nil},
		{"google.com#top", "google.com", nil},
		{"m\u00fcller.de/stra\u00dfe", "xn--mller-kva.de", nil},
		{"google.com/r?to=https://other.org/", "google.com", nil},
		{"https://google.com?to=a@b.c:1", "google.com", nil},
		// The '/' of a tunnel's payload stays: no host name below a known top-level domain stands before it.
		{"q+Z8/ab.t.example.com", "q+z8/ab.t.example.com", nil},
		{"q+Z8.com/ab.t.example.com", "q+z8.com/ab.t.example.com", nil},
		{"com/ab.t.example.com", "com/ab.t.example.com", nil},
		{"ab.cd1/ef.t.example.com:53", "ab.cd1/ef.t.example.com", nil},
		{"/ab.t.example.com", "/ab.t.example.com", nil},
		{strings.Repeat("a1", 30) + ".aq/weev0.f.org", strings.Repeat("a1", 30) + ".aq/weev0.f.org", nil}, // dnscapy
		{strings.Repeat("a1", 20) + ".aq/weev0.f.org", strings.Repeat("a1", 20) + ".aq", nil},
		// An address stays one.
		{"192.168.1.10:443", "", ErrAddress},
		{"192.168.1.10/index.html", "", ErrAddress},
		{"https://192.168.1.10:443/a", "", ErrAddress},
		{"2001:db8::1", "", ErrAddress},
		{"2001:db8::1/64", "", ErrAddress},
		{"[2001:db8::1]", "", ErrAddress},
		{"[2001:db8::1]:443", "", ErrAddress},
		{"http://[2001:db8::1]:443/a", "", ErrAddress},
		{"[2001:db8::1]/a", "", ErrAddress},
		{"[google.com]:443", "", ErrCharacter},
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
	if zoned, err := NormalizeTunnel("x.com\xbc.t.example.com"); err != nil || zoned != "x.com?.t.example.com" {
		t.Errorf("a top-level domain before a raw byte: %q, %v", zoned, err)
	}
	if slash, err := NormalizeTunnel("x.com/ab.t.example.com"); err != nil || slash != "x.com/ab.t.example.com" {
		t.Errorf("a payload that begins as a host does: %q, %v", slash, err)
	}
	if letters, err := NormalizeTunnel("0Ë69ïd.t.example.com"); err != nil || letters != "0?69?d.t.example.com" {
		t.Errorf("letters that an IDN could hold: %q, %v", letters, err)
	}
	latin1, err := NormalizeTunnel("0ab\u00bc\u00fd_.t.example.com")
	if err != nil || latin1 != "0ab??_.t.example.com" {
		t.Errorf("Latin-1 text: %q, %v", latin1, err)
	}
}

// What a client asks for gets one score however it is written.
func TestFold(t *testing.T) {
	for _, tc := range []struct{ want, in string }{
		{"google.com", "google.com:443 GOOGLE.com. https://google.com:8443/a google.com/index.html google.com?a"},
		{"_dmarc.xn--mller-kva.de", "_dmarc.m\u00fcller.de _DMARC.M\u00dcLLER.DE:53 _dmarc.xn--mller-kva.de/"},
		{"xn--mller-kva.de", "m\u00fcller.de\u3002 m\u00fcller\uff0ede."},
		{"a??.t.example.com", "a\xff\xfe.t.example.com A\xff\xfe.T.example.com."},
		{"q+z8/ab.t.example.com", "q+Z8/ab.t.example.com q+Z8/ab.t.example.com.:53"},
	} {
		for _, in := range strings.Fields(tc.in) {
			if got, err := Fold(in); got != tc.want || err != nil {
				t.Errorf("Fold(%q) = %q, %v, want %q", in, got, err, tc.want)
			}
		}
	}
	for _, tc := range []struct {
		want error
		in   []string
	}{
		{ErrAddress, []string{"192.0.2.1", "192.0.2.1:80", "http://192.0.2.1/", "2001:DB8::1", "[2001:db8::1]:443",
			"https://[2001:db8::1]/"}},
		{ErrEmpty, []string{"", " ", ".", "...", "\t"}},
		{ErrCharacter, []string{"# a comment", "bad name", "a\x00b.com", "\x01\x7f.org", `a\046b.com`}},
		{ErrLabel, []string{"a..b.com", ".com", strings.Repeat("a", 64) + ".com"}},
		{ErrLong, []string{strings.Repeat("a.", 127) + "com"}},
	} {
		for _, in := range tc.in {
			if got, err := Fold(in); got != "" || !errors.Is(err, tc.want) {
				t.Errorf("Fold(%q) = %q, %v, want the error %v", in, got, err, tc.want)
			}
		}
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
	for _, s := range []string{"google.com", "bücher.example", "https://a@b:1/c", "\xff", "xn--0.com", "a..b", "a.com:1",
		"a.com/b", "[::1]:1", "x.com\xbc.b", "_a.m\u00fcller.de/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := Normalize(s); err == nil {
			if again, err := Normalize(name); err != nil || again != name {
				t.Fatalf("not idempotent: %q -> %q -> %q, %v", s, name, again, err)
			}
			if folded, err := Fold(s); err != nil || folded != name {
				t.Fatalf("%q is normalised to %q and folded to %q, %v", s, name, folded, err)
			}
		}
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

func BenchmarkNormalize(b *testing.B) {
	for _, c := range []struct{ what, name string }{
		{"normal", "www.some-host.example.co.uk"},
		{"capitals", "WWW.Some-Host.Example.co.uk."},
		{"base64", "q+z8anwba/a3.hidemyself.org"},
		{"international", "m\u00fcller.example.de"},
	} {
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Normalize(c.name)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
		})
	}
}
