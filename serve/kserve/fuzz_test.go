package kserve_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Any body gets an answer in JSON, and no panic.
func FuzzInfer(f *testing.F) {
	h, _ := server(f)
	for _, header := range []string{
		`{"inputs": [{"name": "name", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}`,
		`{"id": "1", "parameters": {"binary_data_output": true}, "outputs": [{"name": "label",
			"parameters": {"binary_data": false}}], "inputs": [{"name": "name", "shape": [1, 1], "datatype": "BYTES",
			"data": [["\u0061"]]}]}`,
		`{"inputs": [{"name": "domain_ids", "shape": [1, 64], "datatype": "INT32", "data": [1, [2]]}]}`,
		`{"inputs": [{"name": "domain_ids", "shape": [0, 64], "datatype": "UINT8", "data": []}]}`, `[]`, ``} {
		f.Add(header, -1)
	}
	f.Add(`{"inputs": [{"name": "name", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}]}`+
		"\x01\x00\x00\x00a", 103)
	f.Add(`{"inputs": [{"name": "domain_ids", "shape": [1, 64], "datatype": "INT8",
		"parameters": {"binary_data_size": 64}}]}`+strings.Repeat("\x01", 64), 114)
	f.Fuzz(func(t *testing.T, body string, length int) {
		w := ask(t, h, "POST", "/v2/models/m/infer", body, length)
		header := w.Body.Bytes()
		if n, err := strconv.Atoi(w.Header().Get(headerLength)); err == nil {
			header = header[:n]
		}
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(header, &answer); err != nil || w.Code != 200 && w.Code != 400 {
			t.Errorf("%d %s %v", w.Code, w.Body, err)
		}
	})
}

// Names that come as JSON and names that come as bytes get the same answer, whatever encoding/json takes for them.
func FuzzNames(f *testing.F) {
	h, _ := server(f)
	for _, data := range []string{`["a.com"]`, `["\u0061.com", "b\ud83d\ude00"]`, `[["\\", "\""], [" "]]`,
		`[]`, `[null]`, `[1]`, `["\ud800"]`} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		var tree any
		if json.Unmarshal([]byte(data), &tree) != nil || !utf8.ValidString(data) {
			return
		}
		list, ok := tree.([]any)
		names, ok2 := flat(list, nil)
		ok = ok && ok2
		const start = `{"inputs": [{"name": "name", "datatype": "BYTES", "shape": [`
		shape := strconv.Itoa(len(names))
		got := ask(t, h, "POST", "/v2/models/m/infer", start+shape+`], "data": `+data+`}]}`, -1)
		if !ok {
			if got.Code != 400 {
				t.Errorf("%s: %d", data, got.Code)
			}
			return
		}
		raw := binaryNames(names)
		header := start + shape + `], "parameters": {"binary_data_size": ` + strconv.Itoa(len(raw)) + `}}]}`
		want := ask(t, h, "POST", "/v2/models/m/infer", header+string(raw), len(header))
		if got.Code != 200 || got.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %s, binary %d %s", data, got.Code, got.Body, want.Code, want.Body)
		}
	})
}

// flat appends the strings of nested lists to names.
func flat(list []any, names []string) (_ []string, ok bool) {
	for _, x := range list {
		switch x := x.(type) {
		case string:
			names = append(names, x)
		case []any:
			if names, ok = flat(x, names); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return names, true
}
