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
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model/versions"
)

// toStore copies e to root/NAME/VERSION, or to root/NAME/shadow/VERSION. Servers that watch root see the version whole:
// it is written into a sibling that they pass over, and renamed.
func toStore(ctx context.Context, e *exported, root string, o Options) (r Result, err error) {
	base := filepath.Join(root, o.Name)
	inForce, err := stored(base)
	if err != nil {
		return r, err
	}
	next, err := versions.Next(base)
	if err != nil {
		return r, err
	}
	if o.Shadow {
		if r, err = known(e, base, o); err != nil || r.Existed {
			return r, err
		}
		base = filepath.Join(base, versions.Shadow)
		if n := len(inForce); n > 0 && o.Version > 0 && o.Version <= inForce[n-1].number {
			return r, fmt.Errorf("%s: version %d is in force, and a candidate's number has to be above it. Try: "+
				"--version %d, or none", base, inForce[n-1].number, next)
		}
	}
	o.Version = cmp.Or(o.Version, next)
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
	there, err := stored(base)
	if err != nil {
		return r, err
	}
	r.Removed, err = retain(base, there, o)
	return r, err
}

// known finds the candidate or the version in force that has e's very files, unless another number is asked for.
func known(e *exported, base string, o Options) (r Result, err error) {
	mine, err := e.read(export.File{Path: export.SumsFile})
	if err != nil {
		return r, err
	}
	for _, folder := range []string{filepath.Join(base, versions.Shadow), base} {
		there, err := stored(folder)
		if err != nil {
			return r, err
		}
		for _, v := range there {
			path := filepath.Join(folder, v.name)
			theirs, err := userfile.Bytes(filepath.Join(path, export.SumsFile), userfile.Text)
			if err == nil && bytes.Equal(mine, theirs) && (o.Version == 0 || o.Version == v.number) {
				return Result{URL: path, Name: o.Name, Version: v.number, Existed: true}, nil
			}
		}
	}
	return r, nil
}

// storedVersion is a numbered directory of a store.
type storedVersion struct {
	number int
	name   string
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
		if n, ok := versions.Number(e.Name()); ok && e.IsDir() {
			out = append(out, storedVersion{n, e.Name()})
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
		if err := os.Rename(filepath.Join(base, v.name), filepath.Join(gone, v.name)); err != nil {
			return removed, fmt.Errorf("published, but remove version %s: %w", v.name, err)
		}
		removed = append(removed, v.name)
	}
	return removed, nil
}
