package synth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// WriteSample writes a sample as a tree of raw data, the shapes in which publishers give theirs:
//
//	benign.csv           rank,domain without a header, as the lists of popular names are
//	dga/<family>.txt     one name a line
//	tunnel/<family>.txt  one name a line
//	benign/<kind>.txt    the same, of SampleOptions.Hard
//
// The tree appears whole or not at all. Other files stay. One of the same name that holds something else is an error:
// it may be a person's.
func WriteSample(dir string, o SampleOptions) error {
	rows, err := Sample(o)
	if err != nil {
		return err
	}
	files := map[string]*bytes.Buffer{}
	rank := 0
	for _, r := range rows {
		path := filepath.Join(r.Class, r.Family+".txt")
		ranked := r.Class == ClassBenign && r.Family == ""
		if ranked {
			path = "benign.csv"
		}
		if files[path] == nil {
			files[path] = new(bytes.Buffer)
		}
		if ranked {
			rank++
			fmt.Fprintf(files[path], "%d,", rank)
		}
		files[path].WriteString(r.Name + "\n")
	}
	if err := isSample(dir, files); err != nil {
		return fmt.Errorf("synth: write sample: %w", err)
	}
	err = atomicfile.UpdateDir(dir, func(stage string) error {
		for path, text := range files {
			path = filepath.Join(stage, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("synth: write sample: %w", err)
	}
	return nil
}

// isSample is an error if dir has a file of the sample that holds something else.
func isSample(dir string, files map[string]*bytes.Buffer) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name := filepath.Join(dir, path)
		old, err := userfile.Bytes(name, int64(files[path].Len()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil || !bytes.Equal(old, files[path].Bytes()):
			return fmt.Errorf("%s is there and is not the sample's. Try: move it away, or another folder", name)
		}
	}
	return nil
}
