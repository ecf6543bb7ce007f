package datasets

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shardsOf2 = `{"format": 1, "splits": [{"name": "train", "shards": [{"file": "train-00000-of-00002.arrow"}]}]}`

// What is called like a file of a data set and is of none stays.
func TestMayReplace(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":                 {nil, ""},
		"other files":             {map[string]string{"notes.txt": "mine"}, ""},
		"a data set":              {map[string]string{ManifestName: `{"format": 1}`, "train.arrow": "x"}, ""},
		"one of another degas":    {map[string]string{ManifestName: `{"format": 9}`}, ""},
		"a damaged one":           {map[string]string{ManifestName: `{"form`, "train.arrow": "x"}, ""},
		"an Arrow file":           {map[string]string{"train.arrow": "mine"}, "train.arrow without dataset.json"},
		"a person's dataset.json": {map[string]string{ManifestName: `{"name": "mine"}`}, "is of no data set"},
		"shards":                  {map[string]string{ManifestName: shardsOf2, "train-00000-of-00002.arrow": "x"}, ""},
		"a person's shard": {map[string]string{ManifestName: shardsOf2, "train-00000-of-00003.arrow": "mine"},
			"train-00000-of-00003.arrow, which its dataset.json does not list"},
		"shards of a damaged one": {map[string]string{ManifestName: `{"form`, "test-00000-of-00003.arrow": "x"},
			"test-00000-of-00003.arrow, which its dataset.json does not list"},
		"a shard alone":                   {map[string]string{"test-00000-of-00003.arrow": "x"}, "without dataset.json"},
		"nearly a shard":                  {map[string]string{"test-0-of-3.arrow": "mine", "train.arrow.bak": "mine"}, ""},
		"a data set that was being moved": {map[string]string{readyName + "/dataset.json": "x", "train.arrow": "x"}, ""},
	} {
		dir := t.TempDir()
		for file, text := range tc.files {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := MayReplace(dir)
		if (tc.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// A dataset.json of a stranger may list any file. Only what is named like a split's file is removed.
func TestPlaceRemovesOnlySplits(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	stage := filepath.Join(dir, "stage")
	for path, text := range map[string]string{
		dir + "/dataset.json": `{"format": 1, "splits": [{"file": "notes.txt"}, {"file": "../outside.arrow"},
			{"name": "train", "shards": [{"file": "../train-00000-of-00002.arrow"}, {"file": "train-00001-of-00002.arrow"}]}]}`,
		dir + "/notes.txt": "mine", parent + "/outside.arrow": "mine", parent + "/train-00000-of-00002.arrow": "mine",
		dir + "/train-00001-of-00002.arrow": "old", stage + "/train.arrow": "new",
		stage + "/dataset.json": `{"format": 1, "splits": [{"name": "train", "file": "train.arrow"}]}`,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Place(stage, dir); err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{
		dir + "/notes.txt": true, parent + "/outside.arrow": true, parent + "/train-00000-of-00002.arrow": true,
		dir + "/train.arrow": true, dir + "/train-00001-of-00002.arrow": false, dir + "/" + readyName: false,
	} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
	}
}
