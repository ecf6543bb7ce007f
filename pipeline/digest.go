package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// digests hashes every file at or below paths. Where known has the file's size and time, its digest is taken from there.
// Names that begin with a dot are none of a stage's business: locks and unfinished work.
func (r *runner) digests(paths []string, known map[string]stat) (map[string]stat, error) {
	out := map[string]stat{}
	for _, root := range paths {
		walked := root
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			walked += string(filepath.Separator) // WalkDir does not follow a root that is a link
		}
		err := filepath.WalkDir(walked, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if path != walked && strings.HasPrefix(d.Name(), ".") {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			if d.IsDir() {
				return nil
			}
			st, err := digest(path, known[filepath.ToSlash(path)])
			out[filepath.ToSlash(path)] = st
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// digest hashes one file, or returns known when its size and time have not changed since.
func digest(path string, known stat) (stat, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stat{}, err
	}
	st := stat{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if known.SHA256 != "" && known.Size == st.Size && known.Modified == st.Modified {
		return known, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return stat{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return stat{}, fmt.Errorf("hash %s: %w", path, err)
	}
	st.SHA256 = hex.EncodeToString(h.Sum(nil))
	return st, nil
}
