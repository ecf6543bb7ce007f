package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/miekg/dns"

	"github.com/degas-dns/degas/datasets/synth"
)

// warmNames is how many names are asked for again and again.
const warmNames = 20_000

// want is what a query has to get.
type want uint8

const (
	anything want = iota
	blocked       // it is on a block list
	passes        // it is on the allow list
)

// maker makes queries. It belongs to one goroutine.
type maker struct {
	r       *rand.Rand
	zipf    *rand.Zipf
	dga     []string
	tunnels []string
	hostile [][]byte
}

func newMaker(seed uint64, hostile [][]byte) *maker {
	m := &maker{r: rand.New(rand.NewPCG(seed, 1)), hostile: hostile}
	m.zipf = rand.NewZipf(m.r, 1.1, 4, warmNames-1)
	for _, f := range synth.Families() {
		names, err := f.Generate(synth.Params{Seed: seed % 16, Count: 50})
		if err != nil {
			continue // a family that takes other seeds
		}
		for i, name := range names {
			names[i] = dns.Fqdn(strings.Map(func(r rune) rune { // on the wire a letter of Latin-1 is a byte
				return max(r&0x7f, '!')
			}, strings.ReplaceAll(name, `\`, "")))
		}
		if f.Class == synth.ClassTunnel {
			m.tunnels = append(m.tunnels, names...)
		} else {
			m.dga = append(m.dga, names...)
		}
	}
	return m
}

// letters is a random text.
func (m *maker) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[m.r.IntN(36)]
	}
	return string(b)
}

// next is a well-formed query.
func (m *maker) next() (*dns.Msg, want) {
	r := new(dns.Msg)
	name, kind, w := fmt.Sprintf("www.warm%d.com.", m.zipf.Uint64()), dns.TypeA, anything
	edns := m.r.IntN(4) > 0
	switch k := m.r.IntN(100); {
	case k < 60:
	case k < 70:
		name = fmt.Sprintf("new-%s.shop%d.com.", m.letters(4), m.r.IntN(1_000_000))
	case k < 74:
		name, w = dns.Fqdn(listed(m.r.IntN(urls+1), m.r.IntN(inList))), blocked
	case k < 75:
		name, w = m.letters(20)+".allowed-soak.com.", passes
	case k < 80:
		name = m.dga[m.r.IntN(len(m.dga))]
	case k < 85:
		name = m.letters(6) + m.tunnels[m.r.IntN(len(m.tunnels))]
		kind = []uint16{dns.TypeTXT, dns.TypeNULL, dns.TypeCNAME, dns.TypeMX}[m.r.IntN(4)]
	case k < 88:
		name = "nx" + m.letters(8) + ".example.com."
	case k < 93:
		for kind = uint16(m.r.IntN(1 << 16)); !ordinary(kind); {
			kind = uint16(m.r.IntN(1 << 16))
		}
	case k < 95:
		name = mixed(m.r, name)
	default:
		r.SetQuestion(name, kind)
		return m.odd(r), w
	}
	if _, ok := dns.IsDomainName(name); !ok || len(name) > 240 { // a few letters before a tunnel's may be too many
		name = "www.example.com."
	}
	r.SetQuestion(name, kind)
	if edns {
		r.SetEdns0(1232, false)
	}
	return r, w
}

// ordinary reports whether a type can be asked for in a plain query.
func ordinary(kind uint16) bool {
	return kind != 0 && kind != dns.TypeOPT && (kind < dns.TypeTKEY || kind > dns.TypeANY)
}

func mixed(r *rand.Rand, name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && r.IntN(2) == 0 {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// odd makes something rare but lawful of a query.
func (m *maker) odd(r *dns.Msg) *dns.Msg {
	r.SetEdns0([]uint16{0, 100, 512, 4096, 65535}[m.r.IntN(5)], m.r.IntN(2) == 0)
	o := r.IsEdns0()
	switch m.r.IntN(8) {
	case 0:
		o.SetVersion(1)
	case 1:
		o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte("soak")})
	case 2:
		o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "24a5ac1223344556"})
	case 3:
		o.Option = append(o.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	case 4:
		o.Option = append(o.Option, &dns.EDNS0_PADDING{Padding: make([]byte, m.r.IntN(200))})
	case 5:
		o.SetZ(0x2aaa)
	case 6:
		r.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}
	case 7:
		r.CheckingDisabled, r.AuthenticatedData = true, true
	}
	return r
}

// broken is a packet that need not be answered.
func (m *maker) broken() []byte {
	if len(m.hostile) > 0 && m.r.IntN(2) == 0 {
		return m.hostile[m.r.IntN(len(m.hostile))]
	}
	r, _ := m.next()
	b, err := r.Pack()
	if err != nil {
		return []byte{0}
	}
	switch m.r.IntN(7) {
	case 0:
		return b[:m.r.IntN(len(b))]
	case 1:
		b[2] |= 0x80 // an answer
	case 2:
		b[2] = b[2]&^0x78 | byte(m.r.IntN(16))<<3 // another opcode
	case 3:
		binary.BigEndian.PutUint16(b[4+2*m.r.IntN(4):], uint16(m.r.IntN(1<<16)))
	case 4:
		return append(b[:12], 0xc0, 12, 0, 1, 0, 1) // a name that points to itself
	case 5:
		for range 1 + m.r.IntN(20) {
			b[m.r.IntN(len(b))] = byte(m.r.Uint32())
		}
	case 6:
		return append(b, make([]byte, m.r.IntN(1000))...)
	}
	return b
}

// readHostile reads the packets of an archive.
func readHostile(path string) (all [][]byte, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		b, err := io.ReadAll(io.LimitReader(t, 1<<16))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if h.Typeflag == tar.TypeReg {
			all = append(all, b)
		}
	}
}
