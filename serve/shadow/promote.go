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

// inForceTime is how long Promote and Demote wait for the server to load what they put in force.
const inForceTime = 10 * time.Second

// Promote puts candidate n in force: it renames MODELDIR/shadow/n to MODELDIR/n, syncs both folders, and returns when
// this server answers with it. Whoever else reads the folder takes it by itself. The error says what to do.
func (s *Shadow) Promote(ctx context.Context, n int) error {
	err := s.move(ctx, n, func(dir, shadow string, inForce []int) (from, to string, err error) {
		candidate := slices.ContainsFunc(s.candidates.Versions(s.o.Model), hasNumber(n))
		switch {
		case !candidate:
			return "", "", fmt.Errorf("%s has no version %d that can be loaded. Try: the table of candidates, which says why",
				shadow, n)
		case inForce[len(inForce)-1] > n:
			newest := inForce[len(inForce)-1]
			return "", "", fmt.Errorf("version %d is in force, and the highest number decides. Try: take back version %d "+
				"first", newest, newest)
		}
		return shadow, dir, nil
	})
	if err != nil {
		return fmt.Errorf("promote version %d: %w", n, err)
	}
	return nil
}

// Demote takes version n back from force: it renames MODELDIR/n to MODELDIR/shadow/n, so that the version before it
// decides again, and returns when it does. Only the newest version can be taken back, and only if there is another one.
func (s *Shadow) Demote(ctx context.Context, n int) error {
	err := s.move(ctx, n, func(dir, shadow string, inForce []int) (from, to string, err error) {
		last := len(inForce) - 1
		if inForce[last] != n {
			return "", "", fmt.Errorf("version %d is in force. Try: take that back", inForce[last])
		}
		if last == 0 || !slices.ContainsFunc(s.o.Serving.Versions(s.o.Model), hasNumber(inForce[last-1])) {
			return "", "", errors.New("it is the last version that can be in force. Try: promote another one first")
		}
		return dir, shadow, os.MkdirAll(shadow, 0o755)
	})
	if err != nil {
		return fmt.Errorf("take back version %d: %w", n, err)
	}
	return nil
}

// move renames version n from one folder to another, which plan chooses by the numbers in force.
func (s *Shadow) move(
	ctx context.Context,
	n int,
	plan func(dir, shadow string, inForce []int) (from, to string, err error),
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
	from, to, err := plan(dir, shadow, slices.Sorted(maps.Keys(paths)))
	if err != nil {
		return unwritable(err, dir)
	}
	from, to = filepath.Join(from, fmt.Sprint(n)), filepath.Join(to, fmt.Sprint(n))
	if err := rename(from, to); err != nil {
		return unwritable(err, dir)
	}
	return s.await(ctx, dir)
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

// await waits until the server answers with the newest version in dir.
func (s *Shadow) await(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, inForceTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		paths, err := versions.In(dir)
		if v, ok := s.o.Serving.Find(s.o.Model, ""); err == nil && ok {
			if _, there := paths[v.Number]; there && v.Number == slices.Max(slices.Collect(maps.Keys(paths))) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is renamed, but the server has not loaded it yet: %w. Try: look again, and read the log",
				context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func hasNumber(n int) func(*models.Version) bool {
	return func(v *models.Version) bool { return v.Number == n }
}
