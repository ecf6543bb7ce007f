package kserve_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// What is wrong with a request is said in status 400.
func TestRefusals(t *testing.T) {
	h, _ := server(t)
	one := func(fields string) string { return `{"inputs": [{` + fields + `}]}` }
	const names = `"name": "name", "datatype": "BYTES", `
	const ids = `"name": "domain_ids", "datatype": "INT32", "shape": [1, 64], `
	zeros := strings.Repeat("0,", 63)
	for _, tc := range []struct {
		header, binary, want string
	}{
		{``, "", "unexpected end of JSON input"},
		{`[]`, "", "must be a JSON object"},
		{`{}`, "", "Unable to parse 'inputs'"},
		{`{"inputs": {}}`, "", "must be a list"},
		{`{"inputs": null}`, "", "expected 1 inputs but got 0"},
		{`{"inputs": [1]}`, "", "element 0 must be an object"},
		{`{"id": 1, "inputs": []}`, "", "Unable to parse 'id'"},
		{`{"id": "` + strings.Repeat("a", 2000) + `", "inputs": []}`, "", "more than 1000 bytes"},
		{`{"parameters": [], "inputs": []}`, "", "Unable to parse 'parameters': it must be an object"},
		{`{"parameters": {"binary_data_output": 1}, "inputs": []}`, "", "Unable to parse 'binary_data_output'"},
		{`{"inputs": [` + strings.Repeat(`{},`, 16) + `{}]}`, "", "may have 16 inputs"},
		{`{"inputs": [{}]}`, "", "Unable to parse 'datatype'"},
		{`{"inputs": [{}, {}]}`, "", "expected 1 inputs but got 2"},
		{`{"outputs": [{"name": "probabilities"}, {"name": "scores"}], "inputs": []}`, "",
			"'scores' and 'probabilities' are the same"},
		{`{"outputs": [{"name": "score", "parameters": {"classification": 2}}], "inputs": []}`, "",
			"classification extension is not served"},
		{one(`"parameters": {"shared_memory_region": "x"}`), "", "Shared memory is not served"},
		{one(names + `"shape": [1]`), "", "no field is set"},
		{one(names + `"shape": [1], "data": null`), "", "must be a list"},
		{one(names + `"shape": [1], "data": "a"`), "", "must be a list"},
		{one(names + `"shape": [1], "data": [null]`), "", "element 0: it must be a string"},
		{one(names + `"shape": [2], "data": ["a", {"b64": "YQ=="}]`), "", "element 1: it must be a string"},
		{one(names + `"shape": [1], "data": ["a", "b"]`), "", "expected 1 elements for inference input 'name', got more"},
		{one(names + `"shape": [3], "data": ["a", "b"]`), "", "expected 3 elements for inference input 'name', got 2"},
		{one(names + `"shape": [], "data": ["a"]`), "", "Expected [-1], got []"},
		{one(names + `"shape": null, "data": ["a"]`), "", "Unable to parse 'shape': input 'name' has no such key"},
		{one(`"name": "name", "shape": [1], "data": ["a"]`), "", "Unable to parse 'datatype'"},
		{one(names + `"shape": [1, 2], "data": ["a"]`), "", "Expected [-1], got [1,2]"},
		{one(names + `"shape": [-1], "data": ["a"]`), "", "no negative size"},
		{one(names + `"shape": [1.5], "data": ["a"]`), "", "Unable to parse 'shape'"},
		{one(names + `"shape": [9223372036854775807], "data": ["a"]`), "", "may have 100000 rows"},
		{one(names + `"shape": [99999999999999999999], "data": ["a"]`), "", "Unable to parse 'shape'"},
		{one(names + `"shape": [` + strings.Repeat("1,", 1000) + `1], "data": ["a"]`), "", "more than 1000 bytes"},
		{one(`"name": ["name"]`), "", "Unable to parse 'name'"},
		{one(ids + `"data": [` + zeros + `41]`), "", "element 63: code 41 is none of the model's"},
		{one(ids + `"data": [` + zeros + `-1]`), "", "element 63: code -1 is none"},
		{one(ids + `"data": [` + zeros + `1e0]`), "", "element 63: 1e0 is no whole number"},
		{one(ids + `"data": [` + zeros + `0.5]`), "", "element 63: 0.5 is no whole number"},
		{one(ids + `"data": [` + zeros + `99999999999999999999]`), "", "is no whole number"},
		{one(ids + `"data": [` + zeros + `"a"]`), "", `element 63: \"a\" is no whole number`},
		{one(ids + `"data": [` + zeros + `[0]` + `,0]`), "",
			"expected 64 elements for inference input 'domain_ids', got more"},
		{one(names + `"shape": [1], "data": ["a"]`), "x", "0 bytes of binary data, the request 1"},
		{one(names + `"shape": [1], "parameters": {"binary_data_size": 5}`), "\x01\x00\x00\x00", "5 bytes of binary data"},
		{one(names + `"shape": [1], "data": ["a"], "parameters": {"binary_data_size": 0}`), "", "both are set"},
		{one(names + `"shape": [1], "parameters": {"binary_data_size": -5}`), "", "no field is set"},
		{one(names + `"shape": [1], "parameters": {"binary_data_size": 5}`), "\xff\xff\xff\xffa", "not 1 texts"},
		{one(names + `"shape": [2], "parameters": {"binary_data_size": 5}`), "\x01\x00\x00\x00a", "not 2 texts"},
		{one(names + `"shape": [1], "parameters": {"binary_data_size": 6}`), "\x01\x00\x00\x00ab", "not 1 texts"},
		{one(names + `"shape": [100000], "parameters": {"binary_data_size": 5}`), "\x01\x00\x00\x00a", "not 100000 texts"},
		{one(ids + `"parameters": {"binary_data_size": 4}`), "\x01\x00\x00\x00",
			"byte size 4 for input 'domain_ids', expecting 256"},
		{one(ids + `"parameters": {"binary_data_size": 256}`), strings.Repeat("\x00", 252) + "\xff\xff\xff\xff", "code -1"},
	} {
		w := ask(t, h, "POST", "/v2/models/m/infer", tc.header+tc.binary, len(tc.header))
		var answer struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if w.Code != 400 || !strings.Contains(answer.Error, strings.ReplaceAll(tc.want, `\"`, `"`)) {
			t.Errorf("%.200s: %d %q, want %q", tc.header, w.Code, answer.Error, tc.want)
		}
	}
	for _, length := range []string{"1", "-1", "x", "99999999999999999999"} {
		w := askLength(h, "", length)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "the body has 0 bytes") {
			t.Errorf("a header of %s bytes: %d %s", strconv.Quote(length), w.Code, w.Body)
		}
	}
}
