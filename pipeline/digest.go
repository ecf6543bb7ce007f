package pipeline

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/unpack"
)

// digests hashes every file at or below paths, through links, as process-data walks its input. If known has the file's
// size and time, the digest is taken from there. Names that begin with a dot are left out: locks and unfinished work.
func (r *runner) digests(ctx context.Context, paths []string, known map[string]stat) (map[string]stat, error) {
	out := map[string]stat{}
	for _, root := range paths {
		_, err := linkwalk.Visible(root, func(rel string, info fs.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			path := filepath.Join(root, filepath.FromSlash(rel))
			st, err := digest(ctx, path, info, known[filepath.ToSlash(path)])
			out[filepath.ToSlash(path)] = st
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// digest hashes one file, or returns known when its size and time have not changed since.
func digest(ctx context.Context, path string, info fs.FileInfo, known stat) (stat, error) {
	st := stat{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if known.SHA256 != "" && known.Size == st.Size && known.Modified == st.Modified {
		return known, nil
	}
	var err error
	st.SHA256, _, err = unpack.SHA256(ctx, path)
	return st, err
}
