package dnsname

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
)

// same compares with golang.org/x/net/publicsuffix.
func same(t *testing.T, name string) {
	t.Helper()
	want, _ := publicsuffix.PublicSuffix(name)
	start, _ := suffixes().cut(name)
	if got := name[start:]; got != want {
		t.Errorf("public suffix of %q is %q, want %q", name, got, want)
	}
}

func TestSuffixesAreThoseOfTheLibrary(t *testing.T) {
	n := 0
	for line := range strings.Lines(suffixRules) {
		rule := strings.TrimSpace(line)
		if strings.HasPrefix(rule, "//") {
			continue
		}
		n++
		rule = strings.TrimPrefix(strings.TrimPrefix(rule, "!"), "*.")
		for _, below := range []string{"", "a.", "b.a.", "c.b.a.", "www.", "x-"} {
			same(t, below+rule)
		}
		if _, parent, ok := strings.Cut(rule, "."); ok {
			same(t, parent)
			same(t, "zz."+parent)
		}
	}
	if n < 9000 {
		t.Errorf("only %d rules", n)
	}
	for _, name := range []string{"com", "a", "a.b", "nosuchtld", "x.nosuchtld", "", ".", "a..com", ".com",
		"city.kobe.jp", "x.city.kobe.jp", "www.ck", "a.www.ck"} {
		same(t, name)
	}
}

// The rules must be made again when golang.org/x/net is upgraded.
func TestSuffixesAreUpToDate(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "golang.org/x/net").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	if version := strings.TrimSpace(string(out)); !strings.Contains(suffixRules[:200], "golang.org/x/net "+version+".") {
		t.Errorf("suffixes.txt is not of golang.org/x/net %s. Try: go generate ./model/dnsname", version)
	}
}

func FuzzSuffix(f *testing.F) {
	f.Add("www.example.co.uk")
	f.Add("a.b.kobe.jp")
	f.Fuzz(func(t *testing.T, name string) {
		if n, err := Normalize(name); err == nil {
			same(t, n)
		}
	})
}

func BenchmarkRegistered(b *testing.B) {
	names := []string{"www.google.com", "a.b.c.example.co.uk", "xjpakmdcfuqe.biz", "0abc.t.example.io", "user.github.io"}
	b.ReportAllocs()
	for i := range b.N {
		Registered(names[i%len(names)])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
}
