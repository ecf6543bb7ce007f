// Package bucket reads and writes files in a folder, here or in object storage, by URL:
//
//	s3://bucket/folder      Amazon S3, and servers that speak its protocol
//	gs://bucket/folder      Google Cloud Storage
//	file:///srv/folder      a folder of this machine; so is a plain path
//
// Credentials come from where the providers' own tools find them, never from a URL: for s3 from AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, AWS_PROFILE, ~/.aws, a container's or a machine's role; for gs from
// GOOGLE_APPLICATION_CREDENTIALS, "gcloud auth application-default login", or a machine's service account. The region
// is AWS_REGION's or the profile's. A server that speaks S3's protocol is named by AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL, an emulator of Google's by STORAGE_EMULATOR_HOST. What a URL may have behind a "?" is in Options.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"strings"
)

// Folder is an open folder. Several goroutines may use it. The names of its files are relative to it, with slashes.
// Errors name the URL and say what to do. The error for a file that is not there wraps fs.ErrNotExist.
type Folder struct {
	url string
	store
}

// store is one kind of storage. Names have been checked.
type store interface {
	// reader reads from offset on: length bytes, or all if that is negative.
	reader(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	size(ctx context.Context, name string) (int64, error)
	// list gives the files whose names begin with prefix, in the order of their names.
	list(ctx context.Context, prefix string) iter.Seq2[File, error]
	write(ctx context.Context, name string, isNew bool, fill func(io.Writer) error) error
	remove(ctx context.Context, name string) error
	close() error
}

// File is a file of a folder.
type File struct {
	Name string // relative to the folder, with slashes
	Size int64  // bytes
}

// IsURL tells a URL, of any scheme, from a path.
func IsURL(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	return ok && scheme != "" && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+.-") == ""
}

// Join is the URL or path of a file in the folder of a URL or a path.
func Join(folder, name string) string {
	if !IsURL(folder) {
		return filepath.Join(folder, filepath.FromSlash(name))
	}
	place, options, ok := strings.Cut(folder, "?")
	place = strings.TrimSuffix(place, "/") + "/" + name
	if ok {
		place += "?" + options
	}
	return place
}

// Split takes the URL or path of a file apart, into its folder's and its name.
func Split(file string) (folder, name string) {
	if !IsURL(file) {
		return filepath.Dir(file), filepath.Base(file)
	}
	place, options, ok := strings.Cut(file, "?")
	folder, name = path.Split(place)
	if folder = strings.TrimSuffix(folder, "/"); ok {
		folder += "?" + options
	}
	return folder, name
}

// Open opens the folder of a URL or a path. The folder need not exist. Open finds the credentials, and reports within
// seconds that there are none; whether the storage accepts them shows at the first use. The caller closes the Folder.
func Open(ctx context.Context, urlOrPath string) (*Folder, error) {
	if !IsURL(urlOrPath) {
		return &Folder{url: urlOrPath, store: local{dir: urlOrPath}}, nil
	}
	p, err := parse(urlOrPath)
	if err != nil {
		return nil, err
	}
	var s store
	switch p.scheme {
	case "file":
		s = local{dir: p.path}
	case "s3":
		s, err = openS3(ctx, p)
	case "gs":
		s, err = openGS(ctx, p)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	return &Folder{url: p.String(), store: s}, nil
}

// String is the folder's URL or path. It has no credentials.
func (f *Folder) String() string { return f.url }

// Close frees what the folder holds.
func (f *Folder) Close() error { return f.close() }

// Local is the folder's path on this machine, "" for a folder in object storage.
func (f *Folder) Local() string {
	if l, ok := f.store.(local); ok {
		return l.dir
	}
	return ""
}

// At is the URL or path of a file.
func (f *Folder) At(name string) string {
	return Join(f.url, name)
}

// Read reads a whole file of at most limit bytes.
func (f *Folder) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	r, err := f.Reader(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("read %s: it has more than %d bytes", f.At(name), limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Reader reads a file from offset on: length bytes, or all if length is negative. Reading goes on after an
// interruption of the network. It ends with ctx.
func (f *Folder) Reader(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	return do(f, "read", name, func() (io.ReadCloser, error) {
		r, err := f.reader(ctx, name, offset, length)
		if err != nil {
			return nil, err
		}
		return &resuming{ReadCloser: r, ctx: ctx, folder: f, name: name, offset: offset, left: length}, nil
	})
}

// Size is the size of a file in bytes.
func (f *Folder) Size(ctx context.Context, name string) (int64, error) {
	return do(f, "find", name, func() (int64, error) { return f.size(ctx, name) })
}

// List gives the files whose names begin with prefix, also those in folders, in the order of their names. It ends after
// the first error. A folder without files, and one that does not exist, give none.
func (f *Folder) List(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for file, err := range f.list(ctx, prefix) {
			if err != nil {
				err = fmt.Errorf("list %s: %w", f, err)
			}
			if !yield(file, err) || err != nil {
				return
			}
		}
	}
}

// Write writes a file, and its folders if need be: the file is there whole when Write returns nil, and stays as it was
// after an error, the one of fill among them. Where there are others, they read the old file until then.
func (f *Folder) Write(ctx context.Context, name string, fill func(io.Writer) error) error {
	_, err := do(f, "write", name, func() (any, error) { return nil, f.write(ctx, name, false, fill) })
	return err
}

// Create is Write for a file that is not there yet. If it is, the error wraps fs.ErrExist; of those that create the
// same file at once, one succeeds.
func (f *Folder) Create(ctx context.Context, name string, fill func(io.Writer) error) error {
	_, err := do(f, "create", name, func() (any, error) { return nil, f.write(ctx, name, true, fill) })
	return err
}

// Remove removes a file. That it is not there is no error.
func (f *Folder) Remove(ctx context.Context, name string) error {
	_, err := do(f, "remove", name, func() (any, error) {
		if err := f.remove(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, nil
	})
	return err
}

// do runs one action upon a file and says in the error which one.
func do[T any](f *Folder, action, name string, act func() (T, error)) (value T, err error) {
	if err = checkName(name); err == nil {
		value, err = act()
	}
	if err != nil {
		return value, fmt.Errorf("%s %s: %w", action, f.At(name), err)
	}
	return value, nil
}

// resumes bounds how often in a row a reader opens its file again without getting a byte.
const resumes = 3

// resuming goes on where reading broke off.
type resuming struct {
	io.ReadCloser
	ctx          context.Context
	folder       *Folder
	name         string
	offset, left int64 // left is negative if everything is read
	tried        int
}

func (r *resuming) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.folder.At(r.name), err)
	}
	n, err := r.ReadCloser.Read(p)
	r.offset += int64(n)
	if r.left >= 0 {
		r.left = max(0, r.left-int64(n))
	}
	if n > 0 {
		r.tried = 0
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	damaged := strings.Contains(err.Error(), "checksum")
	if r.tried++; r.folder.Local() == "" && r.ctx.Err() == nil && r.tried <= resumes && r.left != 0 && !damaged {
		if again, openErr := r.folder.reader(r.ctx, r.name, r.offset, r.left); openErr == nil {
			r.ReadCloser.Close()
			r.ReadCloser = again
			return n, nil
		}
	}
	return n, fmt.Errorf("read %s: %w", r.folder.At(r.name), err)
}
