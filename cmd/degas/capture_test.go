package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/degas-dns/degas/datasets/synth"
)

var update = flag.Bool("update", false, "write the golden files of these tests")

// look is a question of a client, a second of the hour, and its answer.
type look struct {
	second float64
	client byte
	name   string
	kind   layers.DNSType
	answer layers.DNSResponseCode
}

// The capture that README's scan reads is made here: an hour of an office of four. .23 has a worm (necurs) whose names
// do not exist, .31 a tunnel (iodine). Everything is made up; the addresses are those of RFC 5737.
func TestOfficeCapture(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var looks []look
	for i := range 400 {
		name := usual[dice.IntN(len(usual))]
		looks = append(looks, look{dice.Float64() * 3600, byte(20 + dice.IntN(4)*3), name,
			[]layers.DNSType{layers.DNSTypeA, layers.DNSTypeAAAA}[i%2], layers.DNSResponseCodeNoErr})
	}
	for i, name := range made(t, "necurs", 120) {
		looks = append(looks, look{600 + 2.5*float64(i), 23, name, layers.DNSTypeA, layers.DNSResponseCodeNXDomain})
	}
	for i, name := range made(t, "iodine", 200) {
		looks = append(looks, look{1800 + 0.3*float64(i), 29, name, layers.DNSTypeNULL, layers.DNSResponseCodeNoErr})
	}
	slices.SortFunc(looks, func(a, b look) int { return int(1000*a.second) - int(1000*b.second) })
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, l := range looks {
		for _, response := range []bool{false, true} {
			data := packet(t, uint16(i+1), l, response)
			at := time.Date(2026, time.November, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(l.second * 1e9))
			if response {
				at = at.Add(20 * time.Millisecond)
			}
			info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}
			if err := w.WritePacket(info, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join("testdata", "office.pcap")
	if *update {
		if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, file.Bytes()) {
		t.Errorf("%s is not what this test makes: go test ./cmd/degas -run OfficeCapture -update", path)
	}
}

var usual = []string{"www.google.com", "github.com", "api.github.com", "www.wikipedia.org", "en.wikipedia.org",
	"outlook.office365.com", "teams.microsoft.com", "login.microsoftonline.com", "www.youtube.com", "i.ytimg.com",
	"slack.com", "edgeapi.slack.com", "www.apple.com", "time.apple.com", "ocsp.digicert.com", "fonts.googleapis.com",
	"fonts.gstatic.com", "www.bbc.co.uk", "news.ycombinator.com", "www.kernel.org", "www.mozilla.org", "www.gnu.org",
	"zoom.us", "www.dropbox.com", "imap.gmail.com", "d1tcqh4bio8cty.cloudfront.net", "printer.local",
	"4.2.0.192.in-addr.arpa", "_ldap._tcp.example.com", "www.example.com"}

// made are names of a family.
func made(t *testing.T, family string, n int) []string {
	t.Helper()
	f, err := synth.Lookup(family)
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Generate(synth.Params{Count: n, Date: time.Date(2026, time.November, 2, 0, 0, 0, 0, time.UTC)})
	if err != nil || len(names) < n {
		t.Fatal(fmt.Sprint(len(names), err))
	}
	return names[:n]
}

// packet is a question to the resolver, or its answer.
func packet(t *testing.T, id uint16, l look, response bool) []byte {
	t.Helper()
	client, server := net.IP{192, 0, 2, l.client}, net.IP{192, 0, 2, 53}
	mac := func(ip net.IP) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, ip[3]} }
	port := layers.UDPPort(40000 + id)
	from, to, source, destination := client, server, port, layers.UDPPort(53)
	if response {
		from, to, source, destination = server, client, 53, port
	}
	raw := []rune(l.name) // a tunnel's bytes above ASCII are runes of Latin-1
	name := make([]byte, len(raw))
	for i, r := range raw {
		name[i] = byte(r)
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from, DstIP: to}
	udp := &layers.UDP{SrcPort: source, DstPort: destination}
	dns := &layers.DNS{ID: id, QR: response, RD: true, RA: response,

		Questions: []layers.DNSQuestion{{Name: name, Type: l.kind, Class: layers.DNSClassIN}}}
	if response {
		dns.ResponseCode = l.answer
	}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac(from), DstMAC: mac(to), EthernetType: layers.EthernetTypeIPv4}, ip, udp, dns)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.Bytes())
}
