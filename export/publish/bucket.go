package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model/versions"
)

// remoteStore is a model's versions in object storage: a version is there once its SHA256SUMS is.
type remoteStore struct {
	*bucket.Folder
	name  string
	files map[string][]string // of each version's folder, such as NAME/2 or NAME/shadow/3, with paths below the store
}

// toBucket uploads e to NAME/VERSION or NAME/shadow/VERSION of the store at target, as toStore copies it. No folder
// appears there whole. So the first file claims the number, which only one process can create, and SHA256SUMS is last.
func toBucket(ctx context.Context, e *exported, target string, o Options) (r Result, err error) {
	folder, err := bucket.Open(ctx, target)
	if err != nil {
		return r, err
	}
	defer folder.Close()
	s := &remoteStore{Folder: folder, name: o.Name}
	if err := s.list(ctx); err != nil {
		return r, err
	}
	base := s.name
	if o.Shadow {
		base = path.Join(s.name, versions.Shadow)
		if r, err = s.known(ctx, e, o); err != nil || r.Existed {
			return r, err
		}
		if newest := s.newest(s.name); o.Version > 0 && o.Version <= newest {
			return r, fmt.Errorf("%s: version %d is in force, and a candidate's number has to be above it. Try: a higher "+
				"--version, or none", s.At(base), newest)
		}
	}
	if o.Version, err = s.claim(ctx, e, base, o); err != nil {
		return r, err
	}
	to := path.Join(base, strconv.Itoa(o.Version))
	if err := s.upload(ctx, e, to); err != nil {
		return r, errors.Join(err, s.abandon(ctx, to))
	}
	r = e.result(s.At(to), o)
	r.Removed, err = s.retain(ctx, base, o)
	return r, err
}

// list reads which versions there are.
func (s *remoteStore) list(ctx context.Context) error {
	s.files = map[string][]string{}
	for f, err := range s.List(ctx, s.name+"/") {
		if err != nil {
			return err
		}
		parts := strings.SplitN(f.Name, "/", 4)
		depth := 2
		if parts[1] == versions.Shadow {
			depth = 3
		}
		if len(parts) <= depth {
			continue
		}
		if _, ok := versions.Number(parts[depth-1]); ok {
			to := strings.Join(parts[:depth], "/")
			s.files[to] = append(s.files[to], f.Name)
		}
	}
	return nil
}

// whole tells whether a version is there, and not only a part of one.
func (s *remoteStore) whole(to string) bool {
	return slices.Contains(s.files[to], path.Join(to, export.SumsFile))
}

// numbers gives the versions in base, in order: all that are whole.
func (s *remoteStore) numbers(base string) (out []int) {
	for to := range s.files {
		if n, _ := versions.Number(path.Base(to)); path.Dir(to) == base && s.whole(to) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func (s *remoteStore) newest(base string) int {
	all := s.numbers(base)
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

// known finds the version that has e's very files, unless another number is asked for.
func (s *remoteStore) known(ctx context.Context, e *exported, o Options) (r Result, err error) {
	mine, err := e.read(export.File{Path: export.SumsFile})
	if err != nil {
		return r, err
	}
	for _, to := range slices.Sorted(maps.Keys(s.files)) {
		n, _ := versions.Number(path.Base(to))
		if !s.whole(to) || o.Version != 0 && o.Version != n {
			continue
		}
		theirs, err := s.Read(ctx, path.Join(to, export.SumsFile), userfile.Text)
		if err != nil {
			return r, err
		}
		if bytes.Equal(mine, theirs) {
			return Result{URL: s.At(to), Name: o.Name, Version: n, Existed: true}, nil
		}
	}
	return r, nil
}

// claim creates the first file of a version, the manifest, and gives its number. Whoever comes second finds it there.
func (s *remoteStore) claim(ctx context.Context, e *exported, base string, o Options) (number int, err error) {
	highest := 0 // also of versions that are being uploaded, or never were to their end
	for to := range s.files {
		n, _ := versions.Number(path.Base(to))
		highest = max(highest, n)
	}
	for number = cmp.Or(o.Version, highest+1); number <= math.MaxInt32; number++ {
		to := path.Join(base, strconv.Itoa(number))
		manifest := path.Join(to, export.ManifestFile)
		switch {
		case s.whole(to) && !o.Force:
			return 0, fmt.Errorf("%s: %w. Try: another --version, or --force", s.At(to), export.ErrExists)
		case o.Force:
			return number, s.empty(ctx, to)
		case len(s.files[to]) > 0:
			err = fs.ErrExist
		default:
			err = s.Create(ctx, manifest, e.copy(export.ManifestFile))
		}
		if errors.Is(err, fs.ErrExist) && o.Version > 0 {
			return 0, fmt.Errorf("%s has a part of a version: another process uploads it, or did not end. Try: another "+
				"--version, or --force", s.At(to))
		}
		if !errors.Is(err, fs.ErrExist) {
			return number, err
		}
	}
	return 0, fmt.Errorf("%s has the highest number that a version can have. Try: --version", s.At(base))
}

// copy gives a function that writes one of e's files.
func (e *exported) copy(name string) func(io.Writer) error {
	return func(w io.Writer) error {
		f, err := userfile.Open(filepath.Join(e.dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}
}

// servedFile is what TensorFlow Serving looks for in a version, whatever else is there.
const servedFile = "saved_model.pb"

// upload writes e's files to a claimed version, some at once, and at last what makes others read it.
func (s *remoteStore) upload(ctx context.Context, e *exported, to string) error {
	last := []string{servedFile, export.SumsFile}
	all, each := errgroup.WithContext(ctx)
	all.SetLimit(4)
	for _, f := range e.all() {
		if !slices.Contains(last, f.Path) {
			all.Go(func() error { return s.Write(each, path.Join(to, f.Path), e.copy(f.Path)) })
		}
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, name := range last {
		has := func(f export.File) bool { return f.Path == name }
		if !slices.ContainsFunc(e.all(), has) {
			continue
		}
		if err := s.Write(ctx, path.Join(to, name), e.copy(name)); err != nil {
			return err
		}
	}
	return nil
}

// empty removes a version, SHA256SUMS first: what is left of it is none.
func (s *remoteStore) empty(ctx context.Context, to string) error {
	names := []string{path.Join(to, export.SumsFile)}
	for f, err := range s.List(ctx, to+"/") {
		if err != nil {
			return err
		}
		names = append(names, f.Name)
	}
	for _, name := range names {
		if err := s.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// abandon removes what was uploaded of a version, also after Ctrl-C.
func (s *remoteStore) abandon(ctx context.Context, to string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := s.empty(ctx, to); err != nil {
		return fmt.Errorf("remove what was uploaded to %s: %w", s.At(to), err)
	}
	return nil
}

// retain removes all but the newest versions. The one just published stays, however low its number.
func (s *remoteStore) retain(ctx context.Context, base string, o Options) (removed []string, err error) {
	if o.Keep < 1 {
		return nil, nil
	}
	if err := s.list(ctx); err != nil {
		return nil, fmt.Errorf("published, but remove old versions: %w", err)
	}
	all := s.numbers(base)
	for _, n := range all[:max(0, len(all)-o.Keep)] {
		if n == o.Version {
			continue
		}
		if err := s.empty(ctx, path.Join(base, strconv.Itoa(n))); err != nil {
			return removed, fmt.Errorf("published, but remove version %d: %w", n, err)
		}
		removed = append(removed, strconv.Itoa(n))
	}
	return removed, nil
}
