package detect

import "testing"

func TestAppendAsked(t *testing.T) {
	for in, want := range map[string]string{
		"www.google.com":               "www.google.com",
		"WWW.a_b.example":              "WWW.a_b.example",
		"www.google.com/.evil.example": "www.google.com-.evil.example",
		`a\.b.example`:                 "a-b.example",
		`a\\b.example`:                 "a-b.example",
		"*.evil.example":               "-.evil.example",
		"!.evil.example":               "-.evil.example",
		"user@evil.example":            "user-evil.example",
		"a:53.example":                 "a-53.example",
		"\x00 x.example":               "--x.example",
		"x\xff.example":                "x\xff.example",
		"\u00a0.evil.example":          "-.evil.example",
		"a\u3000b.evil.example":        "a-b.evil.example",
		"b\u00fccher.example":          "b\u00fccher.example",
		".":                            ".",
		`\`:                            "-",
	} {
		if got := string(AppendAsked(nil, []byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A generated domain cannot hide behind what stands before it.
func TestHiddenDomains(t *testing.T) {
	p, err := New(Options{Classifier: builtin(), Action: Block})
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{"", "www.", "_x._tcp.", "_dmarc.", "4.3.2.1.", "www.google.com/.", "!.", "*.", "a@b.",
		"[.", "a:1.", `a\.b.`, "\u00a0.", "\u0085.", "\xff\xa0.",
		"xn--zzzzzzzz.", "\x00."} {
		name := before + "xjpakmdcfuqe.biz"
		if d := p.Decide(string(AppendAsked(nil, []byte(name)))); d.Action != Block || d.Rule != Score {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for _, name := range []string{"_dmarc.wikipedia.org", "_ldap._tcp.dc._msdcs.wikipedia.org",
		"2.0.0.127.zen.spamhaus.org", "4.3.2.1.bl.spamcop.net"} {
		if d := p.Decide(name); d.Rule != NeverScored || d.Verdict != Unscored || d.Action != Pass {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
