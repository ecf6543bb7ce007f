package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// transfer is the download of one file.
type transfer struct {
	*job
	c       *Client
	size    int64 // expected length; -1 when any
	fetched int64 // bytes received
	resumed int64 // bytes of an earlier run that were kept
	mixed   bool  // the part was put together from several answers
	begun   bool  // a body has come: before that, what lies there is from an earlier run
}

// run tries each URL until one gives the right bytes, and returns their checksum, length and origin.
func (t *transfer) run(ctx context.Context) (sum string, size int64, from string, err error) {
	var failures []error
	for _, u := range t.c.urls(t.f) {
		sum, size, err = t.get(ctx, u)
		if err == nil {
			return sum, size, redact(u), nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || diskFull(err) {
			break
		}
	}
	return "", 0, "", joinShort(failures)
}

// get downloads u with retries, records the file and puts it in place. Bytes that are wrong and bytes that fill a disk
// are not kept.
func (t *transfer) get(ctx context.Context, u string) (sum string, reached int64, err error) {
	err = t.c.retry(ctx, func() (int64, error) {
		sum, reached, err = t.attempt(ctx, u)
		return reached, err
	}, func(wait time.Duration, err error) { t.meter.event(Event{Kind: EventRetry, Wait: wait, Err: err}) })
	switch {
	case err == nil:
		// Recorded before it is in place: a process that is killed in between must not leave a file of unknown origin.
		rec := t.record(&FileResult{SHA256: sum, Size: reached, URL: redact(u), Status: Downloaded})
		if err := t.book.put(t.f.Path, rec); err != nil {
			return "", 0, err
		}
		return sum, reached, settle(t.final)
	case ctx.Err() != nil:
		err = fmt.Errorf("get %s: interrupted at byte %d of %s: %w", redact(u), reached, t.f.Path, ctx.Err())
	case errors.Is(err, ErrChecksum) || diskFull(err):
		dropPart(t.final)
	}
	return "", 0, err
}

// attempt makes one request, continues the part where it fits, and leaves a complete, synced and verified part behind.
// On error it returns how far the part reaches.
func (t *transfer) attempt(ctx context.Context, u string) (sum string, reached int64, err error) {
	part, err := t.c.create(t.final+partSuffix, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return "", 0, fmt.Errorf("open %s: %w", t.final+partSuffix, err)
	}
	defer func() {
		if cerr := part.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("close %s: %w", t.final+partSuffix, cerr)
		}
	}()
	offset, meta, digest, err := t.resumePoint(part, u)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", t.final+partSuffix, err)
	}
	t.meter.start(offset, t.size)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(t.c.o.StallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	resp, err := t.request(ctx, u, offset, meta)
	if err != nil {
		return "", offset, err
	}
	defer resp.Body.Close()
	offset, total, err := t.accept(part, resp, u, offset, meta, digest)
	if err != nil {
		return "", offset, err
	}
	if !t.begun {
		t.begun, t.resumed = true, offset
	}
	if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		n, err := t.receive(ctx, part, t.bounded(resp.Body, offset), digest, stall)
		offset += n
		if err != nil {
			return "", offset, fmt.Errorf("get %s: %w", redact(u), err)
		}
	}
	if total < 0 {
		total = t.size
	}
	if offset < total {
		return "", offset, fmt.Errorf("get %s: %w: %d of %d bytes", redact(u), errTruncated, offset, total)
	}
	sum, err = t.verify(part, u, offset, digest)
	return sum, offset, err
}

// resumePoint returns how many bytes of the part can be kept, their metadata and their running checksum. A part that
// does not fit u is left: another URL may continue it, should u not answer.
func (t *transfer) resumePoint(part partFile, u string) (int64, partMeta, hash.Hash, error) {
	digest := sha256.New()
	meta, ok := readMeta(t.final)
	if !ok || meta.URL != redact(u) || meta.validator() == "" && t.want == "" {
		return 0, partMeta{Size: -1}, digest, nil
	}
	offset, err := io.Copy(digest, part)
	return offset, meta, digest, err
}

func (t *transfer) request(ctx context.Context, u string, offset int64, meta partMeta) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w: %w", redact(u), errPermanent, err)
	}
	req.Header.Set("User-Agent", t.c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		if v := meta.validator(); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	resp, err := t.c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			err = cause
		}
		return nil, fmt.Errorf("get %s: %w", redact(u), bare(err))
	}
	return resp, nil
}

// accept judges the answer's head and readies the part for the body: it returns the offset that the body continues at
// and the file's whole length (-1 unknown).
func (t *transfer) accept(part partFile, resp *http.Response, u string, offset int64, meta partMeta,
	digest hash.Hash) (int64, int64, error) {
	restart := func() error {
		digest.Reset()
		if err := part.Truncate(0); err != nil {
			return err
		}
		_, err := part.Seek(0, io.SeekStart)
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if err := t.acceptable(resp, u); err != nil {
			return offset, 0, err
		}
		t.resumed, t.mixed = 0, false // ranges ignored, or the validator no longer fits
		if err := restart(); err != nil {
			return 0, 0, fmt.Errorf("truncate %s: %w", t.final+partSuffix, err)
		}
		total := resp.ContentLength
		t.meter.start(0, total)
		if err := t.checkSize(u, total); err != nil {
			return 0, 0, err
		}
		return 0, total, writeMeta(t.final, metaOf(redact(u), resp.Header, total))
	case http.StatusPartialContent:
		start, total, ok := parseContentRange(resp.Header.Get("Content-Range"))
		if !ok || start != offset || !meta.sameFile(metaOf("", resp.Header, total)) {
			return 0, 0, t.forget(part, u)
		}
		t.meter.start(offset, total)
		if offset == 0 { // all of the file, in place of what another URL left
			if err := restart(); err != nil {
				return 0, 0, fmt.Errorf("truncate %s: %w", t.final+partSuffix, err)
			}
			if err := writeMeta(t.final, metaOf(redact(u), resp.Header, total)); err != nil {
				return 0, 0, err
			}
		}
		t.mixed = offset > 0
		return offset, total, t.checkSize(u, total)
	case http.StatusRequestedRangeNotSatisfiable:
		_, total, _ := parseContentRange(resp.Header.Get("Content-Range"))
		if offset == 0 {
			break // no range was asked for
		}
		if total != offset {
			return 0, 0, t.forget(part, u)
		}
		t.mixed = true
		return offset, total, nil
	}
	return offset, 0, statusOf(u, resp)
}

// forget empties a part that the server's file no longer fits, so that the next attempt starts at 0.
func (t *transfer) forget(part partFile, u string) error {
	t.resumed, t.mixed = 0, false
	os.Remove(t.final + metaSuffix)
	if err := part.Truncate(0); err != nil {
		return fmt.Errorf("truncate %s: %w", t.final+partSuffix, err)
	}
	return fmt.Errorf("get %s: %w", redact(u), errRestart)
}

// acceptable refuses bodies that cannot be the file.
func (t *transfer) acceptable(resp *http.Response, u string) error {
	kind := strings.ToLower(resp.Header.Get("Content-Type"))
	ext := strings.ToLower(path.Ext(t.f.Path))
	if strings.HasPrefix(kind, "text/html") && ext != ".html" && ext != ".htm" {
		return fmt.Errorf("get %s: %w (Content-Type %s)", redact(u), errWebPage, clip(kind))
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return fmt.Errorf("get %s: %w (Content-Encoding %s)", redact(u), errEncoding, clip(enc))
	}
	return nil
}

// checkSize refuses an answer whose announced length (-1: none) is not the expected one.
func (t *transfer) checkSize(u string, total int64) error {
	if t.size > 0 && total >= 0 && t.size != total {
		return &checksumError{Path: t.f.Path, URL: redact(u), Want: bytesText(t.size), Got: bytesText(total)}
	}
	return nil
}

// receive appends the body to the part, hashing on the way.
func (t *transfer) receive(ctx context.Context, part partFile, body io.Reader, digest hash.Hash,
	stall *time.Timer) (int64, error) {
	buf := make([]byte, 128<<10)
	var n int64
	for {
		k, err := body.Read(buf)
		if k > 0 {
			stall.Reset(t.c.o.StallTimeout)
			if _, werr := part.Write(buf[:k]); werr != nil {
				return n, naming("write", t.final+partSuffix, werr)
			}
			digest.Write(buf[:k])
			n += int64(k)
			t.fetched += int64(k)
			t.meter.add(int64(k))
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return n, errTruncated
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return n, errStalled
		case err != nil:
			return n, err
		}
	}
}

// bounded stops reading one byte past the expected length, which is enough to know that the body is not the file.
func (t *transfer) bounded(body io.Reader, offset int64) io.Reader {
	if t.size <= 0 {
		return body
	}
	return io.LimitReader(body, t.size-offset+1)
}

// verify syncs the part and compares it with what was expected. A wrong checksum over bytes of several answers is
// worth a clean start; over bytes received in one go it is final.
func (t *transfer) verify(part partFile, u string, size int64, digest hash.Hash) (string, error) {
	if err := part.Sync(); err != nil {
		return "", fmt.Errorf("sync %s: %w", t.final+partSuffix, err)
	}
	sum := hexSum(digest)
	bad := &checksumError{Path: t.f.Path, URL: redact(u), Want: t.want, Got: sum}
	switch {
	case t.size > 0 && size != t.size:
		bad.Want, bad.Got = bytesText(t.size), bytesText(size)
	case t.want == "" || t.want == sum:
		return sum, nil
	}
	if t.mixed {
		return "", t.forget(part, u)
	}
	return "", bad
}

// urls are the places to ask for f, best first.
func (c *Client) urls(f File) []string {
	if c.o.Mirror != "" {
		return []string{c.o.Mirror + "/" + (&url.URL{Path: f.Path}).EscapedPath()}
	}
	return append([]string{f.URL}, f.Alternates...)
}

// parseContentRange reads "bytes 5-9/10" and "bytes */10"; unknown numbers are -1.
func parseContentRange(v string) (start, total int64, ok bool) {
	rest, found := strings.CutPrefix(v, "bytes ")
	span, size, found2 := strings.Cut(rest, "/")
	if !found || !found2 {
		return -1, -1, false
	}
	total, start = -1, -1
	if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
		total = n
	}
	first, _, _ := strings.Cut(span, "-")
	if n, err := strconv.ParseInt(first, 10, 64); err == nil && n >= 0 {
		start = n
	}
	return start, total, start >= 0
}

func bytesText(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

// redact hides credentials that a URL may carry.
func redact(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return clip(u)
	}
	return p.Redacted()
}

// bare takes the method and URL off a *url.Error: the caller names them.
func bare(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// joinShort makes one line of several failures, the first being the one to test for.
func joinShort(errs []error) error {
	switch len(errs) {
	case 0:
		return errors.New("no URL to fetch from")
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w; then %w", errs[0], joinShort(errs[1:]))
}

// naming says what was done to which file, unless err says it already.
func naming(verb, path string, err error) error {
	var known *fs.PathError
	if errors.As(err, &known) && known.Path == path {
		return err
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}
