package logs

import (
	"bytes"
	"io"
	"testing"

	"github.com/degas-dns/degas/events"
)

// hotLines are lines of formats that come in files of gigabytes.
var hotLines = map[string]string{
	"zeek": "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery" +
		"\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected\n" +
		"1764403200.123456\tCAbc1x\t192.0.2.7\t53124\t192.0.2.1\t53\tudp\t4711\t0.012\twww.ilmarin.example\t1" +
		"\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t198.51.100.9\t300.0\tF\n",
	"bind": "29-Nov-2026 08:00:00.123 queries: info: client @0x7f00c0de0010 192.0.2.7#53124 (www.ilmarin.example): " +
		"view inside: query: www.ilmarin.example IN A +E(0)K (192.0.2.1)\n",
	"dnsmasq": "Nov 29 08:00:00 dnsmasq[611]: query[A] www.ilmarin.example from 192.0.2.7\n" +
		"Nov 29 08:00:00 dnsmasq[611]: forwarded www.ilmarin.example to 192.0.2.1\n" +
		"Nov 29 08:00:00 dnsmasq[611]: reply www.ilmarin.example is 198.51.100.9\n",
	"unbound": "[1764403200] unbound[812:0] reply: 192.0.2.7 www.ilmarin.example. A IN NXDOMAIN 0.004211 0 104\n",
	"coredns": `[INFO] 192.0.2.7:53124 - 4711 "A IN www.ilmarin.example. udp 41 false 1232" NXDOMAIN qr,rd,ra 104 ` +
		"0.004211s\n",
	"squid": "1764403200.123     57 192.0.2.7 TCP_TUNNEL/200 3912 CONNECT www.ilmarin.example:443 - " +
		"HIER_DIRECT/198.51.100.9 -\n",
	"csv": "time,client,domain,type,rcode\n2026-11-29 08:00:00,192.0.2.7,www.ilmarin.example,A,NXDOMAIN\n",
	"kv": `date=2026-11-29 time=08:00:00 type="utm" subtype="dns" eventtype="dns-query" srcip=192.0.2.7 ` +
		`qname="www.ilmarin.example" qtype="A"` + "\n",
}

// BenchmarkText reads the last lines of each log again and again, from memory. It reports lines per second.
func BenchmarkText(b *testing.B) {
	for format, text := range hotLines {
		b.Run(format, func(b *testing.B) {
			last := text[bytes.IndexByte([]byte(text), '\n')+1:]
			if last == "" || format == "dnsmasq" {
				last = text
			} else if i := bytes.LastIndexByte([]byte(text[:len(text)-1]), '\n'); i >= 0 {
				last = text[i+1:]
			}
			block := bytes.Repeat([]byte(last), 10_000)
			perBlock := bytes.Count(block, []byte("\n"))
			b.ReportAllocs()
			b.ResetTimer()
			read := 0
			for ; read < b.N; read += perBlock {
				f, err := events.NewFile(io.MultiReader(bytes.NewReader([]byte(text)), bytes.NewReader(block)), "",
					events.Options{Format: format})
				if err != nil {
					b.Fatal(err)
				}
				var e events.Event
				for err == nil {
					err = f.Next(&e)
				}
				if err != io.EOF || f.Stats.Events < 10_000 {
					b.Fatal(err, f.Stats)
				}
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
