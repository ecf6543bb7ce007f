package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/internal/bucket/buckettest"
)

const models = "s3://data/models"

// remoteVersions gives the versions in object storage, each with what is wrong with it by its SHA256SUMS.
func remoteVersions(t *testing.T) (names []string) {
	t.Helper()
	f, err := bucket.Open(t.Context(), models)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for file, err := range f.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := f.Read(t.Context(), file.Name, 1<<30)
		to := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := path.Dir(file.Name); path.Base(file.Name) == export.ManifestFile {
			names = append(names, name)
		}
	}
	for i, name := range names {
		if _, err := export.CheckSums(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			names[i] += fmt.Sprintf(" (%v)", err)
		}
	}
	return names
}

func wantVersions(t *testing.T, want ...string) {
	t.Helper()
	if got := remoteVersions(t); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
}

func TestBucket(t *testing.T) {
	buckettest.New(t).Use(t)
	ctx := context.Background()
	dir, unnumbered := version(t, "shop", "7"), version(t, "shop", "latest")
	r, err := Publish(ctx, dir, models, Options{})
	if err != nil || r.Name != "shop" || r.Version != 7 || r.URL != models+"/shop/7" {
		t.Fatalf("%+v, %v", r, err)
	}
	wantVersions(t, "shop/7")
	if _, err := Publish(ctx, dir, models, Options{}); !errors.Is(err, export.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if _, err := Publish(ctx, dir, models, Options{Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
	for want := 8; want <= 10; want++ {
		r, err := Publish(ctx, unnumbered, models, Options{Name: "shop", Keep: 2})
		if err != nil || r.Version != want {
			t.Fatalf("version %d, %v, want %d", r.Version, err, want)
		}
		if want == 10 && !slices.Equal(r.Removed, []string{"8"}) {
			t.Errorf("removed %v", r.Removed)
		}
	}
	if _, err := Publish(ctx, unnumbered, models, Options{Name: "shopping"}); err != nil {
		t.Error(err)
	}
	wantVersions(t, "shop/10", "shop/9", "shopping/1")
	for target, want := range map[string]string{
		"s3://me:SECRET@data/x":   "credentials",
		"s3://me:SECRET%zz@data/": "no URL",
		"s3://nobody/models":      "no such bucket",
		"gs:///models":            "no bucket",
	} {
		_, err := Publish(ctx, dir, target, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
}

func TestBucketShadow(t *testing.T) {
	buckettest.New(t).Use(t)
	ctx := context.Background()
	dir := version(t, "shop", "1")
	other := exportSmall(t, "shop", "1", export.Options{Title: "another"})
	for i, tc := range []struct {
		dir     string
		o       Options
		want    int
		existed bool
	}{
		{dir, Options{}, 1, false},
		{dir, Options{Shadow: true}, 1, true}, // in force already
		{other, Options{Shadow: true}, 2, false},
		{other, Options{Shadow: true}, 2, true},
		{other, Options{Shadow: true, Version: 5}, 5, false},
	} {
		r, err := Publish(ctx, tc.dir, models, tc.o)
		if err != nil || r.Version != tc.want || r.Existed != tc.existed {
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	}
	wantVersions(t, "shop/1", "shop/shadow/2", "shop/shadow/5")
	if _, err := Publish(ctx, other, models, Options{Shadow: true, Version: 1}); err == nil ||
		!strings.Contains(err.Error(), "version 1 is in force") {
		t.Error(err)
	}
}

// An upload that fails or is interrupted leaves nothing; one that was killed leaves no version, and takes no number
// from others.
func TestBucketInterrupted(t *testing.T) {
	s := buckettest.New(t).Use(t)
	dir := version(t, "shop", "latest")
	if _, err := Publish(t.Context(), dir, models, Options{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{export.ManifestFile, "model.json", "model.onnx", "saved_model.pb", export.SumsFile} {
		ctx, cancel := context.WithCancel(t.Context())
		s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+name) {
				cancel()
			}
			return false
		})
		if name == export.ManifestFile { // whose it is then, nobody knows
			cancel()
		}
		if _, err := Publish(ctx, dir, models, Options{Name: "shop"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+name) {
				buckettest.Refuse(w, http.StatusForbidden, "AccessDenied", "Not you.")
				return true
			}
			return false
		})
		if _, err := Publish(t.Context(), dir, models, Options{Name: "shop"}); err == nil ||
			!strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s: %v", name, err)
		}
		wantVersions(t, "shop/1")
	}
	// Killed: nothing is removed.
	dead := false
	s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		dead = dead || strings.HasSuffix(r.URL.Path, "/"+export.SumsFile) && r.Method == http.MethodPut
		if dead {
			buckettest.Refuse(w, http.StatusForbidden, "AccessDenied", "Dead.")
		}
		return dead
	})
	if _, err := Publish(t.Context(), dir, models, Options{Name: "shop"}); err == nil {
		t.Error("published without SHA256SUMS")
	}
	s.Fault(nil)
	if _, err := Publish(t.Context(), dir, models, Options{Name: "shop", Version: 2}); err == nil ||
		!strings.Contains(err.Error(), "a part of a version") {
		t.Error(err)
	}
	r, err := Publish(t.Context(), dir, models, Options{Name: "shop"})
	if err != nil || r.Version != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Publish(t.Context(), dir, models, Options{Name: "shop", Version: 2, Force: true}); err != nil {
		t.Error(err)
	}
	wantVersions(t, "shop/1", "shop/2", "shop/3")
}

// Those who publish at the same time get numbers of their own, or one number goes to one of them.
func TestBucketTogether(t *testing.T) {
	buckettest.New(t).Use(t)
	var all sync.WaitGroup
	errs := make([]error, 6)
	dir := version(t, "shop", "latest")
	for i := range errs {
		o := Options{Name: "shop"}
		if i < 3 {
			o.Version = 100
		}
		all.Go(func() { _, errs[i] = Publish(t.Context(), dir, models, o) })
	}
	all.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else if i >= 3 {
			t.Error(err)
		}
	}
	if got := remoteVersions(t); won != 4 || len(got) != 4 || strings.Contains(fmt.Sprint(got), "(") {
		t.Errorf("%d of %v: %v", won, errs, got)
	}
}
