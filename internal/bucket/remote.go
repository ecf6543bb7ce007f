package bucket

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Uploads go in parts, some of them at once. The memory that they take is bounded by the product, and the size of a
// file on S3 by 10,000 parts.
const (
	partSize = 16 << 20
	parts    = 3
)

// remote is a folder in object storage.
type remote struct {
	bucket *blob.Bucket
	prefix string // of its files' names, "" or with a slash at its end
}

func newRemote(b *blob.Bucket, p place) *remote {
	return &remote{bucket: b, prefix: p.prefix()}
}

func (r *remote) close() error { return r.bucket.Close() }

func (r *remote) reader(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	in, err := r.bucket.NewRangeReader(ctx, r.prefix+name, offset, length, nil)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	return in, nil
}

func (r *remote) size(ctx context.Context, name string) (int64, error) {
	a, err := r.bucket.Attributes(ctx, r.prefix+name)
	if err != nil {
		return 0, r.explain(ctx, err)
	}
	return a.Size, nil
}

func (r *remote) list(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		objects := r.bucket.List(&blob.ListOptions{Prefix: r.prefix + prefix})
		for {
			o, err := objects.Next(ctx)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(File{}, r.explain(ctx, err))
				return
			}
			name := strings.TrimPrefix(o.Key, r.prefix)
			if checkName(name) == nil && !yield(File{name, o.Size}, nil) { // consoles make "folder/" an object
				return
			}
		}
	}
}

func (r *remote) write(ctx context.Context, name string, isNew bool, fill func(io.Writer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Close it abandons the upload
	w, err := r.bucket.NewWriter(ctx, r.prefix+name, &blob.WriterOptions{
		BufferSize: partSize, MaxConcurrency: parts, IfNotExist: isNew, ContentType: "application/octet-stream",
	})
	if err != nil {
		return r.explain(ctx, err)
	}
	if err := fill(w); err != nil {
		cancel()
		w.Close()
		if gcerrors.Code(err) == gcerrors.Unknown {
			return err // fill's own
		}
		return r.explain(ctx, err)
	}
	if err := w.Close(); err != nil {
		return r.explain(ctx, err)
	}
	return nil
}

func (r *remote) remove(ctx context.Context, name string) error {
	if err := r.bucket.Delete(ctx, r.prefix+name); err != nil {
		return r.explain(ctx, err)
	}
	return nil
}

// explain says in a line what the storage's answer means, and what to do.
func (r *remote) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		if there, badErr := r.bucket.IsAccessible(ctx); badErr == nil && !there {
			return errNoBucket
		}
		return fs.ErrNotExist
	case gcerrors.FailedPrecondition:
		return fs.ErrExist
	}
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return remedied(answer.ErrorCode(), answer.ErrorMessage())
	}
	var status *smithyhttp.ResponseError
	if errors.As(err, &status) && status.HTTPStatusCode() >= 300 { // of a proxy, say: no answer of S3's
		return remedied(strconv.Itoa(status.HTTPStatusCode()), http.StatusText(status.HTTPStatusCode()))
	}
	return unreachable(err)
}
