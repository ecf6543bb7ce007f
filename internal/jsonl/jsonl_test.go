package jsonl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type entry struct {
	Epoch int `json:"epoch"`
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for _, tc := range []struct {
		text string
		want []entry
		err  string
	}{
		{"", nil, ""},
		{"{\"epoch\":1}\n{\"epoch\":2}\n", []entry{{1}, {2}}, ""},
		{"{\"epoch\":1}\n\n {\"epoch\":2}", []entry{{1}, {2}}, ""},
		{"{\"epoch\":1}\n{", nil, "history.jsonl: entry 2: unexpected EOF"},
		{"{\"epoch\":\"one\"}\n", nil, "history.jsonl: entry 1: json: cannot unmarshal"},
		{"epoch 1\n", nil, "history.jsonl: entry 1: invalid character"},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Read[entry](path)
		failed := err != nil
		if !slices.Equal(got, tc.want) || failed != (tc.err != "") || failed && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %v, %v, want %v and error %q", tc.text, got, err, tc.want, tc.err)
		}
	}
}

func TestReadMissing(t *testing.T) {
	if _, err := Read[entry](filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want that there is no such file", err)
	}
}
