// Package versions knows how the versions of a model lie in a folder, as TensorFlow Serving has them:
//
//	models/degas/1, 2, …      versions in force. The highest number is the newest, and decides
//	models/degas/shadow/3, …  candidates: they are compared with the version in force, and decide nothing
//
// A version appears by one rename and goes by one. To promote a candidate is to rename shadow/3 to 3. So its number is
// above all others, of both folders.
package versions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// Shadow is the folder of candidates within a model's folder.
const Shadow = "shadow"

// Number reads a directory's name as TensorFlow Serving does: decimal digits alone make a version.
func Number(name string) (number int, ok bool) {
	n, err := strconv.ParseUint(name, 10, 31)
	return int(n), err == nil
}

// In are the paths of the versions in a folder, by number. A version may be a link. One that leads nowhere is a version
// that cannot be loaded.
func In(dir string) (map[int]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	paths := map[int]string{}
	for _, e := range entries {
		number, ok := Number(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			continue
		}
		paths[number] = path
	}
	return paths, nil
}

// Next is the number of the next version of the model in dir, in force or in the shadow: one above all that are there,
// and 1 where there is none yet.
func Next(dir string) (int, error) {
	highest := 0
	for _, folder := range []string{dir, filepath.Join(dir, Shadow)} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		for _, e := range entries {
			if n, ok := Number(e.Name()); ok {
				highest = max(highest, n)
			}
		}
	}
	if next := highest + 1; next == int(int32(next)) {
		return next, nil
	}
	return 0, fmt.Errorf("%s has version %d, the highest number that a version can have. Try: rename it", dir, highest)
}

// Stamp changes when the files of the model in dir do.
func Stamp(dir string) (stamp string) {
	for _, sub := range []string{"", "model"} { // a run keeps its model in a folder
		for _, file := range []string{model.SpecFile, model.WeightsFile} {
			if s, err := userfile.StampOf(filepath.Join(dir, sub, file)); err == nil {
				stamp += fmt.Sprintln(s)
			}
		}
	}
	return stamp
}
