package tally

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/serve/store"
)

// check holds a list to its promise for every key of the truth.
func check(t *testing.T, l List, truth map[string]int64) {
	t.Helper()
	listed := map[string]bool{}
	for i, k := range l.Keys {
		listed[k.Key] = true
		if n := truth[k.Key]; n > k.N || n < k.N-k.Error {
			t.Fatalf("%s is %d, not %d to %d", k.Key, n, k.N-k.Error, k.N)
		}
		if i > 0 && k.N > l.Keys[i-1].N {
			t.Fatal("not sorted")
		}
	}
	for key, n := range truth {
		if !listed[key] && n > l.Absent {
			t.Fatalf("%s is %d, and absent, which has at most %d", key, n, l.Absent)
		}
	}
}

// Every list keeps its promise, whatever was counted, cut and merged, in whatever order.
func TestListsBoundTheTruth(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		truth := map[string]int64{}
		var all []List
		for range 1 + random.IntN(12) {
			f := NewFrequent(1 + random.IntN(40))
			exact := map[string]int64{}
			skew := 1 + 3*random.Float64()
			for range random.IntN(2000) {
				key := fmt.Sprint(int(200 * math.Pow(random.Float64(), skew)))
				n := 1 + random.Int64N(3)
				f.Add(key, n)
				exact[key] += n
				truth[key] += n
			}
			l := f.List()
			check(t, l, exact)
			if len(exact) <= f.room {
				for _, k := range l.Keys {
					if k.Error != 0 {
						t.Fatalf("an error of %d, although all keys had room", k.Error)
					}
				}
			}
			if random.IntN(2) == 0 {
				l.Cut(random.IntN(30))
				check(t, l, exact)
			}
			if len(all) > 0 && random.IntN(3) == 0 { // as a store does: each into the one that is there
				l = Merge(all[len(all)-1], l)
				all = all[:len(all)-1]
				l.Cut(5 + random.IntN(20))
			}
			all = append(all, l)
		}
		check(t, Merge(all...), truth)
	}
}

func TestCover(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	text := func(spans []Span) string {
		var out []string
		for _, s := range spans {
			out = append(out, fmt.Sprintf("%v %s-%s", s.Step.Duration(), s.From.Format("02T15:04"),
				s.To.Format("02T15:04")))
		}
		return strings.Join(out, ", ")
	}
	minutes, hours := at("20 12:30"), at("10 01:00") // kept from 13:00 and from the 11th on
	for _, test := range []struct{ from, to, want string }{
		{"20 14:00", "20 14:00", ""},
		{"20 15:00", "20 14:00", ""},
		{"20 14:03", "20 14:05", "1m0s 20T14:03-20T14:05"},
		{"20 13:58", "20 15:02", "1m0s 20T13:58-20T14:00, 1h0m0s 20T14:00-20T15:00, 1m0s 20T15:00-20T15:02"},
		{"20 12:50", "20 13:10", "1h0m0s 20T12:00-20T13:00, 1m0s 20T13:00-20T13:10"},
		{"19 12:50", "19 12:51", "1h0m0s 19T12:00-19T13:00"},
		{"18 23:00", "21 01:00", "1h0m0s 18T23:00-19T00:00, 24h0m0s 19T00:00-21T00:00, 1h0m0s 21T00:00-21T01:00"},
		{"10 05:00", "11 01:00", "24h0m0s 10T00:00-11T00:00, 1h0m0s 11T00:00-11T01:00"},
		{"09 05:00", "09 05:01", "24h0m0s 09T00:00-10T00:00"},
	} {
		got := text(Cover(store.Range{From: at(test.from), To: at(test.to)}, minutes, hours))
		if got != test.want {
			t.Errorf("%s to %s: %s, want %s", test.from, test.to, got, test.want)
		}
	}
}

func TestSettle(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8_900_000, time.FixedZone("x", 3600))
	settled := now.UTC().Truncate(time.Millisecond)
	for _, test := range []struct{ at, want time.Time }{
		{time.Time{}, settled},
		{time.Unix(-1, 0), settled},
		{now.Add(time.Hour), settled},
		{now.Add(time.Minute), settled.Add(time.Minute)},
		{now.AddDate(-9, 0, 0), settled.AddDate(-9, 0, 0)},
	} {
		e := store.Event{Time: test.at, Name: strings.Repeat("é", store.MaxName)}
		Settle(&e, now)
		if !e.Time.Equal(test.want) || e.Time.Location() != time.UTC || e.Sample != 1 {
			t.Errorf("%v: %v, sample %d", test.at, e.Time, e.Sample)
		}
		if e.Name != strings.Repeat("é", store.MaxName/2) {
			t.Errorf("the name has %d bytes", len(e.Name))
		}
	}
}

// Types and response codes that strangers choose make no more than a few hundred counts.
func TestCountsAreBounded(t *testing.T) {
	c := Counts{}
	for i := range 1 << 16 {
		c.Add(&store.Event{Time: time.Unix(60, 0), Type: events.Type(i), RCode: events.RCode(i % 5000)})
	}
	var sum int64
	for _, one := range c.List() {
		sum += one.N
	}
	if len(c) > 18*8 || sum != 1<<16 {
		t.Errorf("%d counts of %d events", len(c), sum)
	}
	if by := c.By(store.Day); len(by) != len(c) {
		t.Errorf("%d counts of the day", len(by))
	}
}

// Whatever comes, the memory stays bounded, and no event is in two parts or in none.
func TestMinutes(t *testing.T) {
	m := NewMinutes()
	now := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	sums := map[time.Time]Part{}
	counts := Counts{}
	take := func(all bool) {
		counts.AddAll(m.TakeCounts())
		for _, p := range m.TakeEnded(now, all) {
			old := sums[p.Slot]
			old.Merge(&p, 10_000)
			sums[p.Slot] = old
		}
	}
	random := rand.New(rand.NewPCG(3, 3))
	const n = 10_000
	for i := range n {
		e := store.Event{Time: now.Add(-time.Duration(random.IntN(200)) * time.Minute), Name: fmt.Sprint(i % 100),
			Verdict: detect.Verdict(4 * (i % 10 / 9))}
		m.Add(&e, now)
		if len(m.open) > maxOpen {
			t.Fatalf("%d minutes are open", len(m.open))
		}
		if i%331 == 0 {
			now = now.Add(time.Second)
			take(false)
		}
	}
	take(true)
	if rest := m.TakeEnded(now, true); len(rest)+len(m.Changed())+len(m.TakeCounts()) > 0 {
		t.Errorf("something is left: %v", rest)
	}
	var counted, listed, flagged int64
	for _, sum := range counts {
		counted += sum.N
	}
	for _, p := range sums {
		for _, k := range p.Top[store.Names][All].Keys {
			listed += k.N
		}
		for _, k := range p.Top[store.Names][Flagged].Keys {
			flagged += k.N
		}
	}
	if counted != n || listed != n || flagged != n/10 {
		t.Errorf("%d counted, %d in lists, %d of them flagged", counted, listed, flagged)
	}
}

func TestChangedGivesCopies(t *testing.T) {
	m := NewMinutes()
	e := store.Event{Time: time.Unix(600, 0), Name: "a"}
	m.Add(&e, time.Unix(601, 0))
	first := m.Changed()
	e.Name = "b"
	m.Add(&e, time.Unix(601, 0))
	if n := first[0].Sketch[store.Names].Estimate(); n != 1 || len(first[0].Top[store.Names][All].Keys) != 1 {
		t.Errorf("the copy changed: %d", n)
	}
	if again := m.Changed(); len(again) != 1 || len(again[0].Top[store.Names][All].Keys) != 2 {
		t.Errorf("changed: %v", again)
	}
	if again := m.Changed(); len(again) != 0 {
		t.Errorf("changed, although nothing came: %v", again)
	}
}

func part() Part {
	m := NewMinutes()
	for i := range 3000 {
		m.Add(&store.Event{Time: time.Unix(600, 0), Name: fmt.Sprint(i % 1200), Client: fmt.Sprint(i % 3),
			Verdict: detect.Verdict(i % 6)}, time.Unix(601, 0))
	}
	return m.Changed()[0]
}

func TestPartIsRead(t *testing.T) {
	want := part()
	data, err := want.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Part{Slot: want.Slot}
	if err := got.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Top[store.Names], want.Top[store.Names]) {
		t.Error("another list")
	}
	if a, b := got.Sketch[store.Names].Estimate(), want.Sketch[store.Names].Estimate(); a != b {
		t.Errorf("a sketch of %d instead of %d", a, b)
	}
	for i := 0; i < len(data); i += 1 + i/50 {
		if err := new(Part).UnmarshalBinary(data[:i]); err == nil {
			t.Fatalf("%d of %d bytes are read", i, len(data))
		}
	}
}

func FuzzPart(f *testing.F) {
	p := part()
	p.Merge(&Part{}, 20)
	data, err := p.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte{3, listVersion, 0, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Part
		if p.UnmarshalBinary(data) != nil {
			return
		}
		again, err := p.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Part).UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzList(f *testing.F) {
	l := List{Keys: []store.Top{{Key: "a", N: 5, Error: 1}, {Key: "", N: 4}}, Absent: 3}
	data, _ := l.AppendBinary(nil)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var l List
		if l.UnmarshalBinary(data) != nil {
			return
		}
		Merge(l, l)
		l.Cut(3)
	})
}

// What counting one event costs, of names that are all new and of names that come again.
func BenchmarkMinutes(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, kind := range []string{"new", "again"} {
		all := make([]store.Event, 1<<16)
		for i := range all {
			domain := fmt.Sprintf("d%d.example", int(20_000*math.Pow(random.Float64(), 4)))
			all[i] = store.Event{Time: time.Unix(600+int64(i/600), 0), Name: "www." + domain, Domain: domain,
				Client: fmt.Sprint(random.IntN(5000)), Type: 1}
			if kind == "new" {
				all[i].Name = fmt.Sprintf("%x.%s", i, domain)
			}
		}
		b.Run(kind, func(b *testing.B) {
			m := NewMinutes()
			for i := range b.N {
				m.Add(&all[i%len(all)], time.Unix(600, 0))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
