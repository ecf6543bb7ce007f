package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
)

// unpack puts the job's archive's members in place and returns them by path relative to the job's directory.
func (j *job) unpack(ctx context.Context) (map[string]Record, error) {
	into := filepath.Join(j.dir, filepath.FromSlash(j.f.Extract.Into))
	// Stage below dir, not beside it: what is outside dir is none of this job's business, and only dir is locked.
	stage, err := os.MkdirTemp(j.dir, stagePrefix)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", j.final, err)
	}
	defer os.RemoveAll(stage)
	inner, err := unpackInto(ctx, j.final, stage, j.f.Extract.Limits)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", j.final, err)
	}
	members := make(map[string]Record, len(inner))
	for name, rec := range inner {
		members[path.Join(j.f.Extract.Into, name)] = rec
	}
	if err := j.checkMembers(members); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", j.final, err)
	}
	if err := moveIn(stage, into, sortedKeys(inner)); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", j.final, err)
	}
	return members, nil
}

// checkMembers refuses archives that bring nothing, or files that this package keeps for itself.
func (j *job) checkMembers(members map[string]Record) error {
	if len(members) == 0 {
		return fmt.Errorf("unpack %s: %w: none of its members is wanted", j.final, ErrFormat)
	}
	for name := range members {
		if name == ChecksumsName || name == LockName || strings.HasSuffix(name, partSuffix) || name == j.f.Path {
			return fmt.Errorf("unpack %s: %w: member %q would replace a file of the download", j.final, ErrUnsafe, name)
		}
	}
	return nil
}

// membersPresent tells whether everything the archive was unpacked to is on the disk, unchanged.
func (j *job) membersPresent(rec Record) ([]string, bool) {
	for name, want := range rec.Members {
		local, err := localPath(j.dir, name)
		if err != nil {
			return nil, false
		}
		if info, err := os.Stat(local); err != nil || info.Size() != want.Size {
			return nil, false
		}
		if sum, _, err := hashFile(local); err != nil || sum != want.SHA256 {
			return nil, false
		}
	}
	return sortedKeys(rec.Members), true
}

// sweep removes what a killed process left staged or half written in dir. The caller holds the lock.
func sweep(dir string) error {
	if err := atomicfile.Sweep(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), stagePrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
