package fetch

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/unpack"
)

// unpack puts the members of the job's archive in place and returns them by path relative to the job's directory. They
// are unpacked beside, and renamed when all of them are whole: a failure leaves the directory as it was.
func (j *job) unpack(ctx context.Context) (_ map[string]Record, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("unpack %s: %w", j.final, err)
		}
	}()
	stage, err := atomicfile.Stage(j.dir) // in the directory, because only that one is locked
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	staged, err := unpackInto(ctx, j.final, stage, j.f.Extract, j.bounds)
	if err != nil {
		return nil, err
	}
	members := make(map[string]Record, len(staged))
	for name, rec := range staged {
		members[path.Join(j.f.Extract.Into, name)] = rec
	}
	if err := j.checkMembers(members); err != nil {
		return nil, err
	}
	into := filepath.Join(j.dir, filepath.FromSlash(j.f.Extract.Into))
	for _, m := range slices.Sorted(maps.Keys(staged)) {
		local := filepath.FromSlash(m)
		to := filepath.Join(into, local)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := atomicfile.Rename(filepath.Join(stage, local), to); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// checkMembers refuses archives that bring nothing, or files that this package keeps for itself.
func (j *job) checkMembers(members map[string]Record) error {
	if len(members) == 0 {
		return fmt.Errorf("%w: none of its members is wanted", ErrFormat)
	}
	for name := range members {
		if name == ChecksumsName || name == dirlock.Inside || strings.HasSuffix(name, partSuffix) || name == j.f.Path {
			return fmt.Errorf("%w: member %q would replace a file of the download", ErrUnsafe, name)
		}
	}
	return nil
}

// membersPresent tells whether everything the archive was unpacked to is on the disk, unchanged.
func (j *job) membersPresent(ctx context.Context, rec Record) ([]string, bool) {
	for name, want := range rec.Members {
		local, err := localPath(j.dir, name)
		if err != nil {
			return nil, false
		}
		if info, err := os.Stat(local); err != nil || info.Size() != want.Size {
			return nil, false
		}
		if sum, _, err := unpack.SHA256(ctx, local); err != nil || sum != want.SHA256 {
			return nil, false
		}
	}
	return slices.Sorted(maps.Keys(rec.Members)), true
}
