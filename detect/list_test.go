package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func join(t testing.TB, sources ...*Entries) *List {
	t.Helper()
	l, err := NewListOf(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNewList(t *testing.T) {
	l, err := NewList([]string{"a.com", "*.b.org", "BÜCHER.example.", ".c.net", "c.net", "*.x.b.org", "a.com", "lone"})
	if err != nil || l.Len() != 6 {
		t.Fatal(l.Len(), err)
	}
	for name, want := range map[string]string{"a.com": "a.com", "www.a.com": "", "com": "", "b.org": "*.b.org",
		"y.b.org": "*.b.org", "x.b.org": "*.x.b.org", "z.y.x.b.org": "*.x.b.org", "xb.org": "",
		"xn--bcher-kva.example": "xn--bcher-kva.example", "c.net": "*.c.net", "w.c.net": "*.c.net", "": "", ".": "",
		"lone": "lone", "a.lone": "", strings.Repeat("a.", 120) + "b.org": "*.b.org", "b.org.": "", "..b.org": "*.b.org"} {
		if m, ok := l.Find(name); m.Entry != want || ok != (want != "") || m.Source != "" {
			t.Errorf("%s: %+v, want %q", name, m, want)
		}
	}
	for name, want := range map[string]bool{"com": true, "a.com": false, "org": true, "b.org": true, "": false,
		"example": true, "lone": false, "net": true, "de": false, "y.b.org": false} {
		if got := l.Below(name); got != want {
			t.Errorf("an entry is below %s: %v", name, got)
		}
	}
	var none *List
	if _, ok := none.Find("a.com"); ok || none.Below("com") || none.Len()+none.Bytes() != 0 || none.All("a.com") != nil {
		t.Error("a nil List is not empty")
	}
}

// Entries of several sources are found as if they were one source's, and each says where it is from.
func TestListOf(t *testing.T) {
	first, second, third := NewEntries("one", true), NewEntries("two", false), NewEntries("three", true)
	first.Add("exact.com", Exact)
	first.Add("below.com", Below)
	second.Add("exact.com", Subtree) // wider than the first one
	second.Add("exact.com", Exact)
	second.Add("deep.only.net", Exact)
	third.Add("below.com", Subtree)
	third.Add("x.exact.com", Exact)
	for _, e := range []*Entries{first, second, third} {
		e.Done()
	}
	l := join(t, first, second, third)
	if l.Len() != 4 || first.Len() != 2 || second.Len() != 3 {
		t.Errorf("%d names, %d and %d entries", l.Len(), first.Len(), second.Len())
	}
	for name, want := range map[string][]Match{
		"exact.com":     {{"exact.com", "one"}, {"*.exact.com", "two"}, {"exact.com", "two"}},
		"x.exact.com":   {{"x.exact.com", "three"}, {"*.exact.com", "two"}},
		"y.exact.com":   {{"*.exact.com", "two"}},
		"below.com":     {{"*.below.com", "three"}},
		"a.below.com":   {{"*.below.com", "one"}, {"*.below.com", "three"}},
		"deep.only.net": {{"deep.only.net", "two"}},
		"only.net":      nil,
	} {
		if all := l.All(name); !slices.Equal(all, want) {
			t.Errorf("%s: %+v, want %+v", name, all, want)
		}
		if m, ok := l.Find(name); ok != (want != nil) || ok && m != want[0] {
			t.Errorf("%s: %+v, want %+v", name, m, want)
		}
	}
	if !l.Below("exact.com") || !l.Below("com") || l.Below("only.net") { // nobody asked for those of the second
		t.Error("ancestors")
	}
}

// A List of many names finds these and no others, in at most the memory that it promises.
func TestListOfMany(t *testing.T) {
	const n = 30_000
	e, other := NewEntries("x", false), NewEntries("y", false)
	for i := range n {
		to := e
		if i%3 == 0 {
			to = other
		}
		to.Add(fmt.Sprintf("n%d.example.com", i), Exact)
	}
	e.Done()
	other.Done()
	l := join(t, e, other)
	for i := range n {
		m, ok := l.Find(fmt.Sprintf("n%d.example.com", i))
		if want := map[bool]string{true: "y", false: "x"}[i%3 == 0]; !ok || m.Source != want {
			t.Fatalf("%d: %+v, %v", i, m, ok)
		}
		if _, ok := l.Find(fmt.Sprintf("m%d.example.com", i)); ok {
			t.Fatalf("m%d is found", i)
		}
	}
	if bytes := float64(l.Bytes()) / n; l.Len() != n || bytes > 14 {
		t.Errorf("%d names, %.2f bytes an entry", l.Len(), bytes)
	}
}

func TestListAllocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes memory of its own")
	}
	l, err := NewList([]string{"*.a.b.example.com", "c.com"})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { l.Find("www.other.example.com"); l.Below("com") }); n > 0 {
		t.Errorf("a miss allocates %v times", n)
	}
}

// FuzzList compares Find with a search of all entries.
func FuzzList(f *testing.F) {
	f.Add("a.b c.b b", "x.a.b", uint8(7))
	f.Add("", ".", uint8(1))
	f.Add(". .. a.", "a.a..", uint8(3))
	f.Fuzz(func(t *testing.T, names, name string, scopes uint8) {
		e := NewEntries("s", true)
		entries := map[string]Scope{}
		for i, n := range strings.Fields(names) {
			s := Scope(1 + (scopes>>(i%4))%3)
			e.Add(n, s)
			entries[n] |= s
		}
		e.Done()
		l := join(t, e)
		want := entries[name]&Exact != 0 && name != ""
		for rest := after(name); rest != ""; rest = after(rest) {
			want = want || entries[rest]&Below != 0
		}
		if _, ok := l.Find(name); ok != want {
			t.Errorf("%q in %v: found %v", name, entries, ok)
		}
		if all := l.All(name); (len(all) > 0) != want {
			t.Errorf("%q in %v: %v", name, entries, all)
		}
		if l.Len() != len(slices.Collect(maps.Keys(entries))) {
			t.Errorf("%d of %v", l.Len(), entries)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	e := NewEntries("x", false)
	for i := range 5_000_000 {
		e.Add(fmt.Sprintf("n%d.example%d.com", i, i%977), Subtree)
	}
	e.Done()
	l := join(b, e)
	for what, format := range map[string]string{"miss": "www.m%d.example%d.org", "hit": "n%d.example%d.com"} {
		var names []string
		for i := range 1 << 16 {
			names = append(names, fmt.Sprintf(format, i*71, i*71%977))
		}
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.Find(names[i%len(names)])
			}
			b.ReportMetric(float64(l.Bytes())/float64(l.Len()), "bytes/entry")
		})
	}
}
