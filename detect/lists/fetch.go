package lists

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/retryafter"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/internal/userfile"
)

// Bounds of a request.
const (
	mostBody      = 1 << 30 // bytes of an answer
	headerTimeout = 30 * time.Second
	fetchTimeout  = 10 * time.Minute
	mostRetry     = 24 * time.Hour // that a server may ask to wait
)

// meta is what a server said of the copy that lies beside it, as a JSON file.
type meta struct {
	URL      string    `json:"url"`
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"last_modified,omitempty"`
	Fetched  time.Time `json:"fetched"` // or last found unchanged
}

// newClient is a client for servers that answer within a time.
func newClient(within time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = within
	return &http.Client{Transport: t, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		switch {
		case len(before) >= 10:
			return errors.New("more than 10 redirections")
		case before[0].URL.Scheme == "https" && next.URL.Scheme != "https":
			return errors.New("it leads from https to http")
		}
		return nil
	}}
}

// openURL reads the copy of a URL. Without a fresh one, it fetches the URL.
func (s *Set) openURL(ctx context.Context, src *source) error {
	sum := sha256.Sum256([]byte(src.name))
	f := src.files[0]
	f.path = filepath.Join(s.o.Dir, hex.EncodeToString(sum[:16])+".list")
	s.sweep(f.path)
	if data, err := userfile.Bytes(f.path+".json", userfile.Config); err == nil {
		_ = json.Unmarshal(data, &src.meta) // one that cannot be read is as none
	}
	if _, err := os.Stat(f.path); err == nil {
		c, err := parseFile(ctx, f.path, s.options(src, f))
		if err == nil && c.entries > 0 {
			s.take(src, f, c, nil)
			f.loaded = src.meta.Fetched
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A server that holds requests has decisions of people, which count at once.
	fresh := f.content != nil && time.Since(src.meta.Fetched) < s.o.Every && src.wait == 0
	if fresh || s.o.Later {
		return nil
	}
	if _, err := s.fetch(ctx, src, src.quick); err != nil && f.content == nil {
		return fmt.Errorf("%s list: %w, and there is no copy of it yet. Try: again later, or download it and give the file",
			src.kind, err)
	}
	return nil
}

// oldTemp is the age at which a download is one of a process that was killed.
const oldTemp = 2 * fetchTimeout

// sweep removes such downloads of the copy at path.
func (s *Set) sweep(path string) {
	left, _ := filepath.Glob(filepath.Join(s.o.Dir, tempName(path)))
	for _, temp := range left {
		if info, err := os.Stat(temp); err == nil && time.Since(info.ModTime()) > oldTemp {
			_ = os.Remove(temp)
		}
	}
}

// tempName is what a download is called, as os.CreateTemp and filepath.Glob take it.
func tempName(path string) string { return "." + filepath.Base(path) + "-*" }

// fetch asks for a source's newest version at one of its URLs. changed says that there is one. An error is noted, and
// the entries stay.
func (s *Set) fetch(ctx context.Context, src *source, from string) (changed bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	c, err := s.download(bounded, src, from)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == nil && c == nil:
		return false, nil
	}
	changed = s.take(src, src.files[0], c, err)
	if err != nil {
		err = fmt.Errorf("%s: %w", src.shown, err)
	}
	return changed, err
}

// statusError is an answer other than the one that is wanted.
type statusError struct {
	status string
	wait   time.Duration
}

func (e *statusError) Error() string { return "the server answers " + e.status }

// download is the content of a URL, nil if it is what the copy has.
func (s *Set) download(ctx context.Context, src *source, from string) (*content, error) {
	f := src.files[0]
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	r.Header.Set("User-Agent", "degas")
	if f.content != nil && src.meta.ETag != "" {
		r.Header.Set("If-None-Match", src.meta.ETag)
	}
	if f.content != nil && src.meta.Modified != "" {
		r.Header.Set("If-Modified-Since", src.meta.Modified)
	}
	answer, err := src.client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer answer.Body.Close()
	next := meta{src.name, answer.Header.Get("ETag"), answer.Header.Get("Last-Modified"), time.Now()}
	switch {
	case answer.StatusCode == http.StatusNotModified && f.content != nil:
		next.ETag, next.Modified = src.meta.ETag, src.meta.Modified
		s.note(src, next)
		return nil, nil
	case answer.StatusCode != http.StatusOK:
		return nil, &statusError{answer.Status, retryafter.Wait(answer.Header, time.Now())}
	}
	c, err := s.keep(ctx, src, answer)
	if err != nil {
		return nil, err
	}
	s.note(src, next)
	return c, nil
}

// withoutURL is an error of package http without the URL, which may have a password.
func withoutURL(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// note keeps what the server said, once its answer is in place. If it cannot be written, the answer still counts, and
// the next requests say that it is here already. Without a note, the first one after a restart asks for all of it.
func (s *Set) note(src *source, next meta) {
	src.meta = next
	next.URL = src.shown
	path := src.files[0].path + ".json"
	err := atomicfile.WriteJSON(path, next)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		_ = os.Remove(path) // it is of another version
		s.o.Log.Warn("what a server says of a list cannot be kept", "list", src.shown, "error", err)
	}
}

// keep makes the answer the copy, if it is a list.
func (s *Set) keep(ctx context.Context, src *source, answer *http.Response) (*content, error) {
	f := src.files[0]
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(s.o.Dir, tempName(f.path))
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name()) // which is there after an error
	n, err := io.Copy(temp, io.LimitReader(answer.Body, mostBody+1))
	switch {
	case err == nil && n > mostBody:
		err = fmt.Errorf("its answer has more than %d bytes", mostBody)
	case err == nil:
		err = whole(temp, n, answer)
	}
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	c, err := parseFile(ctx, temp.Name(), s.options(src, f))
	if err != nil {
		return nil, err
	}
	if c.entries == 0 {
		return nil, fmt.Errorf("its answer has no entry: %s", c.summary())
	}
	return c, atomicfile.Rename(temp.Name(), f.path)
}

// whole is an error if an answer may have been cut off. Where neither a length nor chunks say where it ends, a list
// ends with a line's end, and a compressed one with its sum.
func whole(f *os.File, n int64, answer *http.Response) error {
	if n == 0 || answer.ContentLength >= 0 || answer.Uncompressed || len(answer.TransferEncoding) > 0 ||
		answer.ProtoMajor > 1 {
		return nil
	}
	head, last := make([]byte, 8), make([]byte, 1)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	if _, err := f.ReadAt(last, n-1); err != nil {
		return err
	}
	_, packed, err := unpack.Decompress("", bytes.NewReader(head), head)
	if err == nil && !packed && last[0] != '\n' && !unpack.IsArchive(head) {
		return errors.New("its answer may have been cut off: it does not say how long it is, and ends inside a line")
	}
	return nil
}
