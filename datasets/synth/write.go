package synth

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// WriteSample writes a sample as a tree of raw data, the shapes in which publishers give theirs:
//
//	benign.csv           rank,domain without a header, as the lists of popular names are
//	dga/<family>.txt     one name a line
//	tunnel/<family>.txt  one name a line
//
// Directories are made as needed. Each file appears complete or not at all; files of the same names are
// replaced and others left alone.
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
	for path, text := range files {
		if err := writeFile(filepath.Join(dir, path), text.Bytes()); err != nil {
			return fmt.Errorf("synth: write sample: %w", err)
		}
	}
	return nil
}

// writeFile replaces path in one step: a reader sees the old file or the whole new one.
func writeFile(path string, text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
