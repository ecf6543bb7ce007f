package synth

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/internal/atomicfile"
)

// WriteSample writes a sample as a tree of raw data, the shapes in which publishers give theirs:
//
//	benign.csv           rank,domain without a header, as the lists of popular names are
//	dga/<family>.txt     one name a line
//	tunnel/<family>.txt  one name a line
//
// The tree appears whole or not at all: files of the same names are replaced, others stay.
func WriteSample(dir string, o SampleOptions) error {
	rows, err := Sample(o)
	if err != nil {
		return err
	}
	files := map[string]*bytes.Buffer{}
	rank := 0
	for _, r := range rows {
		path := filepath.Join(r.Class, r.Family+".txt")
		if r.Class == ClassBenign {
			path = "benign.csv"
		}
		if files[path] == nil {
			files[path] = new(bytes.Buffer)
		}
		if r.Class == ClassBenign {
			rank++
			fmt.Fprintf(files[path], "%d,", rank)
		}
		files[path].WriteString(r.Name + "\n")
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
