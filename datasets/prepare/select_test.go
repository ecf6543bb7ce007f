package prepare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model/dnsname"
)

// trained counts the rows of each class, and the largest family, of the training split.
func trained(t *testing.T, dir string) (classes [datasets.NumClasses]int, largest int) {
	families := map[string]int{}
	for _, r := range splitRows(t, dir, "train") {
		classes[r.Class]++
		if r.Family != "" {
			families[r.Family]++
			largest = max(largest, families[r.Family])
		}
	}
	return classes, largest
}

func TestCapAndBalance(t *testing.T) {
	in, plain := sampleTree(t), t.TempDir()
	whole := mustProcess(t, in, plain, Options{Seed: 5})
	for i, tc := range []struct {
		o    Options
		want func(classes [datasets.NumClasses]int) bool
	}{
		{Options{CapFamily: 100}, func(c [datasets.NumClasses]int) bool {
			return c[datasets.Tunnel] == 100 && c[datasets.Benign] > 2000
		}},
		{Options{CapFamily: 1}, func(c [datasets.NumClasses]int) bool { return c[datasets.Tunnel] == 1 }},
		{Options{CapFamily: 1 << 40}, func(c [datasets.NumClasses]int) bool { return c[datasets.DGA] > 2000 }},
		{Options{Balance: datasets.BalanceBinary}, func(c [datasets.NumClasses]int) bool {
			return c[datasets.Benign] == c[datasets.DGA]+c[datasets.Tunnel] && c[datasets.Benign] > 2000
		}},
		{Options{Balance: datasets.BalanceClass}, func(c [datasets.NumClasses]int) bool {
			return c[datasets.Benign] == c[datasets.DGA] && c[datasets.Tunnel] == c[datasets.DGA] && c[datasets.DGA] > 300
		}},
		{Options{Balance: datasets.BalanceBinary, CapFamily: 200}, func(c [datasets.NumClasses]int) bool {
			return c[datasets.Benign] == c[datasets.DGA]+c[datasets.Tunnel] && c[datasets.Benign] < 900
		}},
		{Options{Balance: datasets.BalanceClass, CapFamily: 200},
			func(c [datasets.NumClasses]int) bool { return c == [datasets.NumClasses]int{200, 200, 200} }},
	} {
		if testing.Short() && i%3 > 0 { // enough for the race detector
			continue
		}
		tc.o.Seed = 5
		t.Run(fmt.Sprint(tc.o.Balance, tc.o.CapFamily), func(t *testing.T) {
			out := t.TempDir()
			m := mustProcess(t, in, out, tc.o)
			classes, largest := trained(t, out)
			if !tc.want(classes) || tc.o.CapFamily > 0 && int64(largest) > tc.o.CapFamily {
				t.Errorf("classes %v, largest family %d", classes, largest)
			}
			if sum := m.Refused + m.Duplicates + m.Overridden + m.Conflicts.Rows + m.Capped + m.Balanced +
				m.Kept; sum != m.RowsIn {
				t.Errorf("%d rows of %d accounted for", sum, m.RowsIn)
			}
			if m.Kept+m.Capped+m.Balanced != whole.Kept ||
				m.Split("train").Rows != whole.Split("train").Rows-m.Capped-m.Balanced {
				t.Errorf("capped %d, balanced out %d, kept %d of %d", m.Capped, m.Balanced, m.Kept, whole.Kept)
			}
			for _, s := range []string{"validation", "test"} {
				if !slices.Equal(splitRows(t, out, s), splitRows(t, plain, s)) {
					t.Errorf("%s is not what it is without thinning", s)
				}
			}
			all := map[string]bool{}
			for _, r := range splitRows(t, plain, "train") {
				all[r.Name] = true
			}
			for _, r := range splitRows(t, out, "train") {
				if !all[r.Name] {
					t.Fatalf("%s was not in training before", r.Name)
				}
			}
			same := t.TempDir()
			for _, o := range []Options{{Workers: 1}, {Workers: 7, Memory: 64 << 20}} {
				o.Seed, o.Balance, o.CapFamily = tc.o.Seed, tc.o.Balance, tc.o.CapFamily
				mustProcess(t, in, same, o)
				if outputBytes(t, same) != outputBytes(t, out) {
					t.Errorf("workers %d, memory %d: output differs", o.Workers, o.Memory)
				}
			}
		})
	}
}

// What is kept is spread over the whole file, and another seed keeps other rows.
func TestCapIsARandomChoice(t *testing.T) {
	in := sampleTree(t)
	chosen := func(seed uint64) (names []string, middle float64) {
		out := t.TempDir()
		mustProcess(t, in, out, Options{Seed: seed, CapFamily: 200, Validation: -1, Test: -1})
		rows := splitRows(t, out, "train")
		for i, r := range rows {
			if r.Family == "tinba" {
				names, middle = append(names, r.Name), middle+float64(i)/float64(len(rows))/200
			}
		}
		return names, middle
	}
	a, middle := chosen(1)
	if len(a) != 200 || middle < 0.4 || middle > 0.6 {
		t.Errorf("%d rows, on average at %.2f of the file", len(a), middle)
	}
	b, _ := chosen(2)
	both := 0
	for _, n := range b {
		if slices.Contains(a, n) {
			both++
		}
	}
	if both > 60 {
		t.Errorf("two seeds chose %d of 200 alike", both)
	}
}

// A family's cap holds for all of its classes together.
func TestLimitSharesTheCap(t *testing.T) {
	for _, tc := range []struct {
		rows [datasets.NumClasses]int64
		most int64
		want int64 // taken
	}{{[3]int64{0, 70, 30}, 10, 10}, {[3]int64{0, 1, 1}, 1, 1}, {[3]int64{0, 999, 1}, 10, 10}, {[3]int64{0, 4, 4}, 8, 8},
		{[3]int64{5, 5, 5}, 7, 7}} {
		taken := tc.rows
		out := limit(&taken, tc.most)
		got := int64(0)
		for c, n := range tc.rows {
			if taken[c] < 0 || taken[c] > n {
				t.Errorf("%v: class %d gives %d", tc, c, taken[c])
			}
			got += taken[c]
			out -= n - taken[c]
		}
		if out != 0 {
			t.Errorf("%v: it does not say how many are left out", tc)
		}
		if got != tc.want {
			t.Errorf("%v: %d taken", tc, got)
		}
	}
}

func TestParseDay(t *testing.T) {
	for text, want := range map[string]string{
		"2018-06-23": "2018-06-23", "2018-06-23 00:00:00": "2018-06-23",
		"1970-01-02": "1970-01-02", "2149-06-06": "2149-06-06",
		"": "", "2018-02-30": "", "2018-6-23": "", "1969-01-01": "", "2149-06-07": "", "9999-99-99": "", "23 Jun 2018": "",
	} {
		if got := datasets.ParseDay([]byte(text)).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCutDays(t *testing.T) {
	for _, tc := range []struct {
		rows             []int64 // of days 1, 2, …
		validation, test float64
		want             string // split of each day
	}{
		{[]int64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 0.1, 0.1, "0000000012"},
		{[]int64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 0, 0.2, "0000000022"},
		{[]int64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 0.2, 0, "0000000011"},
		{[]int64{10, 10, 10}, 0, 0, "000"},
		{[]int64{1, 1000}, 0.1, 0.1, "02"},
		{[]int64{1000, 1}, 0.1, 0.1, "02"},
		{[]int64{1000, 1}, 0.1, 0, "01"},
		{[]int64{1, 1, 1000}, 0.1, 0.1, "012"},
		{[]int64{1000, 1, 1}, 0.1, 0.1, "012"},
		{[]int64{1, 1000, 1}, 0.1, 0.1, "012"},
		{[]int64{10, 0, 0, 10, 10}, 0.3, 0.3, "00012"},
		{[]int64{1000, 10, 10, 10}, 0.45, 0.45, "0122"},
	} {
		p := &Plan{Validation: tc.validation, Test: tc.test, By: datasets.SplitByDate}
		rows := map[datasets.Day]int64{0: 7}
		for d, n := range tc.rows {
			rows[datasets.Day(d+1)] = n
		}
		r, err := p.cutDays(rows)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for d := range tc.rows {
			got += fmt.Sprint(uint8(p.dated(datasets.Day(d + 1))))
		}
		if got != tc.want || r.Undated != 7 || (r.TestFrom == "") != !strings.Contains(got, "2") ||
			(r.ValidationFrom == "") != !strings.Contains(got, "1") {
			t.Errorf("%v %g %g: %s, want %s; %+v", tc.rows, tc.validation, tc.test, got, tc.want, r)
		}
	}
}

// datedTree is two feeds with dates, names of which come again later, and lists without dates.
func datedTree(t testing.TB) string {
	var feed, netlab, benign strings.Builder
	for i := range 2000 {
		day := i / 100
		fmt.Fprintf(&feed, "f%05xq.com,Domain used by Cryptolocker DGA for some day,2018-06-%02d,http://x\n", i*7919, day+1)
		fmt.Fprintf(&netlab, "conficker\tc%05xq.net\t2018-06-%02d 00:00:00\t2018-07-01 23:59:59\n", i*104729, day+1)
		fmt.Fprintf(&benign, "%d,host%d.site%d.org\n", i+1, i%3, i/2)
	}
	netlab.WriteString("conficker\ta.late.net\t2018-06-01 00:00:00\t2018-07-01 23:59:59\n")
	netlab.WriteString("conficker\tb.late.net\t2018-06-20 00:00:00\t2018-07-01 23:59:59\n")
	netlab.WriteString("conficker\tagain.net\t2018-06-20 00:00:00\t2018-07-01 23:59:59\n")
	netlab.WriteString("conficker\tagain.net\t2018-06-01 00:00:00\t2018-07-01 23:59:59\n")
	return tree(t, map[string]string{"bambenek/feed.csv": feed.String(), "netlab/dga.txt": netlab.String(),
		"tranco/top.csv": benign.String()})
}

func TestSplitByDate(t *testing.T) {
	in, out, byDomain := datedTree(t), t.TempDir(), t.TempDir()
	m := mustProcess(t, in, out, Options{Seed: 9, Split: datasets.SplitByDate, Workers: 1})
	mustProcess(t, in, byDomain, Options{Seed: 9})
	want := datasets.DateReport{Dated: 4004, Undated: 2000, First: "2018-06-01", ValidationFrom: "2018-06-17",
		TestFrom: "2018-06-19", Last: "2018-06-20"}
	if m.Dates == nil || *m.Dates != want {
		t.Fatalf("dates %+v, want %+v", m.Dates, want)
	}
	where := map[string]string{} // benign names by domain
	for _, s := range datasets.SplitNames() {
		for _, r := range splitRows(t, byDomain, s) {
			where[r.Name] = s
		}
	}
	domains := map[string]string{}
	for _, s := range datasets.SplitNames() {
		for _, r := range splitRows(t, out, s) {
			d := dnsname.Registered(r.Name)
			if old, ok := domains[d]; ok && old != s {
				t.Fatalf("%s is in %s and %s", d, old, s)
			}
			domains[d] = s
			if r.Class == datasets.Benign && where[r.Name] != s {
				t.Fatalf("%s has no date and is in %s, by domain in %s", r.Name, s, where[r.Name])
			}
		}
	}
	if n := m.Split("train").ByFamily["cryptolocker"]; n != 1600 {
		t.Errorf("%d rows of the oldest 16 days in training", n)
	}
	if domains["late.net"] != "test" || domains["again.net"] != "test" {
		t.Errorf("the newest day does not decide: %s, %s", domains["late.net"], domains["again.net"])
	}
	same := t.TempDir()
	mustProcess(t, in, same, Options{Seed: 9, Split: datasets.SplitByDate, Workers: 5, Memory: 64 << 20})
	if outputBytes(t, same) != outputBytes(t, out) {
		t.Error("output depends on workers or memory")
	}
	held := mustProcess(t, in, t.TempDir(), Options{Seed: 9, Split: datasets.SplitByDate,
		HoldoutFamilies: []string{"conficker"}})
	if held.Split("train").ByFamily["conficker"]+held.Split("validation").ByFamily["conficker"] != 0 {
		t.Error("a held-out family is outside test")
	}
}

// Dates go through partitions that are worked on in slices.
func TestCleanerSlicesKeepDates(t *testing.T) {
	in := datedTree(t)
	o := Options{Split: datasets.SplitByDate, CapFamily: 10}
	want := slicedContent(t, in, o, 1<<30)
	if got := slicedContent(t, in, o, 3_000); got != want {
		t.Error("with a budget of 3,000 bytes the content differs")
	}
}
