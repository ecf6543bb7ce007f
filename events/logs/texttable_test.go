package logs

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/events"
)

// Options.Fields says which columns or keys hold what, by title or by number.
func TestFields(t *testing.T) {
	for _, test := range []struct {
		format, text, fields string
		want                 string // names and clients, or an error's part
	}{
		{"csv", "a,b,c\n1,www.ilmarin.example,192.0.2.7\n", "name=b client=c", "www.ilmarin.example/192.0.2.7"},
		{"csv", "a,b,c\n1,www.ilmarin.example,192.0.2.7\n", "name=B client=3", "www.ilmarin.example/192.0.2.7"},
		{"csv", "1,www.ilmarin.example\n2,b.example\n", "name=2", "www.ilmarin.example/ b.example/"},
		{"csv", "7;x;www.ilmarin.example\n", "name=3 client=1", "www.ilmarin.example/7"},
		{"csv", "time,domain,host\n1,a.example,b.example\n", "name=3", "b.example/"},  // titles are no row
		{"csv", "2,1\nb.example,a.example\n", "name=2", "2/ b.example/"},              // a number may be a title
		{"csv", "domain,laptop\na.example,pc-7\n", "client=laptop", "a.example/pc-7"}, // one by title, one as usual
		{"csv", "a,b\n1,2\n", "name=c", `no column "c". Try: --field name=TITLE`},     // neither title nor number
		{"csv", "a,b\n1,2\n", "name=3", `no column "3"`},                              // beyond the last column
		{"csv", "a,b\n1,2\n", "", "no title in the first line"},                       // no usual title
		{"csv", "a,b\n1,2\n", "time=b", "no title in the first line"},                 // the column is there
		{"csv", "host,domain\nfwd-1,a.example\n", "", "a.example/"},                   // a host sent the log
		{"csv", "host,type\na.example,A\n", "", "a.example/"},                         // a host is the name
		{"csv", "url\nhttps://a.example:8443/x\n192.0.2.7\n", "", "a.example/"},       // no address
		{"csv", "a|domain\n1|a.example\n", "", "a.example/"},                          // bars
		{"csv", "\ufeffdomain,type\na.example,A\n", "", "a.example/"},                 // a byte-order mark
		{"tsv", "a\tdomain\n1\ta.example\n", "", "a.example/"},                        // tabs
		{"tsv", "a\tb\n1\ta.example\n", "name=b", "a.example/"},                       // tabs
		{"kv", "x=1 y=2 asked=a.example who=pc-7\n", "name=asked client=who", "a.example/pc-7"},
		{"kv", "asked=a.example\n", "name=asked", "a.example/"},
		{"kv", "asked=a.example query=b.example x=1\n", "name=asked", "a.example/"},
	} {
		o := events.Options{Format: test.format, Fields: map[string]string{}}
		for _, pair := range strings.Fields(test.fields) {
			field, column, _ := strings.Cut(pair, "=")
			o.Fields[field] = column
		}
		f, err := events.NewFile(strings.NewReader(test.text), "", o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var e events.Event
		for err == nil {
			if err = f.Next(&e); err == nil {
				got = append(got, string(e.Name)+"/"+e.Client.String())
			}
		}
		text := strings.Join(got, " ")
		if err != io.EOF {
			text = err.Error()
		}
		if err == io.EOF && text != test.want || err != io.EOF && !strings.Contains(text, test.want) || text == "" {
			t.Errorf("%s %q with %s: %s, want %s", test.format, test.text, test.fields, text, test.want)
		}
	}
}

// A table without usual titles is recognised as one, so that Fields apply and errors speak of columns.
func TestTableWithoutTitles(t *testing.T) {
	text := "1,www.ilmarin.example,x\n2,nowhere.ilmarin.example,y\n"
	f, err := events.NewFile(strings.NewReader(text), "", events.Options{Fields: map[string]string{"name": "2"}})
	if err != nil || f.Format.Name != "csv" {
		t.Fatal(err)
	}
	var e events.Event
	if err := f.Next(&e); err != nil || string(e.Name) != "www.ilmarin.example" || e.Line != 1 {
		t.Errorf("%q in line %d, %v", e.Name, e.Line, err)
	}
}

// Logs from the field: a column called type that has no class, and a host beside a domain.
func TestFieldTables(t *testing.T) {
	for path, names := range map[string]int{
		"F01-querylog-type/raw/benign/office-queries.csv": 24, "F04-splunk-host/raw/export.csv": 40,
		"F23-one-column/raw/*.csv": 24,
	} {
		files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "field", filepath.FromSlash(path)))
		if err != nil || len(files) == 0 {
			t.Skip("no shared data")
		}
		f, err := events.Open(t.Context(), files[0], events.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		var e events.Event
		for err == nil {
			if err = f.Next(&e); err == nil {
				seen[string(e.Name)] = true
			}
		}
		if f.Format.Name != "csv" || err != io.EOF || len(seen) != names || len(f.Stats.Refused) > 0 {
			t.Errorf("%s: %s, %d names, %v, %+v", path, f.Format.Name, len(seen), err, f.Stats)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A log that is followed into a new year gets the new year.
func TestNewYear(t *testing.T) {
	at := time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)
	parse := newDnsmasq(events.Options{}, func() time.Time { return at })
	for _, step := range []struct {
		days int
		text string
		want int
	}{{0, "Dec 31", 2026}, {0, "Jan  5", 2026}, {5, "Jan  5", 2027}, {0, "Dec 31", 2026}} {
		at = at.AddDate(0, 0, step.days)
		out, err := parse([]byte(step.text+" 11:00:00 dnsmasq[611]: query[A] www.ilmarin.example from 192.0.2.7"), nil)
		if err != nil || out[0].Time.Year() != step.want {
			t.Errorf("%s on %v: %v, want %d", step.text, at, out, step.want)
		}
	}
}

// A server's log is recognised before its first query.
func TestLateQueries(t *testing.T) {
	head := strings.Repeat("Nov 29 08:00:00 ns1 pdns_recursor[42]: tracing\n", 100)
	if f, err := events.Recognize([]byte(head)); err != nil || f.Name != "powerdns" {
		t.Errorf("%v, %v", f, err)
	}
}

// A cell of two lines costs its row. Its second line is no row of its own, whatever stands in it.
func TestCellsOfTwoLines(t *testing.T) {
	parse := newTable(events.Options{}, time.Now, ",").parse
	var names []string
	refused := 0
	text := "domain,comment,label\na.example,\"seen by\nproxy north, fine\",0\nb.example,\"\",1\n"
	for line := range strings.Lines(text) {
		out, err := parse([]byte(strings.TrimSuffix(line, "\n")), nil)
		for _, e := range out {
			names = append(names, string(e.Name))
		}
		if err == strayQuotes {
			refused++
		}
	}
	if len(names) != 1 || names[0] != "b.example" || refused != 2 {
		t.Errorf("%q, %d refused", names, refused)
	}
}
