package beam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
)

// shelf is where workers put finished files.
type shelf struct {
	// Place is a folder that all workers see, or one in object storage, by its URL. Beside a folder is room for other
	// files.
	Place string
	// Run names this run of the pipeline, so that what an earlier one left is not taken for its own.
	Run string
}

// local is the folder, "" if it is in object storage.
func (s shelf) local() string {
	if bucket.IsURL(s.Place) {
		return ""
	}
	return s.Place
}

// work makes a folder for the temporary files of a step, which the caller removes.
func (s shelf) work() (string, error) {
	if s.local() == "" {
		return os.MkdirTemp("", "degas-shard-")
	}
	return os.MkdirTemp(filepath.Dir(s.Place), "shard-") // on the same disk
}

// put moves a finished file there from a folder of work. It appears whole, and may come again: runners try a bundle
// again after a failure, and may run it twice at once.
func (s shelf) put(ctx context.Context, work, name string) error {
	from := filepath.Join(work, name)
	if s.local() != "" {
		return atomicfile.Rename(from, filepath.Join(s.Place, name))
	}
	return s.with(ctx, func(to *bucket.Folder) error {
		return to.Write(ctx, name, func(w io.Writer) error {
			f, err := os.Open(from)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		})
	})
}

// remove removes a file from object storage. A folder is a new one.
func (s shelf) remove(ctx context.Context, name string) error {
	if s.local() != "" {
		return nil
	}
	return s.with(ctx, func(from *bucket.Folder) error { return from.Remove(ctx, name) })
}

// Kinds of notes.
const (
	noteFailed = "failed" // why a step failed
	noteDone   = "done"   // dataset.json, when all the rest is there
)

// note leaves a note for the process that started the pipeline, if there is none of its kind.
func (s shelf) note(ctx context.Context, kind string, data []byte) error {
	err := s.notes().with(ctx, func(to *bucket.Folder) error {
		return to.Create(ctx, s.noteName(kind), func(w io.Writer) error { _, err := w.Write(data); return err })
	})
	if errors.Is(err, fs.ErrExist) {
		return nil // a step may run again
	}
	return err
}

// noted is the note of a kind, or an error.
func (s shelf) noted(ctx context.Context, kind string) (data []byte, err error) {
	err = s.notes().with(ctx, func(from *bucket.Folder) error {
		data, err = from.Read(ctx, s.noteName(kind), userfile.Text)
		return err
	})
	return data, err
}

func (s shelf) noteName(kind string) string { return "degas-beam-" + s.Run + "-" + kind }

// notes is where notes are: not among the files of the data set, where that can be.
func (s shelf) notes() shelf {
	if s.local() != "" {
		s.Place = filepath.Dir(s.Place)
	}
	return s
}

func (s shelf) with(ctx context.Context, do func(*bucket.Folder) error) error {
	f, err := bucket.Open(ctx, s.Place)
	if err != nil {
		return fmt.Errorf("data set: %w", err)
	}
	defer f.Close()
	return do(f)
}
