package tensorflow

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// A scanner takes what encoding/json takes, and NaN and Infinity besides. It refuses halves of surrogate pairs. What it
// has checked can be walked through.
func FuzzScan(f *testing.F) {
	for _, doc := range []string{`{"a": [1, -0.5e+3, "\u00e9\n", true, false, null, {}], "b": {"c": []}}`,
		`[NaN, -Inf, Infinity]`, `"\ud83d\ude00"`, `"\ud83d"`, `[1,]`, `{"a"}`, `[[[`, "\"\x00\"",
		`-`, `1e400`, `{"a":1}x`, " \t\n[ ]"} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		s := scanner{doc: doc}
		s.space()
		start := s.i
		err := s.value()
		if err != nil {
			own := strings.Contains(err.Error(), "surrogate") || strings.Contains(err.Error(), errTooDeep) ||
				strings.Contains(err.Error(), "too big")
			if json.Valid(doc) && !own {
				t.Fatalf("%q: %v", doc, err)
			}
			return
		}
		value := doc[start:s.i]
		extended := bytes.Contains(value, []byte("NaN")) || bytes.Contains(value, []byte("Inf"))
		if !extended && !json.Valid(value) {
			t.Fatalf("%q is taken", value)
		}
		again := pretty(nil, value, 0)
		if !extended {
			var one, two bytes.Buffer
			if json.Compact(&one, value) != nil || json.Compact(&two, again) != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
				t.Fatalf("%q walked through is %q", value, again)
			}
		}
	})
}
