package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/userfile"
)

// Upload copies the data set in dir, which this process has written, to a folder of object storage, dataset.json last:
// who reads the data set meanwhile finds none, or what does not fit its dataset.json, and says so. A data set that was
// there before is gone from the first step on; what the new one does not have of it is removed.
func Upload(ctx context.Context, dir string, to *bucket.Folder) error {
	m, err := readManifest(dir)
	if err != nil {
		return err
	}
	old, err := Uploaded(ctx, to)
	if err != nil {
		return err
	}
	files := m.files()
	if err := to.Remove(ctx, ManifestName); err != nil {
		return err
	}
	all, each := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for name := range files {
		all.Go(func() error { return upload(each, dir, name, to) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := m.RemoveOthers(ctx, to, old); err != nil {
		return err
	}
	return upload(ctx, dir, ManifestName, to)
}

// RemoveOthers removes files of a data set before m, which Uploaded gave, from a folder of object storage.
func (m *Manifest) RemoveOthers(ctx context.Context, folder *bucket.Folder, old map[string]bool) error {
	files := m.files()
	for name := range old {
		if !files[name] && isSplit(name) {
			if err := folder.Remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Uploaded gives the files of the data set in a folder of object storage, none if there is none. It is an error if no
// data set could be written there: no access, or a dataset.json that is of none.
func Uploaded(ctx context.Context, folder *bucket.Folder) (map[string]bool, error) {
	data, err := folder.Read(ctx, ManifestName, userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil || m.Format <= 0 {
		return nil, fmt.Errorf("%s is of no data set. Try: another folder", folder.At(ManifestName))
	}
	return m.files(), nil
}

func upload(ctx context.Context, dir, name string, to *bucket.Folder) error {
	return to.Write(ctx, name, func(w io.Writer) error {
		f, err := userfile.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}
