package accounts

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/degas-dns/degas/serve/store/ledger"
)

// What hashOf makes fits its password alone.
func TestHash(t *testing.T) {
	for _, c := range []cost{cheap, {memory: 1024, passes: 2, lanes: 1}, {memory: 64, passes: 3, lanes: 4}} {
		a := &Accounts{cost: c}
		text := a.hashOf("päss word")
		h, err := parseHash(text)
		if err != nil || h.cost != c || len(h.salt) != saltSize || len(h.key) != keySize {
			t.Errorf("%s: %+v, %v", text, h, err)
		}
		if !a.matches(h, "päss word") || a.matches(h, "pass word") || a.matches(h, "") {
			t.Errorf("%s fits the wrong passwords", text)
		}
		if a.hashOf("päss word") == text {
			t.Error("two hashes have the same salt")
		}
	}
}

// A hash from the tests of the reference implementation (P-H-C/phc-winner-argon2, src/test.c).
func TestReferenceHash(t *testing.T) {
	h, err := parseHash("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	if a := new(Accounts); err != nil || !a.matches(h, "password") || a.matches(h, "Password") {
		t.Errorf("the hash does not fit: %v", err)
	}
}

func TestParseHash(t *testing.T) {
	const salt, key = "c29tZXNhbHRzYWx0", "AAAAAAAAAAAAAAAAAAAAAAAAAAA"
	good := "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key
	if h, err := parseHash(good); err != nil || h.String() != good {
		t.Errorf("%s, %v", h, err)
	}
	for _, change := range [][2]string{
		{"argon2id", "argon2i"}, {"v=19", "v=16"}, {"m=64", "m=4294967295"}, {"m=64", "m=0"}, {"m=64", "m=-1"},
		{"m=64", "m=064"}, {"t=1", "t=0"}, {"t=1", "t=1000000"}, {"p=1", "p=0"}, {"p=1", "p=256"}, {"p=1", "p=1,x=1"},
		{salt, ""}, {key, ""}, {key, "AAAA"}, {key, key + "="}, {"$v", "v"}, {salt, "!!"}, {key, key + "\n"},
		{key, key + "$" + key}, {"m=64", "m=7"},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if _, err := parseHash(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.String() != text || h.memory > 256<<10 || h.passes < 1 || h.lanes < 1 {
			t.Errorf("%q: %+v", text, h)
		}
		if h.memory <= 1024 && h.passes <= 2 {
			h.work("password") // does not panic
		}
	})
}

func TestNewPassword(t *testing.T) {
	for _, test := range []struct{ password, part string }{ // no part: it is good
		{good, ""},
		{"            a b c d e", ""},
		{"密码是一个很长的句子吗好", ""},
		{strings.Repeat("abcde", 200), ""},
		{"short", "fewer than 12 characters"},
		{"", "fewer than 12 characters"},
		{"elevenchars", "fewer than 12 characters"},
		{"密码是一个很长", "fewer than 12 characters"},
		{strings.Repeat("abcde", 205), "more than 1024 bytes"},
		{strings.Repeat("ab", 20), "fewer than 5 different"},
		{"AaAaBbBbCcCcDdDd", "fewer than 5 different"},
		{"hello Ann-Marie 12", "has the name"},
		{"hello\x00hello world", "not text"},
		{"hello\nhello world", "not text"},
		{"hello\xffhello world", "not text"},
	} {
		_, err := newPassword("ann-marie", test.password)
		if (err == nil) != (test.part == "") || err != nil && !strings.Contains(err.Error(), test.part) {
			t.Errorf("%.30q: %v, want %q", test.password, err, test.part)
		}
		if err != nil && len(test.password) > 4 && strings.Contains(err.Error(), test.password) {
			t.Errorf("the error has the password: %v", err)
		}
	}
}

// The same password from another keyboard fits.
func TestPrepare(t *testing.T) {
	one, ok := prepare("pa\u0308ss\u00a0word")
	two, ok2 := prepare("p\u00e4ss word")
	if one != two || !ok || !ok2 {
		t.Errorf("%q and %q", one, two)
	}
}

// BenchmarkHash measures what a log-in takes of a processor and of memory.
func BenchmarkHash(b *testing.B) {
	a := &Accounts{cost: usual}
	b.ReportAllocs()
	for b.Loop() {
		a.hashOf(good)
	}
}

// BenchmarkFlood measures what memory a flood of log-ins takes: 200 at a time, each from another network.
func BenchmarkFlood(b *testing.B) {
	a := openBench(b)
	peak := uint64(0)
	n := 0
	for b.Loop() {
		var all sync.WaitGroup
		for range 200 {
			n++
			from := machine(n)
			all.Go(func() { _, _, _ = a.LogIn(b.Context(), "nobody", good, from, "") })
		}
		all.Wait()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapSys)
	}
	b.ReportMetric(float64(peak)/(1<<20), "MiB-heap")
}

// BenchmarkCheck measures what every request of a session costs.
func BenchmarkCheck(b *testing.B) {
	a := openBench(b)
	token, _, err := a.FirstRun(b.Context())
	if err == nil {
		_, err = a.Accept(b.Context(), token, "ann", good, home)
	}
	if err != nil {
		b.Fatal(err)
	}
	cookie, _, err := a.LogIn(b.Context(), "ann", good, home, "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.Check(b.Context(), cookie); err != nil {
			b.Fatal(err)
		}
	}
}

func openBench(b *testing.B) *Accounts {
	l, err := ledger.Open(b.Context(), b.TempDir(), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	a, err := New(b.Context(), l, Options{})
	if err != nil {
		b.Fatal(err)
	}
	return a
}
