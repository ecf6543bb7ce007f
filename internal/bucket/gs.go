package bucket

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// googleStore is a folder in Google Cloud Storage, by its JSON API. gocloud.dev/blob has it too, but with Google's
// library, which makes degas 26 MB larger: that speaks gRPC as well.
type googleStore struct {
	requests
	server string // its URL
	bucket string
	prefix string // of the files' names, "" or with a slash at its end
}

// googleScope lets a token read and write objects.
const googleScope = "https://www.googleapis.com/auth/devstorage.read_write"

func openGS(ctx context.Context, p place) (store, error) {
	g := &googleStore{server: "https://storage.googleapis.com", bucket: p.bucket, prefix: p.prefix()}
	transport := newTransport()
	g.client = &http.Client{
		Transport:     transport, // a redirect would get the token
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if emulator := os.Getenv("STORAGE_EMULATOR_HOST"); emulator != "" {
		if g.server = strings.TrimSuffix(emulator, "/"); !IsURL(emulator) {
			g.server = "http://" + g.server
		}
	} else if !p.is("anonymous") {
		source, err := googleToken(ctx)
		if err != nil {
			return nil, noCredentials(ctx, err, "GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login, or "+
				"anonymous=true in the URL of a public bucket")
		}
		g.client.Transport = &oauth2.Transport{Source: source, Base: transport}
	}
	return g, nil
}

// googleToken finds the credentials and gets a first token for them, so that refused ones show at once.
func googleToken(ctx context.Context) (oauth2.TokenSource, error) {
	// The library keeps this context for later tokens, and takes no other for the first one.
	keep := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Timeout: credentialTimeout})
	var source oauth2.TokenSource
	found := make(chan error, 1)
	go func() {
		c, err := google.FindDefaultCredentials(keep, googleScope)
		if err == nil {
			source = oauth2.ReuseTokenSource(nil, c.TokenSource)
			_, err = source.Token()
		}
		found <- err
	}()
	select {
	case err := <-found:
		return source, err
	case <-time.After(credentialTimeout):
		return nil, errors.New("the server that gives them does not answer")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *googleStore) close() error {
	g.client.CloseIdleConnections()
	return nil
}

// at is the address of an object, or of all objects for "".
func (g *googleStore) at(object string, query url.Values) string {
	u := g.server + "/storage/v1/b/" + url.PathEscape(g.bucket) + "/o"
	if object != "" {
		u += "/" + url.PathEscape(object)
	}
	return u + "?" + query.Encode()
}

func (g *googleStore) reader(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		_, err := g.size(ctx, name)
		return io.NopCloser(strings.NewReader("")), err
	}
	header := http.Header{"Accept-Encoding": {"gzip"}} // as it is stored, also where that is compressed
	if offset > 0 || length > 0 {
		last := ""
		if length > 0 {
			last = strconv.FormatInt(offset+length-1, 10)
		}
		header.Set("Range", fmt.Sprintf("bytes=%d-%s", offset, last))
	}
	resp, err := g.send(ctx, http.MethodGet, g.at(g.prefix+name, url.Values{"alt": {"media"}}), header, nil)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable {
		return io.NopCloser(strings.NewReader("")), nil // it ends before offset
	}
	if err != nil {
		return nil, g.explain(ctx, err)
	}
	if header.Get("Range") != "" && resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		return nil, errors.New("the server does not give parts of files")
	}
	return resp.Body, nil
}

// object is what the API says of one.
type object struct {
	Name   string `json:"name"`
	Size   int64  `json:"size,string"`
	CRC32C string `json:"crc32c"`
}

func (g *googleStore) size(ctx context.Context, name string) (int64, error) {
	var o object
	err := g.get(ctx, g.at(g.prefix+name, url.Values{"fields": {"size"}}), &o)
	if err != nil {
		return 0, g.explain(ctx, err)
	}
	return o.Size, nil
}

func (g *googleStore) list(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		query := url.Values{"prefix": {g.prefix + prefix}, "fields": {"nextPageToken,items(name,size)"}}
		for {
			var page struct {
				Items         []object `json:"items"`
				NextPageToken string   `json:"nextPageToken"`
			}
			if err := g.get(ctx, g.at("", query), &page); err != nil {
				yield(File{}, g.explain(ctx, err))
				return
			}
			for _, o := range page.Items {
				name := strings.TrimPrefix(o.Name, g.prefix)
				if checkName(name) == nil && !yield(File{name, o.Size}, nil) { // consoles make "folder/" an object
					return
				}
			}
			if page.NextPageToken == "" {
				return
			}
			query.Set("pageToken", page.NextPageToken)
		}
	}
}

func (g *googleStore) remove(ctx context.Context, name string) error {
	resp, err := g.send(ctx, http.MethodDelete, g.at(g.prefix+name, nil), nil, nil)
	if err != nil {
		return g.explain(ctx, err)
	}
	return resp.Body.Close()
}

func (g *googleStore) write(ctx context.Context, name string, isNew bool, fill func(io.Writer) error) error {
	query := url.Values{"uploadType": {"resumable"}, "name": {g.prefix + name}, "fields": {"crc32c"}}
	if isNew {
		query.Set("ifGenerationMatch", "0")
	}
	to := g.server + "/upload/storage/v1/b/" + url.PathEscape(g.bucket) + "/o?" + query.Encode()
	resp, err := g.send(ctx, http.MethodPost, to,
		http.Header{"X-Upload-Content-Type": {"application/octet-stream"}}, nil)
	if err != nil {
		return g.explain(ctx, err)
	}
	resp.Body.Close()
	u := &upload{googleStore: g, ctx: ctx, session: resp.Header.Get("Location")}
	if err := fill(u); err != nil {
		u.abandon()
		return err
	}
	if err := u.flush(true); err != nil {
		u.abandon()
		return g.explain(ctx, err)
	}
	return nil
}

// upload sends a file in parts. The object is there when the last one is.
type upload struct {
	*googleStore
	ctx     context.Context
	session string // its URL, which needs no other credential: errors must not have it
	part    bytes.Buffer
	sent    int64
	sum     uint32 // of all bytes written
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (u *upload) Write(p []byte) (int, error) {
	u.sum = crc32.Update(u.sum, castagnoli, p)
	for rest := p; len(rest) > 0; {
		n := min(len(rest), partSize-u.part.Len())
		u.part.Write(rest[:n])
		if rest = rest[n:]; u.part.Len() == partSize && len(rest) > 0 { // the last part is flush's
			if err := u.flush(false); err != nil {
				return len(p) - len(rest), u.explain(u.ctx, err)
			}
		}
	}
	return len(p), nil
}

// flush sends the part. After an interruption it asks what the server has, and goes on from there.
func (u *upload) flush(last bool) error {
	ask := false
	for tried := 0; ; {
		body, sends, total := u.part.Bytes(), "*", "*"
		if last {
			total = strconv.FormatInt(u.sent+int64(len(body)), 10)
		}
		if ask {
			body = nil
		}
		if len(body) > 0 {
			sends = fmt.Sprintf("%d-%d", u.sent, u.sent+int64(len(body))-1)
		}
		header := http.Header{"Content-Range": {"bytes " + sends + "/" + total}}
		resp, err := u.once(u.ctx, http.MethodPut, u.session, header, body)
		switch {
		case err != nil && (!again(err) || tried == tries):
			return err
		case err != nil:
			if err := pause(u.ctx, tried, err); err != nil {
				return err
			}
			tried, ask = tried+1, true
			continue
		case resp.StatusCode != http.StatusPermanentRedirect:
			return u.finished(resp)
		}
		resp.Body.Close()
		before := u.sent
		if err := u.taken(resp.Header.Get("Range")); err != nil || u.part.Len() == 0 && !last {
			return err
		}
		if ask = false; u.sent == before {
			if tried++; tried > tries {
				return errors.New("the server takes no more bytes")
			}
		}
	}
}

// taken drops from the part what the server says that it has: "bytes=0-N", or nothing.
func (u *upload) taken(has string) error {
	end := int64(0)
	if last, ok := strings.CutPrefix(has, "bytes=0-"); ok {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			return fmt.Errorf("the server has taken %.40q", has)
		}
		end = n + 1
	}
	if end < u.sent || end > u.sent+int64(u.part.Len()) {
		return fmt.Errorf("the server has %d bytes, %d were sent", end, u.sent)
	}
	u.part.Next(int(end - u.sent))
	u.sent = end
	return nil
}

// finished compares what the server has with what was written.
func (u *upload) finished(resp *http.Response) error {
	defer resp.Body.Close()
	var o object
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&o); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	mine := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, u.sum))
	if o.CRC32C != mine {
		return fmt.Errorf("the server has other bytes: their CRC32C is %.20q, not %q", o.CRC32C, mine)
	}
	return nil
}

// abandon tells the server that no more comes. It would forget the upload after a week.
func (u *upload) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), connectTimeout)
	defer cancel()
	if resp, err := u.once(ctx, http.MethodDelete, u.session, nil, nil); err == nil {
		resp.Body.Close()
	}
}

// explain says in a line what an answer means, and what to do.
func (g *googleStore) explain(ctx context.Context, err error) error {
	var status *statusError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &status):
		return unreachable(err)
	case status.code == http.StatusNotFound:
		var listErr *statusError
		listed := g.get(ctx, g.at("", url.Values{"maxResults": {"1"}, "fields": {"items(name)"}}), &struct{}{})
		if errors.As(listed, &listErr) && listErr.code == http.StatusNotFound {
			return errNoBucket
		}
		return fs.ErrNotExist
	case status.code == http.StatusPreconditionFailed:
		return fs.ErrExist
	}
	return remedied(strconv.Itoa(status.code), cmp.Or(status.text, http.StatusText(status.code)))
}
