package classify

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/alloctest"
)

// lists decide, so that results are the same with every model.
func job(t testing.TB, o Options) *Classifier {
	t.Helper()
	p, err := detect.New(detect.Options{Block: []string{"*.evil.com", "-dash.net"}, Allow: []string{"good.evil.com"}})
	if err != nil {
		t.Fatal(err)
	}
	o.Cache = detect.NewCache(p, 4000)
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTables(t *testing.T) {
	evil := ",,blocked,evil.com,on the block list: *.evil.com"
	cells := func(sep string) string { return strings.ReplaceAll(evil, ",", sep) }
	const titles = "score,label,registered_domain,reason"
	const keys = `,"score":null,"label":"benign","registered_domain":"b.com","reason":""}`
	for _, c := range []struct {
		what, in, column, want string
		unreadable             int64
	}{
		{what: "CSV", in: "time,query,n\n1,a.evil.com,=1+1\n2,b.com,\"x, \"\"y\"\"\"\r\n3,printer,\n",
			want: "time,query,n,score,label,registered_domain,reason\n1,a.evil.com,=1+1" + evil +
				"\n2,b.com,\"x, \"\"y\"\"\",,benign,b.com,\r\n3,printer,,,unscored,printer,a single label\n"},
		{what: "no end of the last line", in: "query,n\na.evil.com,1",
			want: "query,n," + titles + "\na.evil.com,1" + evil},
		{what: "TSV", in: "n\tqname\n1\ta.evil.com\n",
			want: "n\tqname\tscore\tlabel\tregistered_domain\treason\n1\ta.evil.com" + cells("\t") + "\n"},
		{what: "semicolons", in: "host;domain;n\na.evil.com;evil.com;1,5\n",
			want: "host;domain;n;score;label;registered_domain;reason\na.evil.com;evil.com;1,5" + cells(";") + "\n"},
		{what: "no header", in: "1,a.evil.com\n2,b.com\n", want: "1,a.evil.com" + evil + "\n2,b.com,,benign,b.com,\n"},
		{what: "a title that nobody knows", in: "n,ziel\n1,a.evil.com\n2,b.com\n",
			want: "n,ziel,score,label,registered_domain,reason\n1,a.evil.com" + evil + "\n2,b.com,,benign,b.com,\n"},
		{what: "a column by its title", in: "query,Ziel\nx.com,a.evil.com\n", column: "ziel",
			want: "query,Ziel,score,label,registered_domain,reason\nx.com,a.evil.com" + evil + "\n"},
		{what: "a column by its number", in: "x.com,a.evil.com\ny.com,b.com\n", column: "2",
			want: "x.com,a.evil.com" + evil + "\ny.com,b.com,,benign,b.com,\n"},
		{what: "titles of ours", in: "query,Score\na.evil.com,1\n",
			want: "query,Score,degas_score,degas_label,degas_registered_domain,degas_reason\na.evil.com,1" + evil + "\n"},
		{what: "titles of ours, and of a table that we wrote", in: "query,score,degas_score\na.evil.com,1,2\n",
			want: "query,score,degas_score,degas_degas_score,degas_degas_label,degas_degas_registered_domain," +
				"degas_degas_reason\na.evil.com,1,2" + evil + "\n"},
		{what: "quoted names", in: "\"n\",\"query\"\n\"1\",\"a.evil.com\"\n",
			want: "\"n\",\"query\",score,label,registered_domain,reason\n\"1\",\"a.evil.com\"" + evil + "\n"},
		{what: "blanks before quotes", in: "\"1\", \"a.evil.com\"\n\"2\",\"b.com\"\n",
			want: "\"1\", \"a.evil.com\"" + evil + "\n\"2\",\"b.com\",,benign,b.com,\n"},
		{what: "a cell over lines", in: "query,n\na.evil.com,\"x\ny\n\"\nb.com,1\n",
			want: "query,n,score,label,registered_domain,reason\na.evil.com,\"x\ny\n\"" + evil + "\nb.com,1,,benign,b.com,\n"},
		{what: "a stray quote", in: "query,n\na.evil.com,\"x\nb.com,1\nc.com,2\n", unreadable: 1,
			want: "query,n,score,label,registered_domain,reason\na.evil.com,\"x,,,,the row cannot be read\n" +
				"b.com,1,,benign,b.com,\nc.com,2,,benign,c.com,\n"},
		{what: "a quote inside a cell", in: "query,n\na.evil.com,5\" disk\n",
			want: "query,n,score,label,registered_domain,reason\na.evil.com,5\" disk" + evil + "\n"},
		{what: "short and empty rows", in: "n,query\n1,a.evil.com\n\n2\n3,\n4,b.com,more\n", unreadable: 2,
			want: "n,query,score,label,registered_domain,reason\n1,a.evil.com" + evil + "\n\n2,,,,the row cannot be read\n" +
				"3,,,,,no name in the row\n4,b.com,more,,benign,b.com,\n"},
		{what: "comments", in: "# made by a tool\nn,query\n# more\n1,a.evil.com\n",
			want: "# made by a tool\nn,query,score,label,registered_domain,reason\n# more\n1,a.evil.com" + evil + "\n"},
		{what: "NULs and other bytes", in: "n,query\n\x00\xff,a.evil.com\n1,b\x00.evil.com\n",
			want: "n,query,score,label,registered_domain,reason\n\x00\xff,a.evil.com" + evil +
				"\n1,b\x00.evil.com,,blocked,,on the block list: *.evil.com\n"},
		{what: "a formula", in: "n,query\n1,x.-dash.net\n2,b.com\n3,-dash.net\n4,+1.-dash.org\n",
			want: "n,query," + titles + "\n1,x.-dash.net,,benign,\"'-dash.net\",\n2,b.com,,benign,b.com,\n" +
				"3,-dash.net,,blocked,\"'-dash.net\",on the block list: -dash.net\n4,+1.-dash.org,,benign,\"'-dash.org\",\n"},
		{what: "a list", in: "a.evil.com\nGOOD.evil.com.\n192.0.2.1\n",
			want: "a.evil.com" + strings.ReplaceAll(evil, ",", "\t") + "\nGOOD.evil.com.\t\tallowed\tevil.com\t" +
				"on the allow list: good.evil.com\n192.0.2.1\t\tinvalid\t\tan IP address, not a name\n"},
		{what: "a list that begins with no name of the internet", in: "localhost\nb.com\nc.com\n",
			want: "localhost\t\tunscored\tlocalhost\ta single label\nb.com\t\tbenign\tb.com\t\nc.com\t\tbenign\tc.com\t\n"},
		{what: "a list with a title", in: "domain\nb.com\n",
			want: "domain\tscore\tlabel\tregistered_domain\treason\nb.com\t\tbenign\tb.com\t\n"},
		{what: "JSON", unreadable: 3,
			in: `{"a":[1],"query":"a.evil.com"}` + "\n" + `{"query":"b\u002ecom"} ` + "\n{}\nbroken\n" + `{"query":7}`,
			want: `{"a":[1],"query":"a.evil.com","score":null,"label":"blocked","registered_domain":"evil.com",` +
				`"reason":"on the block list: *.evil.com"}` + "\n" +
				`{"query":"b\u002ecom","score":null,"label":"benign","registered_domain":"b.com","reason":""} ` + "\n" +
				`{"score":null,"label":"","registered_domain":"","reason":"no name in the row"}` + "\nbroken\n" +
				`{"query":7,"score":null,"label":"","registered_domain":"","reason":"no name in the row"}`},
		{what: "a path", in: `{"dns":{"question":{"name":"b.com"}},"label":"x"}` + "\n",
			want: `{"dns":{"question":{"name":"b.com"}},"label":"x","degas_score":null,"degas_label":"benign",` +
				`"degas_registered_domain":"b.com","degas_reason":""}` + "\n"},
		{what: "a path of one's own", in: `{"query":"x.com","my":{"ziel":"b.com"}}` + "\n", column: "my.ziel",
			want: `{"query":"x.com","my":{"ziel":"b.com"}` + keys + "\n"},
		{what: "nothing"},
		{what: "UTF-16", in: "\xff\xfeb\x00.\x00c\x00o\x00m\x00\n\x00", want: "b.com\t\tbenign\tb.com\t\n"},
	} {
		var out bytes.Buffer
		j := job(t, Options{NameColumn: c.column})
		if err := j.Run(t.Context(), strings.NewReader(c.in), "x.csv", &out); err != nil || out.String() != c.want {
			t.Errorf("%s: %v, %q\nwant %q", c.what, err, out.String(), c.want)
		}
		if j.Stats.Unreadable != c.unreadable || j.Stats.Rows != j.Stats.Names+j.Stats.Unreadable {
			t.Errorf("%s: %+v", c.what, j.Stats)
		}
		// The same comes out however the bytes come in.
		for how, in := range map[string]io.Reader{"byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"halves": iotest.HalfReader(strings.NewReader(c.in))} {
			var again bytes.Buffer
			err := job(t, Options{NameColumn: c.column}).Run(t.Context(), in, "x.csv", &again)
			if err != nil || again.String() != c.want {
				t.Errorf("%s, %s: %v, %q", c.what, how, err, again.String())
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ in, column, want string }{
		{in: "n,text\n1,hello\n", want: `no column of names found; the columns are "n", "text". Try: --name-column`},
		{in: "a.com,b.com\nc.com,d.com\n", want: "columns 1 and 2 may both be the names. Try: --name-column 1"},
		{in: "n,query\n1,a.com\n", column: "nome", want: `no column is called "nome"; the columns are "n", "query"`},
		{in: "n,query\n1,a.com\n", column: "3", want: "a number from 1 to 2"},
		{in: `[{"query":"a.com"}]`, want: "Try: jq -c"},
		{in: `{"a":"b"}`, want: `no key holds names; the paths are "a"`},
		{in: `{"a":"b"}`, column: "query", want: `no line of the first 1 has a text at "query"; the paths are "a"`},
		{in: "PAR1\x00\x00", want: "this is no text"},
		{in: "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\n", want: "degas scan for a capture"},
		{in: "7z\xbc\xaf\x27\x1c", want: "Unpack it first"},
	} {
		var out bytes.Buffer
		err := job(t, Options{NameColumn: c.column}).Run(t.Context(), strings.NewReader(c.in), "x.csv", &out)
		if err == nil || !strings.HasPrefix(err.Error(), "classify x.csv: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.in, err)
		}
		if out.Len() > 0 {
			t.Errorf("%q: %q was written", c.in, out.String())
		}
	}
	if _, err := New(Options{Format: "domain"}); err == nil || !strings.Contains(err.Error(), "domains") {
		t.Errorf("a wrong format: %v", err)
	}
}

func TestLists(t *testing.T) {
	in := "n,query\n1,b.com\n2,A.evil.com\n3,a.evil.com.\n4,x+y.evil.com\n5,a.evil.com\n6,\"a b.evil.com\"\n"
	for format, want := range map[string]string{
		"domains": "a.evil.com\n",
		"hosts":   "0.0.0.0 a.evil.com\n",
		"adblock": "||a.evil.com^\n",
		"rpz": "$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 300\n@ NS localhost.\n" +
			"a.evil.com CNAME .\n",
		"csv": "name,score,label,registered_domain,reason\na.evil.com,,blocked,evil.com,on the block list: *.evil.com\n" +
			"x+y.evil.com,,blocked,evil.com,on the block list: *.evil.com\n" +
			"a b.evil.com,,blocked,,on the block list: *.evil.com\n",
		"jsonl": `{"name":"a.evil.com","score":null,"label":"blocked","registered_domain":"evil.com",` +
			`"reason":"on the block list: *.evil.com"}` + "\n" +
			`{"name":"x+y.evil.com","score":null,"label":"blocked","registered_domain":"evil.com",` +
			`"reason":"on the block list: *.evil.com"}` + "\n" +
			`{"name":"a b.evil.com","score":null,"label":"blocked","registered_domain":"",` +
			`"reason":"on the block list: *.evil.com"}` + "\n",
	} {
		var out bytes.Buffer
		j := job(t, Options{Format: format})
		for range 2 { // a second file repeats nothing
			if err := j.Run(t.Context(), strings.NewReader(in), "x.csv", &out); err != nil {
				t.Fatal(err)
			}
		}
		lists := strings.Contains("csv jsonl", format)
		if out.String() != want || (j.Stats.LeftOut == 0) != lists || j.Stats.Rows != 12 {
			t.Errorf("%s: %q, %+v", format, out.String(), j.Stats)
		}
	}
	if got := Formats(); !reflect.DeepEqual(got, []string{"adblock", "csv", "domains", "hosts", "jsonl", "rpz"}) {
		t.Errorf("formats %q", got)
	}
}

// big is a table of n rows whose names repeat.
func big(n int) string {
	var b strings.Builder
	b.WriteString("n,query,text\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,h%d.evil.com,\"a, %d\"\n", i, i%997, i)
	}
	return b.String()
}

// Many blocks come out in order, and packed files as others.
func TestOrder(t *testing.T) {
	text := big(60_000)
	var gz, zst bytes.Buffer
	z := gzip.NewWriter(&gz)
	e, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{z, e} {
		if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	}
	for what, in := range map[string]string{"plain": text, "gzip": gz.String(), "zstd": zst.String()} {
		var out bytes.Buffer
		j := job(t, Options{})
		if err := j.Run(t.Context(), strings.NewReader(in), "x", &out); err != nil {
			t.Fatal(what, err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 60_001 || j.Stats.Classes["blocked"] != 60_000 {
			t.Fatal(what, len(rows), err, j.Stats)
		}
		for i, row := range rows[1:] {
			if row[0] != fmt.Sprint(i) || row[2] != "a, "+row[0] || row[4] != "blocked" || row[5] != "evil.com" {
				t.Fatalf("%s, row %d: %q", what, i, row)
			}
		}
		if hits, misses := j.Cache.Stats(); misses > 4*997 || hits+misses != 60_000 {
			t.Errorf("%s: %d hits, %d misses", what, hits, misses)
		}
	}
	// What was read before a file breaks off has been written.
	var out bytes.Buffer
	err = job(t, Options{}).Run(t.Context(), strings.NewReader(gz.String()[:gz.Len()/2]), "x.gz", &out)
	if !errors.Is(err, io.ErrUnexpectedEOF) || bytes.Count(out.Bytes(), []byte("blocked")) < 20_000 {
		t.Errorf("a file that is cut off: %v, %d bytes", err, out.Len())
	}
}

// Rows of any length go through, and memory is bounded.
func TestLongRows(t *testing.T) {
	long := strings.Repeat("x", 3*maxRow)
	in := "n,query\n1,a.evil.com\n2," + long + "\n3,b.evil.com\n\"" + strings.Repeat("open,\n", 200) +
		"4,c.evil.com\n5," + long
	var out bytes.Buffer
	j := job(t, Options{})
	if err := j.Run(t.Context(), strings.NewReader(in), "x", &out); err != nil {
		t.Fatal(err)
	}
	cells := ",,,,the row cannot be read"
	if j.Stats.Classes["blocked"] != 3 || !strings.Contains(out.String(), long+cells+"\n3,b.evil.com,,blocked") ||
		!strings.HasSuffix(out.String(), long+cells) {
		t.Errorf("%+v, %d bytes", j.Stats, out.Len())
	}
	stripped := strings.NewReplacer(cells, "", ",,,,no name in the row", "",
		",,blocked,evil.com,on the block list: *.evil.com", "", ",score,label,registered_domain,reason", "").
		Replace(out.String())
	if stripped != in {
		t.Errorf("%d bytes went in, %d of them came out", len(in), len(stripped))
	}
	endless := io.MultiReader(strings.NewReader("n,query\n1,a.evil.com\n"),
		io.LimitReader(neverEnds{}, 200<<20))
	taken := alloctest.Bytes(func() {
		if err := job(t, Options{}).Run(t.Context(), endless, "x", io.Discard); err != nil {
			t.Error(err)
		}
	})
	if taken > 800<<20 {
		t.Errorf("%d MiB for a row of 200 MiB", taken>>20)
	}
}

// neverEnds is a line without an end.
type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A full disk ends the work, and so does the user, even if nobody writes to the pipe that is read.
func TestEnds(t *testing.T) {
	full := errors.New("full")
	in := strings.NewReader(big(50_000))
	if err := job(t, Options{}).Run(t.Context(), in, "x", failing{full}); !errors.Is(err, full) {
		t.Error(err)
	}
	pipe, feed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 100)
	ended := make(chan error)
	go func() { ended <- job(t, Options{}).Run(ctx, pipe, "x", sending(lines)) }()
	if _, err := io.WriteString(feed, "n,query\n1,a.evil.com\n"); err != nil {
		t.Fatal(err)
	}
	select { // what came is answered before more comes
	case text := <-lines:
		if !strings.Contains(text, "blocked") {
			t.Errorf("%q", text)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	feed.Close()
	pipe, feed = io.Pipe() // nothing comes at all
	ctx, cancel = context.WithCancel(t.Context())
	go func() { ended <- job(t, Options{}).Run(ctx, pipe, "x", io.Discard) }()
	time.AfterFunc(50*time.Millisecond, cancel)
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
	feed.Close()
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

type sending chan string

func (s sending) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}

// FuzzTable gives any bytes: nothing is lost, and JSON stays JSON.
func FuzzTable(f *testing.F) {
	for _, text := range []string{"query,n\na.evil.com,\"x\ny\"\n", "a.evil.com\n", "1;a.com\n2;b.com",
		"{\"query\":\"a.com\"}\n{}",
		"n\tquery\n\"\t\"\n", "#c\n\n,,,\n", "query\r\n\"a\"\"b\"\r\n", "a,\"\n\"\n\",\"\n"} {
		f.Add(text, "")
		f.Add(text, "1")
	}
	f.Fuzz(func(t *testing.T, text, column string) {
		for _, packed := range []string{"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd"} {
			if strings.HasPrefix(text, packed) {
				t.Skip("packed")
			}
		}
		var out bytes.Buffer
		j := job(t, Options{NameColumn: column})
		if err := j.Run(t.Context(), strings.NewReader(text), "x", &out); err != nil {
			return
		}
		if strings.Contains(text, "\x00") || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xef\xbb\xbf") ||
			strings.HasPrefix(text, "\xfe\xff") {
			return // may be UTF-16
		}
		rest := out.Bytes()
		for line := range bytes.Lines([]byte(text)) { // each line's bytes come out, in order
			want := trimEnd(line)
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
				if bytes.Contains(rest, []byte("\n")) && json.Valid(line) && !json.Valid(bytes.SplitN(rest, []byte("\n"), 2)[0]) {
					t.Errorf("%q became %q", line, rest)
				}
				return
			}
			i := bytes.Index(rest, want)
			if i < 0 {
				t.Fatalf("%q: %q is lost in %q", text, want, out.Bytes())
			}
			rest = rest[i+len(want):]
		}
	})
}
