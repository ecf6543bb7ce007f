package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/export"
	_ "github.com/degas-dns/degas/export/formats"
	"github.com/degas-dns/degas/export/internal/exporttest"
)

// version exports a small model as NAME/number.
func version(t *testing.T, name, number string) string {
	t.Helper()
	return exportSmall(t, name, number, export.Options{})
}

func exportSmall(t *testing.T, name, number string, o export.Options) string {
	t.Helper()
	cases := exporttest.Cases(t, rand.New(rand.NewPCG(9, 9)), 1)
	dir := filepath.Join(t.TempDir(), name, number)
	if _, err := export.Export(context.Background(), cases[len(cases)-1].Model, dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestStore(t *testing.T) {
	ctx, store := context.Background(), filepath.Join(t.TempDir(), "store")
	dir, unnumbered := version(t, "shop", "7"), version(t, "shop", "latest")
	r, err := Publish(ctx, dir, "file://"+store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "shop" || r.Version != 7 || r.URL != filepath.Join(store, "shop", "7") {
		t.Errorf("published %+v", r)
	}
	if files, err := export.CheckSums(r.URL); err != nil || len(files)+1 != r.Files {
		t.Errorf("%d files of %d, %v", len(files), r.Files, err)
	}
	if _, err := os.Stat(filepath.Join(r.URL, "variables")); err != nil {
		t.Error(err)
	}
	if _, err := Publish(ctx, dir, store, Options{}); !errors.Is(err, export.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if _, err := Publish(ctx, dir, store, Options{Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
	for want := 8; want <= 10; want++ { // the next free number
		r, err := Publish(ctx, unnumbered, store, Options{Name: "shop", Keep: 2})
		if err != nil || r.Version != want {
			t.Fatalf("version %d, %v, want %d", r.Version, err, want)
		}
	}
	if got := list(t, filepath.Join(store, "shop")); !slices.Equal(got, []string{"10", "9"}) {
		t.Errorf("the store keeps %v", got)
	}
	// An old version published late is what was asked for.
	if r, err = Publish(ctx, dir, store, Options{Keep: 1}); err != nil || !slices.Equal(r.Removed, []string{"9"}) {
		t.Errorf("%+v, %v", r, err)
	}
	if got := list(t, filepath.Join(store, "shop")); !slices.Equal(got, []string{"10", "7"}) {
		t.Errorf("the store keeps %v", got)
	}
}

// A candidate lies in the shadow, under a number above all others; the same files are there once.
func TestShadow(t *testing.T) {
	ctx, store := context.Background(), t.TempDir()
	shadow := filepath.Join(store, "shop", "shadow")
	small := func(title, number string) string { // one file: what is in a version is none of this test's business
		return exportSmall(t, "shop", number, export.Options{Title: title, Formats: []string{"onnx"}})
	}
	first, second, unnumbered := small("one", "7"), small("another", "8"), filepath.Join(t.TempDir(), "shop")
	if err := os.CopyFS(unnumbered, os.DirFS(second)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir     string
		o       Options
		want    string // path below store, or part of the error
		existed bool
	}{
		{first, Options{Shadow: true}, "shop/shadow/1", false},
		{first, Options{Shadow: true}, "shop/shadow/1", true},
		{first, Options{}, "shop/7", false},
		{second, Options{Shadow: true, Version: 7}, "version 7 is in force", false},
		{second, Options{Shadow: true}, "shop/shadow/8", false},
		{second, Options{Shadow: true, Version: 8}, "shop/shadow/8", true},
		{second, Options{Shadow: true, Version: 9, Keep: 2}, "shop/shadow/9", false},
		{unnumbered, Options{}, "shop/10", false},
	} {
		r, err := Publish(ctx, tc.dir, store, tc.o)
		switch {
		case err != nil && !strings.Contains(err.Error(), tc.want):
			t.Errorf("%+v: %v", tc.o, err)
		case err == nil && (r.URL != filepath.Join(store, filepath.FromSlash(tc.want)) || r.Existed != tc.existed):
			t.Errorf("%+v: %+v, want %s", tc.o, r, tc.want)
		}
	}
	if got := list(t, shadow); !slices.Equal(got, []string{"8", "9"}) {
		t.Errorf("the shadow has %v", got)
	}
	_, err := Publish(ctx, first, "mlflow+https://x", Options{Shadow: true})
	wantError(t, err, "only a store has a shadow")
	above := math.MaxInt32
	above++ // a constant would not compile where int has 32 bits
	for _, to := range []string{store, "https://127.0.0.1:1", "mlflow+https://127.0.0.1:1"} {
		_, err = Publish(ctx, first, to, Options{Version: above})
		wantError(t, err, "version 2147483648 is above 2147483647")
	}
	if _, err = Publish(ctx, first, store, Options{Version: math.MaxInt32}); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	ctx, dir := context.Background(), version(t, "shop", "1")
	changed := version(t, "shop", "1")
	if err := os.WriteFile(filepath.Join(changed, "model.onnx"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir, to string
		o       Options
		want    string
	}{
		{t.TempDir(), t.TempDir(), Options{}, "no version directory"},
		{changed, t.TempDir(), Options{}, "model.onnx has changed"},
		{dir, "ftp://x", Options{}, `scheme "ftp"`},
		{dir, "file://srv/models", Options{}, "file:///srv/models"},
		{dir, "file:store", Options{}, "file:///srv/models"},
		{dir, t.TempDir(), Options{Name: "../x"}, "no model's name"},
		{dir, "devo+https://x", Options{}, "DEGAS_PUBLISH_TOKEN"},
		{version(t, "shop", "latest"), "http://x", Options{}, "--version"},
	} {
		if _, err := Publish(ctx, tc.dir, tc.to, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %+v: %v, want %q", tc.to, tc.o, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	store := t.TempDir()
	if _, err := Publish(ctx, dir, store, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if left := list(t, filepath.Join(store, "shop")); len(left) > 0 {
		t.Errorf("canceled leaves %v", left)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}

func TestPut(t *testing.T) {
	defer func(d time.Duration) { firstWait = d }(firstWait)
	firstWait = time.Millisecond
	var order []string
	files, busy := map[string][]byte{}, 2
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodHead {
			if files[r.URL.Path] == nil {
				w.WriteHeader(http.StatusNotFound)
			}
			return
		}
		if busy--; busy >= 0 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		files[r.URL.Path] = data
		order = append(order, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	}))
	defer s.Close()
	ctx, dir := context.Background(), version(t, "shop", "3")
	_, err := Publish(ctx, dir, s.URL+"/models", Options{Token: "wrong"})
	wantError(t, err, "401 Unauthorized")
	r, err := Publish(ctx, dir, s.URL+"/models", Options{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if last := order[len(order)-1]; last != "/models/shop/3/SHA256SUMS" || len(files) != r.Files {
		t.Errorf("%d files, last %s", len(files), last)
	}
	want, err := os.ReadFile(filepath.Join(dir, "saved_model.pb"))
	if err != nil || string(files["/models/shop/3/saved_model.pb"]) != string(want) {
		t.Errorf("saved_model.pb differs, %v", err)
	}
	if _, err := Publish(ctx, dir, s.URL+"/models", Options{Token: "secret"}); !errors.Is(err, export.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if _, err := Publish(ctx, dir, s.URL+"/models", Options{Token: "secret", Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
}

// Only a server that says that a version is not there gets it without --force.
func TestPutAsksFirst(t *testing.T) {
	defer func(d time.Duration) { firstWait = d }(firstWait)
	firstWait = time.Millisecond
	dir := version(t, "shop", "3")
	for _, tc := range []struct {
		head, get int
		want      string
	}{
		{404, 0, ""}, {410, 0, ""}, {405, 404, ""}, {501, 404, ""},
		{405, 206, export.ErrExists.Error()}, {501, 200, export.ErrExists.Error()}, {405, 416, export.ErrExists.Error()},
		{400, 0, "HEAD"}, {403, 0, "403"}, {500, 0, "500"}, {405, 405, "405"}, {405, 403, "403"},
	} {
		puts := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodHead:
				w.WriteHeader(tc.head)
			case http.MethodGet:
				if r.Header.Get("Range") != "bytes=0-0" {
					t.Errorf("the whole file is asked for")
				}
				w.WriteHeader(tc.get)
			default:
				puts++
			}
		}))
		_, err := Publish(context.Background(), dir, s.URL, Options{})
		s.Close()
		if (tc.want == "") != (err == nil) || (tc.want == "") != (puts > 0) {
			t.Errorf("HEAD %d, GET %d: %v after %d uploads, want %q", tc.head, tc.get, err, puts, tc.want)
		} else if err != nil {
			wantError(t, err, tc.want)
		}
	}
}

// A redirect that makes an upload a GET uploads nothing, however well it is answered; one that keeps the method is
// followed, but no other host sees Devo's token.
func TestRedirects(t *testing.T) {
	ctx, dir := context.Background(), version(t, "shop", "3")
	puts := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts++
		}
		if r.Header.Get(standAloneToken) != "" {
			t.Error("the token goes to another host")
		}
		fmt.Fprint(w, "[]")
	}))
	defer other.Close()
	status := http.StatusFound
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, status)
	}))
	defer s.Close()
	for _, status = range []int{301, 302, 303} {
		_, err := Publish(ctx, dir, s.URL, Options{Force: true})
		wantError(t, err, "it redirects to "+other.URL+"/shop/3/")
		_, err = Publish(ctx, dir, "devo+"+s.URL, Options{Token: "secret"})
		wantError(t, err, "it redirects to "+other.URL+"/models/images/upload")
	}
	status = http.StatusTemporaryRedirect
	if r, err := Publish(ctx, dir, s.URL, Options{Force: true}); err != nil || puts != r.Files {
		t.Errorf("307: %v, %d of %d files", err, puts, r.Files)
	}
}

// manager is Devo's ML Model Manager as its clients know it.
type manager struct {
	t      *testing.T
	prefix string
	models []map[string]any
	images int
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status, code int, msg string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code": %d, "msg": %q}`, code, msg)
	}
	if r.Header.Get("standAloneToken") != "secret" && r.Header.Get("Authorization") != "Bearer secret" {
		fail(http.StatusUnauthorized, 5, "Token invalid or expired")
		return
	}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, m.prefix) {
	case "GET /models":
		if err := json.NewEncoder(w).Encode(m.models); err != nil {
			m.t.Error(err)
		}
	case "POST /models/images/upload":
		f, h, err := r.FormFile("fileName")
		if err != nil || h.Filename != "model.onnx" || r.FormValue("engine") != "ONNX" {
			m.t.Errorf("upload of %v as %q: %v", h, r.FormValue("engine"), err)
			return
		}
		data, err := io.ReadAll(f)
		if err != nil {
			m.t.Error(err)
		}
		m.images++
		fmt.Fprintf(w, `{
			"valid": %t,
			"errorDetail": "no graph",
			"imageId": %d,
			"size": %d,
			"outputType": "FLOAT",
			"fields": [{"id": 1, "name": "domain_ids", "description": "", "type": "FLOAT"}],
			"clusters": null,
			"category": "c",
			"runtimeSize": 9,
			"fileName": "model.onnx"
		}`, len(data) > 0, m.images, len(data))
	case "POST /models":
		var model map[string]any
		if err := json.NewDecoder(r.Body).Decode(&model); err != nil {
			m.t.Error(err)
		}
		i := slices.IndexFunc(m.models, func(old map[string]any) bool { return old["name"] == model["name"] })
		switch {
		case i < 0 && model["id"] == nil:
			model["id"] = len(m.models) + 1
			m.models = append(m.models, model)
		case i >= 0 && fmt.Sprint(model["id"]) == fmt.Sprint(m.models[i]["id"]):
			m.models[i] = model
		default:
			fail(http.StatusConflict, 7, "name in use")
		}
	default:
		fail(http.StatusNotFound, 1, "no such path "+r.URL.Path)
	}
}

func TestDevo(t *testing.T) {
	m := &manager{t: t, prefix: "/mlmodelmanager"}
	s := httptest.NewServer(m)
	defer s.Close()
	ctx, dir, to := context.Background(), version(t, "dga", "1"), "devo+"+s.URL+"/mlmodelmanager/"
	_, err := Publish(ctx, dir, to, Options{Token: "old"})
	wantError(t, err, "Token invalid or expired (code 5)")
	if _, err := Publish(ctx, dir, to, Options{Token: "secret"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(ctx, dir, to, Options{Token: "secret"}); !errors.Is(err, export.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if m.images != 1 {
		t.Errorf("%d uploads: a name in use must cost none", m.images)
	}
	if _, err := Publish(ctx, dir, to, Options{Token: "secret", Auth: "bearer", Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
	if len(m.models) != 1 {
		t.Fatalf("models %v", m.models)
	}
	first := m.models[0]
	if fmt.Sprint(first["image"].(map[string]any)["id"]) != "2" || first["hidden"] != false {
		t.Errorf("models %v", m.models)
	}
	m.prefix = "/mlmodelmanager/domains/shop"
	_, err = Publish(ctx, dir, to, Options{Token: "secret", Domain: "shop", Name: "other"})
	if err != nil || len(m.models) != 2 {
		t.Errorf("a domain: %v, %d models", err, len(m.models))
	}
}
