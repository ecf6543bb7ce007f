package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// importFiles is Fetch with the folder in Options.From in place of the network.
func (c *Client) importFiles(ctx context.Context, dir string, files []File) (Report, error) {
	index, err := c.index()
	if err != nil {
		return Report{}, fmt.Errorf("read folder %s: %w", c.o.From, err)
	}
	return c.each(ctx, dir, files, func(ctx context.Context, j *job, res *FileResult) error {
		source, err := index.find(ctx, j.f, files, j.want)
		if j.f.Optional && errors.Is(err, ErrNotFound) {
			res.Status = Missing
			return nil
		}
		if err != nil {
			return err
		}
		return c.copy(ctx, source, j, res)
	})
}

// ImportFile copies the one local file called source to f's place in dir, checked and recorded as Fetch does.
func (c *Client) ImportFile(ctx context.Context, source, dir string, f File) (Report, error) {
	return c.each(ctx, dir, []File{f}, func(ctx context.Context, j *job, res *FileResult) error {
		return c.copy(ctx, source, j, res)
	})
}

// HasLocal tells whether the folder in Options.From holds a file of this base name anywhere below it: a user may have
// brought an archive or its members.
func (c *Client) HasLocal(name string) bool {
	index, err := c.index()
	return err == nil && len(index.byBase[name]) > 0
}

// folderIndex lists the regular files below a folder by base name.
type folderIndex struct {
	root   string              // Options.From
	folder string              // Options.Folder
	byBase map[string][]string // slash paths relative to root
}

// index lists the files below Options.From, through links, that are not another data set's.
func (c *Client) index() (folderIndex, error) {
	index := folderIndex{root: c.o.From, folder: c.o.Folder, byBase: map[string][]string{}}
	info, err := os.Stat(index.root)
	if err != nil {
		return index, err
	}
	if !info.IsDir() {
		return index, errors.New("not a folder")
	}
	_, err = linkwalk.Walk(index.root, func(rel string, info fs.FileInfo, err error) error {
		switch {
		case info == nil:
			return nil //nolint:nilerr // a dangling link is no file to import
		case err == nil && info.Mode().IsRegular() && !c.foreign(rel):
			index.byBase[path.Base(rel)] = append(index.byBase[path.Base(rel)], rel)
		}
		return err
	})
	return index, err
}

// foreign tells whether a file lies in another data set's folder: many call their file top-1m.csv.zip.
func (c *Client) foreign(rel string) bool {
	folders := strings.Split(path.Dir(rel), "/")
	for i := len(folders) - 1; i >= 0 && folders[i] != c.o.Folder; i-- {
		if slices.Contains(c.o.Others, folders[i]) {
			return true
		}
	}
	return false
}

// urlPath is the path of a URL that ends in a file's name. "" if its last part has no extension and so is none.
func urlPath(u string) string {
	u, _, _ = strings.Cut(u, "?")
	if strings.Contains(path.Base(u), ".") {
		return u
	}
	return ""
}

// commonTail counts the trailing components that a and b share.
func commonTail(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(as) && n < len(bs) && as[len(as)-1-n] == bs[len(bs)-1-n] {
		n++
	}
	return n
}

// find returns the local path of f, one of the files asked for: under the name that it gets here, or under the one that
// its URL has, as in a clone of a publisher's repository. want is its checksum, "" when any.
func (x folderIndex) find(ctx context.Context, f File, files []File, want string) (string, error) {
	var paths, urls []string // of the other files
	for _, other := range files {
		if other.Path != f.Path {
			paths, urls = append(paths, other.Path), append(urls, urlPath(other.URL))
		}
	}
	found := x.alike(f.Path, path.Join(x.folder, f.Path), paths)
	if u := urlPath(f.URL); len(found) == 0 && u != "" && !slices.Contains(urls, u) {
		found = x.alike(u, u, urls)
	}
	return x.pick(ctx, f, found, want)
}

// alike lists the files whose paths end as name does, with as many components as tell it from others. Of these it keeps
// those that share most components with full.
func (x folderIndex) alike(name, full string, others []string) (found []string) {
	need, best := 1, 0
	for _, other := range others {
		need = max(need, commonTail(name, other)+1)
	}
	need = min(need, strings.Count(name, "/")+1)
	for _, rel := range x.byBase[path.Base(name)] {
		switch n := commonTail(full, rel); {
		case n < need || n < best:
		case n > best:
			best, found = n, []string{rel}
		default:
			found = append(found, rel)
		}
	}
	return found
}

// pick chooses among equally good candidates: the one with the right checksum, or any when all are the same.
func (x folderIndex) pick(ctx context.Context, f File, found []string, want string) (string, error) {
	local := func(rel string) string { return filepath.Join(x.root, filepath.FromSlash(rel)) }
	switch len(found) {
	case 0:
		return "", fmt.Errorf("find %s in %s: %w", f.Path, x.root, ErrNotFound)
	case 1:
		return local(found[0]), nil
	}
	sums := map[string]string{}
	for _, rel := range found {
		sum, _, err := unpack.SHA256(ctx, local(rel))
		if err != nil {
			return "", err
		}
		sums[sum] = local(rel)
	}
	if p, ok := sums[want]; ok {
		return p, nil
	}
	if len(sums) == 1 {
		return local(found[0]), nil
	}
	return "", fmt.Errorf("find %s in %s: several different files could be it: %s", f.Path, x.root,
		strings.Join(found, ", "))
}

// copy brings the file at source to its place, verified.
func (c *Client) copy(ctx context.Context, source string, j *job, res *FileResult) (err error) {
	in, err := userfile.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := j.bounded(info.Size()); err != nil {
		return fmt.Errorf("copy %s: %w", source, err)
	}
	j.meter.start(0, info.Size())
	part := j.final + partSuffix
	out, err := c.create(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("open %s: %w", part, err)
	}
	defer func() {
		if err != nil {
			dropPart(j.final)
		}
	}()
	sum, n, err := fill(out, unpack.Watch(ctx, in, j.meter.add))
	if err != nil {
		return fmt.Errorf("copy %s: %w", source, err)
	}
	if j.want != "" && sum != j.want {
		return &checksumError{Path: j.f.Path, URL: source, Want: j.want, Got: sum}
	}
	*res = FileResult{Path: j.f.Path, URL: source, SHA256: sum, Size: n, Fetched: n, Status: Copied}
	return j.place(ctx, res)
}

// fill writes what r gives to out, syncs and closes it, and returns the checksum and the length of it.
func fill(out partFile, r io.Reader) (sum string, n int64, err error) {
	digest := sha256.New()
	n, err = io.Copy(io.MultiWriter(out, digest), r)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return hexSum(digest), n, err
}
