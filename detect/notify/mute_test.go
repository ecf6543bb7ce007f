package notify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect/watch"
)

var now = time.Date(2026, 10, 8, 12, 0, 0, 0, time.UTC)

func TestMuted(t *testing.T) {
	tunnelOf := func(domain string, clients ...string) watch.Finding {
		f := watch.Finding{Kind: watch.Tunnel, Domain: domain, Clients: clients}
		if len(clients) > 0 {
			f.Client = clients[0]
		}
		return f
	}
	more := tunnelOf("example.com", "192.0.2.7")
	more.MoreClients = 1
	alone := watch.Finding{Kind: watch.Tunnel, Client: "192.0.2.7", Server: "198.51.100.1"}
	client := watch.Finding{Kind: watch.DGAClient, Client: "192.0.2.7"}
	list := watch.Finding{Kind: watch.List, Domain: "*.example.com", Client: "192.0.2.7", Clients: []string{"192.0.2.7"}}
	for _, test := range []struct {
		mute string
		f    watch.Finding
		want bool
	}{
		{"domain: example.com", tunnelOf("example.com"), true},
		{"domain: Example.COM.", tunnelOf("example.com"), true},
		{"domain: example.com", tunnelOf("EXAMPLE.com"), true},
		{"domain: example.com", tunnelOf("a.example.com"), false},
		{`domain: "*.example.com"`, tunnelOf("a.example.com"), true},
		{"domain: .example.com", tunnelOf("example.com"), true},
		{"domain: .example.com", tunnelOf("notexample.com"), false},
		{"domain: example.com", list, true},
		{"domain: example.com", client, false},
		{"domain: example.com", alone, false},
		{"client: 192.0.2.7", client, true},
		{"client: 192.0.2.0/24", client, true},
		{"client: 192.0.2.9/24", client, true},
		{"client: 192.0.3.0/24", client, false},
		{"client: 192.0.2.7", alone, true},
		{"client: ::ffff:192.0.2.7", client, true},
		{"client: 2001:db8::/32", watch.Finding{Kind: watch.DGAClient, Client: "2001:db8::1"}, true},
		{"client: 0.0.0.0/0", watch.Finding{Kind: watch.DGAClient, Client: "laptop"}, false},
		{"client: Laptop", watch.Finding{Kind: watch.DGAClient, Client: "laptop"}, true},
		{"client: 192.0.2.7", watch.Finding{Kind: watch.List, Domain: "example.com"}, false},
		// One muted client hides no other.
		{"client: 192.0.2.7", tunnelOf("example.com", "192.0.2.7", "192.0.2.8"), false},
		{"client: 192.0.2.0/28", tunnelOf("example.com", "192.0.2.7", "192.0.2.8"), true},
		{"client: 192.0.2.7", more, false},
		{"{domain: example.com, client: 192.0.2.7}", tunnelOf("example.com", "192.0.2.7"), true},
		{"{domain: example.com, client: 192.0.2.7}", tunnelOf("example.com", "192.0.2.8"), false},
		{"{domain: example.com, client: 192.0.2.7}", tunnelOf("example.org", "192.0.2.7"), false},
		{"{client: 192.0.2.7, kind: dga-client}", client, true},
		{"{client: 192.0.2.7, kind: tunnel}", client, false},
	} {
		entry := strings.Trim(test.mute, "{}")
		rules, err := parseMutes([]byte("mutes:\n- {"+entry+", reason: known, until: 2027-01-01}\n"), now)
		if err != nil {
			t.Errorf("%s: %v", test.mute, err)
			continue
		}
		if got := rules[0].fits(&test.f); got != test.want {
			t.Errorf("%s of %+v: %t", test.mute, test.f, got)
		}
	}
}

func TestMuteErrors(t *testing.T) {
	const rest = ", reason: x, until: 2027-01-01}\n"
	for text, want := range map[string]string{
		"- {reason: x, until: 2027-01-01}\n":                "line 2: mute 1: it has neither a domain nor a client",
		"- domain: a.b\n  until: 2027-01-01\n":              "line 2: mute 1: it has no reason",
		"- domain: a.b\n  reason: x\n":                      "line 2: mute 1: it has no until",
		"- {domain: a.b, reason: x, until: soon}\n":         `line 2: mute 1: until: "soon" is no day such as`,
		"- {domain: a.b, reason: x, until: 2027-02-30}\n":   "is no day",
		"- {domain: a.b, reason: x, until: 2028-01-01}\n":   "2028-01-01 is more than a year ahead. Try: 2027-10-08",
		"- {domain: a b" + rest:                             `domain: "a b" is no domain`,
		"- {client: 192.0.2.0/33" + rest:                    `client: "192.0.2.0/33" is no address`,
		"- {client: 192.0.2" + rest:                         `client: "192.0.2" is no address`,
		"- {client: 1:2" + rest:                             `client: "1:2" is no address`,
		"- {client: a.b, kind: tunel" + rest:                `kind: "tunel" is none of tunnel, dga-client, list`,
		"- domain: *.example.com\n":                         `A domain that begins with * needs quotes`,
		"- {domain: a.b" + rest + "- domain: c.d" + rest:    "line 3: ",
		"- {domain: a.b" + rest + "- {domain: c.d}\n":       "line 3: mute 2: it has no reason",
		"- {domain: a.b" + rest + "- domain: a\n  utnil: 1": `line 4: unknown field "utnil"`,
		"5\n": "line 2: mutes: want a list, not 5",
	} {
		text = "mutes:\n" + text
		_, err := parseMutes([]byte(text), now)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), muteExample) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	example := strings.TrimPrefix(muteExample, "Try: ")
	if rules, err := parseMutes([]byte(example), now); err != nil || len(rules) != 1 {
		t.Errorf("the example is none: %v", err)
	}
}

func TestMutesAreReadAgain(t *testing.T) {
	log := logged(t)
	path := filepath.Join(t.TempDir(), "mutes.yaml")
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entry := func(reason, end string) string {
		return "- {domain: t.example.com, reason: " + reason + ", until: " + end + "}\n"
	}
	if _, err := ReadMutes(path); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	write("mutes:\n- domain: x\n")
	_, err := ReadMutes(path)
	if err == nil || !strings.Contains(err.Error(), "mutes.yaml, line 2: mute 1: it has no reason") {
		t.Error(err)
	}
	write("mutes:\n" + entry("one", day(1)))
	m, err := ReadMutes(path)
	if err != nil {
		t.Fatal(err)
	}
	muted := func(want string, at time.Time) {
		t.Helper()
		if got, ok := m.Muted(&tunnel, at); got != want || ok != (want != "") {
			t.Errorf("%q, %t, want %q", got, ok, want)
		}
	}
	count := func(text string, want int) {
		t.Helper()
		if strings.Count(log(), text) != want {
			t.Errorf("want %d of %q in %s", want, text, log())
		}
	}
	muted("one", time.Now())
	write("mutes:\n" + entry("two", day(1)))
	muted("two", time.Now())
	write("mutes:\n- broken\n")
	muted("two", time.Now())
	muted("two", time.Now())
	count("those from before stay", 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	muted("two", time.Now())
	muted("two", time.Now())
	count("those from before stay", 2)
	write("mutes:\n" + entry("old", day(-2)) + entry("three", day(1)))
	muted("three", time.Now())
	muted("three", time.Now())
	count("a mute has expired", 1)
	muted("", time.Now().AddDate(0, 0, 3)) // day(1) ends in UTC
	muted("", time.Now().AddDate(0, 0, 3))
	count("a mute has expired", 2)
	write("")
	muted("", time.Now())
	if _, ok := (*Mutes)(nil).Muted(&tunnel, time.Now()); ok {
		t.Error("no mutes mute")
	}
}

// FuzzMutes: whatever a file says, every mute that is read has a subject, a reason and an end within a year.
func FuzzMutes(f *testing.F) {
	example := strings.TrimPrefix(muteExample, "Try: ")
	for _, text := range []string{example, "", "mutes:\n- {client: '::1', reason: x, until: 2027-01-01T00:00:00Z}\n",
		`{"mutes":[{"domain":"a.b","kind":"list","reason":"x","until":"2026-01-01"}]}`, "mutes:\n-\n- *a\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := parseMutes([]byte(text), now)
		for _, r := range rules {
			late := r.until.After(now.AddDate(1, 0, 1))
			if err != nil || r.Reason == "" || r.domains == nil && r.Client == "" || late {
				t.Errorf("%+v, %v", r, err)
			}
			r.fits(&hostile)
			r.fits(&tunnel)
		}
	})
}
