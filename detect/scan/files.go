package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/userfile"
)

// Expand lists the files that paths stand for, each once and in order, whatever links lead to it: a file itself, all
// files below a folder but those whose names begin with a dot, and what a pattern such as "logs/*.gz" fits. Standard
// stays as it is. A path or a folder that is not there or cannot be read is an error, which names it; all other files
// are listed all the same.
func Expand(paths []string) (files []string, err error) {
	var errs []error
	seen := map[string]bool{}
	for _, p := range paths {
		found, err := expand(p)
		errs = append(errs, err)
		for _, f := range found {
			if key := realPath(f); !seen[key] {
				seen[key] = true
				files = append(files, f)
			}
		}
	}
	return files, errors.Join(errs...)
}

// realPath is a path without links, if it leads anywhere.
func realPath(path string) string {
	if path == Standard {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

func expand(path string) (files []string, err error) {
	if path == Standard {
		return []string{path}, nil
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return walk(path)
	}
	fit, _ := filepath.Glob(path)
	var errs []error
	for _, p := range fit {
		found, err := walk(p)
		files, errs = append(files, found...), append(errs, err)
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("%s: there is no such file or folder", path)
	}
	return files, errors.Join(errs...)
}

// walk lists the files at and below path. What cannot be read does not end the walk.
func walk(path string) (files []string, err error) {
	var errs []error
	_, err = linkwalk.Visible(path, func(rel string, info fs.FileInfo, err error) error {
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("look through %s: %w", path, err))
		case info.IsDir():
		case rel != ".":
			files = append(files, filepath.Join(path, filepath.FromSlash(rel)))
		case path == Standard: // a file of that name, which a pattern found
			files = append(files, "."+string(filepath.Separator)+path)
		default:
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("look through %s: %w", path, err))
	}
	if len(files) == 0 && len(errs) == 0 {
		return nil, fmt.Errorf("%s: the folder holds no file", path)
	}
	slices.Sort(files)
	return files, errors.Join(errs...)
}

// MayWrite is an error if out, which is to be written, is one of the files at paths, or no file: what is to be read
// must not be lost.
func MayWrite(out string, paths []string) error {
	info, err := os.Stat(out)
	if err != nil {
		return nil // whoever writes it says what is wrong
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("cannot write %s: %s", out, userfile.NoFile(info.Mode()))
	}
	for _, p := range paths {
		if in, err := os.Stat(p); err == nil && p != Standard && os.SameFile(in, info) {
			return fmt.Errorf("%s is one of the files to read, and would be replaced. Try: another place to write to", out)
		}
	}
	return nil
}

// Seed is a seed of hashes for files at paths. It stays the same for the same files, so that a scan of them prints the
// same, and whoever chose the names in them does not know it.
func Seed(paths []string) uint64 {
	h := xxh3.New()
	for _, path := range paths {
		_, _ = h.WriteString(path)
		if info, err := os.Stat(path); err == nil {
			_, _ = fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
		}
	}
	return max(h.Sum64(), 1)
}
