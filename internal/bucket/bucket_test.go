package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/degas-dns/degas/internal/bucket/buckettest"
)

// everywhere runs a test on each kind of storage.
func everywhere(t *testing.T, test func(t *testing.T, open func(folder string) *Folder)) {
	opener := func(t *testing.T, base string) func(string) *Folder {
		return func(folder string) *Folder {
			f, err := Open(t.Context(), strings.TrimSuffix(base+"/"+folder, "/"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
	}
	t.Run("path", func(t *testing.T) { test(t, opener(t, t.TempDir())) })
	t.Run("file", func(t *testing.T) { test(t, opener(t, "file://"+filepath.ToSlash(t.TempDir()))) })
	t.Run("s3", func(t *testing.T) {
		buckettest.New(t).Use(t)
		test(t, opener(t, "s3://"+buckettest.Bucket))
	})
	t.Run("gs", func(t *testing.T) {
		newGoogle(t)
		test(t, opener(t, "gs://data"))
	})
	t.Run("memory", func(t *testing.T) {
		b := memblob.OpenBucket(nil)
		defer b.Close()
		test(t, func(folder string) *Folder {
			return &Folder{url: "mem://" + folder, store: newRemote(b, place{path: folder})}
		})
	})
}

func put(t *testing.T, f *Folder, name, text string) {
	t.Helper()
	err := f.Write(t.Context(), name, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, f *Folder, prefix string) (out []string) {
	t.Helper()
	for file, err := range f.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s:%d", file.Name, file.Size))
	}
	return out
}

func TestFolder(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(string) *Folder) {
		f, ctx := open("x/y"), t.Context()
		if got := list(t, f, ""); got != nil {
			t.Errorf("a new folder has %v", got)
		}
		put(t, f, "a", "0123456789")
		put(t, f, "a.txt", "")
		put(t, f, "b/b c+ü%", "sub")
		put(t, open("x/yy"), "other", "")
		if got, want := list(t, f, ""), []string{"a:10", "a.txt:0", "b/b c+ü%:3"}; !slices.Equal(got, want) {
			t.Errorf("it has %q", got)
		}
		if got := list(t, f, "b/"); !slices.Equal(got, []string{"b/b c+ü%:3"}) {
			t.Errorf("b/ has %q", got)
		}
		for _, part := range []struct {
			offset, length int64
			want           string
		}{{0, -1, "0123456789"}, {3, -1, "3456789"}, {3, 4, "3456"}, {8, 10, "89"}, {0, 0, ""}} {
			r, err := f.Reader(ctx, "a", part.offset, part.length)
			if err != nil {
				t.Fatal(part, err)
			}
			data, err := io.ReadAll(r)
			if r.Close(); err != nil || string(data) != part.want {
				t.Errorf("%v: %q, %v", part, data, err)
			}
		}
		if data, err := f.Read(ctx, "a", 10); err != nil || string(data) != "0123456789" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := f.Read(ctx, "a", 9); err == nil || !strings.Contains(err.Error(), "more than 9 bytes") {
			t.Error(err)
		}
		if n, err := f.Size(ctx, "a"); err != nil || n != 10 {
			t.Error(n, err)
		}
		put(t, f, "a", "new")
		if data, err := f.Read(ctx, "a", 10); err != nil || string(data) != "new" {
			t.Errorf("%q, %v", data, err)
		}
		if err := errors.Join(f.Remove(ctx, "a"), f.Remove(ctx, "a")); err != nil {
			t.Error(err)
		}
	})
}

func TestMissing(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(string) *Folder) {
		f, ctx := open("x"), t.Context()
		_, readErr := f.Read(ctx, "no", 10)
		_, readerErr := f.Reader(ctx, "no", 1, 2)
		_, noneErr := f.Reader(ctx, "no", 0, 0)
		_, sizeErr := f.Size(ctx, "no")
		for i, err := range []error{readErr, readerErr, noneErr, sizeErr} {
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), f.At("no")) {
				t.Errorf("%d: %v", i, err)
			}
		}
		for _, name := range []string{"", ".", "../y", "/y", "a//b", "a/", `a\b`, "a\x00b", strings.Repeat("x", 1025)} {
			if _, err := f.Size(ctx, name); err == nil || !strings.Contains(err.Error(), "path") {
				t.Errorf("%q: %v", name, err)
			}
			if err := f.Write(ctx, name, func(io.Writer) error { panic("written") }); err == nil {
				t.Errorf("%q was written", name)
			}
		}
	})
}

// A file is there whole or not at all, also if it is large, and whoever creates it at the same time.
func TestWriteWholeOrNot(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(string) *Folder) {
		f, full := open("x"), errors.New("the disk is full")
		for _, size := range []int{0, 10, partSize + 12345} {
			data := random(size)
			fill := func(end error) func(io.Writer) error {
				return func(w io.Writer) error {
					for part := range slices.Chunk(data, 1<<20+1) {
						if _, err := w.Write(part); err != nil {
							return err
						}
					}
					return end
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			if err := f.Write(ctx, "file", fill(full)); !errors.Is(err, full) {
				t.Fatal(size, err)
			}
			err := f.Write(ctx, "file", func(w io.Writer) error {
				cancel()
				return fill(nil)(w)
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(size, err)
			}
			if got := list(t, f, ""); got != nil {
				t.Fatalf("%d bytes: %v is left", size, got)
			}
			if l := f.Local(); l != "" {
				if left, _ := os.ReadDir(l); len(left) > 0 {
					t.Fatal(left)
				}
			}
			if err := f.Write(t.Context(), "file", fill(nil)); err != nil {
				t.Fatal(size, err)
			}
			if got, err := f.Read(t.Context(), "file", 1<<30); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes: other ones come back: %v", size, err)
			}
			if err := f.Remove(t.Context(), "file"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestCreate(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(string) *Folder) {
		f := open("x")
		var done sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			done.Go(func() {
				errs[i] = f.Create(t.Context(), "sub/file", func(w io.Writer) error {
					_, err := fmt.Fprint(w, i)
					return err
				})
			})
		}
		done.Wait()
		winner := slices.Index(errs, nil)
		for i, err := range errs {
			if i != winner && !errors.Is(err, fs.ErrExist) {
				t.Errorf("%d: %v, beside %d", i, err, winner)
			}
		}
		if got, err := f.Read(t.Context(), "sub/file", 10); err != nil || string(got) != fmt.Sprint(winner) {
			t.Errorf("%q, %v", got, err)
		}
		if got := list(t, f, ""); len(got) != 1 {
			t.Error(got)
		}
	})
}

func random(size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8(sha256.Sum256([]byte("bucket"))).Read(data)
	return data
}

// A local file that another process writes is not listed, nor is what is no file.
func TestListPassesOver(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", ".degas-b-1.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	f, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, f, ""); !slices.Equal(got, []string{"a:0"}) {
		t.Error(got)
	}
}

// Where the network breaks off within a file, reading goes on behind it, and gives up where that leads nowhere.
func TestReadingGoesOn(t *testing.T) {
	s := buckettest.New(t).Use(t)
	f, err := Open(t.Context(), "s3://data")
	if err != nil {
		t.Fatal(err)
	}
	data := random(1 << 20)
	put(t, f, "file", string(data))
	broken := 0
	s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if broken++; broken > 2 {
			return false
		}
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(data[from : from+1000])
		panic(http.ErrAbortHandler)
	})
	if got, err := f.Read(t.Context(), "file", 1<<30); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "10")
		panic(http.ErrAbortHandler)
	})
	if _, err := f.Read(t.Context(), "file", 1<<30); err == nil || !strings.Contains(err.Error(), "s3://data/file") {
		t.Error(err)
	}
}

// What is wrong is said within seconds, with what to do, and without a credential.
func TestErrorsOfS3(t *testing.T) {
	s := buckettest.New(t).Use(t)
	answer := func(code int, name string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			buckettest.Refuse(w, code, name, "Some text.")
			return true
		}
	}
	for _, c := range []struct {
		name, url string
		env       []string
		fault     func(http.ResponseWriter, *http.Request) bool
		want      []string
	}{
		{name: "no bucket", url: "s3://nobody", want: []string{"no such bucket", "s3://nobody/file"}},
		{name: "no file", url: "s3://data", want: []string{"read s3://data/file: file does not exist"}},
		{name: "wrong key", url: "s3://data", env: []string{"AWS_ACCESS_KEY_ID=WRONG"},
			want: []string{"InvalidAccessKeyId", "Try: other credentials"}},
		{name: "no usable credentials", url: "s3://data", env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="},
			want: []string{"open s3://data: no usable credentials", "Try: AWS_ACCESS_KEY_ID"}},
		{name: "no profile", url: "s3://data?profile=nobody", want: []string{"nobody"}},
		{name: "no server", url: "s3://data", env: []string{"AWS_ENDPOINT_URL_S3=http://127.0.0.1:1"},
			want: []string{"read s3://data/file: no connection", "connection refused", "Try: the network"}},
		{name: "no region", url: "s3://data", env: []string{"AWS_ENDPOINT_URL_S3="}, want: []string{"Try: AWS_REGION"}},
		{name: "not allowed", url: "s3://data", fault: answer(403, "AccessDenied"), want: []string{"credentials that may"}},
		{name: "region", url: "s3://data", fault: answer(400, "AuthorizationHeaderMalformed"), want: []string{"?region="}},
		{name: "expired", url: "s3://data", fault: answer(400, "ExpiredToken"), want: []string{"ExpiredToken"}},
		{name: "a proxy's page", url: "s3://data", fault: func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<html>\x1blog in</html>")
			return true
		}, want: []string{"read s3://data/file: 403: Forbidden. Try: credentials"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, e := range c.env {
				key, value, _ := strings.Cut(e, "=")
				t.Setenv(key, value)
			}
			s.Fault(c.fault)
			began := time.Now()
			f, err := Open(t.Context(), c.url)
			if err == nil {
				defer f.Close()
				_, err = f.Read(t.Context(), "file", 10)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), buckettest.Secret) {
					t.Errorf("%v, want %s", err, want)
				}
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			} else {
				t.Log(took, err)
			}
		})
	}
}
