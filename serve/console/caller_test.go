package console

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// A proxy is believed about its client, and about no more: what stands before that in the header, the client wrote.
func TestCaller(t *testing.T) {
	c := &Console{o: Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}}
	for _, tc := range []struct {
		remote    string
		forwarded []string
		from      string
		proxied   bool
	}{
		{"192.0.2.1:5", nil, "192.0.2.1", false},
		{"192.0.2.1:5", []string{"127.0.0.1"}, "192.0.2.1", false},
		{"10.0.0.9:5", nil, "10.0.0.9", false},
		{"[::ffff:10.0.0.9]:5", []string{"192.0.2.7"}, "192.0.2.7", true},
		{"10.0.0.9:5", []string{"127.0.0.1, 192.0.2.7"}, "192.0.2.7", true},
		{"10.0.0.9:5", []string{"127.0.0.1", "192.0.2.7"}, "192.0.2.7", true},
		{"10.0.0.9:5", []string{"2001:db8::1%eth0"}, "2001:db8::1", true},
		{"10.0.0.9:5", []string{"unknown"}, "10.0.0.9", true},
	} {
		r := httptest.NewRequest("GET", "/console/", nil)
		r.RemoteAddr = tc.remote
		r.Header["X-Forwarded-For"] = tc.forwarded
		if from, proxied := c.caller(r); from.String() != tc.from || proxied != tc.proxied {
			t.Errorf("%s, forwarded for %q: %s, %v", tc.remote, tc.forwarded, from, proxied)
		}
	}
}

// The page of a name with odd bytes says what the policy said of it.
func TestAsked(t *testing.T) {
	for name, want := range map[string]string{"a.example": "a.example", `\027[2j.example`: "--2j.example",
		`\226\128\174a.example`: "\u202ea.example", `a\.b.example`: "a-b.example", `\`: "-", `a\99`: "a-9"} {
		if got := asAsked(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
