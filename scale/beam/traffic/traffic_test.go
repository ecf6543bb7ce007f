package traffic

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/predict"
	"github.com/degas-dns/degas/detect/scan"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
)

// Tests run on Prism, Beam's local portable runner.
func TestMain(m *testing.M) { ptest.MainWithDefault(m, "prism") }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, family string, n int) []string {
	t.Helper()
	f, err := synth.Lookup(family)
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Generate(synth.Params{Seed: 9, Count: n, Date: start})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var start = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)

// logs is a folder of logs in several formats: ordinary names, a client with a DGA and a tunnel, some packed, some
// whose answers are in other lines than their questions, some without times.
func logs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	rows, err := synth.Sample(synth.SampleOptions{Seed: 77, Benign: 1500})
	if err != nil {
		t.Fatal(err)
	}
	var own, bind, dnsmasq, untimed []byte
	add := func(i int, client, name string, code events.RCode, kind events.Type) {
		e := events.Event{Time: start.Add(time.Duration(i) * 20 * time.Second), Name: []byte(name), Type: kind, RCode: code,
			Client: events.Peer{Addr: netip.MustParseAddr(client)}, Kind: events.Both, Size: 90}
		own = append(events.AppendJSON(own, &e), '\n')
	}
	for i, row := range rows {
		at := start.Add(time.Duration(i) * 7 * time.Second)
		client := fmt.Sprintf("192.0.2.%d", 1+i%40)
		switch i % 4 {
		case 0:
			add(i, client, row.Name, events.NoError, 1)
		case 1:
			bind = fmt.Appendf(bind, "%s client @0x7f00 %s#%d (%s): query: %s IN A +E(0)K (192.0.2.250)\n",
				at.Format("02-Jan-2006 15:04:05.000"), client, 1024+i, row.Name, row.Name)
		case 2:
			stamp := at.Format("Jan _2 15:04:05")
			dnsmasq = fmt.Appendf(dnsmasq, "%s dnsmasq[7]: query[A] %s from %s\n", stamp, row.Name, client)
			dnsmasq = fmt.Appendf(dnsmasq, "%s dnsmasq[7]: forwarded %s to 192.0.2.251\n", stamp, row.Name)
			if i%3 == 0 {
				dnsmasq = fmt.Appendf(dnsmasq, "%s dnsmasq[7]: reply %s is NXDOMAIN\n", stamp, row.Name)
			}
		default:
			untimed = fmt.Appendf(untimed, "{\"client\":%q,\"query\":%q}\n", client, row.Name)
		}
	}
	for i, name := range generate(t, "necurs", 60) {
		add(i*4, "192.0.2.66", name, events.NXDomain, 1)
	}
	for i, name := range generate(t, "iodine", 300) {
		add(i, "192.0.2.77", name, events.NoError, 16)
	}
	own = append(own, "no event\n{\"kind\":\"query\"}\n\r\n"...)
	write(t, filepath.Join(dir, "own.jsonl"), string(own))
	write(t, filepath.Join(dir, "named", "query.log"), string(bind))
	write(t, filepath.Join(dir, "dnsmasq.log"), strings.ReplaceAll(string(dnsmasq), "\n", "\r\n"))
	write(t, filepath.Join(dir, "untimed.json"), strings.TrimSuffix(string(untimed), "\n"))
	write(t, filepath.Join(dir, ".hidden"), "nothing")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(bind); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "named", "query.log.0.gz"), packed.String())
	return dir
}

// scanned is what degas scan says of paths, and its event log without the numbers of lines.
func scanned(t *testing.T, paths ...string) (r *scan.Report, log []string) {
	t.Helper()
	files, err := scan.Expand(paths)
	if err != nil {
		t.Fatal(err)
	}
	j, err := newJudge(model.BuiltinName)
	if err != nil || j.setUp() != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	l, err := scan.NewLog(&out, ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	r, err = scan.Run(t.Context(), files, scan.Options{Policy: j.policy, Each: l.Write,
		Watch: watch.New(watch.Options{Seed: scan.Seed(files)}), Events: events.Options{Ports: []uint16{53}}})
	if err != nil || l.Close() != nil {
		t.Fatal(err)
	}
	return r, linesOf(out.String())
}

var lineNumber = regexp.MustCompile(`,"line":"\d+"`)

func linesOf(text string) []string {
	text = lineNumber.ReplaceAllString(strings.TrimSuffix(text, "\n"), "")
	return slices.Sorted(slices.Values(strings.Split(text, "\n")))
}

// run runs a pipeline and reads its report.
func run(t *testing.T, output, report string, build func(s beam.Scope) error) *Report {
	t.Helper()
	p, s := beam.NewPipelineWithRoot()
	if err := build(s); err != nil {
		t.Fatal(err)
	}
	if err := ptest.Run(p); err != nil {
		t.Fatal(err)
	}
	data, err := ReadReport(t.Context(), output, report)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// written are the files of a folder in order, and their texts one behind the other.
func written(t *testing.T, dir string) (names []string, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		names, text = append(names, rel), text+string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, text
}

// The events, their decisions and all counts are those of degas scan, however the logs are cut.
func TestScoreEqualsScan(t *testing.T) {
	in := logs(t)
	want, log := scanned(t, in)
	for _, size := range []int64{5000, DefaultRangeSize} {
		out := t.TempDir()
		o := Options{Input: []string{in}, Output: out, Model: model.BuiltinName, RangeSize: size}
		r := run(t, out, ScoreFile, func(s beam.Scope) error { return Score(t.Context(), s, o, JSONLines) })
		names, text := written(t, filepath.Join(out, "events"))
		if got := linesOf(text); !slices.Equal(got, log) {
			t.Errorf("ranges of %d: %d events, want %d, or other ones", size, len(got), len(log))
		}
		sum := Report{}
		for _, f := range want.Files {
			one := Report{Units: f.Units, Skipped: f.Skipped, Refused: f.Refused, Verdicts: f.Verdicts}
			sum.merge(&one)
		}
		if r.Events != want.Events || r.Files != 5 || r.Failed != 0 || r.Units != sum.Units ||
			r.Written != int64(len(names)) || !r.First.Equal(want.First) || !r.Last.Equal(want.Last) ||
			!maps.Equal(r.Verdicts, sum.Verdicts) || !maps.Equal(r.Skipped, sum.Skipped) ||
			!maps.Equal(r.Refused, sum.Refused) {
			t.Errorf("ranges of %d: %+v, want %+v", size, r, want)
		}
		if (r.Pieces > 5) != (size == 5000) {
			t.Errorf("ranges of %d: %d pieces", size, r.Pieces)
		}
		for _, day := range []string{"2026-11-29", "2026-11-30", noDay} {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "day="+day+"/part-") }) {
				t.Errorf("no file of %s in %q", day, names)
			}
		}
	}
}

// The findings are those of degas scan to the byte, however the logs are cut and the evidence is spread.
func TestWatchEqualsScan(t *testing.T) {
	in := logs(t)
	scan1, _ := scanned(t, in)
	var want bytes.Buffer
	if err := scan.WriteFindings(&want, scan1.Findings); err != nil {
		t.Fatal(err)
	}
	if len(scan1.Findings) < 2 {
		t.Fatalf("the traffic has too little: %+v", scan1.Findings)
	}
	for lanes, size := range map[int]int64{1: DefaultRangeSize, 7: 5000} {
		out := t.TempDir()
		o := Options{Input: []string{in}, Output: out, Model: model.BuiltinName, RangeSize: size}
		r := run(t, out, WatchFile, func(s beam.Scope) error { return Watch(t.Context(), s, o, lanes, 0) })
		got, err := os.ReadFile(filepath.Join(out, FindingsFile))
		if err != nil || string(got) != want.String() {
			t.Errorf("%d lanes, %v: %s\nwant %s", lanes, err, got, &want)
		}
		if r.Events != scan1.Events || r.Findings != int64(len(scan1.Findings)) {
			t.Errorf("%d lanes: %+v", lanes, r)
		}
	}
}

// predicted is what degas predict --json prints of names.
func predicted(t *testing.T, names []string) string {
	t.Helper()
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := predict.New(c)
	if err := s.Score(t.Context(), names, func(name string, v *model.Verdict) error {
		return s.WriteJSON(&out, name, v)
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Lists get what degas predict says, one file behind the other.
func TestScoreEqualsPredict(t *testing.T) {
	names := slices.Concat(generate(t, "necurs", 900), []string{"# comment", "http://a.example/b c", "1.2.3.4",
		"google.com", "x_y.\u00e4.com", strings.Repeat("a.", 200)})
	text := strings.Join(names[:500], "\n") + "\r\n\n\r\n" + strings.Join(names[500:], "\n")
	for _, in := range []string{text, "\ufeff" + text} { // a file with a mark is read whole
		dir := t.TempDir()
		write(t, filepath.Join(dir, "names.txt"), in)
		for _, form := range []string{JSONLines, Parquet} {
			out := filepath.Join(t.TempDir(), "new")
			o := Options{Input: []string{filepath.Join(dir, "names.txt")}, Output: out, Model: model.BuiltinName,
				RangeSize: 1000}
			r := run(t, out, ScoreFile, func(s beam.Scope) error { return Score(t.Context(), s, o, form) })
			if r.Names != int64(len(names)) || r.Units != int64(len(names)+2) || r.Skipped["empty line"] != 2 || r.Failed != 0 {
				t.Errorf("%+v, want %d names", r, len(names))
			}
			files, text := written(t, filepath.Join(out, "names"))
			if (len(files) > 1) == strings.HasPrefix(in, "\ufeff") {
				t.Errorf("%d files", len(files))
			}
			if form == JSONLines {
				if text != predicted(t, names) {
					t.Errorf("%.300s\nwant %.300s", text, predicted(t, names))
				}
				continue
			}
			var got []string
			for _, f := range files {
				rows, err := parquet.ReadFile[nameRow](filepath.Join(out, "names", f))
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					got = append(got, row.Name)
					if row.Label == "" || (row.Label == detect.Invalid.String()) != (row.Invalid != "") {
						t.Errorf("%+v", row)
					}
				}
			}
			if !slices.Equal(got, names) {
				t.Errorf("%q in %v", got, files)
			}
		}
	}
}

// A file that cannot be read is named, the others are read, and Err says so.
func TestBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "good.txt"), "google.com\nexample.org\n")
	long := "google.com\nexample.org\n" + strings.Repeat("x", predict.MaxLine+1) + "\nmore.example.com\n"
	write(t, filepath.Join(dir, "long.txt"), long)
	write(t, filepath.Join(dir, "rubbish.bin"), "\x00\x01\x02\xff")
	write(t, filepath.Join(dir, "empty.log"), "")
	write(t, filepath.Join(dir, "cut.gz"), "\x1f\x8b\x08")
	out := t.TempDir()
	o := Options{Input: []string{dir}, Output: out, Model: model.BuiltinName}
	r := run(t, out, ScoreFile, func(s beam.Scope) error { return Score(t.Context(), s, o, JSONLines) })
	if r.Files != 5 || r.Failed != 4 || r.Names != 4 || len(r.Errors) != 4 || r.Err() == nil {
		t.Errorf("%+v", r)
	}
	for i, name := range []string{"cut.gz", "empty.log", "long.txt", "rubbish.bin"} {
		if !strings.Contains(r.Errors[i], name) {
			t.Errorf("%q, want %s", r.Errors[i], name)
		}
	}
}

// What the starter can know stops a pipeline before it runs.
func TestRefuses(t *testing.T) {
	dir, full := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "names.txt"), "google.com\n")
	write(t, filepath.Join(full, "events", "old.jsonl"), "{}\n")
	good := func() Options {
		return Options{Input: []string{dir}, Output: filepath.Join(dir, "out"), Model: model.BuiltinName}
	}
	for want, change := range map[string]func(o *Options){
		"no such file":         func(o *Options) { o.Input = []string{filepath.Join(dir, "missing")} },
		"Try: --input":         func(o *Options) { o.Input = nil },
		"standard input":       func(o *Options) { o.Input = []string{"-"} },
		"scheme":               func(o *Options) { o.Input = []string{"ftp://a.example/b"} },
		"Try: --output":        func(o *Options) { o.Output = "" },
		"holds files already":  func(o *Options) { o.Output = full },
		"a run, a version":     func(o *Options) { o.Model = dir },
		"unknown event format": func(o *Options) { o.Events.Format = "binnd" },
		"a range of -1 bytes":  func(o *Options) { o.RangeSize = -1 },
	} {
		o := good()
		change(&o)
		_, s := beam.NewPipelineWithRoot()
		if err := Score(t.Context(), s, o, JSONLines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("score: %v, want %q", err, want)
		}
		_, s = beam.NewPipelineWithRoot()
		if err := Watch(t.Context(), s, o, 0, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("watch: %v, want %q", err, want)
		}
	}
	_, s := beam.NewPipelineWithRoot()
	if err := Score(t.Context(), s, good(), "csv"); err == nil || !strings.Contains(err.Error(), "jsonl and parquet") {
		t.Error(err)
	}
	if err := Watch(t.Context(), s, good(), -1, 0); err == nil {
		t.Error("-1 lanes")
	}
}

// More days than files that may be open at a time: each gets all of its events in order, in a file of its own.
func TestManyDays(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	var text []byte
	for i := range 400 {
		e := events.Event{Time: start.AddDate(0, 0, i%20), Name: fmt.Appendf(nil, "n%03d.com", i),
			RCode: events.NoRCode}
		text = append(events.AppendJSON(text, &e), '\n')
	}
	write(t, filepath.Join(dir, "own.jsonl"), string(text))
	o := Options{Input: []string{dir}, Output: out, Model: model.BuiltinName}
	r := run(t, out, ScoreFile, func(s beam.Scope) error { return Score(t.Context(), s, o, Parquet) })
	files, _ := written(t, filepath.Join(out, "events"))
	rows := int64(0)
	for _, f := range files {
		read, err := parquet.ReadFile[struct {
			Time time.Time `parquet:"time"`
			Name string    `parquet:"name"`
		}](filepath.Join(out, "events", f))
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range read {
			if i > 0 && row.Name < read[i-1].Name {
				t.Errorf("%s has %s behind %s", f, row.Name, read[i-1].Name)
			}
			if rows++; !strings.HasPrefix(f, "day="+row.Time.UTC().Format(time.DateOnly)) {
				t.Errorf("%s has an event of %s", f, row.Time)
			}
		}
	}
	if rows != 400 || r.Events != 400 || int64(len(files)) != r.Written || len(files) != 20 {
		t.Errorf("%d rows in %d files, %+v", rows, len(files), r)
	}
}

// A file that has become shorter since it was listed is reported.
func TestShorterFile(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("{\"client\":\"192.0.2.1\",\"query\":\"example.com\"}\n", 50)
	write(t, filepath.Join(dir, "log.json"), text)
	for _, p := range []Piece{{From: 500, To: 1000, Format: "jsonl"}, {}} {
		p.Folder, p.Name, p.Size = dir, "log.json", int64(len(text))
		for more, want := range []string{"it had 2251 bytes when it was listed and has 2250 now", ""} {
			p.Size = int64(len(text) + 1 - more)
			in, err := p.open(t.Context(), events.Options{}, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %v, want %q", p, err, want)
			}
		}
	}
}
