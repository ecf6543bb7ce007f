package formats

// blockCases are block lists in the formats of resolvers and browsers, one-column lists, and what only looks like them.
func blockCases() []readerCase {
	return []readerCase{
		{path: "cloudflare-radar.csv", reader: "list", text: "domain\na.com\nb.com\n",
			want: []string{"2 benign  a.com", "3 benign  b.com"}},
		{path: "benign/joined.csv", reader: "list", text: "\"FQDN\"\n\"a.com\"\n\"FQDN\"\n \"b.com\" \r\n",
			want: []string{"2 benign  a.com", "4 benign  b.com"}},
		{path: "benign/wide.txt", reader: "list", text: "\xff\xfea\x00.\x00d\x00e\x00\r\x00\n\x00b\x00.\x00d\x00e\x00",
			want: []string{"1 benign  a.de", "2 benign  b.de"}},
		{path: "tunnel/iodine.txt", reader: "list", text: "payload\nname\n0abc.t.example.com\n*.t.example.com\n",
			want: []string{"1 tunnel iodine payload", "2 tunnel iodine name", "3 tunnel iodine 0abc.t.example.com",
				"4 tunnel iodine *.t.example.com"}},
		{path: "tunnel/dnscat2.csv", reader: "list", text: "qname\n0abc\n", want: []string{"2 tunnel dnscat2 0abc"}},
		{path: "blocklist/wild.txt", reader: "list", text: "*.a.com\n.b.com\nc.com\n*d.com\n",
			want: []string{"1 dga blocklist a.com weak", "2 dga blocklist b.com weak", "3 dga blocklist c.com weak",
				"4 dga blocklist *d.com weak"}},
		{path: "wild.txt", text: "*.a.com\n*.b.com\n"},
		{path: "StevenBlack/hosts", reader: "hosts",
			text: "# Title: hosts\n\n127.0.0.1 localhost\n127.0.0.1 localhost.localdomain\n255.255.255.255 broadcasthost\n" +
				"fe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n\n0.0.0.0 a.com # why\n0.0.0.0\tb.com  c.com\n  :: d.com\n0.0.0.0\n" +
				"192.0.2.1 printer.example.net\nnot a hosts line\n",
			want: []string{"9 dga blocklist a.com weak", "10 dga blocklist b.com weak", "10 dga blocklist c.com weak",
				"11 dga blocklist d.com weak"},
			refused: []string{"3 left out: " + leftLocal, "4 left out: " + leftLocal, "5 left out: " + leftLocal,
				"6 left out: " + leftLocal, "7 left out: " + leftLocal, "13 left out: " + leftElsewhere,
				"14: " + reasonRule}, min: 2},
		{path: "benign/etc/hosts", reader: "hosts", text: "127.0.0.1 localhost\n192.0.2.1 a.example.com b.example.com\n",
			want:    []string{"2 benign  a.example.com", "2 benign  b.example.com"},
			refused: []string{"1 left out: " + leftLocal}},
		{path: "dga/conficker.hosts", reader: "hosts", text: "127.0.0.1 a.com\n127.0.0.1 b.com\n",
			want: []string{"1 dga conficker a.com", "2 dga conficker b.com"}},
		// Hosts files that block nothing.
		{path: "etc/hosts", text: "127.0.0.1 localhost\n::1 localhost\n192.0.2.1 a.example.com\n192.0.2.2 b.example.com\n"},
		{path: "developer/hosts", text: "127.0.0.1 localhost\n127.0.0.1 my.example.com\n127.0.0.1 my.example.net\n"},
		{path: "empty/hosts", text: "127.0.0.1 localhost\n127.0.1.1 machine\n"},
		{path: "benign/access.log", text: "192.0.2.1 - - [29/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n"},
		{path: "zeros.txt", text: "0 google.com\n0 github.com\n"},
		{path: "easylist.txt", reader: "adblock",
			text: "[Adblock Plus 2.0]\n! Title: a list\n-ad-300x600.\n||a.com^\n||b.com^$third-party,important\n" +
				"||c.com^$domain=d.com\n||e.com/ads/\n||f.com^*/ads\n@@||g.com^\nh.com##.ad\n##.banner\n||*.i.com^|\n" +
				"||192.0.2.1^\n||j.*^\n",
			want: []string{"4 dga blocklist a.com weak", "5 dga blocklist b.com weak", "12 dga blocklist i.com weak"},
			refused: []string{"3 left out: " + leftPart, "6 left out: " + leftPart, "7 left out: " + leftPart,
				"8 left out: " + leftPart, "9 left out: " + leftException, "10 left out: " + leftPart,
				"11 left out: " + leftPart, "13 left out: " + leftLocal, "14 left out: " + leftPart}},
		{path: "phishing/filter.txt", reader: "adblock", text: "! Title: x\n# y\n||a.com^\n||b.com^\n",
			want: []string{"3 dga blocklist a.com weak", "4 dga blocklist b.com weak"}},
		{path: "settings.ini", text: "[names]\na.com=1\nb.com=2\n"},
		{path: "only-exceptions.txt", text: "@@||a.com^\n@@||b.com^\n"},
		{path: "db.rpz", reader: "rpz",
			text: "; a zone\n$TTL 2h\n@ IN SOA localhost. root.localhost. (\n  1 ; serial\n  2h 1h 1w 1h )\n" +
				"  IN NS localhost.\na.com CNAME .\n*.a.com 300 IN CNAME .\nb.com IN CNAME *. ; no data\n" +
				"c.com CNAME rpz-passthru.\nwww.d.com CNAME safe.d.com.\n32.1.2.0.192.rpz-ip CNAME .\n" +
				"e.com A 0.0.0.0\n  AAAA ::\nf.com CNAME rpz-drop.\n" +
				"g.com. CNAME .\nh.com CNAME .\ni.com CNAME .\nj.com CNAME .\nk.com CNAME .\nl.com CNAME .\nm.com cname .\n",
			want: []string{"7 dga blocklist a.com weak", "8 dga blocklist a.com weak", "9 dga blocklist b.com weak",
				"13 dga blocklist e.com weak", "15 dga blocklist f.com weak", "17 dga blocklist h.com weak",
				"18 dga blocklist i.com weak", "19 dga blocklist j.com weak", "20 dga blocklist k.com weak",
				"21 dga blocklist l.com weak", "22 dga blocklist m.com weak"},
			refused: []string{"10 left out: " + leftException, "11 left out: " + leftElsewhere, "12 left out: " + leftLocal,
				"16 left out: " + leftElsewhere}},
		{path: "axfr.zone", reader: "rpz", // as dig prints it
			text: "rpz.example.org. 300 IN SOA ns.example.org. admin.example.org. 1 2 3 4 5\n" +
				"a.com.RPZ.example.org. 300 IN CNAME .\n*.a.com.rpz.example.org. 300 IN CNAME .\nrpz.example.org. 300 IN NS ns.\n",
			want: []string{"2 dga blocklist a.com weak", "3 dga blocklist a.com weak"}},
		{path: "open.rpz", reader: "rpz", // a parenthesis that never closes
			text: "$ORIGIN rpz.\n@ SOA a. b. ( 1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\na.com CNAME .\nb.com.rpz. CNAME .\n",
			want: []string{"13 dga blocklist a.com weak", "14 dga blocklist b.com weak"}},
		// A zone of servers: its names are relative to the zone.
		{path: "benign/example.zone",
			text: "$ORIGIN example.com.\n@ SOA ns. admin. 1 2 3 4 5\nwww.sub A 192.0.2.1\nmail.sub CNAME www.sub\n"},
		{path: "dnsmasq.conf", reader: "dnsmasq",
			text: "# ads\naddress=/a.com/0.0.0.0\naddress=/b.com/c.com/::\naddress=/d.com/ # nothing\nserver=/e.com/\n" +
				"local=/f.com/\naddress=/g.com/#\naddress=/h.com/0.0.0.0\naddress=/i.com/\naddress=/j.com/\naddress=/k.com/\n" +
				"server=/l.com/192.0.2.1\n",
			want: []string{"2 dga blocklist a.com weak", "3 dga blocklist b.com weak", "3 dga blocklist c.com weak",
				"4 dga blocklist d.com weak", "5 dga blocklist e.com weak", "6 dga blocklist f.com weak",
				"7 dga blocklist g.com weak", "8 dga blocklist h.com weak", "9 dga blocklist i.com weak",
				"10 dga blocklist j.com weak", "11 dga blocklist k.com weak"},
			refused: []string{"12 left out: " + leftElsewhere}},
		{path: "accelerated.conf", text: "server=/a.com/192.0.2.1\nserver=/b.com/192.0.2.1\n"},
		{path: "benign/accelerated.conf", reader: "dnsmasq", text: "server=/a.com/192.0.2.1\n",
			want: []string{"1 benign  a.com"}},
		{path: "unbound.conf", reader: "unbound",
			text: "server:\n  local-zone: \"a.com\" always_nxdomain # why\n  local-zone: b.com. refuse\n" +
				"  local-zone: \"c.com\" redirect\n  local-data: \"c.com A 0.0.0.0\"\n  local-zone: \"d.com\" transparent\n" +
				"  local-data: \"e.com. 300 IN A 0.0.0.0\"\n  local-zone: \"f.com\" deny\n  local-zone: \"g.com\" deny\n" +
				"  local-zone: \"h.com\" deny\n  local-zone: \"i.com\" deny\n  local-zone: \"j.com\" deny\n" +
				"  local-zone: \"k.com\" always_null\n  do-ip6: no\n",
			want: []string{"2 dga blocklist a.com weak", "3 dga blocklist b.com. weak", "5 dga blocklist c.com weak",
				"7 dga blocklist e.com. weak", "8 dga blocklist f.com weak", "9 dga blocklist g.com weak",
				"10 dga blocklist h.com weak", "11 dga blocklist i.com weak", "12 dga blocklist j.com weak",
				"13 dga blocklist k.com weak"},
			refused: []string{"4 left out: " + leftElsewhere, "6 left out: " + leftException, "14: " + reasonRule}},
		{path: "home.conf", text: "server:\nlocal-zone: \"home.example.com.\" static\n" +
			"local-data: \"pc.home.example.com. A 192.0.2.1\"\n"},
	}
}
