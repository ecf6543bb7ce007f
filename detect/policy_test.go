package detect

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
)

var builtin = sync.OnceValue(func() *model.Classifier {
	m, err := model.Builtin()
	if err != nil {
		panic(err)
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		panic(err)
	}
	return c
})

func policy(t testing.TB, o Options) *Policy {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	generated = "xjpakmdcfuqe.biz"
	tunnelled = "0001b4gqzoszzdvaywyqo5caxcyz4pmpmnrcvmlwgjqmdmkpwnwrhkaaqxqx2.t.evil-zone.net"
)

// TestDecide documents which rule comes first.
func TestDecide(t *testing.T) {
	p := policy(t, Options{Classifier: builtin(), Action: Block,
		Allow: []string{"*.good.example.com", "exact.net", generated, "both.org", "*.lan", "allowed"},
		Block: []string{".bad.example.com", "*.good.example.com", "both.org", "google.com", "x.onion", "printer"}})
	hex32 := strings.Repeat("a.", 32)
	for _, c := range []struct {
		name    string
		verdict Verdict
		rule    Rule
		class   string
		reason  string
	}{
		// The lists come first: what looks like a look-up in a block list may be below a blocked domain.
		{"2.0.0.127.bad.example.com", Blocked, BlockList, "blocked", "on the block list"},
		{"_dmarc.bad.example.com", Blocked, BlockList, "blocked", "on the block list"},
		{"printer", Blocked, BlockList, "blocked", "on the block list"},
		{"x.onion", Blocked, BlockList, "blocked", "on the block list"},
		{"xkqzjwvplm.lan", Allowed, AllowList, "allowed", "on the allow list"},
		// Nobody scores these: they pass.
		{"suxxnuduznztt", Unscored, NeverScored, "unscored", "a single label"},
		{"COM.", Unscored, NeverScored, "unscored", "a single label"},
		{"1.2.0.192.in-addr.arpa", Unscored, NeverScored, "unscored", "a reverse look-up below arpa"},
		{"nas.home.arpa", Unscored, NeverScored, "unscored", reasonLocal},
		{"xhome.arpa", Unscored, NeverScored, "unscored", "a reverse look-up below arpa"},
		{"XKQZJWVPLM.Corp.", Unscored, NeverScored, "unscored", reasonLocal},
		{"Office printer (2)._ipp._tcp.local", Unscored, NeverScored, "unscored", reasonLocal}, // no name, but local
		{"a.b.test", Unscored, NeverScored, "unscored", "a top-level domain for tests"},
		{"y.onion", Unscored, NeverScored, "unscored", "a name of Tor, which is never looked up"},
		{"_ldap._tcp.example.com", Unscored, NeverScored, "unscored", "service labels only"},
		{"_dmarc.example.com", Unscored, NeverScored, "unscored", "service labels only"},
		{"_ldap._tcp.HQ-1._sites.dc._msdcs.example.com", Unscored, NeverScored, "unscored", "service labels only"},
		{"2.0.0.127.zen.dnsbl.example", Unscored, NeverScored, "unscored", "a look-up in a DNS block list"},
		{hex32 + "zen.dnsbl.example", Unscored, NeverScored, "unscored", "a look-up in a DNS block list"},
		// An allow entry wins over a block entry and over any score.
		{"both.org", Allowed, AllowList, "allowed", "on the allow list"},
		{"www.good.example.com", Allowed, AllowList, "allowed", "on the allow list"},
		{generated, Allowed, AllowList, "allowed", "on the allow list"},
		{"we ird\x01.good.example.com", Allowed, AllowList, "allowed", "on the allow list"}, // no name, but listed
		// A block entry wins over a score.
		{"google.com", Blocked, BlockList, "blocked", "on the block list"},
		{"GOOGLE.COM.", Blocked, BlockList, "blocked", "on the block list"},
		{"bad.example.com", Blocked, BlockList, "blocked", "on the block list"},
		{"a.b.bad.example.com", Blocked, BlockList, "blocked", "on the block list"},
		{"\x00.bad.example.com", Blocked, BlockList, "blocked", "on the block list"},
		// No name, no score.
		{"", Invalid, NoName, "invalid", "empty name"},
		{".", Invalid, NoName, "invalid", "empty name"},
		{"192.0.2.1", Invalid, NoName, "invalid", "an IP address, not a name"},
		{"2001:db8::1", Invalid, NoName, "invalid", "an IP address, not a name"},
		{"a b.example.com", Invalid, NoName, "invalid", "character outside a name's grammar"},
		{`a\.b.example.com`, Invalid, NoName, "invalid", "character outside a name's grammar"},
		{strings.Repeat("a", 64) + ".com", Invalid, NoName, "invalid", "empty label or label longer than 63 bytes"},
		// The rest is scored.
		{"www.google.com", Benign, Score, "benign", "scores below the threshold"},
		{"exact.netz.com", Benign, Score, "benign", "scores below the threshold"},
		{"www.exact.net", Benign, Score, "benign", "scores below the threshold"}, // an exact entry is of one name
		{"www." + generated, Malicious, Score, "dga", "the registered domain looks generated"},
		{"api-7.eu." + generated, Malicious, Score, "dga", "the registered domain looks generated"},
		{tunnelled, Malicious, Score, "tunnel", "the name looks like a tunnel's"},
		{"fffggvmktswcjs.ddns.net", Malicious, Score, "dga", "the registered domain looks generated"},
		{"fffggvmktswcjs.mooo.com", Malicious, Score, "dga", "the registered domain looks generated"},
		{"fffggvmktswcjs.s3.amazonaws.com", Benign, Score, "benign", "scores below the threshold"},
		{"fffggvmktswcjs.azurewebsites.net", Benign, Score, "benign", "scores below the threshold"},
		// A payload does not pass for a service or a block list.
		{"_" + strings.Repeat("q", 20) + ".example.com", Benign, Score, "benign", "scores below the threshold"},
		{"_ldap._tcp.payload.example.com", Benign, Score, "benign", "scores below the threshold"},
		{"256.0.0.127.zen.dnsbl.com", Benign, Score, "benign", "scores below the threshold"},
		{"2.0.0.127.com", Benign, Score, "benign", "scores below the threshold"},
	} {
		d := p.Decide(c.name)
		if d.Verdict != c.verdict || d.Rule != c.rule || d.Class != c.class || d.Reason != c.reason {
			t.Errorf("%q: %+v, want %v by %v, %s: %s", c.name, d, c.verdict, c.rule, c.class, c.reason)
		}
		want := Pass
		if c.verdict == Blocked || c.verdict == Malicious {
			want = Block
		}
		if d.Action != want || (d.Rule == Score) != (d.Score > 0) && c.class != "benign" {
			t.Errorf("%q: %v, score %v", c.name, d.Action, d.Score)
		}
		if listed := d.Rule == AllowList || d.Rule == BlockList; listed != (d.Entry != "") {
			t.Errorf("%q: entry %q", c.name, d.Entry)
		}
	}
}

// What was never set up lets names pass.
func TestZero(t *testing.T) {
	var d Decision
	if d.Action != Pass || d.Verdict != Benign || d.Rule != NoRule {
		t.Error("the zero Decision does not pass")
	}
	var live Live
	for _, d := range []Decision{(*Policy)(nil).Decide(generated), live.Decide(generated),
		policy(t, Options{}).Decide(generated), live.DecideEvent(&events.Event{Name: []byte(generated)})} {
		if d.Action != Pass || d.Verdict != Benign {
			t.Errorf("%+v", d)
		}
	}
	// Without a wish, a malicious name is called so and passes.
	if d := policy(t, Options{Classifier: builtin()}).Decide(generated); d.Action != Pass || d.Verdict != Malicious {
		t.Errorf("%+v", d)
	}
	first := policy(t, Options{Block: []string{"*.biz"}})
	if old := live.Swap(first); old != nil || live.Decide(generated).Action != Block || live.Policy() != first {
		t.Errorf("after a swap: %+v", live.Decide(generated))
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Threshold: 1.1}, "threshold 1.1: must be between 0 and 1"},
		{Options{Allow: []string{"a.com", "a b"}}, `allow list: entry 2: "a b" is no name`},
		{Options{Block: []string{"*evil.com"}}, `block list: entry 1: "\*evil.com": a '\*' must stand for whole labels`},
		{Options{Block: []string{"*"}}, `whole labels`},
		{Options{Block: []string{"*."}}, `is no name: empty name`},
	} {
		if _, err := New(c.o); err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

// A policy works with models of any labels.
func TestModels(t *testing.T) {
	spec, err := model.Preset("cnn")
	if err != nil {
		t.Fatal(err)
	}
	for _, labels := range [][]string{{"benign", "malicious"}, {"benign", "dga"}, {"benign", "dga", "tunnel"},
		{"benign", "necurs", "iodine"}, {"benign", "tunnel"},
		{"benign", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}} {
		s := spec
		if len(labels) > 2 {
			s.Layers = slices.Clone(s.Layers)
			last := &s.Layers[len(s.Layers)-1]
			last.Units, last.Activation = len(labels), "softmax"
		}
		s.Labels = labels
		w, err := model.Initial(&s, 1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := model.NewClassifier(&model.Model{Spec: s, Weights: w, Threshold: 1e-9})
		if err != nil {
			t.Fatal(err)
		}
		p := policy(t, Options{Classifier: c})
		names := []string{"a.example.com", "example.com", "x.cloudfront.net", "cloudfront.net", "a.b.c.example.com"}
		out := make([]Decision, len(names))
		if err := p.DecideAll(context.Background(), names, out); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			d := p.Decide(name)
			if same := d; out[i].Score-d.Score > 1e-6 || d.Score-out[i].Score > 1e-6 {
				t.Errorf("%v %s: %+v alone, %+v in a batch", labels, name, same, out[i])
			}
			if d.Class != "benign" && !slices.Contains(labels, d.Class) || (d.Class == "benign") != (d.Verdict == Benign) {
				t.Errorf("%v %s: %+v", labels, name, d)
			}
			if v := p.view(name, Decision{}); (v.domain != "") != (labels[1] == "dga" && (i == 0 || i == 4)) {
				t.Errorf("%v %s: %+v", labels, name, v)
			}
		}
	}
}

// A name that passes costs no memory, and neither does one that does not. Of one on a list, the entry is written down.
func TestNoAllocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes memory of its own")
	}
	p := policy(t, Options{Classifier: builtin(), Allow: []string{"*.a.com"}, Block: []string{"b.com"}})
	c := NewCache(p, 100)
	for _, name := range []string{"www.google.com", "x.a.com", "b.com", generated, "printer", "2.0.0.127.zen.example.org",
		"_ldap._tcp.example.com", tunnelled, "d111abcdef8.cloudfront.net"} {
		e := &events.Event{Name: []byte(name)}
		c.Decide(e.Name)
		for what, decide := range map[string]func(){
			"Decide":      func() { p.Decide(name) },
			"DecideEvent": func() { p.DecideEvent(e) },
			"the Cache":   func() { c.Decide(e.Name) },
		} {
			most := 0.
			if what != "the Cache" && p.Decide(name).Entry != "" {
				most = 1
			}
			if n := testing.AllocsPerRun(20, decide); n > most {
				t.Errorf("%s of %s allocates %v times", what, name, n)
			}
		}
	}
}

// Every zone is needed: the public suffix list has a rule for each cloud and none for each other zone.
func TestZones(t *testing.T) {
	for _, z := range slices.Concat(clouds, dynamic) {
		if zones[z] == 0 || strings.Count(z, ".") >= zoneLabels || strings.ToLower(z) != z {
			t.Errorf("%s: kind %d", z, zones[z])
		}
	}
	for name, want := range map[string]string{
		"www.example.co.uk": "example.co.uk", "a.b.duckdns.org": "b.duckdns.org", "a.b.mooo.com": "b.mooo.com",
		"mooo.com": "mooo.com", "a.s3.amazonaws.com": "amazonaws.com", "x.blob.core.windows.net": "windows.net",
		"A.Example.COM.": "example.com", "no name": "", "com": "com",
	} {
		if got := Domain(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestLinks holds what a program that decides is linked with: none of what trains, measures, draws and asks object
// storage.
func TestLinks(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...", "../events/...", "../resolver").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "github.com/degas-dns/degas/model\n") {
		t.Fatalf("go list says %.300s", out)
	}
	heavy := regexp.MustCompile(
		`(?m)^(gorgonia\.org|github\.com/apache/arrow|gonum\.org/v1/plot|github\.com/sjwhitworth|gocloud\.dev|` +
			`github\.com/aws)/.*$`)
	if found := heavy.FindAllString(string(out), -1); len(found) > 0 {
		t.Errorf("detect, events and resolver are linked with %q", found)
	}
}

func FuzzDecide(f *testing.F) {
	for _, name := range []string{"", ".", "a", "www.google.com", generated, tunnelled, "_ldap._tcp.a.com", "..", "_.com",
		"2.0.0.127.b.c", "\xff\xfe.evil.com", `a\.b.com`, "._sites.", "_a._tcp._sites.x.com", strings.Repeat("f.", 33)} {
		f.Add(name)
	}
	p := policy(f, Options{Classifier: builtin(), Action: Report, Allow: []string{"*.a.com"},
		Block: []string{"*.c", "b.com"}})
	cache := NewCache(p, 64)
	f.Fuzz(func(t *testing.T, name string) {
		d := p.Decide(name)
		if d.Class == "" || d.Reason == "" || !utf8.ValidString(d.Reason) || d.Score < 0 || d.Score > 1 {
			t.Errorf("%q: %+v", name, d)
		}
		if strings.HasSuffix(strings.ToLower(name), ".a.com") && d.Action == Block {
			t.Errorf("%q is allowed and blocked: %+v", name, d)
		}
		out := make([]Decision, 2)
		if err := cache.DecideAll(context.Background(), [][]byte{[]byte(name), []byte(name)}, out); err != nil {
			t.Fatal(err)
		}
		alike := func(a, b Decision) bool {
			return a.Verdict == b.Verdict && a.Rule == b.Rule && a.Score-b.Score < 1e-5 && b.Score-a.Score < 1e-5
		}
		if !alike(out[0], out[1]) || !alike(out[0], d) && fmt.Sprintf("%.3f", d.Score) != fmt.Sprintf("%.3f", p.threshold) {
			t.Errorf("%q: %+v alone, %+v in a batch", name, d, out)
		}
		Domain(name)
	})
}
