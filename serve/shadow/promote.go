package shadow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/models"
)

// inForceTime is how long Promote and Demote wait for the server to load what they put in force. A model that takes
// long to load gets more.
const inForceTime = 10 * time.Second

// move is one version's way from one folder to another.
type move struct {
	from, to string
	wait     time.Duration      // for the server to take it
	done     func(now int) bool // whether it is taken, if version now decides
}

// Promote puts candidate n in force: it loads it once more, renames MODELDIR/shadow/n to MODELDIR/n, syncs both
// folders, and returns when this server answers with it. If the server does not, it is renamed back. Whoever else reads
// the folder takes it by itself. The error says what to do.
func (s *Shadow) Promote(ctx context.Context, n int) error {
	err := s.move(ctx, n, func(dir, shadow string, there []int) (*move, error) {
		if !slices.ContainsFunc(s.candidates.Versions(s.o.Model), hasNumber(n)) {
			return nil, fmt.Errorf("%s has no version %d that can be loaded. Try: the table of candidates, which says why",
				shadow, n)
		}
		if there[len(there)-1] > n {
			return nil, s.above(dir, there[len(there)-1])
		}
		start := time.Now()
		if _, _, err := versions.Load(filepath.Join(shadow, fmt.Sprint(n))); err != nil { // it may be damaged since
			return nil, fmt.Errorf("it cannot be loaded any more: %w. Try: publish it again", err)
		}
		return &move{shadow, dir, s.wait + 3*time.Since(start), func(now int) bool { return now >= n }}, nil
	})
	if err != nil {
		return fmt.Errorf("promote version %d: %w", n, err)
	}
	return nil
}

// Demote takes version n back from force: it renames MODELDIR/n to MODELDIR/shadow/n, so that the version before it
// decides again, and returns when it does. Only the newest version can be taken back, and only if another is served.
// It may be one that could not be loaded.
func (s *Shadow) Demote(ctx context.Context, n int) error {
	err := s.move(ctx, n, func(dir, shadow string, there []int) (*move, error) {
		if newest := there[len(there)-1]; newest != n {
			return nil, s.above(dir, newest)
		}
		if !slices.ContainsFunc(s.o.Serving.Versions(s.o.Model), func(v *models.Version) bool {
			return v.Number != n && slices.Contains(there, v.Number)
		}) {
			return nil, errors.New("it is the last version that can be in force. Try: promote another one first")
		}
		return &move{dir, shadow, s.wait, func(now int) bool { return now != n }}, os.MkdirAll(shadow, 0o755)
	})
	if err != nil {
		return fmt.Errorf("take back version %d: %w", n, err)
	}
	return nil
}

// above says that version newest in dir stands above the one that somebody wants to move.
func (s *Shadow) above(dir string, newest int) error {
	if slices.ContainsFunc(s.o.Serving.Versions(s.o.Model), hasNumber(newest)) {
		return fmt.Errorf("version %d is in force, and the highest number decides. Try: take back version %d first", newest,
			newest)
	}
	return fmt.Errorf("version %d in %s is not served, but decides as soon as it can be loaded. "+
		"Try: take back version %d first", newest, dir, newest)
}

// move renames version n from one folder to another, as plan says, which gets the numbers that are there. What the
// server does not take is renamed back.
func (s *Shadow) move(
	ctx context.Context,
	n int,
	plan func(dir, shadow string, there []int) (*move, error),
) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	dir, err := s.folder()
	if err != nil {
		return err
	}
	shadow := filepath.Join(dir, versions.Shadow)
	unlock, err := dirlock.Lock(shadow) // other servers move versions, too
	if err != nil {
		return unwritable(err, dir)
	}
	defer unlock()
	paths, err := versions.In(dir)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("%s holds no version any more. Try: degas publish-model", dir)
	}
	m, err := plan(dir, shadow, slices.Sorted(maps.Keys(paths)))
	if err != nil {
		return unwritable(err, dir)
	}
	from, to := filepath.Join(m.from, fmt.Sprint(n)), filepath.Join(m.to, fmt.Sprint(n))
	if err := rename(from, to); err != nil {
		return unwritable(err, dir)
	}
	err = s.await(ctx, dir, m)
	if err == nil {
		return nil
	}
	for _, state := range s.o.Serving.States(s.o.Model) {
		if state.Number == n && state.Err != nil {
			err = fmt.Errorf("%w: %w", err, state.Err)
		}
	}
	if back := rename(to, from); back != nil {
		return fmt.Errorf("the server did not follow: %w; and %s cannot be renamed back: %w. Try: rename it to %s by hand",
			err, to, back, from)
	}
	return fmt.Errorf("the server did not follow, so %s is renamed back to %s: %w. Try: read the log, and do it again", to,
		from, err)
}

// rename renames a version. Nobody publishes into one of the two meanwhile.
func rename(from, to string) error {
	for _, path := range []string{from, to} {
		unlock, err := dirlock.Lock(path)
		if err != nil {
			return err
		}
		defer unlock()
	}
	switch info, err := os.Lstat(from); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there any more: somebody else moved it. Try: look again", from)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a link, which would lead elsewhere. Try: degas publish-model with its files", from)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already. Try: look again, or publish the candidate under another number", to)
	}
	return atomicfile.Rename(from, to)
}

// unwritable adds the next step to the error of a folder that degas may not change.
func unwritable(err error, dir string) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w. Try: let the user that degas serve runs as write to %s, or rename the folder by hand", err,
			dir)
	}
	return err
}

// await waits until a version in dir decides with which the move is done.
func (s *Shadow) await(ctx context.Context, dir string, m *move) error {
	ctx, cancel := context.WithTimeout(ctx, m.wait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		paths, err := versions.In(dir)
		if v, ok := s.o.Serving.Find(s.o.Model, ""); err == nil && ok {
			if _, there := paths[v.Number]; there && m.done(v.Number) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func hasNumber(n int) func(*models.Version) bool {
	return func(v *models.Version) bool { return v.Number == n }
}
