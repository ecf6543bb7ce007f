// Package atomicfile writes files and directories that appear whole or not at all: beside their final name, synced, then renamed.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// pattern is the name of a file that is being written.
const pattern = ".degas-*.tmp"

// Sweep removes what processes that were killed left half written in dir and below. Nobody else may be writing there.
func Sweep(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ours, _ := filepath.Match(pattern, d.Name()); ours {
			return os.Remove(path)
		}
		return nil
	})
}

// Write puts data at path.
func Write(path string, data []byte) error {
	return WriteFunc(path, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// WriteFunc lets write fill the file that becomes path. When write fails, path is left as it was and nothing of the
// attempt stays behind. The error names path.
func WriteFunc(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), pattern)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	buf := bufio.NewWriterSize(f, 1<<18)
	if err := write(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
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

// PlaceDir renames the directory stage, which must be on the same file system, to to. What is at to moves aside first and
// comes back if the rename fails.
func PlaceDir(stage, to string) error {
	to = filepath.Clean(to)                        // the parent of "x/" would be x itself
	if err := os.Chmod(stage, 0o755); err != nil { // MkdirTemp makes it private
		return err
	}
	if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(stage, to)
	}
	old, err := os.MkdirTemp(filepath.Dir(to), ".tmp-old-")
	if err != nil {
		return err
	}
	aside := filepath.Join(old, "version")
	if err := os.Rename(to, aside); err != nil {
		return errors.Join(err, os.Remove(old))
	}
	if err := os.Rename(stage, to); err != nil {
		if back := os.Rename(aside, to); back != nil {
			return fmt.Errorf("%w; what was there is in %s: %w", err, aside, back)
		}
		return errors.Join(err, os.Remove(old))
	}
	return os.RemoveAll(old)
}
