package formats

import (
	"strings"
	"testing"
)

// mispCases are warning lists as MISP publishes them, with the keys in the order of the alphabet, and as they are
// documented.
func mispCases() []readerCase {
	return []readerCase{
		{path: "misp-warninglists/vendors/automated-malware-analysis.json", reader: "misp",
			text: "{\n  \"description\": \"Invented\",\n  \"list\": [\n    \"orange.org\",\n    \".silver.fr\",\n" +
				"    \"*.cdn.summer.org\",\n    5,\n" +
				"    \"192.0.2.7\",\n    \"2001:db8::/32\", \"corona\",\n    \" lake.net\"\n  ],\n" +
				"  \"matching_attributes\": [\"hostname\"],\n  \"name\": \"A list\",\n  \"type\": \"hostname\",\n" +
				"  \"version\": 20261130\n}\n",
			want: []string{"1 benign  orange.org", "2 benign  silver.fr", "3 benign  cdn.summer.org", "8 benign  lake.net"},
			refused: []string{"4: " + reasonEntry, "5 left out: " + leftLocal, "6 left out: " + leftLocal,
				"7 left out: " + leftLocal}},
		{path: "one-line.json", reader: "misp", text: `{"name":"A list","version":"2","list":["a.com",".b.com"]}`,
			want: []string{"1 benign  a.com", "2 benign  b.com"}},
		{path: "long.json", reader: "misp", min: 2, text: "{\"description\": \"cut in the head\", \"list\": [\"a.com\",\n" +
			"\"b.com\"], \"name\": \"n\",\n\"version\": 1}", want: []string{"1 benign  a.com", "2 benign  b.com"}},
		{path: "benign/networks.json", text: `{"name": "n", "version": 1, "type": "cidr", "list": ["192.0.2.0/24"]}`},
		{path: "patterns.json", text: `{"name": "n", "version": 1, "type": "regex", "list": ["^a\\.com$"]}`},
		{path: "groups.json", text: `{"name": "n", "version": 1, "list": ["a.com"], "members": []}`},
	}
}

func TestWarningListFaults(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "n", "list": ["a.com"]}`:                         "no key version",
		`{"name": "n", "version": 1}`:                              "no key list",
		`{"name": "n", "version": 1, "list": ["a.com"`:             "cut off. Try: get the file again",
		`{"name": "n", "version": 1, "list": "a.com"}`:             "key list: there is no [ where one must be",
		`{"name": "n", "version": 1, "list": ["a.com", }`:          "entry 2: invalid character",
		`{"name": "n", "version": 1, "list": []} {}`:               "something follows the object",
		`{"list": ["a.com"], "list": []}`:                          "the key list twice",
		`{"name": "n", "version": 1, "list": [], "type": "regex"}`: `its type is regex, so it holds no names`,
		`["a.com"]`: "there is no { where one must be",
		`{"list": ["` + strings.Repeat("a", 2*objectBytes) + `"], "name"`: "longer than 1024 KiB",
	} {
		err := mispReader{}.Read(t.Context(), strings.NewReader(text), FileInfo{Path: "x.json"}, &collector{})
		if err == nil || !strings.HasPrefix(err.Error(), "warning list: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", text, err, want)
		}
	}
}

// A list among warning lists is known by its folder: its own, or one of lists of its kind.
func TestWarningListSource(t *testing.T) {
	for p, want := range map[string]string{
		"misp-warninglists/lists/bank-website/list.json":   "bank-website",
		"misp-warninglists/institutions/bank-website.json": "institutions",
		"mine/benign/bank-website.json":                    "mine",
		"bank-website.json":                                "bank-website",
	} {
		if got := defaultSource(mispReader{}, p); got != want {
			t.Errorf("source of %s: %q, want %q", p, got, want)
		}
	}
}
