package datasets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is called like a file of a data set and is of none stays.
func TestMayReplace(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":                         {nil, ""},
		"other files":                     {map[string]string{"notes.txt": "mine"}, ""},
		"a data set":                      {map[string]string{ManifestName: `{"format": 1}`, "train.arrow": "x"}, ""},
		"one of another degas":            {map[string]string{ManifestName: `{"format": 9}`}, ""},
		"a damaged one":                   {map[string]string{ManifestName: `{"form`, "train.arrow": "x"}, ""},
		"an Arrow file":                   {map[string]string{"train.arrow": "mine"}, "train.arrow without dataset.json"},
		"a person's dataset.json":         {map[string]string{ManifestName: `{"name": "mine"}`}, "is of no data set"},
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
