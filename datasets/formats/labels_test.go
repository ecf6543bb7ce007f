package formats

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/synth"
)

func TestMeaningOf(t *testing.T) {
	for want, values := range map[string]string{
		"good": `benign|Legit|legitimate|not-dga|NOT DGA|notdga|non_dga|no dga|nodga|is not malicious|malware-free|DGA free|
			unmalicious|bénin|gutartig|harmlos|legítimo|nicht bösartig|no malicioso|pas malveillant|benign domain|whitelisted|
			normal traffic|良性|не вредоносный|"benign"`,
		"bad": `malicious|Malware|c2|C&C|bösartig|schädlich|malveillant|not benign|unsafe|illegitimate|non-legit|~normal|
			恶意`,
		"dga":    `dga|DGA domain|is_dga|malicious dga|AGD`,
		"tunnel": `tunnel|DNS tunnel|dns-tunneling|tunnel traffic`,
		"no":     `0|0.0|0,0|negative|false|no|N|nein|non|não|нет|否`,
		"yes":    `1|1.0|1.00|Positive|true|YES|y|ja|oui|sí|да|是`,
		"": `a|AAAA|IN|https|news|2|0.5|10|-1|suspicious|unknown|phishing|spam|benign dga|good tunnel|north|noerror|nonsense|
			free|is|domain||tinba|isolated|unit`,
	} {
		for v := range strings.SplitSeq(values, "|") {
			m, plain := meaningOf(strings.TrimSpace(v))
			got := map[meaning]string{unknown: "", good: "good", bad: "bad", isDGA: "dga", isTunnel: "tunnel"}[m]
			if plain {
				got = map[meaning]string{good: "no", bad: "yes"}[m]
			}
			if got != want {
				t.Errorf("%q means %q, want %q", strings.TrimSpace(v), got, want)
			}
		}
	}
}

func TestHintOf(t *testing.T) {
	for path, want := range map[string]string{
		"dga/zeus.txt":                "dga zeus folder",
		"dga/zeus/2024-01.txt":        "dga zeus folder",
		"dga/train.txt":               "dga  folder",
		"dga-conficker.csv":           "dga conficker file",
		"dga-train.csv":               "dga  file",
		"es_dga.txt":                  "dga  file",
		"dga/unnamed_script_dga.txt":  "dga unnamed_script_dga file",
		"dga/kraken_dga.txt":          "dga kraken file",
		"dga/dga_list.txt":            "dga  file",
		"es_non_dga.txt":              "benign  file",
		"dga/non-dga.txt":             "benign  file",
		"nodga.csv":                   "benign  file",
		"malware-free.txt":            "benign  file",
		"not-benign.txt":              "",
		"dga/not-legit.txt":           "",
		"legit-dga_domains.csv":       "",
		"benign/malicious.txt":        "dga  file block",
		"benign/office.csv":           "benign  folder",
		"undgauged/tunnelbear.txt":    "",
		"tunnel/iodine.txt":           "tunnel iodine folder",
		"dga_blocklist.txt":           "dga  file",
		"cloudflare-radar_top100.csv": "benign  file",
		"abnormal/list.txt":           "",
		"not_in_alexa.txt":            "",
		"not-a-dga.txt":               "benign  file",
		"ohne_dga.txt":                "benign  file",
		"dga_without_benign.txt":      "",
		"dga/exceptions.txt":          "",
		"malware_fp.txt":              "",
		"dga/nxdomains.txt":           "dga  folder",
		"dga/top1000.csv":             "dga  folder",
		"antimalware/list.txt":        "",
	} {
		h := hintOf(path)
		got := ""
		if h.known {
			family, _ := familyOfPath(path, h)
			got = h.class.String() + " " + family + map[bool]string{true: " folder", false: " file"}[h.folder]
			if h.blocklist {
				got += " block"
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// tableMaker draws tables as people have them.
type tableMaker struct {
	*rand.Rand
	names  []string
	labels []bool // malicious
}

func (m *tableMaker) pick(list ...string) string { return list[m.IntN(len(list))] }

func newTableMaker(seed uint64) *tableMaker {
	m := &tableMaker{Rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 60 {
		name := fmt.Sprintf("%s%d-%s.%s", m.pick("river", "orange", "camera", "stone"), i, m.pick("shop", "travel", "news"),
			m.pick("com", "de", "co.uk"))
		malicious := m.IntN(5) < 2
		if malicious {
			name = ""
			for range 14 {
				name += string(rune('a' + m.IntN(26)))
			}
			name = fmt.Sprintf("%s%d.%s", name, i, m.pick("info", "ru", "biz"))
		}
		m.names, m.labels = append(m.names, name), append(m.labels, malicious)
	}
	m.labels[0], m.labels[1] = true, false
	return m
}

// column is a header and its value in row i.
type column struct {
	header string
	value  func(i int) string
}

// classColumn asks for the class in some words.
func (m *tableMaker) classColumn() column {
	words := [][3]string{ // header, benign, malicious
		{"label", "0", "1"}, {"is_dga", "no", "yes"}, {"IsDGA", "False", "True"}, {"label", "0.0", "1.0"},
		{"class", "legit", "dga"}, {"type", "benign", "malicious"}, {"verdict", "clean", "malware"}, {"y", "0", "1"},
		{"threat", "not malicious", "malicious"}, {"category", "non-dga", "dga"}, {"is_benign", "true", "false"},
		{"Klasse", "gutartig", "bösartig"}, {"target", "normal", "c2"}, {"malicious", "n", "y"}, {"malware", "0", "1"},
		{"ground truth", "whitelist", "blacklist"}, {"RootObject.class", "legit", "dga"}, {"legit", "1", "0"},
		{"dga", "nein", "ja"}, {"label", "benign", "conficker"}, {"not_dga", "1", "0"},
	}
	w := words[m.IntN(len(words))]
	return column{w[0], func(i int) string {
		if m.labels[i] {
			return w[2]
		}
		return w[1]
	}}
}

// otherColumn says nothing of the class.
func (m *tableMaker) otherColumn() column {
	pick := func(header string, list ...string) column {
		return column{header, func(int) string { return list[m.IntN(len(list))] }}
	}
	return []column{
		pick("qtype", "A", "AAAA", "PTR", "HTTPS"), pick("query_class", "IN"), pick("status", "NOERROR", "NXDOMAIN"),
		pick("client", "192.0.2.10", "192.0.2.11"), pick("host", "dns-fwd-01.corp.example.com"),
		pick("forwarder", "fwd-1", "fwd-2"), pick("cached", "true", "false"), pick("ttl", "60", "300", "1"),
		pick("comment", "", "seen, twice", "by \"proxy\"", "over\ntwo lines",
			"für später"), pick("country", "de", "fr", "in"),
		{"time", func(i int) string { return fmt.Sprintf("2026-11-29T10:00:%02d.000+0000", i) }},
		{"no", func(i int) string { return fmt.Sprint(i + 1) }},
	}[m.IntN(12)]
}

// table is a table with the name, the class and other columns in any order.
func (m *tableMaker) table() []column {
	nameHeader := m.pick("domain", "fqdn", "query", "dns.question.name", "QName", "Domain Name", "name", "hostname", "url",
		"indicator")
	cols := []column{{nameHeader, func(i int) string { return m.names[i] }}, m.classColumn()}
	seen := map[string]bool{cols[0].header: true, cols[1].header: true}
	for range m.IntN(5) {
		if c := m.otherColumn(); !seen[c.header] {
			seen[c.header] = true
			cols = append(cols, c)
		}
	}
	m.Shuffle(len(cols), func(i, j int) { cols[i], cols[j] = cols[j], cols[i] })
	return cols
}

func (m *tableMaker) text(cols []column) string {
	sep := m.pick(",", ";", "\t", "|")
	quoteAll := m.IntN(2) == 0
	var b strings.Builder
	line := func(value func(column) string) {
		for k, c := range cols {
			v := value(c)
			if quoteAll || strings.ContainsAny(v, sep+"\"\n") {
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
			if k > 0 {
				b.WriteString(sep)
			}
			b.WriteString(v)
		}
		b.WriteString(m.pick("\n", "\r\n"))
	}
	line(func(c column) string { return c.header })
	for i := range m.names {
		line(func(c column) string { return c.value(i) })
	}
	return b.String()
}

func (m *tableMaker) json(cols []column) string {
	var rows []string
	for i := range m.names {
		row := map[string]string{}
		for _, c := range cols {
			row[c.header] = c.value(i)
		}
		text, _ := json.Marshal(row)
		rows = append(rows, string(text))
	}
	if m.IntN(2) == 0 {
		return strings.Join(rows, "\n") + "\n"
	}
	return "[" + strings.Join(rows, ",\n ") + "]"
}

// encoded is a text in one of the encodings that programs write.
func (m *tableMaker) encoded(text string) (encoding string, out []byte) {
	wide := func(order unicode.Endianness, mark unicode.BOMPolicy) []byte {
		out, err := unicode.UTF16(order, mark).NewEncoder().Bytes([]byte(text))
		if err != nil {
			panic(err)
		}
		return out
	}
	switch encoding = m.pick("utf-8", "utf-8", "utf-8 with a mark", "utf-16le with a mark", "utf-16be with a mark",
		"utf-16le", "utf-16be", "latin-1"); encoding {
	case "utf-8 with a mark":
		return encoding, []byte("\ufeff" + text)
	case "utf-16le with a mark":
		return encoding, wide(unicode.LittleEndian, unicode.UseBOM)
	case "utf-16be with a mark":
		return encoding, wide(unicode.BigEndian, unicode.UseBOM)
	case "utf-16le":
		return encoding, wide(unicode.LittleEndian, unicode.IgnoreBOM)
	case "utf-16be":
		return encoding, wide(unicode.BigEndian, unicode.IgnoreBOM)
	case "latin-1":
		out, err := charmap.ISO8859_1.NewEncoder().Bytes([]byte(text))
		if err != nil {
			panic(err)
		}
		return encoding, out
	}
	return encoding, []byte(text)
}

var zstandard, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) // no option of these can be wrong

// packed is a file as people pass it on, and the end of its name. Go cannot write bzip2.
func (m *tableMaker) packed(name string, data []byte) (suffix string, out []byte) {
	var b bytes.Buffer
	var w io.Writer
	finish := func() error { return nil }
	var err error
	switch suffix = m.pick("", "", ".gz", ".zst", ".zip", ".tar.gz"); suffix {
	case "":
		return "", data
	case ".gz":
		z := gzip.NewWriter(&b)
		w, finish = z, z.Close
	case ".zst":
		return suffix, zstandard.EncodeAll(data, nil)
	case ".zip":
		z := zip.NewWriter(&b)
		w, err = z.Create(name)
		finish = z.Close
	case ".tar.gz":
		z := gzip.NewWriter(&b)
		t := tar.NewWriter(z)
		err = t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))})
		w, finish = t, func() error { return errors.Join(t.Close(), z.Close()) }
	}
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, finish()); err != nil {
		panic(err)
	}
	return suffix, b.Bytes()
}

// Whatever a table looks like, in whatever encoding and packed or not: it is refused with a reason, or every name is
// there once and under its own class.
func TestNoNameUnderAWrongClass(t *testing.T) {
	refused := map[string]int{}
	tables := 400
	if testing.Short() { // one after another: the race detector has little to find
		tables = 100
	}
	root, temp := t.TempDir(), t.TempDir()
	for seed := range uint64(tables) {
		m := newTableMaker(seed)
		cols := m.table()
		text := m.text(cols)
		if m.IntN(3) == 0 {
			text = m.json(cols)
		}
		name := m.pick("mine/export.csv", "benign/export.csv", "dga/export.csv", "export.csv")
		encoding, data := m.encoded(text)
		suffix, data := m.packed(path.Base(name), data)
		in := filepath.Join(root, filepath.FromSlash(name)+suffix)
		err := errors.Join(os.MkdirAll(filepath.Dir(in), 0o755), os.WriteFile(in, data, 0o644))
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("seed %d: %s%s in %s\n%.400s", seed, name, suffix, encoding, text)
		inputs, skipped, err := Discover(t.Context(), root, temp)
		if err != nil || len(inputs) == 0 && len(skipped) == 1 && skipped[0].Reason != "" {
			refused[encoding]++
			t.Logf("%v %v\n%s", err, skipped, what)
			os.Remove(in)
			continue
		}
		if len(inputs) != 1 || len(skipped) != 0 {
			t.Fatalf("%d inputs, skipped %v\n%s", len(inputs), skipped, what)
		}
		got := &classSink{classes: map[string]bool{}}
		err = inputs[0].Read(t.Context(), temp, nil, got)
		Close(inputs)
		os.Remove(in) // if it stays, the next table finds two inputs and fails
		if err != nil || got.refused > 0 || got.rows != len(m.names) || len(got.classes) != len(m.names) {
			t.Fatalf("%v, %d names, %d rows, %d refused, want %d\n%s", err, len(got.classes), got.rows, got.refused,
				len(m.names), what)
		}
		for i, name := range m.names {
			if malicious, ok := got.classes[name]; !ok || malicious != m.labels[i] {
				t.Fatalf("%s is there %v, malicious %v, want %v\n%s", name, ok, malicious, m.labels[i], what)
			}
		}
	}
	for encoding, n := range refused {
		if n > tables/80 {
			t.Errorf("%d of about %d tables in %s are refused", n, tables/8, encoding)
		}
	}
}

// classSink keeps the class of each name.
type classSink struct {
	classes       map[string]bool
	rows, refused int
}

func (c *classSink) Evidence(*datasets.Evidence) {}

func (c *classSink) LeaveOut(int64, string) {}

func (c *classSink) Refuse(int64, string) error { c.refused++; return nil }

func (c *classSink) Record(_ int64, r datasets.Record) error {
	c.rows++
	c.classes[strings.Clone(r.Name)] = r.Class != benign
	return nil
}

// What degas generates, and what it lays out, is known to it.
func TestGeneratedFamiliesAreKnown(t *testing.T) {
	for _, f := range synth.Families() {
		if _, class, known := familyOf(f.Name); !known || class.String() != f.Class {
			t.Errorf("%s: class %s, known %v", f.Name, class, known)
		}
	}
}

// A sidecar says which columns count, and what values mean.
func TestSidecarOfATable(t *testing.T) {
	const text = "domain,label,kind\norange.org,0,safe\nxcbeoyq.eu,2,bigbadfam\nsilver.fr,9,safe\n"
	for name, tc := range map[string]struct{ sidecar, want, err string }{
		"values": {`{"classes": {"2": "tunnel", "9": "skip"}}`, "[2 benign  orange.org 3 tunnel  xcbeoyq.eu]", ""},
		"column": {`{"columns": {"class": "kind"}, "classes": {"bigbadfam": "dga"}}`,
			"[2 benign  orange.org 3 dga  xcbeoyq.eu 4 benign  silver.fr]", ""},
		"families": {`{"columns": {"name": "1", "family": "kind"}, "classes": {"safe": "benign"}, "format": "table"}`,
			"", "has classes and other words"},
		"a column that is not there": {`{"columns": {"class": "verdict"}}`, "", `the sidecar's column "verdict" for class`},
		"no role":                    {`{"columns": {"rank": "kind"}}`, "", `unknown role "rank"`},
		"no class":                   {`{"classes": {"2": "evil"}}`, "", `classes: "2"`},
		"two classes":                {`{"class": "dga", "columns": {"class": "kind"}}`, "", "which one counts"},
	} {
		path := filepath.Join(t.TempDir(), "x.csv")
		err := errors.Join(os.WriteFile(path, []byte(text), 0o644),
			os.WriteFile(path+SidecarSuffix, []byte(tc.sidecar), 0o644))
		if err != nil {
			t.Fatal(err)
		}
		inputs, _, err := Discover(t.Context(), filepath.Dir(path), t.TempDir())
		got := &collector{}
		if err == nil {
			err = inputs[0].Read(t.Context(), t.TempDir(), nil, got)
		}
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error %v, want %s", name, err, tc.err)
			}
			continue
		}
		if err != nil || fmt.Sprint(got.rows) != tc.want {
			t.Errorf("%s: %v, %v, want %s", name, got.rows, err, tc.want)
		}
	}
}

// What the first rows do not show is held against the decision all the same.
func TestLateEvidence(t *testing.T) {
	early := func(row string) string { return strings.Repeat(row+"\n", 4000) }
	for name, tc := range map[string]struct{ path, text, want string }{
		"a second class column": {"x.csv",
			"domain,is_dga,is_tunnel\n" + early("river-orange.org,0,0") + "t.example.org,0,1\n",
			`column is_tunnel says "1", but column is_dga says benign`},
		"two that disagree": {"x.csv", "domain,class,label\n" + early("river-orange.org,benign,benign") +
			"rzstkfjalpq.ru,benign,dga\n", `column label says "dga", but column class says benign`},
		"classes below a ranking": {"tranco/x.csv", "rank,domain,is_dga\n" + early("1,river-orange.org,") +
			"2,rzstkfjalpq.ru,1\n", `column is_dga says "1"`},
		"classes below a folder": {"benign/x.csv", "domain,status\n" + early("river-orange.org,ok") +
			"rzstkfjalpq.ru,malware\n", `column status says "malware"`},
		"a late key": {"benign/x.json", early(`{"domain": "river-orange.org"}`) + `{"domain": "a.ru", "label": "dga"}`,
			`key "label" is in none of the first rows`},
		"one-hot": {"x.csv", "domain,benign,dga,tunnel\n" + early("river-orange.org,1,0,0") + "t.example.org,0,0,1\n",
			`column dga says "0", but column benign says dga`},
		"families that say the opposite": {"x.csv", "domain,label,family\n" + early("river-orange.org,1,alexa") +
			"rzstkfjalpq.ru,0,matsnu\n", `column family says "alexa", but column label says dga`},
		"another header": {"x.csv", "domain,is_dga\n" + early("river-orange.org,0") + "domain,is_benign\na.org,1\n",
			"line 4002 is another header"},
		"a name that says the opposite": {"benign/x.csv", "domain,label\n" + early("river-orange.org,1"),
			"the opposite of it"},
		"lists that say the opposite": {"x.csv", "domain,label,source\n" + early("river-orange.org,1,bambenek") +
			early("river-orange.org,1,alexa"), `column source says the opposite of column label in 4000 rows, the same in 0`},
		"classes in an unknown encoding": {"benign/x.csv", "domain,class\na.org,\xeb\xe5\xe3\nb.ru,\xe2\xf0\xe5\n",
			"column class may have classes, but its text is in an encoding"},
		"a header in an unknown encoding": {"benign/x.csv", "domain,\xec\xe5\xf2\na.org,\xeb\xe5\xe3\nb.ru,\xe2\xf0\xe5\n",
			"Try: save the file as UTF-8"},
		"two that say nothing in their headers": {"x.csv", "domain,a,b\n" + early("a.org,benign,benign\nb.ru,dga,dga") +
			"c.ru,benign,malicious\n", `column b says "malicious", but column a says benign`},
		"two without a header": {"x.csv", early("a.org,benign,benign\nb.ru,dga,dga") + "c.ru,benign,malicious\n",
			`column 3 says "malicious", but column 2 says benign`},
		"a header that says what numbers mean": {"x.csv", "domain,label (1=benign)\na.org,1\nb.ru,0\n",
			"may be classes or not"},
	} {
		r := Reader(tableReader{})
		if strings.HasSuffix(tc.path, ".json") {
			r = jsonReader{}
		}
		err := r.Read(t.Context(), strings.NewReader(tc.text), FileInfo{Path: tc.path}, &collector{})
		if _, unclear := errors.AsType[*unclearError](err); !unclear || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	var got collector
	text := "domain,class,family\n" + early("river-orange.org,benign,") +
		"rzstkfjalpq.ru,dga,necurs\ndomain,class,family\n" +
		"-,benign,\n"
	err := tableReader{}.Read(t.Context(), strings.NewReader(text), FileInfo{Path: "x.csv"}, &got)
	if n := len(got.rows); err != nil || n != 4001 || got.rows[n-1] != "4002 dga necurs rzstkfjalpq.ru" ||
		fmt.Sprint(got.refused) != "[4004: empty value]" {
		t.Errorf("%d rows, the last %v, refused %v, %v", n, got.rows[n-1], got.refused, err)
	}
}
