package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
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
	var failed error // the first is the one to test for
	for _, u := range t.c.urls(t.f) {
		if sum, size, err = t.get(ctx, u); err == nil {
			return sum, size, redact(u), nil
		}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; then %w", failed, err)
		}
		if ctx.Err() != nil || diskFull(err) {
			break
		}
	}
	return "", 0, "", failed
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
		return sum, reached, t.place(ctx, &FileResult{SHA256: sum, Size: reached, URL: redact(u), Status: Downloaded})
	case ctx.Err() != nil:
		err = fmt.Errorf("get %s: interrupted at byte %d of %s: %w", redact(u), reached, t.f.Path, ctx.Err())
	case errors.Is(err, ErrChecksum) || errors.Is(err, errTooLong) || diskFull(err):
		dropPart(t.final)
	}
	return "", 0, err
}

// attempt makes one request, continues the part where it fits, and leaves a complete, synced and verified part behind.
// On error it returns how far the part reaches.
func (t *transfer) attempt(ctx context.Context, u string) (sum string, reached int64, err error) {
	name := t.final + partSuffix
	part, err := t.c.create(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return "", 0, fmt.Errorf("open %s: %w", name, err)
	}
	a := &attempt{transfer: t, url: u, part: part, meta: partMeta{Size: -1}, digest: sha256.New()}
	sum, err = a.run(ctx)
	if cerr := part.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close %s: %w", name, cerr)
	}
	return sum, a.reached, err
}

// attempt is one request for the file of a transfer, from one URL.
type attempt struct {
	*transfer
	url     string
	part    partFile
	meta    partMeta  // of the bytes that an earlier attempt left in the part; they begin with its first byte
	reached int64     // bytes of the file in the part so far
	digest  hash.Hash // over those bytes
}

func (a *attempt) run(ctx context.Context) (sum string, err error) {
	if err := a.resume(); err != nil {
		return "", fmt.Errorf("read %s: %w", a.final+partSuffix, err)
	}
	a.meter.start(a.reached, a.size)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(a.c.o.StallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	resp, err := a.request(ctx)
	if err != nil {
		return "", a.failed(err)
	}
	defer resp.Body.Close()
	total, err := a.accept(resp)
	if err != nil {
		return "", err
	}
	if !a.begun {
		a.begun, a.resumed = true, a.reached
	}
	if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		if err := a.receive(ctx, resp.Body, stall); err != nil {
			return "", a.failed(err)
		}
	}
	if total < 0 {
		total = a.size
	}
	if a.reached < total {
		return "", a.failed(fmt.Errorf("%w: %d of %d bytes", errTruncated, a.reached, total))
	}
	return a.verify()
}

// failed puts the URL before an error.
func (a *attempt) failed(err error) error { return fmt.Errorf("get %s: %w", redact(a.url), err) }

// resume counts and hashes the bytes of the part that can be kept. A part that does not fit the URL is left: another
// URL may continue it, should this one not answer.
func (a *attempt) resume() (err error) {
	meta, ok := readMeta(a.final)
	if !ok || meta.URL != redact(a.url) || meta.validator() == "" && a.want == "" {
		return nil
	}
	a.meta = meta
	a.reached, err = io.Copy(a.digest, a.part)
	return err
}

func (a *attempt) request(ctx context.Context) (*http.Response, error) {
	req, err := a.c.newRequest(ctx, a.url)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if a.reached > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", a.reached))
		if v := a.meta.validator(); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	resp, err := a.c.http.Do(req)
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = errStalled
	}
	return resp, bare(err)
}

// accept judges the head of the answer and readies the part for the body. It returns the length of the whole file, -1
// if unknown.
func (a *attempt) accept(resp *http.Response) (total int64, err error) {
	switch resp.StatusCode {
	case http.StatusOK: // without ranges, or the validator no longer fits
		if err := a.acceptable(resp); err != nil {
			return 0, a.failed(err)
		}
		return resp.ContentLength, a.restart(resp, resp.ContentLength)
	case http.StatusPartialContent:
		start, total := parseContentRange(resp.Header.Get("Content-Range"))
		if start != a.reached || !a.meta.sameFile(metaOf("", resp.Header, total)) {
			return 0, a.forget()
		}
		if start == 0 { // all of the file, in place of what another URL left
			return total, a.restart(resp, total)
		}
		a.meter.start(start, total)
		a.mixed = true
		return total, a.checkSize(total)
	case http.StatusRequestedRangeNotSatisfiable:
		if a.reached == 0 {
			break // no range was asked for
		}
		if _, total := parseContentRange(resp.Header.Get("Content-Range")); total != a.reached {
			return 0, a.forget()
		}
		a.mixed = true
		return a.reached, nil
	}
	return 0, statusOf(a.url, resp)
}

// empty drops the bytes of the part.
func (a *attempt) empty() error {
	a.reached, a.resumed, a.mixed = 0, 0, false
	a.digest.Reset()
	err := a.part.Truncate(0)
	if err == nil {
		_, err = a.part.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("truncate %s: %w", a.final+partSuffix, err)
	}
	return nil
}

// restart makes room for an answer that holds the whole file, of total bytes (-1: unknown).
func (a *attempt) restart(resp *http.Response, total int64) error {
	if err := a.empty(); err != nil {
		return err
	}
	a.meter.start(0, total)
	if err := a.checkSize(total); err != nil {
		return err
	}
	return writeMeta(a.final, metaOf(redact(a.url), resp.Header, total))
}

// forget empties a part that the server's file no longer fits, so that the next attempt starts at 0.
func (a *attempt) forget() error {
	os.Remove(a.final + metaSuffix)
	if err := a.empty(); err != nil {
		return err
	}
	return a.failed(errRestart)
}

// acceptable refuses bodies that cannot be the file.
func (a *attempt) acceptable(resp *http.Response) error {
	kind := strings.ToLower(resp.Header.Get("Content-Type"))
	ext := strings.ToLower(path.Ext(a.f.Path))
	if strings.HasPrefix(kind, "text/html") && ext != ".html" && ext != ".htm" {
		return fmt.Errorf("%w (Content-Type %s)", errWebPage, clip(kind))
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return fmt.Errorf("%w (Content-Encoding %s)", errEncoding, clip(enc))
	}
	return nil
}

// checkSize refuses an answer whose announced length (-1: none) is not the expected one.
func (a *attempt) checkSize(total int64) error {
	if a.size > 0 && total >= 0 && a.size != total {
		return &checksumError{Path: a.f.Path, URL: redact(a.url), Want: bytesText(a.size), Got: bytesText(total)}
	}
	if err := a.bounded(total); err != nil {
		return a.failed(err)
	}
	return nil
}

// bounded refuses more bytes than File.Most.
func (j *job) bounded(n int64) error {
	if j.f.Most > 0 && n > j.f.Most {
		return fmt.Errorf("%w, which is at most %s", errTooLong, bytesText(j.f.Most))
	}
	return nil
}

// receive appends the body to the part, hashing on the way. It stops one byte past the expected length, which is enough
// to know that the body is not the file.
func (a *attempt) receive(ctx context.Context, body io.Reader, stall *time.Timer) error {
	if a.size > 0 {
		body = io.LimitReader(body, a.size-a.reached+1)
	}
	buf := make([]byte, 128<<10)
	for {
		k, err := body.Read(buf)
		if k > 0 {
			stall.Reset(a.c.o.StallTimeout)
			if _, err := a.part.Write(buf[:k]); err != nil {
				return err // names the file
			}
			a.digest.Write(buf[:k])
			a.reached += int64(k)
			a.fetched += int64(k)
			a.meter.add(int64(k))
			if err := a.bounded(a.reached); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errTruncated
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return errStalled
		case err != nil:
			return err
		}
	}
}

// verify syncs the part and compares it with what was expected. A wrong checksum over bytes of several answers is
// worth a clean start; over bytes received in one go it is final.
func (a *attempt) verify() (sum string, err error) {
	if err := a.part.Sync(); err != nil {
		return "", fmt.Errorf("sync %s: %w", a.final+partSuffix, err)
	}
	sum = hexSum(a.digest)
	bad := &checksumError{Path: a.f.Path, URL: redact(a.url), Want: a.want, Got: sum}
	switch {
	case a.size > 0 && a.reached != a.size:
		bad.Want, bad.Got = bytesText(a.size), bytesText(a.reached)
	case a.want == "" || a.want == sum:
		return sum, nil
	}
	if a.mixed {
		return "", a.forget()
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
func parseContentRange(v string) (start, total int64) {
	rest, inBytes := strings.CutPrefix(v, "bytes ")
	span, size, whole := strings.Cut(rest, "/")
	first, _, _ := strings.Cut(span, "-")
	number := func(s string) int64 {
		if n, err := strconv.ParseUint(s, 10, 63); err == nil && inBytes && whole {
			return int64(n)
		}
		return -1
	}
	return number(first), number(size)
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
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
