// Package atomicfile writes files and directories that appear whole or not at all. It writes beside the final name,
// syncs, renames, and syncs the directory: what a function of this package has put in place survives a power failure.
package atomicfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"syscall"

	"github.com/degas-dns/degas/internal/dirlock"
)

const (
	unfinished = ".degas-*.tmp" // a file or a directory that is being written; WriteFunc puts the file's name in
	oldPrefix  = ".degas-old-"  // before a directory's name: its old version, see PlaceDir
)

// Steps that change names. Tests stop the process before each of them, or take the exchange away.
var (
	rename    = os.Rename
	exchange  = exchangeNames
	removeAll = os.RemoveAll
)

// Sweep removes what killed processes left unfinished in dir and below, and calls Recover for directories that they
// were about to replace. Nobody else may be writing there.
func Sweep(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, isOld := strings.CutPrefix(d.Name(), oldPrefix)
		switch isUnfinished, _ := filepath.Match(unfinished, d.Name()); {
		case isUnfinished:
			err = removeAll(path)
		case isOld && d.IsDir():
			err = Recover(filepath.Join(filepath.Dir(path), name))
		default:
			return nil
		}
		if err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
}

// Claim locks the directory dir, makes it if need be, and removes the unfinished files that killed processes left in
// it. Nobody else may write files there until unlock is called. The error wraps dirlock.ErrLocked if somebody does.
func Claim(dir string) (unlock func(), err error) {
	if unlock, err = dirlock.Lock(dir); err != nil {
		return nil, err
	}
	if err = errors.Join(os.MkdirAll(dir, 0o755), removeUnfinished(dir)); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// ClaimFile is Claim for the one file at path, which other processes' files may lie beside.
func ClaimFile(path string) (unlock func(), err error) {
	if unlock, err = dirlock.Lock(path); err != nil {
		return nil, err
	}
	path = filepath.Clean(path)
	if err = removeLeft(filepath.Dir(path), filepath.Base(path), ".tmp"); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if ours, _ := filepath.Match(unfinished, e.Name()); ours && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Write puts data at path.
func Write(path string, data []byte) error {
	return WriteFunc(path, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// WriteJSON puts v at path as indented JSON.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Write(path, append(data, '\n'))
}

// WriteFunc lets write fill the file that becomes path. If write fails, path stays as it was and nothing of the attempt
// is left. The error names path. System calls: open, write, fsync, rename, fsync of the directory.
func WriteFunc(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".degas-"+filepath.Base(path)+"-*.tmp")
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
	for _, step := range []func() error{buf.Flush, func() error { return f.Chmod(0o644) }, f.Sync, f.Close} {
		if err := step(); err != nil {
			return err
		}
	}
	return Rename(f.Name(), path)
}

// Rename renames a file or directory and syncs the directory that it is in then, and the one that it was in.
func Rename(from, to string) error {
	if err := rename(from, to); err != nil {
		return err
	}
	before, after := filepath.Dir(filepath.Clean(from)), filepath.Dir(filepath.Clean(to))
	err := syncPath(after)
	if before != after {
		err = errors.Join(err, syncPath(before))
	}
	return err
}

// MoveFiles moves files from one directory to another and syncs both once. A file that is not there was moved before.
func MoveFiles(from, to string, names ...string) error {
	for _, name := range names {
		err := rename(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := errors.Join(syncPath(to), syncPath(from))
	if errors.Is(err, fs.ErrNotExist) { // another process has finished, and removed from
		return nil
	}
	return err
}

// Stage makes an empty directory in parent, for unfinished work. The caller removes it; after a kill, Sweep does.
func Stage(parent string) (string, error) { return os.MkdirTemp(parent, unfinished) }

// ReplaceDir lets fill write the directory that becomes to, whose parent it makes if need be. fill gets the path of an
// empty directory beside to. If fill fails, to stays as it was and nothing of the attempt is left. Two processes that
// replace to at once do not mix: the second gets dirlock.ErrLocked.
func ReplaceDir(to string, fill func(stage string) error) error {
	unlock, err := claimPlace(to)
	if err != nil {
		return err
	}
	defer unlock()
	to = filepath.Clean(to)
	stage, err := StageFor(filepath.Dir(to), filepath.Base(to))
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage) // gone already when all went well
	if err := fill(stage); err != nil {
		return err
	}
	return PlaceDir(stage, to)
}

// Tidy finishes and removes what a killed ReplaceDir left of to, as the next one would.
func Tidy(to string) error {
	unlock, err := claimPlace(to)
	if err == nil {
		unlock()
	}
	return err
}

// claimPlace locks to, finishes what a process began that was killed as it replaced to, and removes what that left.
func claimPlace(to string) (unlock func(), err error) {
	if unlock, err = dirlock.Lock(to); err != nil {
		return nil, err
	}
	to = filepath.Clean(to)
	if err = errors.Join(Recover(to), removeLeft(filepath.Dir(to), filepath.Base(to), ".partial")); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// UpdateDir is ReplaceDir for a directory whose other files stay: fill gets a directory that holds what to holds.
func UpdateDir(to string, fill func(stage string) error) error {
	return ReplaceDir(to, func(stage string) error {
		if err := os.CopyFS(stage, os.DirFS(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return fill(stage)
	})
}

// HoldsOnly returns an error that names a file in dir which is none of ours: what a person put there is not replaced.
// Names have slashes; one with a slash at its end is a directory of which all is ours.
func HoldsOnly(dir string, ours ...string) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		top, _, below := strings.Cut(path, "/")
		switch {
		case errors.Is(err, syscall.ENOTDIR):
			return errors.New("it is a file, not a directory. Try: another name")
		case err != nil || d.IsDir():
			return err
		case slices.Contains(ours, path) || below && slices.Contains(ours, top+"/"):
			return nil
		}
		return fmt.Errorf("it holds %s, which degas did not write. Try: move that away first", path)
	})
}

// StageFor is Stage for the one process that does such work there, as a lock makes sure. It removes what a killed one
// left, which Sweep does not.
func StageFor(parent, work string) (string, error) {
	if err := removeLeft(parent, work, ".partial"); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, ".degas-"+work+"-*.partial")
}

// removeLeft removes what killed processes left in parent of work: what os.CreateTemp or os.MkdirTemp made there.
func removeLeft(parent, work, suffix string) error {
	entries, err := os.ReadDir(parent)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), ".degas-"+work+"-")
		digits, whole := strings.CutSuffix(rest, suffix)
		if ours && whole && digits != "" && strings.Trim(digits, "0123456789") == "" {
			err = errors.Join(err, removeAll(filepath.Join(parent, e.Name())))
		}
	}
	return err
}

// PlaceDir syncs the directory stage and moves it to to, beside it. What was at to is removed: a process that is killed
// just before that leaves it at stage.
//
// If to exists, one system call exchanges the two, so that to names the old version or the new one at any moment. Where
// the system or the file system has no such call, the old version moves aside first. A process that is killed right
// then leaves nothing at to, until Recover puts the old version back, which PlaceDir, ReplaceDir and Sweep do first.
func PlaceDir(stage, to string) error {
	to = filepath.Clean(to)                        // the parent of "x/" would be x itself
	if err := os.Chmod(stage, 0o755); err != nil { // MkdirTemp makes it private
		return err
	}
	if err := errors.Join(syncTree(stage), Recover(to)); err != nil {
		return err
	}
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return Rename(stage, to)
	}
	switch err := exchange(stage, to); {
	case errors.Is(err, errors.ErrUnsupported):
		return moveAside(stage, to)
	case err != nil:
		return err
	}
	return errors.Join(syncPath(filepath.Dir(to)), removeAll(stage))
}

// moveAside is PlaceDir in two steps. If the second fails, it takes back the first.
func moveAside(stage, to string) error {
	old := oldVersion(to)
	if err := rename(to, old); err != nil {
		return err
	}
	if err := Rename(stage, to); err != nil {
		return errors.Join(err, Recover(to))
	}
	return removeAll(old)
}

// Recover finishes what a process began that was killed in PlaceDir: if nothing is at to, the old version comes back
// from aside, else it is removed there.
func Recover(to string) error {
	to = filepath.Clean(to)
	old := oldVersion(to)
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return Rename(old, to)
	}
	return removeAll(old)
}

// oldVersion is where moveAside puts what is at to.
func oldVersion(to string) string {
	return filepath.Join(filepath.Dir(to), oldPrefix+filepath.Base(to))
}

// syncTree syncs dir and all that is in it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		return syncPath(path)
	})
}
