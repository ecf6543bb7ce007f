package model

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What is wrong with a Spec that somebody wrote is said with the line, the layer and what is known.
func TestReadSpecErrors(t *testing.T) {
	const encoder = `"encoder": {"alphabet": "abc", "base": 2, "unknown": 1, "window": 8, ` +
		`"pad_side": "left", "keep": "last"},`
	layers := func(inner ...string) string {
		return "{\"version\": 1,\n" + encoder + "\n\"layers\": [\n{\"kind\": \"embedding\", \"rows\": 5, \"dim\": 4},\n" +
			strings.Join(inner, ",\n") + ",\n{\"kind\": \"dense\", \"units\": 1, \"activation\": \"sigmoid\"}]}\n"
	}
	const pool = `{"kind": "global_max_pool"}`
	for _, tc := range []struct{ text, want string }{
		{layers(`{"kind": "conv", "filters": 8}`, pool),
			`line 5: model "": layer 1 (conv): unknown kind "conv" (did you mean conv1d?), known are: embedding, `},
		{layers(`{"kind": "conv1d", "filters": 8}`, pool), `line 5: model "": layer 1 (conv1d): kernel is missing`},
		{layers(`{"kind": "conv1d", "filters": -8, "kernel": 3}`, pool), "filters is -8, must be at least 1"},
		{layers(`{"kind": "conv1d", "filters": 8, "kernel": 3, "activation": "gelu"}`, pool),
			`unknown activation "gelu" (did you mean relu?), known are: linear, relu, tanh`},
		{layers(`{"kind": "conv1d", "filters": 8,`+"\n"+`"kernal": 3}`, pool),
			`line 6: unknown field "kernal" (did you mean kernel?)`},
		{layers(`{"kind": "conv1d", "stride": 8}`),
			`line 5: unknown field "stride": a spec has version, name, encoder, layers`},
		{layers(`{"kind": "conv1d", "filters": "8"}`), "line 5: layers.filters: a JSON string does not fit"},
		{layers(pool, `{"kind": "conv1d", "filters": 8, "kernel": 3}`),
			"line 6: model \"\": layer 2 (conv1d): its input must be [time, features], but has the shape [4]"},
		{layers("{\"kind\": \"parallel\",\n\"branches\": [[" + pool + "],\n[" + pool + ",\n{\"kind\": \"dense\"}]]}"),
			`line 8: model "": layer 1 (parallel): branch 1: layer 1 (dense): units is missing`},
		{layers(pool)[:60], "line 2: the text ends before its last bracket is closed"},
		{layers("{kind: 1}"), "line 5: invalid character 'k'"},
		{layers(pool) + layers(pool), "line 7: something follows the end"},
		{`{"format_version": 1,` + "\n" + `"spec":` + layers(`{"kind": "conv1d", "filters": 8}`, pool) + "}",
			`line 6: model "": layer 1 (conv1d): kernel is missing`},
	} {
		path := filepath.Join(t.TempDir(), "spec.json")
		if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSpec(path); err == nil || !strings.Contains(err.Error(), path+": ") ||
			!strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s\nerror %v, want %q", tc.text, err, tc.want)
		}
	}
}

// A model.json is taken for the Spec in it.
func TestReadSpecOfModel(t *testing.T) {
	m, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSpec(filepath.Join(dir, SpecFile))
	if err != nil || !reflect.DeepEqual(*s, m.Spec) {
		t.Errorf("%+v, %v", s, err)
	}
}
