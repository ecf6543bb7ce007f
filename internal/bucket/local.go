package bucket

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// local is a folder of this machine.
type local struct{ dir string }

func (l local) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l local) close() error { return nil }

func (l local) reader(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, err := userfile.Open(l.path(name))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	if length < 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, length), f}, nil
}

func (l local) size(_ context.Context, name string) (int64, error) {
	info, err := os.Stat(l.path(name))
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New(userfile.NoFile(info.Mode()))
	}
	return info.Size(), nil
}

func (l local) list(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		var files []File
		err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if path == l.dir && errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return errors.Join(err, ctx.Err())
			}
			rel, err := filepath.Rel(l.dir, path)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(rel)
			info, err := os.Stat(path)
			unfinished := strings.HasPrefix(d.Name(), ".degas-") // another process writes it, see atomicfile
			if err == nil && info.Mode().IsRegular() && !unfinished && strings.HasPrefix(name, prefix) {
				files = append(files, File{name, info.Size()})
			}
			return nil
		})
		slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
		for _, f := range files {
			if err == nil && !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(File{}, err)
		}
	}
}

func (l local) write(ctx context.Context, name string, isNew bool, fill func(io.Writer) error) error {
	to := l.path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if !isNew {
		return atomicfile.WriteFunc(to, watched(ctx, fill))
	}
	// A second name for a finished file is an error if the name is taken.
	stage, err := atomicfile.Stage(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	whole := filepath.Join(stage, filepath.Base(to))
	if err := atomicfile.WriteFunc(whole, watched(ctx, fill)); err != nil {
		return err
	}
	if err := os.Link(whole, to); err != nil {
		return err
	}
	return atomicfile.Rename(whole, to) // of one file's two names: it syncs the folder
}

// watched is fill, ended by ctx.
func watched(ctx context.Context, fill func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		if err := fill(watchedWriter{ctx, w}); err != nil {
			return err
		}
		return ctx.Err()
	}
}

type watchedWriter struct {
	ctx context.Context
	io.Writer
}

func (w watchedWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (l local) remove(_ context.Context, name string) error {
	path := l.path(name)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return errors.New("it is a directory, not a file")
	}
	return os.Remove(path)
}
