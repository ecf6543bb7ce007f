package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// maxParts bounds the files of a log that are looked at: path, path.1 and so on.
const maxParts = 100

// partPath is the path of a log's file: 0 is the one that is written, and the higher the older.
func (f *File) partPath(i int) string {
	if i == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, i)
}

// search opens the youngest file that has the place of a state, from the file first on. It is nil if there is none.
func (f *File) search(s State, first int) (*part, error) {
	if s.Offset == 0 {
		return nil, nil // that is a place in any file
	}
	for i := first; i < maxParts; i++ {
		p, err := openPart(f.partPath(i))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a rotation may be under way
		}
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", f.path, err)
		}
		found, err := p.find(s)
		if found && err == nil {
			return p, nil
		}
		p.file.Close()
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", f.path, err)
		}
	}
	return nil, nil
}

// successor finds the file after one: 0 for that at path, which may be the file itself. same tells that it is.
func (f *File) successor(of *part) (i int, same bool) {
	info, err := of.file.Stat()
	if err != nil {
		return 0, false
	}
	for i := range maxParts {
		other, err := os.Stat(f.partPath(i))
		if err != nil || !os.SameFile(info, other) {
			continue
		}
		if i == 0 {
			return 0, true
		}
		for i--; i > 0; i-- {
			if _, err := os.Stat(f.partPath(i)); err == nil {
				break
			}
		}
		return i, false
	}
	return 0, false // deleted, or renamed in another way
}

// isAt reports whether a part is the file i of the log.
func (f *File) isAt(p *part, i int) bool {
	opened, err := p.file.Stat()
	if err != nil {
		return false
	}
	info, err := os.Stat(f.partPath(i))
	return err == nil && os.SameFile(opened, info)
}

// missed goes back if there was a file between the one before and current, of which nothing was read yet: it was copied
// and truncated again before it was looked at.
func (f *File) missed() (bool, error) {
	old, err := f.search(*f.before, 1)
	if old == nil || err != nil {
		return false, err
	}
	if i, same := f.successor(old); same || f.isAt(f.current, i) {
		return false, old.file.Close()
	}
	err = f.current.file.Close()
	f.current, f.rotated = old, false
	return true, err
}

// advance goes on to the next file when all of current was read. It takes its time: programs write on for a moment in a
// file that was renamed.
func (f *File) advance() (more bool, err error) {
	i, same := f.successor(f.current)
	if same {
		f.rotated = false
		return false, nil
	}
	info, err := os.Stat(f.partPath(i))
	if err != nil || i == 0 && info.Size() == 0 {
		return false, nil // the new file is yet to come, or to be used
	}
	if !f.rotated {
		f.rotated = true
		return false, nil
	}
	next, err := openPart(f.partPath(i))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("follow %s: %w", f.path, err)
	}
	if again, _ := f.successor(f.current); !f.isAt(next, again) { // there was another rotation meanwhile
		return false, next.file.Close()
	}
	if raw, long := f.current.rest(); len(raw) > 0 || long {
		f.take(bytes.Clone(raw), long)
	}
	f.goTo(next)
	// A copy of a file that is yet to be truncated is followed by that file.
	if found, err := next.find(*f.before); err != nil || !found {
		_, err = next.seek(0)
		return true, err
	}
	return true, nil
}

// goTo makes next the file that is read.
func (f *File) goTo(next *part) {
	s := f.State()
	f.before = &s
	f.current.file.Close()
	f.current, f.rotated = next, false
}

// truncated goes on when current does not have any more what was read of it: in the copy that was made of it before, or
// otherwise at its beginning.
func (f *File) truncated() error {
	copied, err := f.search(f.State(), 1)
	if err != nil {
		return err
	}
	if copied != nil {
		f.goTo(copied)
		return nil
	}
	if f.current.pos < len(f.current.buf) {
		slog.Warn("the log was truncated within a line, which is lost", "path", f.path)
	}
	s := f.State()
	f.before = &s
	_, err = f.current.seek(0)
	return err
}
