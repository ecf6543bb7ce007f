package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// digests hashes every file at or below paths, through links, as process-data walks its input: what is no file, such as
// a named pipe, counts for nothing. If known has the file's stamp, the digest is taken from there. Names that begin
// with a dot are left out: locks and unfinished work. A file in object storage is read each time.
func (r *runner) digests(ctx context.Context, paths []string, known map[string]stat) (map[string]stat, error) {
	out := map[string]stat{}
	for _, root := range paths {
		if bucket.IsURL(root) {
			sum, err := remoteDigest(ctx, root)
			if err != nil {
				return nil, err
			}
			out[root] = stat{SHA256: sum}
			continue
		}
		_, err := linkwalk.Visible(root, func(rel string, info fs.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			path := filepath.Join(root, filepath.FromSlash(rel))
			st, err := digest(ctx, path, known[filepath.ToSlash(path)])
			out[filepath.ToSlash(path)] = st
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// digest hashes one file, or returns known when its stamp has not changed since.
func digest(ctx context.Context, path string, known stat) (st stat, err error) {
	if st.Stamp, err = userfile.StampOf(path); err != nil {
		return st, err
	}
	if known.SHA256 != "" && known.Stamp == st.Stamp {
		return known, nil
	}
	st.SHA256, _, err = unpack.SHA256(ctx, path)
	return st, err
}

// remoteDigest hashes a small file in object storage: the manifest of a data set, which has the hashes of all others.
func remoteDigest(ctx context.Context, url string) (string, error) {
	dir, name := bucket.Split(url)
	folder, err := bucket.Open(ctx, dir)
	if err != nil {
		return "", err
	}
	defer folder.Close()
	data, err := folder.Read(ctx, name, userfile.Text)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), nil
}
