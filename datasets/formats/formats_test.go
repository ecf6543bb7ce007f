package formats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/alloctest"
	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/lines"
)

// collector is a Sink that writes down what it gets.
type collector struct {
	rows    []string // line class family name
	refused []string // line: reason
}

func (c *collector) Record(line int64, r datasets.Record) error {
	weak := ""
	if r.Weak {
		weak = " weak"
	}
	c.rows = append(c.rows, fmt.Sprintf("%d %s %s %s%s", line, r.Class, r.Family, r.Name, weak))
	return nil
}

func (c *collector) Refuse(line int64, reason string) error {
	c.refused = append(c.refused, fmt.Sprintf("%d: %s", line, reason))
	return nil
}

func (c *collector) Evidence(*datasets.Evidence) {}
func (c *collector) LeaveOut(line int64, reason string) {
	c.refused = append(c.refused, fmt.Sprintf("%d left out: %s", line, reason))
}

// floatRow is a row of a query log whose label pandas made a float.
// nullsFile has rows without a family, as pandas writes them, and one without a class.
// readerCases are files in the formats that publishers use.
func readerCases(t testing.TB) []readerCase {
	return append(slices.Concat(blockCases(), mispCases(), decisionCases()), []readerCase{
		{path: "tranco.csv", reader: "ranked", text: "1,google.com\r\n2,facebook.com\r\n",
			want: []string{"1 benign  google.com", "2 benign  facebook.com"}},
		{path: "cisco-umbrella-top-1m.csv", reader: "ranked",
			text: "1,google.com\n2,netflix.com\n3,com\n4,a.b.c\n5,d.net\n6,e.org\n",
			want: []string{"1 benign  google.com", "2 benign  netflix.com", "3 benign  com", "4 benign  a.b.c",
				"5 benign  d.net", "6 benign  e.org"}},
		{path: "alexa.csv", reader: "ranked", text: "google.com\t1\nfacebook.com\t2\n",
			want: []string{"1 benign  google.com", "2 benign  facebook.com"}},
		{path: "alexa.csv", reader: "ranked", text: "google.com 1\nfacebook.com 2\nbroken\na.com  3\nb.com 4\n",
			want:    []string{"1 benign  google.com", "2 benign  facebook.com", "4 benign  a.com", "5 benign  b.com"},
			refused: []string{"3: too few columns"}},
		{path: "cut.csv", reader: "ranked", text: "500001,a.com\n500002,b.com\n", want: []string{"1 benign  a.com",
			"2 benign  b.com"}},
		{path: "shared-ranks.csv", reader: "ranked", text: "a.com,1\nb.com,2\nc.com,2\nd.com,4\n",
			want: []string{"1 benign  a.com", "2 benign  b.com", "3 benign  c.com", "4 benign  d.com"}},
		{path: "crux.csv", reader: "ranked", text: "a.com,1000\nb.com,1000\nc.com,1000\n", want: []string{"1 benign  a.com",
			"2 benign  b.com", "3 benign  c.com"}},
		// Classes without a header are no ranking, whatever the folder is called.
		{path: "ones.csv", reader: "", text: strings.Repeat("xjpakm.biz,1\n", 60)},
		{path: "zeros.csv", reader: "", text: strings.Repeat("google.com,0\n", 60)},
		{path: "sorted.csv", reader: "", text: "google.com,0\ngithub.com,0\nxjpakm.biz,1\n"},
		{path: "pair.csv", reader: "", text: "google.com;0\nxjpakm.biz;1\n"},
		{path: "one.csv", reader: "", text: "xjpakm.biz\t1\n"},
		{path: "first.csv", reader: "", text: "0,google.com\n1,xjpakm.biz\n"},
		{path: "many-classes.csv", reader: "", text: "google.com,0\na.com,0\nb.com,0\nc.com,0\nd.com,1\ne.com,2\n"},
		{path: "third.csv", reader: "", text: strings.Repeat("t.example.com,2\n", 60)},
		{path: "dga/ones.csv", reader: "", text: "xjpakm.biz,1\nxjpakn.biz,1\n"},
		{path: "majestic_million.csv", reader: "table",
			text: "GlobalRank,TldRank,Domain,TLD,RefSubNets,RefIPs,IDN_Domain,IDN_TLD," +
				"PrevGlobalRank,PrevTldRank,PrevRefSubNets,PrevRefIPs\n" +
				"1,1,google.com,com,474277,2830285,google.com,com,1,1,474577,2852197\n",
			want: []string{"2 benign  google.com"}},
		{path: "top10milliondomains.csv", reader: "table",
			text: "\"Rank\",\"Domain\",\"Open Page Rank\"\n\"1\",\"facebook.com\",\"10.00\"\n",
			want: []string{"2 benign  facebook.com"}},
		{path: "ctc/benign_domains.csv", reader: "table", text: "Rank,Domain,Open Page Rank\n1,fonts.googleapis.com,10\n",
			want: []string{"2 benign  fonts.googleapis.com"}},
		{path: "ctc/malicious_domains.txt", reader: "list",
			text: "# COVID19 Cyber Threat Coalition blocklist\n000dmobilt9034.com\n",
			want: []string{"2 dga blocklist 000dmobilt9034.com weak"}},
		{path: "dga-lists/zeus.txt", reader: "list", text: "1vz89.org\n1jjcg.biz\n",
			want: []string{"1 dga zeus 1vz89.org", "2 dga zeus 1jjcg.biz"}},
		{path: "sample/tunnel/iodine.txt", reader: "list", text: "0abc.t.example.com\npayload\n",
			want: []string{"1 tunnel iodine 0abc.t.example.com", "2 tunnel iodine payload"}},
		{path: "lists/benign.txt", reader: "list", text: "\xef\xbb\xbfgoogle.com\n\ngithub.com",
			want: []string{"1 benign  google.com", "3 benign  github.com"}},
		{path: "notes/words.txt", reader: "", text: "google.com\n"},
		{path: "test.csv", reader: "table", text: "domain,label\r\ngoogle.com,0\r\nxcbeoy.eu,1\r\n",
			want: []string{"2 benign  google.com", "3 dga  xcbeoy.eu"}},
		{path: "chrmor.csv", reader: "table", text: "domain,family,label\nylqir.eu,emotet,dga\nucc.org,benign,benign\n",
			want: []string{"2 dga emotet ylqir.eu", "3 benign  ucc.org"}},
		{path: "own.csv", reader: "table", text: "domain,class,family\ngoogle.com,benign,\nabc.com,dga,fobber\n",
			want: []string{"2 benign  google.com", "3 dga fobber abc.com"}},
		{path: "converted.csv", reader: "table",
			text: "domain,class,family,source\na.com,dga,,mine\nb.com,tunnel,,mine\nc.com,dga,tinba,mine\nd.com,,,mine\n",
			want: []string{"2 dga  a.com", "3 tunnel  b.com", "4 dga tinba c.com"}, refused: []string{"5: empty value"}},
		{path: "malicious-only.csv", reader: "table", text: "domain,label,malware\na.com,1,\n",
			want: []string{"2 dga  a.com"}},
		{path: "dga-and-tunnel/tunnel.csv", reader: "table",
			text: "domain,class\na.com,dga\nb.com,DGA\nc.com,1\nd.com,malicious\ne.com,tunnel\nf.com,0\n",
			want: []string{"2 dga  a.com", "3 dga  b.com", "4 tunnel  c.com", "5 tunnel  d.com", "6 tunnel  e.com",
				"7 benign  f.com"}},
		{path: "legit-dga_domains.csv", reader: "table", // with its record that is broken over three lines
			text: "\"RootObject.class\",\"RootObject.domain\",\"RootObject.subclass\"\nlegit,\"google.com\",legit\n" +
				"dga,\"1002n0q11m\n17h017r1shex\nghfqf.net\",newgoz\ndga,\"nbwnc.ru\",locky\n",
			want:    []string{"2 benign  google.com", "6 dga locky nbwnc.ru"},
			refused: []string{"3: a line break in the name"}},
		{path: "devo.csv", reader: "table",
			text: "host;domain;class;subclass\n000directory.com.ar;000directory;legit;legit\n" +
				"1002n.net;1002n;dga;newgoz\nhalf.net;half;dga;\n",
			want: []string{"2 benign  000directory.com.ar", "3 dga newgoz 1002n.net"}, refused: []string{"4: empty value"}},
		{path: "umudga-m-1000-train.csv", reader: "table",
			text:    "domain,class\ngoogle.com,legit\nabc.com,fobber_v1\nx.com,\nq.hidemyself.org,dns2tcp\n",
			want:    []string{"2 benign  google.com", "3 dga fobber_v1 abc.com", "5 tunnel dns2tcp q"},
			refused: []string{"4: empty value"}},
		{path: "x/UMUDGA - University/Fully Qualified Domain Names/fobber_v1/list/10000.txt", reader: "umudga",
			text: "abc.net\ndef.net\n", want: []string{"1 dga fobber_v1 abc.net", "2 dga fobber_v1 def.net"}},
		{path: "Fully Qualified Domain Names/legit/list/1000.txt", reader: "umudga", text: "google.com\n",
			want: []string{"1 benign  google.com"}},
		{path: "x/Fully Qualified Domain Names/alureon/csv/1000.csv", reader: "",
			text: "NLP_1G_E,NLP_N,CLASS,\n1,2,alureon,\n"},
		{path: "dtqbc/training.csv", reader: "dtqbc",
			text: "1,q+Z8AnwaBA.hidemyself.org.\r\n1,0dxyz..hidemyself.org.\r\n1,r16293.tunnel.tuns.org.\r\n" +
				"1,a.56178.tunnel.example.org.\r\n0,google.com.\r\n",
			want: []string{"1 tunnel dns2tcp q+Z8AnwaBA", "2 tunnel iodine 0dxyz", "3 tunnel tuns r16293",
				"4 tunnel dnscapy a.56178", "5 benign  google.com."}},
		{path: "binary/dtqbc-b-train.csv", reader: "dtqbc",
			text: "label,qname,qdcount\n1,r1.tunnel.tuns.org.,1\n0,example.com.,1\n",
			want: []string{"2 tunnel tuns r1", "3 benign  example.com."}},
		{path: "dtqbc-m-train.csv", reader: "dtqbc",
			text:    "label,qname,qdcount\n1,zz.other.org.,1\n3,qq.hidemyself.org,1\n0,example.com.,1\n9,x.org,1\n",
			want:    []string{"2 tunnel dns2tcp zz.other.org.", "3 tunnel iodine qq", "4 benign  example.com."},
			refused: []string{"5: unknown class"}},
		{path: "bambenek.2018.csv", reader: "feed",
			text: "# feed\n" +
				"plvkl.com,Domain used by Cryptolocker - Flashback DGA for 23 Jun 2018,2018-06-23,http://osint/cl.txt\n" +
				"abc.net,Domain used by Post Tovar GOZ for 23 Jun 2018,2018-06-23,http://osint/goz.txt\n",
			want: []string{"2 dga cryptolocker plvkl.com", "3 dga newgoz abc.net"}},
		{path: "dga-conficker.csv", reader: "table", text: "abc.net,x\ndef.org,y\n", want: []string{"1 dga conficker abc.net",
			"2 dga conficker def.org"}},
		{path: "dga-all.csv", reader: "table", text: "domain,family\n" + strings.Repeat("abc.net,locky\n", 20),
			want: repeated(20, "%d dga locky abc.net")},
		{path: "dga-conficker.csv", reader: "table", text: "domain,date\n" + strings.Repeat("abc.net,x\n", 20),
			want: repeated(20, "%d dga conficker abc.net")},
		{path: "dga-virut.csv", reader: "table", text: "abc.name,x\ndef.org,y\n", want: []string{"1 dga virut abc.name",
			"2 dga virut def.org"}},
		// Columns that hold no classes are columns: the folder says what the names are.
		{path: "benign/queries.csv", reader: "table", text: "time,domain,type,status,client\n" +
			"1,orange.org,A,forwarded,192.0.2.1\n2,summer.org,AAAA,cached,192.0.2.1\n3,silver.fr,PTR,forwarded,192.0.2.2\n",
			want: []string{"2 benign  orange.org", "3 benign  summer.org", "4 benign  silver.fr"}},
		{path: "splunk.csv", reader: "table", text: "\"_time\",host,source,domain,label\n" +
			"\"10:00\",\"fwd-1.example.net\",\"dns\",orange.org,0\n\"10:01\",\"fwd-1.example.net\",\"dns\",xcbeoyq.eu,1\n",
			want: []string{"2 benign  orange.org", "3 dga  xcbeoyq.eu"}},
		{path: "lists/train.txt", reader: "table", text: "orange.org,notdga\nxcbeoyq.eu,dga\nsilver.fr,notdga\n",
			want: []string{"1 benign  orange.org", "2 dga  xcbeoyq.eu", "3 benign  silver.fr"}},
		{path: "dga-train.csv", reader: "", text: "orange.org,0\nxcbeoyq.eu,1\nsilver.fr,0\n"},
		{path: "es_non_dga.txt", reader: "list", text: "orange.org\n", want: []string{"1 benign  orange.org"}},
		{path: "comments.csv", reader: "table", text: "domain,comment,label\norange.org,\"seen by\nproxy, fine\",0\n" +
			"xcbeoyq.eu,\"\",1\na.com,\"stray,0\nb.com,,1\n",
			want:    []string{"2 benign  orange.org", "4 dga  xcbeoyq.eu", "6 dga  b.com"},
			refused: []string{"5: unbalanced quotes"}},
		{path: "mine/train.json", reader: "json", text: "{\"domain\": \"orange.org\", \"threat\": \"benign\"}\n{half\n" +
			"{\"domain\": \"xcbeoyq.eu\", \"threat\": \"dga\"}\n",
			want: []string{"1 benign  orange.org", "3 dga  xcbeoyq.eu"}, refused: []string{"2: no JSON object"}},
		{path: "benign/latin-1.json", reader: "json", text: "{\"domain\": \"orange.org\", \"Klasse\": \"gutartig\"}\n" +
			"{\"domain\": \"xcbeoyq.eu\", \"Klasse\": \"b\xf6sartig\"}\n",
			want: []string{"1 benign  orange.org", "2 dga  xcbeoyq.eu"}},
		{path: "benign/latin-1.csv", reader: "table", text: "domain,Klasse\norange.org,gutartig\nxcbeoyq.eu,b\xf6sartig\n",
			want: []string{"2 benign  orange.org", "3 dga  xcbeoyq.eu"}},
		{path: "kibana.json", reader: "json", text: "[\n{\"_source\": {\"dns\": {\"question\": {\"name\": \"orange.org\"}}," +
			" \"label\": 0}},\n{\"_source\": {\"dns\": {\"question\": {\"name\": \"xcbeoyq.eu\"}}, \"label\": 1.0}}]",
			want: []string{"1 benign  orange.org", "2 dga  xcbeoyq.eu"}},
		{path: "netlab/dga.txt", reader: "netlab",
			text: "# Netlab\nconficker\tabc.net\t2018-01-01 00:00:00\t2018-01-02 23:59:59\n",
			want: []string{"2 dga conficker abc.net"}},
		{path: "subset.csv", reader: "degas-subset",
			text: "abc.net\x01proslikefan\x011\r\ngoogle.com\x01alexa\x010\r\nhalf\r\n", min: 1,
			want: []string{"1 dga proslikefan abc.net", "2 benign  google.com"}, refused: []string{"3: too few columns"}},
		{path: "gta-v1.parquet", reader: "parquet", text: gtaFile(t,
			gtaRow{[]byte("0.static.wix.com"), "legit", 1}, gtaRow{[]byte("abc.net"), "zeus-newgoz", 1},
			gtaRow{[]byte("0\xfdx\xc3\xa9.hidemyself.org"), "iodine", 2}, gtaRow{[]byte("x.org"), "", 3}),
			want:    []string{"1 benign  0.static.wix.com", "2 dga newgoz abc.net", "3 tunnel iodine 0\u00fdx\u00c3\u00a9"},
			refused: []string{"4: empty value"}},
		{path: "floats.parquet", reader: "parquet", text: parquetFile(t,
			floatRow{"A", "fwd.example.net", "orange.org", 0}, floatRow{"AAAA", "fwd.example.net", "xcbeoyq.eu", 1}),
			want: []string{"1 benign  orange.org", "2 dga  xcbeoyq.eu"}},
		{path: "nulls.parquet", reader: "parquet", text: nullsFile(t),
			want: []string{"1 benign  a.com", "2 dga  b.com", "3 dga zeus c.com"}, refused: []string{"4: empty value"}},
	}...)
}

// repeated is what n equal rows below a header are read as.
func repeated(n int, row string) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf(row, i+2))
	}
	return rows
}

type readerCase struct {
	path, reader, text string
	want, refused      []string
	min                int // recognise from a head without the last min lines
}

func TestReaders(t *testing.T) {
	for _, tc := range readerCases(t) {
		t.Run(tc.path, func(t *testing.T) {
			head := asutf8.Bytes([]byte(tc.text)) // as Input.Read gives it
			for range tc.min {
				head = head[:bytes.LastIndexByte(bytes.TrimSuffix(head, []byte("\n")), '\n')+1]
			}
			r, err := Recognize(tc.path, head)
			switch {
			case err != nil && tc.reader == "":
				return
			case err != nil:
				t.Fatal(err)
			case r.Name() != tc.reader:
				t.Fatalf("recognised as %s, want %q", r.Name(), tc.reader)
			}
			var got collector
			info := FileInfo{Path: tc.path, TempDir: t.TempDir()}
			in, err := asutf8.Reader(strings.NewReader(tc.text))
			if err == nil {
				err = r.Read(t.Context(), in, info, &got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if g, w := strings.Join(got.rows, "\n"), strings.Join(tc.want, "\n"); g != w {
				t.Errorf("rows\n%s\nwant\n%s", g, w)
			}
			if g, w := strings.Join(got.refused, "\n"), strings.Join(tc.refused, "\n"); g != w {
				t.Errorf("refused\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func TestLongLinesAreRefusedNotHeld(t *testing.T) {
	var got collector
	text := "a.com\n" + strings.Repeat("x", 5*lines.MaxLine) + "\nb.com\n" + strings.Repeat("y", 2*lines.MaxLine)
	if err := (listReader{}).Read(t.Context(), strings.NewReader(text), FileInfo{Path: "dga/a.txt"}, &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.rows) != "[1 dga a a.com 3 dga a b.com]" ||
		fmt.Sprint(got.refused) != "[2: "+reasonLongLine+" 4: "+reasonLongLine+"]" {
		t.Errorf("%v %v", got.rows, got.refused)
	}
}

func TestReaderErrorsEndReading(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("a.com\n"), errReader{})
	var got collector
	if err := (listReader{}).Read(t.Context(), broken, FileInfo{Path: "dga/a.txt"}, &got); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{"PAR1", "PAR1\xff\xff\xff\xffPAR1",
		gtaFile(t, gtaRow{[]byte("a.com"), "legit", 1})[:60]} {
		err := (parquetReader{}).Read(t.Context(), strings.NewReader(text), FileInfo{TempDir: t.TempDir()}, &got)
		if err == nil || !strings.Contains(err.Error(), "parquet") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// parquet-go's LZ4 decoder does not end on damaged data.
var errBroken = errors.New("broken disk")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestStripZone(t *testing.T) {
	for _, tc := range [][3]string{
		{"r16293.tunnel.tuns.org.", "r16293", "tuns"},
		{"A.B.Tunnel.Example.ORG", "A.B", "dnscapy"},
		{"q+Z8.hidemyself.org.", "q+Z8", "dns2tcp"},
		{"0abc..hidemyself.org.", "0abc", "iodine"},
		{"hidemyself.org.", "hidemyself.org.", ""},
		{".hidemyself.org", ".hidemyself.org", ""},
		{"nothidemyself.org", "nothidemyself.org", ""},
		{"google.com.", "google.com.", ""},
	} {
		payload, family := StripZone([]byte(tc[0]))
		if string(payload) != tc[1] || family != tc[2] {
			t.Errorf("StripZone(%q) = %q, %q; want %q, %q", tc[0], payload, family, tc[1], tc[2])
		}
	}
}

// FuzzReaders runs every reader on every input, recognised or not: a sidecar can name any of them.
func FuzzReaders(f *testing.F) {
	for _, tc := range readerCases(f) {
		f.Add(tc.path, []byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		Recognize(path, data)
		for _, r := range readers.All() {
			if r.Name() == "parquet" {
				continue // has its own: its library is slow on such input
			}
			fuzzRead(t, r, path, data)
		}
	})
}

// parquetSeeds is a small file in each encoding, compression and page version.
// What honest writers write passes the guard.
func fuzzRead(t *testing.T, r Reader, path string, data []byte) {
	sink := &countingSink{}
	f := FileInfo{Path: path}
	if r.Name() == "parquet" {
		f.TempDir = t.TempDir()
	}
	var err error
	used := alloctest.Bytes(func() { err = r.Read(context.Background(), bytes.NewReader(data), f, sink) })
	if most := uint64(64<<20 + 4*len(data)); used > most {
		t.Fatalf("%s: %d bytes allocated for %d", r.Name(), used, len(data))
	}
	most := int64(bytes.Count(data, []byte("\n")) + 1)
	if slices.Contains([]string{"hosts", "dnsmasq", "json", "misp"}, r.Name()) {
		most = int64(len(data)) // several names, objects or entries a line
	}
	if err == nil && r.Name() != "parquet" && sink.rows > most {
		t.Fatalf("%s: %d rows, more than %d", r.Name(), sink.rows, most)
	}
}

type countingSink struct{ rows int64 }

func (c *countingSink) Record(line int64, r datasets.Record) error {
	c.rows++
	if int(r.Class) >= datasets.NumClasses || line < 1 {
		return fmt.Errorf("line %d: class %v", line, r.Class)
	}
	datasets.NormalizeFamily(r.Family)
	return nil
}

func (c *countingSink) Evidence(*datasets.Evidence) {}

func (c *countingSink) Refuse(int64, string) error { c.rows++; return nil }
func (c *countingSink) LeaveOut(int64, string)     { c.rows++ }

// One format must be surer than all others: a tie would be settled by the alphabet.
func TestNoTies(t *testing.T) {
	for _, tc := range readerCases(t) {
		scores := map[int][]string{}
		best := 0
		for _, r := range readers.All() {
			score, why := r.Match(tc.path, []byte(tc.text))
			if (score == 0) == (why == "") {
				t.Errorf("%s: %s gives score %d, reason %q", tc.path, r.Name(), score, why)
			}
			best = max(best, score)
			scores[score] = append(scores[score], r.Name())
		}
		if best > 0 && len(scores[best]) > 1 {
			t.Errorf("%s: %v are equally sure", tc.path, scores[best])
		}
	}
}

// Whoever has a file that no format fits learns what each of them missed.
func TestRecognizeListsWhatIsMissing(t *testing.T) {
	const want = "adblock: its lines are not rules such as ||name^; " +
		"decisions: its header has not the columns domain, label, revoked; " +
		"degas-subset: its lines are not three fields separated by chr(1); " +
		"dnsmasq: its lines are not rules such as address=/name/0.0.0.0; " +
		"dtqbc: its lines are not a label, 0 or 1, and a name; " +
		"feed: no family is described behind names; " +
		"hosts: its lines are not an address and names; " +
		"json: it does not begin as JSON does; " +
		"list: no folder or file name tells the class, such as dga, benign or tunnel; " +
		"misp: it does not begin as JSON does; " +
		"netlab: its lines are not family, name and day, separated by tabs; " +
		"parquet: it does not begin with PAR1; " +
		"ranked: its lines are not a rank and a name each; " +
		"rpz: its lines are not records such as name CNAME .; " +
		"table: its lines are not rows of columns; " +
		"umudga: its path is not that of a list in UMUDGA; " +
		"unbound: its lines are not rules such as local-zone: \"name\" always_nxdomain"
	if _, err := Recognize("notes/words.txt", []byte("google.com\n")); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// A sidecar may declare a file with a short name to be of UMUDGA's format.
func TestSupersededShortName(t *testing.T) {
	list := "Fully Qualified Domain Names/x/list/"
	got := umudgaReader{}.Superseded([]string{"abc", list + "1000.txt", list + "5000.txt"})
	if got["abc"] != "" || got[list+"1000.txt"] != list+"5000.txt" || got[list+"5000.txt"] != "" {
		t.Errorf("superseded: %v", got)
	}
}
