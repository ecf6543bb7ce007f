package datasets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/internal/asutf8"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/diskspace"
	"github.com/degas-dns/degas/internal/userfile"
)

// atOnce is how many files are fetched at a time.
const atOnce = 4

// muchToFetch is, in bytes, what takes so long and so much of a disk that everybody is told.
const muchToFetch = 64 << 20

// readRemote reads the manifest of a data set by its URL.
func readRemote(ctx context.Context, url string) (*Manifest, error) {
	f, err := bucket.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open data set: %w", err)
	}
	defer f.Close()
	if dir := f.Local(); dir != "" {
		return ReadManifest(ctx, dir)
	}
	data, err := f.Read(ctx, ManifestName, userfile.Text)
	return decodeManifest(url, asutf8.Bytes(data), err)
}

// CacheDir is the folder that keeps files of data sets in object storage, by their SHA-256: degas/datasets in the
// user's cache folder. Only the user removes what is in it, and may do so whenever no degas runs.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for copies of a data set: %w. Try: XDG_CACHE_HOME=DIR", err)
	}
	return filepath.Join(dir, "degas", "datasets"), nil
}

var validSum = regexp.MustCompile(`^[0-9a-f]{64}$`) // it is a file's name in the cache

// fetched opens files of the data set at url from the cache, after fetching those that are not there. They have been
// verified.
func fetched(ctx context.Context, url string, files []SplitFile) (_ []*part, err error) {
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(files))
	defer func() {
		if err != nil {
			closeAll(parts)
		}
	}()
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i, file := range files {
		if !validSum.MatchString(file.SHA256) {
			return nil, fmt.Errorf("%s: the SHA-256 of %s is %.80q", bucket.Join(url, ManifestName), file.File, file.SHA256)
		}
		all.Go(func() (err error) {
			parts[i], err = cached(ctx, dir, file)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	if err := announce(ctx, url, dir, files, parts); err != nil {
		return nil, err
	}
	return parts, fetchMissing(ctx, url, dir, files, parts)
}

func closeAll(parts []*part) {
	for _, p := range parts {
		if p != nil {
			p.f.Close()
		}
	}
}

// cached opens and verifies a file of the cache; nil if it is not there or damaged.
func cached(ctx context.Context, dir string, file SplitFile) (*part, error) {
	f, err := userfile.Open(filepath.Join(dir, file.SHA256))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	p := &part{f: f, file: file}
	if err := p.verify(ctx); err != nil {
		f.Close()
		return nil, ctx.Err()
	}
	return p, nil
}

// announce says what is about to be fetched. It is an error if the disk has no room for that.
func announce(ctx context.Context, url, dir string, files []SplitFile, parts []*part) error {
	missing, bytes := 0, int64(0)
	for i, p := range parts {
		if p == nil {
			missing++
			bytes += files[i].Bytes
		}
	}
	if missing == 0 {
		return nil
	}
	if has, ok := diskspace.Free(dir); ok && has < bytes {
		return fmt.Errorf("fetch %d files of %s: the disk of %s has %d MiB free, and %d MiB are needed. Try: make room, "+
			"or XDG_CACHE_HOME=DIR on another disk", missing, url, dir, has>>20, bytes>>20)
	}
	level := slog.LevelInfo
	if bytes >= muchToFetch {
		level = slog.LevelWarn
	}
	slog.Log(ctx, level, "files of a data set are fetched, and stay in the cache until you remove them", "from", url,
		"files", missing, "MiB", (bytes+1<<20-1)>>20, "cache", dir)
	return nil
}

// fetchMissing fetches and opens what parts lacks of files.
func fetchMissing(ctx context.Context, url, dir string, files []SplitFile, parts []*part) error {
	folder, err := bucket.Open(ctx, url)
	if err != nil {
		return err
	}
	defer folder.Close()
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for i, file := range files {
		if parts[i] == nil {
			all.Go(func() (err error) {
				parts[i], err = fetchOne(ctx, folder, dir, file)
				return err
			})
		}
	}
	return all.Wait()
}

// fetchOne fetches a file into the cache, unless another process has done so meanwhile.
func fetchOne(ctx context.Context, folder *bucket.Folder, dir string, file SplitFile) (*part, error) {
	path := filepath.Join(dir, file.SHA256)
	unlock, err := waitForFile(ctx, path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if p, err := cached(ctx, dir, file); p != nil || err != nil {
		return p, err
	}
	err = atomicfile.WriteFunc(path, func(w io.Writer) error {
		r, err := folder.Reader(ctx, file.File, 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, io.LimitReader(r, file.Bytes+1))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", folder.At(file.File), err)
	}
	f, err := userfile.Open(path)
	if err != nil {
		return nil, err
	}
	p := &part{f: f, file: file}
	if err := p.verify(ctx); err != nil {
		f.Close()
		os.Remove(path)
		return nil, fmt.Errorf("%s: its copy is not what was written: %w", folder.At(file.File), err)
	}
	return p, nil
}

// waitForFile takes path for this process, once no other one has it.
func waitForFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		unlock, err := atomicfile.ClaimFile(path)
		if !errors.Is(err, dirlock.ErrLocked) {
			return unlock, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
