package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/tfserving"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/userfile"
)

// toStore copies e to root/NAME/VERSION. Servers that watch root see the version whole: it is written into a sibling
// that they pass over, and renamed.
func toStore(ctx context.Context, e *exported, root string, o Options) (r Result, err error) {
	base := filepath.Join(root, o.Name)
	there, err := stored(base)
	if err == nil && o.Shadow {
		inForce := there
		base = filepath.Join(base, ShadowFolder)
		there, err = stored(base)
		all := append(slices.Clone(inForce), there...)
		for _, v := range all {
			if sameFiles(e.dir, v.dir) {
				o.Version = v.number
				r = e.result(v.dir, o)
				r.Existed = true
				return r, nil
			}
		}
		o.Version = next(all)
	}
	if err != nil {
		return r, err
	}
	if o.Version == 0 {
		o.Version = next(there)
	}
	to := filepath.Join(base, strconv.Itoa(o.Version))
	err = atomicfile.ReplaceDir(to, func(stage string) error {
		if err := fill(ctx, e, stage); err != nil {
			return err
		}
		if _, err := os.Stat(to); err == nil && !o.Force {
			return fmt.Errorf("%s: %w. Try: another --version, or --force", to, export.ErrExists)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r = e.result(to, o)
	if there, err = stored(base); err != nil {
		return r, err
	}
	r.Removed, err = retain(base, there, o)
	return r, err
}

// ShadowFolder has the candidates of a model, beside the versions in force.
const ShadowFolder = "shadow"

// sameFiles reports whether two version directories list the same files.
func sameFiles(a, b string) bool {
	mine, err := userfile.Read(filepath.Join(a, export.SumsFile), userfile.Text)
	if err != nil {
		return false
	}
	theirs, err := userfile.Read(filepath.Join(b, export.SumsFile), userfile.Text)
	return err == nil && bytes.Equal(mine, theirs)
}

// storedVersion is a numbered directory of a store.
type storedVersion struct {
	number    int
	name, dir string
}

// next is the number after all of versions.
func next(versions []storedVersion) int {
	n := 0
	for _, v := range versions {
		n = max(n, v.number)
	}
	return n + 1
}

// stored lists a model's versions, oldest first; none if base does not exist.
func stored(base string) ([]storedVersion, error) {
	entries, err := os.ReadDir(base)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%w: a store is a folder. Try: --to with another one", err)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []storedVersion
	for _, e := range entries {
		if n, ok := tfserving.VersionNumber(e.Name()); ok && e.IsDir() {
			out = append(out, storedVersion{n, e.Name(), filepath.Join(base, e.Name())})
		}
	}
	slices.SortFunc(out, func(a, b storedVersion) int { return cmp.Compare(a.number, b.number) })
	return out, nil
}

func copyFile(to, from string) error {
	in, err := userfile.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.WriteFunc(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// fill copies e's files and checks what was written.
func fill(ctx context.Context, e *exported, to string) error {
	for _, f := range e.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(to, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := copyFile(path, filepath.Join(e.dir, filepath.FromSlash(f.Path))); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(e.dir, "saved_model.pb")); err == nil { // it may be empty, and so not listed
		if err := os.MkdirAll(filepath.Join(to, "variables"), 0o755); err != nil {
			return err
		}
	}
	_, err := export.CheckSums(to)
	return err
}

// retain removes all but the newest versions. The one just published stays, however low its number.
func retain(base string, there []storedVersion, o Options) (removed []string, err error) {
	if o.Keep < 1 {
		return nil, nil
	}
	const work = "removed"
	unlock, err := dirlock.Lock(filepath.Join(base, work))
	if err != nil {
		return nil, fmt.Errorf("published, but remove old versions: %w", err)
	}
	defer unlock()
	gone, err := atomicfile.StageFor(base, work) // moved there first: a server must not find half a version
	if err != nil {
		return nil, fmt.Errorf("published, but remove old versions: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(gone)) }()
	for _, v := range there[:max(0, len(there)-o.Keep)] {
		if v.number == o.Version {
			continue
		}
		if err := os.Rename(v.dir, filepath.Join(gone, v.name)); err != nil {
			return removed, fmt.Errorf("published, but remove version %s: %w", v.name, err)
		}
		removed = append(removed, v.name)
	}
	return removed, nil
}
