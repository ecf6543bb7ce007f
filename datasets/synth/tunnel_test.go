package synth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
)

// TestPackBits takes its truth from names that iodine clients sent: they start with the base32 of the
// protocol version 0x502, and with two bytes of zlib in base128.
func TestPackBits(t *testing.T) {
	for _, c := range []struct {
		codec string
		data  []byte
		want  string
	}{
		{"base32", []byte{0, 0, 5, 2}, "aaaaka" + "q"},
		{"base128", []byte{0x78, 0xda}, "82\u00be"},
		{"base64", []byte{0xff}, "+W"},
		{"base32", nil, ""},
	} {
		codec := iodineCodecs[c.codec]
		if got := packBits(c.data, codec.bits, codec.alphabet); got != c.want {
			t.Errorf("%s of %x: %q, want %q", c.codec, c.data, got, c.want)
		}
	}
}

func TestIodineAlphabets(t *testing.T) {
	for name, codec := range iodineCodecs {
		if len(codec.alphabet) != 1<<codec.bits {
			t.Errorf("%s has %d characters for %d bits", name, len(codec.alphabet), codec.bits)
		}
	}
}

// TestTunnelShapes compares names with the shapes that captures of the tools show.
func TestTunnelShapes(t *testing.T) {
	const b64 = `[A-Za-z0-9+/]`
	for _, c := range []struct {
		family, variant string
		shape           string
	}{
		{"iodine", "base32", `^([vlpysnozr].+|[0-9a-f][a-z0-9]{4}[a-z0-5.]+)$`},
		{"iodine", "base128", `^([vlpysnozr].+|[0-9a-f][a-z0-9]{4}[a-zA-Z0-9.\x{bc}-\x{fd}]+)$`},
		{"iodine", "base64", `^([vlpysnozr].+|[0-9a-f][a-z0-9]{4}[a-zA-Z0-9.+-]+)$`},
		{"iodine", "base64u", `^([vlpysnozr].+|[0-9a-f][a-z0-9]{4}[a-zA-Z0-9.+_]+)$`},
		{"dnscat2", "encrypted", `^[0-9a-f]{4}0[013][0-9a-f]{28}[0-9a-f.]*$`},
		{"dnscat2", "plain", `^[0-9a-f]{4}0[01][0-9a-f]{12}[0-9a-f.]*$`},
		{"dns2tcp", "base64", `^` + b64 + `{10}[A-Za-z0-9+/.]*(\.=auth|\.=connect)?$`},
		{"dns2tcp", "lower", `^[a-z0-9+/]{10}[a-z0-9+/.]*(\.=auth|\.=connect)?$`},
		{"dnscapy", "", `^(` + b64 + `{1,63}\.){0,4}(\d+\.)?([abcf]|[bd]?\.?e)\.(\d\.)?\d+$`},
		{"ozymandns", "", `^(([a-z2-7]{1,60}\.)+\d+-0\.id-\d+\.up|\d+-\d+\.id-\d+\.down)(\.sshdns)?$`},
		{"tuns", "", `^(r\d+|dIU[A-Z2-7.]+)$`},
	} {
		f, err := Lookup(c.family)
		if err != nil {
			t.Error(err)
			continue
		}
		shape := regexp.MustCompile(c.shape)
		for seed := range uint64(40) {
			names, err := f.Generate(Params{Seed: seed, Count: 60, Variant: c.variant})
			if err != nil {
				t.Fatal(err)
			}
			zone := "." + newSession(Params{Seed: seed, Variant: c.variant}, c.family).zone
			longest := 0
			for _, name := range names {
				payload, found := strings.CutSuffix(name, zone)
				if !found || !shape.MatchString(payload) || !valid(name) {
					t.Fatalf("%s %s: %q has not the shape of the tool's names", c.family, c.variant, name)
				}
				longest = max(longest, len([]rune(name)))
			}
			if longest < 60 {
				t.Errorf("%s %s seed %d: no name carries much, the longest has %d characters", c.family, c.variant, seed, longest)
			}
		}
	}
}

// TestDNS2TCPCounts: the number of a packet goes up by one, as in the captures.
func TestDNS2TCPCounts(t *testing.T) {
	names, err := dns2tcp(Params{Seed: 3, Count: 30, Variant: "base64"})
	if err != nil {
		t.Fatal(err)
	}
	previous := -1
	for _, name := range names[3:] { // after authentication and the choice of a resource
		head, err := base64.RawStdEncoding.DecodeString(name[:8])
		if err != nil {
			t.Fatal(err)
		}
		number := int(head[2])<<8 | int(head[3])
		if previous >= 0 && number != (previous+1)&0xffff {
			t.Errorf("%q has number %d after %d", name, number, previous)
		}
		previous = number
	}
}

// TestTunnelsStay holds the names that seed 1 gives: whoever trained on them must find them again.
func TestTunnelsStay(t *testing.T) {
	for _, c := range []struct{ family, variant, want string }{
		{"dns2tcp", "base64", "06f81377716e6611"},
		{"dns2tcp", "lower", "2fb19c52f900a9d9"},
		{"dnscapy", "", "91d160b8e0b7f715"},
		{"dnscat2", "encrypted", "d38831c00bc947c4"},
		{"dnscat2", "plain", "29b9805e15a3d51d"},
		{"iodine", "base128", "a87e091ca503c440"},
		{"iodine", "base32", "677ad8294d8504a3"},
		{"iodine", "base64", "f212cf7ed9d67ab0"},
		{"iodine", "base64u", "673007fc7406a58d"},
		{"ozymandns", "", "85e06f3c53c2a155"},
		{"tuns", "", "7c0d362a10f3a513"},
	} {
		f, err := Lookup(c.family)
		if err != nil {
			t.Error(err)
			continue
		}
		names, err := f.Generate(Params{Seed: 1, Count: 200, Variant: c.variant})
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
		if got := hex.EncodeToString(sum[:8]); got != c.want {
			t.Errorf("%s %s: hash %s, want %s", c.family, c.variant, got, c.want)
		}
	}
}
