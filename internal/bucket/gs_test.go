package bucket

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// googleServer speaks as much of Google Cloud Storage's JSON API as googleStore uses. scripts/verify-buckets asks an
// emulator that others made.
type googleServer struct {
	mu      sync.Mutex
	objects map[string][]byte
	uploads map[string]*bytes.Buffer // by "name?ifGenerationMatch#number"
	begun   int                      // uploads so far
	fault   func(http.ResponseWriter, *http.Request) bool
}

func newGoogle(t *testing.T) *googleServer {
	g := &googleServer{objects: map[string][]byte{}, uploads: map[string]*bytes.Buffer{}}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	t.Setenv("STORAGE_EMULATOR_HOST", s.URL)
	return g
}

func (g *googleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault != nil && g.fault(w, r) {
		return
	}
	query := r.URL.Query()
	all := "/storage/v1/b/data/o"
	switch escaped := r.URL.EscapedPath(); {
	case r.Method == http.MethodPost && escaped == "/upload"+all:
		g.begun++
		key := fmt.Sprint(query.Get("name"), "?", query.Get("ifGenerationMatch"), "#", g.begun)
		g.uploads[key] = &bytes.Buffer{}
		w.Header().Set("Location", "http://"+r.Host+"/session?upload_id="+url.QueryEscape(key))
	case escaped == "/session":
		g.session(w, r, query.Get("upload_id"), body)
	case escaped == all:
		g.list(w, query)
	case strings.HasPrefix(escaped, all+"/"):
		name, _ := url.PathUnescape(strings.TrimPrefix(escaped, all+"/"))
		g.object(w, r, name)
	default:
		refuse(w, http.StatusNotFound, "The specified bucket does not exist.")
	}
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"error": {"code": %d, "message": %q}}`, code, message)
}

func (g *googleServer) session(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	u := g.uploads[id]
	if r.Method == http.MethodDelete || u == nil {
		delete(g.uploads, id)
		w.WriteHeader(499)
		return
	}
	sends, total, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if from, _, ok := strings.Cut(sends, "-"); ok && from == strconv.Itoa(u.Len()) {
		u.Write(body)
	}
	if total != strconv.Itoa(u.Len()) {
		if u.Len() > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", u.Len()-1))
		}
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	name, isNew, _ := strings.Cut(id, "?")
	if g.objects[name] != nil && strings.HasPrefix(isNew, "0") {
		refuse(w, http.StatusPreconditionFailed, "conditionNotMet")
		return
	}
	g.objects[name] = append([]byte{}, u.Bytes()...)
	sum := crc32.Checksum(u.Bytes(), castagnoli)
	json.NewEncoder(w).Encode(object{CRC32C: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))})
}

// list gives two objects a page.
func (g *googleServer) list(w http.ResponseWriter, query url.Values) {
	var page struct {
		Items         []object `json:"items,omitempty"`
		NextPageToken string   `json:"nextPageToken,omitempty"`
	}
	for name, data := range g.objects {
		if strings.HasPrefix(name, query.Get("prefix")) && name > query.Get("pageToken") {
			page.Items = append(page.Items, object{Name: name, Size: int64(len(data))})
		}
	}
	slices.SortFunc(page.Items, func(a, b object) int { return strings.Compare(a.Name, b.Name) })
	if len(page.Items) > 2 {
		page.Items = page.Items[:2]
		page.NextPageToken = page.Items[1].Name
	}
	json.NewEncoder(w).Encode(page)
}

func (g *googleServer) object(w http.ResponseWriter, r *http.Request, name string) {
	data, ok := g.objects[name]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "No such object: data/"+name)
	case r.Method == http.MethodDelete:
		delete(g.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Query().Get("alt") == "media":
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	default:
		json.NewEncoder(w).Encode(object{Size: int64(len(data))})
	}
}

// An upload survives answers that fail, parts that the server takes in part, and answers that are lost.
func TestUploadGoesOn(t *testing.T) {
	g := newGoogle(t)
	f, err := Open(t.Context(), "gs://data")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	g.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if asked++; r.URL.Path == "/session" && asked%3 == 0 {
			refuse(w, http.StatusServiceUnavailable, "later")
			return true
		}
		return false
	}
	for _, size := range []int{partSize, 2*partSize + 999} {
		data := random(size)
		put(t, f, "file", string(data))
		if got, err := f.Read(t.Context(), "file", 1<<30); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
	}
	if asked < 6 {
		t.Errorf("%d requests", asked)
	}
	g.fault = func(w http.ResponseWriter, r *http.Request) bool { // the server damages a file
		if r.URL.Path == "/session" {
			w.Write([]byte(`{"crc32c": "AAAAAA=="}`))
		}
		return r.URL.Path == "/session"
	}
	err = f.Write(t.Context(), "other", func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
	if err == nil || !strings.Contains(err.Error(), "gs://data/other: the server has other bytes") {
		t.Error(err)
	}
}

func TestErrorsOfGoogle(t *testing.T) {
	g := newGoogle(t)
	host := os.Getenv("STORAGE_EMULATOR_HOST")
	keyFile := filepath.Join(t.TempDir(), "key.json")
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "Account not found"}`)
	}))
	defer refusing.Close()
	user := fmt.Sprintf(`{"type": "authorized_user", "client_id": "a", "client_secret": "SECRET",
		"refresh_token": "SECRET", "token_uri": %q}`, refusing.URL)
	if err := os.WriteFile(keyFile, []byte(user), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, url, host, key string
		fault                int
		want                 []string
	}{
		{name: "no bucket", url: "gs://nobody", host: host, want: []string{"no such bucket", "gs://nobody/file"}},
		{name: "no file", url: "gs://data", host: host, want: []string{"read gs://data/file: file does not exist"}},
		{name: "refused", url: "gs://data", host: host, fault: 401, want: []string{"401", "Try: other credentials"}},
		{name: "not allowed", url: "gs://data", host: host, fault: 403, want: []string{"credentials that may"}},
		{name: "redirect", url: "gs://data", host: host, fault: 308, want: []string{"read gs://data/file: 308: no"}},
		{name: "no server", url: "gs://data", host: "127.0.0.1:1", want: []string{"no connection", "Try: the network"}},
		{name: "no key file", url: "gs://data", key: "/nowhere",
			want: []string{"open gs://data: no usable credentials", "Try: GOOGLE_APPLICATION_CREDENTIALS"}},
		{name: "a key file that is refused", url: "gs://data", key: keyFile,
			want: []string{"open gs://data: no usable credentials"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("STORAGE_EMULATOR_HOST", c.host)
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", c.key)
			g.fault = nil
			if c.fault > 0 {
				g.fault = func(w http.ResponseWriter, r *http.Request) bool { refuse(w, c.fault, "no"); return true }
			}
			began := time.Now()
			f, err := Open(t.Context(), c.url)
			if err == nil {
				defer f.Close()
				_, err = f.Read(t.Context(), "file", 10)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
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

// Without any credentials, where there is no metadata server, or one that never answers: an error soon, and at once
// when the context ends.
func TestNoCredentials(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections wait in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]string{"no server": "127.0.0.1:1", "a silent server": silent.Addr().String()} {
		for url, hint := range map[string]string{
			"gs://data": "Try: GOOGLE_APPLICATION_CREDENTIALS", "s3://data": "Try: AWS_ACCESS_KEY_ID",
		} {
			t.Run(name+" "+url, func(t *testing.T) {
				for _, key := range []string{"STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID",
					"AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"} {
					t.Setenv(key, "")
				}
				t.Setenv("HOME", t.TempDir())
				t.Setenv("NO_PROXY", "*")
				t.Setenv("GCE_METADATA_HOST", address)
				t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+address)
				began := time.Now()
				_, err := Open(t.Context(), url)
				if took := time.Since(began); err == nil || !strings.Contains(err.Error(), hint) || took > 20*time.Second {
					t.Errorf("after %s: %v", took, err)
				} else {
					t.Log(took, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				began = time.Now()
				_, err = Open(ctx, url)
				if took := time.Since(began); err == nil || took > 5*time.Second {
					t.Errorf("cancelled, after %s: %v", took, err)
				}
			})
		}
	}
}
