package scan

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all"
)

// Logs and captures of the same runs have the same names, and the same decisions. Captures of file transfers were cut
// after 3,000 packets; their logs go on. What else differs is what a server does not log: CoreDNS the root, dnsmasq the
// names that it cannot print.
func TestLogsAndCapturesAgree(t *testing.T) {
	shared := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(shared); err != nil {
		t.Skip("needs ../shared/data")
	}
	p := policy(t)
	for _, tc := range []struct {
		log, capture                string
		onlyInLog, onlyInCapture, n int // onlyInLog and onlyInCapture are the most names that one alone may have
	}{
		{"logs/c2_dns2tcp_bind9_key_no_55db4c-query.log", "c2-dns2tcp-bind9-key-dns.pcap", 0, 0, 104},
		{"pcap2/korving/c2-dns2tcp-bind9-key-filebeat.json", "c2-dns2tcp-bind9-key-dns.pcap", 0, 0, 104},
		{"logs/c2_dns2tcp_coredns_key_no_10194c-coredns.log", "c2-dns2tcp-coredns-key-dns.pcap", 0, 1, 133},
		{"logs/c2_dns2tcp_dnsmasq_key_no_ebd2d4-dnsmasq.log", "c2-dns2tcp-dnsmasq-key-dns.pcap", 1, 0, 117},
		{"pcap2/korving/c2-dns2tcp-bind9-txt-query.log", "c2-dns2tcp-bind9-txt-dns.pcap", 0, 0, 115},
		{"pcap2/korving/c2-dns2tcp-dnsmasq-txt-dnsmasq.log", "c2-dns2tcp-dnsmasq-txt-dns.pcap", 0, 0, 126},
		{"pcap2/korving/c2-dnscat2-coredns-coredns.log", "c2-dnscat2-coredns-dns.pcap", 0, 1, 184},
		{"pcap2/korving/c2-dnscat2-dnsmasq-dnsmasq.log", "c2-dnscat2-dnsmasq-dns.pcap", 0, 0, 177},
		{"pcap2/korving/ft-iodine-bind9-null-base64-query.log", "ft-iodine-bind9-null-base64-dns.pcap", 1220, 0, 741},
		{"logs/ft_iodine_bind9_txt_raw_abbffe-query.log", "ft-iodine-bind9-txt-raw-dns.pcap", 1243, 0, 738},
		{"pcap2/korving/ft-dnscat2-bind9-query.log", "ft-dnscat2-bind9-dns.pcap", 1561, 0, 750},
		{"pcap2/korving/ft-iodine-dnsmasq-null-raw-dnsmasq.log", "ft-iodine-dnsmasq-null-raw-dns.pcap", 557, 418, 337},
	} {
		log := decided(t, p, filepath.Join(shared, tc.log))
		capture := decided(t, p, filepath.Join(shared, "pcap2", "korving", tc.capture))
		both := 0
		for name, d := range log {
			if c, ok := capture[name]; ok {
				both++
				if c != d {
					t.Errorf("%s: %q is %+v in the log and %+v in the capture", tc.log, name, d, c)
				}
			}
		}
		if both != tc.n || len(log)-both > tc.onlyInLog || len(capture)-both > tc.onlyInCapture {
			t.Errorf("%s: %d names in both, want %d; %d in the log alone, %d in the capture alone", tc.log, both, tc.n,
				len(log)-both, len(capture)-both)
		}
	}
}

// decided reads a file and gives the decision about each name in lower case, as CoreDNS logs them.
func decided(t *testing.T, p *detect.Policy, path string) map[string]detect.Decision {
	t.Helper()
	out := map[string]detect.Decision{}
	r, err := Run(context.Background(), []string{path}, Options{Policy: p,
		Each: func(_ string, e *events.Event, d *detect.Decision) error {
			out[string(bytes.ToLower(e.Name))] = *d
			return nil
		}})
	if err != nil || r.Err() != nil {
		t.Fatal(path, err, r)
	}
	return out
}
