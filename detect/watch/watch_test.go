package watch

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
)

var start = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

// The shipped tables are those of the built-in model, and no client's evidence grows where nothing is wrong.
func TestTables(t *testing.T) {
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := m.Digest(); err != nil || shipped.Model != digest {
		t.Errorf("tables.json is for the model %s, built in is %s, %v. Run: scripts/watch-tables",
			shipped.Model, digest, err)
	}
	for _, tables := range []*Tables{shipped, other(t)} {
		clean, sum := tables.Clean, 0.0
		for b := range clean {
			sum += clean[b]
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("shares have a sum of %v", sum)
		}
		for s := range shares {
			mean := 0.0
			for b, share := range clean {
				mean += share * math.Exp(tables.ratio[s][b])
			}
			if mean > 1+1e-9 || mean < .5 {
				t.Errorf("share %v: the mean of e over clean names is %v", shares[s], mean)
			}
		}
	}
	if len(shipped.Zones.Clean) < 100 || !slices.IsSortedFunc(shipped.Zones.Clean, func(a, b float64) int {
		return int(math.Copysign(1, b-a))
	}) {
		t.Errorf("scores of clean zones: %v", shipped.Zones.Clean)
	}
}

// other are tables of a model of which nothing is known.
func other(t *testing.T) *Tables {
	t.Helper()
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	m.Producer = "somebody else's"
	tables, err := TablesFor(builtinPolicy(), m)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// builtinPolicy is of the built-in model, which is always there.
var builtinPolicy = sync.OnceValue(func() *detect.Policy {
	m, _ := model.Builtin()
	c, _ := model.NewClassifier(m)
	p, _ := detect.New(detect.Options{Classifier: c, Block: []string{"*.blocked.example"}})
	return p
})

// p falls as scores rise, and never is 0.
func TestConformal(t *testing.T) {
	z := Zones{Clean: []float64{3, 2, 1}, Count: 59, Tail: 1}
	for score, want := range map[float64]float64{0: 1, 1.5: 3. / 60, 2.5: 2. / 60, 3: 2. / 60, 4: math.Exp(-1) / 60} {
		if got := z.p(score); math.Abs(got-want) > 1e-12 {
			t.Errorf("score %v: p %v, want %v", score, got, want)
		}
	}
}

// answered is a question with its answer.
func answered(at time.Time, client, name string, code events.RCode) events.Event {
	return events.Event{Time: at, Name: []byte(name), Client: events.Peer{Addr: netip.MustParseAddr(client)}, Type: 1,
		RCode: code, Kind: events.Both, Size: 90}
}

// generate is a family's names for the tests' day.
func generate(t testing.TB, family string, n int) []string {
	t.Helper()
	f, err := synth.Lookup(family)
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Generate(synth.Params{Seed: 90001, Date: start, Count: n})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// office is traffic with a client that runs a DGA, a tunnel, a blocked name, and much that is none of them.
func office(t testing.TB) []events.Event {
	t.Helper()
	var out []events.Event
	r := rand.New(rand.NewPCG(5, 5))
	rows, err := synth.Sample(synth.SampleOptions{Seed: 77, Benign: 3000})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		code := events.NoError
		if r.IntN(20) == 0 {
			code = events.NXDomain
		}
		client := fmt.Sprintf("192.0.2.%d", 1+r.IntN(40))
		out = append(out, answered(start.Add(time.Duration(i)*time.Second), client, row.Name, code))
	}
	for i, name := range generate(t, "necurs", 30) {
		out = append(out, answered(start.Add(time.Duration(i)*40*time.Second), "192.0.2.66", name, events.NXDomain))
	}
	for i, name := range generate(t, "iodine", 200) {
		e := answered(start.Add(time.Duration(i)*500*time.Millisecond), "192.0.2.77", name, events.NoError)
		e.Type = 10
		out = append(out, e)
	}
	for i := range 40 {
		at := start.Add(time.Duration(i) * time.Minute)
		client, name := fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("n%d.blocked.example", i)
		out = append(out, answered(at, client, name, events.NoError))
	}
	// A client of which two sources tell: one says nothing about answers, the other that it gets them.
	for i, name := range generate(t, "ramnit", 40) {
		e := answered(start.Add(time.Duration(i)*time.Second), "192.0.2.91", name, events.NoRCode)
		e.Kind = events.Query
		later := start.Add(time.Duration(40+i) * time.Minute)
		out = append(out, e, answered(later, "192.0.2.91", "www.example.org", events.NoError))
	}
	slices.SortStableFunc(out, func(a, b events.Event) int { return a.Time.Compare(b.Time) })
	return out
}

func observe(t testing.TB, w *Watch, all []events.Event) {
	t.Helper()
	decisions := decide(t, all)
	for i := range all {
		w.Observe(&all[i], &decisions[i])
	}
}

var remembered = sync.OnceValue(func() *detect.Cache { return detect.NewCache(builtinPolicy(), 0) })

func decide(t testing.TB, all []events.Event) []detect.Decision {
	t.Helper()
	names := make([][]byte, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	out := make([]detect.Decision, len(all))
	if err := remembered().DecideAll(t.Context(), names, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func subjects(found []Finding) (out []string) {
	for _, f := range found {
		out = append(out, f.Kind+" "+f.Subject())
	}
	slices.Sort(out)
	return out
}

// A day's traffic has exactly the findings that were put into it.
func TestFindings(t *testing.T) {
	all := office(t)
	w := New(Options{Seed: 1})
	observe(t, w, all)
	found := w.Findings()
	zone, _ := detect.Zone(generate(t, "iodine", 1)[0])
	want := []string{"dga-client 192.0.2.66", "list *.blocked.example", "tunnel " + zone}
	if got := subjects(found); !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if f := found[2]; f.Kind != List || f.Names != 40 || len(f.Clients) != 5 || f.MoreClients != 11 {
		t.Errorf("the list's finding comes last, and has 16 of its clients: %+v", f)
	}
	for _, f := range found {
		if f.Reason == "" || f.Next == "" || len(f.Examples) == 0 || f.First.IsZero() || f.Last.Before(f.First) ||
			f.Names == 0 || f.Kind != List && (f.Evidence < 3 || f.FalseAlarms > .05 || len(f.Timeline.Counts) == 0) {
			t.Errorf("%+v", f)
		}
	}
}

// Two Watches that saw halves of the traffic, in time or by turns, merge into the one that saw all of it.
func TestMerge(t *testing.T) {
	all := office(t)
	whole := New(Options{Seed: 1})
	observe(t, whole, all)
	want, decisions := whole.Findings(), decide(t, all)
	for name, first := range map[string]func(i int) bool{
		"halves": func(i int) bool { return i < len(all)/2 },
		"turns":  func(i int) bool { return i%2 == 0 },
	} {
		a, b := New(Options{Seed: 1}), New(Options{Seed: 1})
		for i := range all {
			if first(i) {
				a.Observe(&all[i], &decisions[i])
			} else {
				b.Observe(&all[i], &decisions[i])
			}
		}
		if err := a.Merge(b); err != nil {
			t.Fatal(err)
		}
		if got := a.Findings(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
	}
	if err := New(Options{Seed: 1}).Merge(New(Options{Seed: 2})); err == nil {
		t.Error("Watches with other seeds are merged")
	}
}

// Traffic that looks odd and is not: nothing is found.
func TestNothingFound(t *testing.T) {
	rows, err := synth.Sample(synth.SampleOptions{Seed: 78, Benign: 400, Hard: 150})
	if err != nil {
		t.Fatal(err)
	}
	random := generate(t, "ramnit", 10)
	tests := map[string]func() []events.Event{
		"a mail server that asks block lists and reverse zones": func() (out []events.Event) {
			for i := range 5000 {
				ip := fmt.Sprintf("%d.%d.%d.%d", i%251, i%241, i%13, 1+i%199)
				name := ip + []string{".zen.dnsbl.example.com", ".in-addr.arpa", ".bl.blocklist.example.net"}[i%3]
				out = append(out, answered(start.Add(time.Duration(i)*10*time.Second), "192.0.2.25", name, events.NXDomain))
			}
			return out
		},
		"ten clients with a random name each": func() (out []events.Event) {
			for i, name := range random {
				out = append(out, answered(start, fmt.Sprintf("192.0.2.%d", i+1), name, events.NXDomain))
			}
			return out
		},
		"names of content networks and telemetry": func() (out []events.Event) {
			for i, row := range rows {
				out = append(out, answered(start.Add(time.Duration(i)*time.Second), "192.0.2.9", row.Name, events.NoError))
			}
			return out
		},
		"a search list behind names of a DGA, of which the client was not found": func() (out []events.Event) {
			for i, name := range generate(t, "ramnit", 100) {
				at := start.Add(time.Duration(i) * 3 * time.Second)
				out = append(out, answered(at, "192.0.2.9", name, events.NoError),
					answered(at, "192.0.2.9", name+".corp.example.com", events.NXDomain))
			}
			return out
		},
		"a forwarder": func() (out []events.Event) {
			for i, name := range generate(t, "ramnit", 60) {
				at := start.Add(time.Duration(i) * time.Second)
				up := answered(at, "192.0.2.53", name, events.NXDomain)
				down := answered(at, fmt.Sprintf("192.0.2.%d", 100+i), name, events.NXDomain)
				down.Server = events.Peer{Addr: netip.MustParseAddr("192.0.2.53")}
				out = append(out, up, down)
			}
			return out
		},
	}
	for name, make := range tests {
		w := New(Options{Seed: 1})
		observe(t, w, make())
		if found := w.Findings(); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// What a Baseline has learned is not found again; a tunnel that ran meanwhile is not learned.
func TestBaseline(t *testing.T) {
	var busy []events.Event
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 300 {
		name := fmt.Sprintf("%016x%016x%016x.metrics.vendor.example.com", r.Uint64(), r.Uint64(), r.Uint64())
		busy = append(busy, answered(start.Add(time.Duration(i)*time.Second), "192.0.2.8", name, events.NoError))
	}
	w := New(Options{Seed: 1})
	observe(t, w, slices.Concat(busy, office(t)))
	b := w.Learn(w.Findings(), start)
	path := t.TempDir() + "/baseline.json"
	b.Domains = append(b.Domains, "example.com")
	if err := b.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := ReadBaseline(path)
	if err != nil {
		t.Fatal(err)
	}
	if zone, _ := detect.Zone(generate(t, "iodine", 1)[0]); slices.Contains(b.Domains, zone) {
		t.Errorf("the tunnel is learned: %q", b.Domains)
	}
	if b.Events == 0 || b.Pairs == 0 || b.Model != shipped.Model || b.From.IsZero() {
		t.Errorf("%+v", b)
	}
	w = New(Options{Seed: 1, Baseline: b})
	observe(t, w, busy)
	if found := w.Findings(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	if _, err := ReadBaseline(path + "x"); err == nil {
		t.Error("a file that is not there is read")
	}
}

// BenchmarkObserve gives events a second of one goroutine, with their decisions made.
func BenchmarkObserve(b *testing.B) {
	all := office(b)
	decisions := decide(b, all)
	w := New(Options{Seed: 1})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i := range all {
			w.Observe(&all[i], &decisions[i])
		}
		n += len(all)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// What costs an attacker little hides nothing.
func TestEvasions(t *testing.T) {
	names := generate(t, "dnscat2", 150)
	back := func(i int, e *events.Event) { e.Time = start.Add(-time.Duration(i) * time.Second) }
	front := func(label string) func(int, *events.Event) {
		return func(_ int, e *events.Event) { e.Name = append([]byte(label), e.Name...) }
	}
	zone, _ := detect.Zone(names[0])
	tunnel := func(change func(i int, e *events.Event)) (out []events.Event) {
		for i, name := range names {
			e := answered(start.Add(time.Duration(i)*time.Second), "192.0.2.77", name, events.NoError)
			e.Type = 16
			change(i, &e)
			out = append(out, e)
		}
		return out
	}
	for name, test := range map[string]struct {
		all  []events.Event
		want string
	}{
		"type PTR":              {tunnel(func(_ int, e *events.Event) { e.Type = 12 }), zone},
		"QNAME minimisation":    {tunnel(front("_.")), zone},
		"an address in front":   {tunnel(front("1.2.3.4.")), zone},
		"upper and lower case":  {tunnel(func(_ int, e *events.Event) { e.Name = bytes.ToUpper(e.Name) }), zone},
		"times that run back":   {tunnel(back), zone},
		"a client that answers": {append(office(t), answersOnce("192.0.2.66")), "192.0.2.66"},
	} {
		w := New(Options{Seed: 1})
		observe(t, w, test.all)
		if found := w.Findings(); !slices.ContainsFunc(found, func(f Finding) bool { return f.Subject() == test.want }) {
			t.Errorf("%s: found %q, want %s", name, subjects(found), test.want)
		}
	}
	var behind []events.Event // each name of the tunnel after a name with the same data that nobody would look at
	for i, e := range tunnel(func(int, *events.Event) {}) {
		sub := strings.TrimSuffix(names[i], zone)
		first := answered(e.Time, "192.0.2.77", sub+"google.com", events.NXDomain)
		e.Name = []byte(sub + "google.com." + zone)
		behind = append(behind, first, e)
	}
	w := New(Options{Seed: 1})
	observe(t, w, behind)
	if got := subjects(w.Findings()); !slices.Contains(got, "tunnel "+zone) {
		t.Errorf("behind a search list: found %q", got)
	}
}

// answersOnce is an event in which an address is the server.
func answersOnce(address string) events.Event {
	e := answered(start, "192.0.2.200", "www.example.com", events.NoError)
	e.Server = events.Peer{Addr: netip.MustParseAddr(address)}
	return e
}

// A log of two years with an event now and then is read as quickly as any other.
func TestSparse(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has little to find; go test ./... runs it")
	}
	w := New(Options{Seed: 1})
	d := &detect.Decision{Rule: detect.Score, DGA: .001}
	began := time.Now()
	for i := range 40000 {
		e := answered(start.Add(time.Duration(i)*30*time.Minute), "192.0.2.7", fmt.Sprintf("abcdefg%d.example.com", i%9),
			events.NoError)
		w.Observe(&e, d)
	}
	w.Findings()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
