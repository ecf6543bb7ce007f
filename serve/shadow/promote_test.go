package shadow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/models"
)

// Who promotes a candidate sees it in force when that returns, and can take it back.
func TestPromoteAndDemote(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	ctx := context.Background()
	newest := func() int {
		v, _ := p.o.Serving.Find("shop", "")
		return v.Number
	}
	pairs, err := p.Compare(ctx, []string{"a.example", "listed.example"})
	if err != nil || len(pairs) != 2 || len(pairs[1].Answers) != 2 {
		t.Fatalf("%+v, %v", pairs, err)
	}
	for i, a := range pairs[1].Answers {
		if a.Number != i+1 || a.Candidate != (i == 1) || a.Decision.Rule != detect.Score ||
			(a.Decision.Verdict == detect.Malicious) != (i == 1) {
			t.Errorf("%+v", a)
		}
	}
	if _, err := p.Compare(ctx, make([]string, MostNames+1)); err == nil {
		t.Error("any number of names is compared")
	}
	for range 2 {
		if err := p.Promote(ctx, 2); err != nil || newest() != 2 {
			t.Fatalf("version %d is in force, %v", newest(), err)
		}
		p.until("no candidate", func(r []Report) bool { return len(r) == 0 })
		if err := p.Demote(ctx, 2); err != nil || newest() != 1 {
			t.Fatalf("version %d is in force, %v", newest(), err)
		}
		p.only(2)
	}
	if got := p.names(p.dir); !slices.Equal(got, []string{"1", "shadow"}) {
		t.Errorf("the store has %v", got)
	}
}

// names are those of the files in a folder.
func (p *place) names(dir string) (names []string) {
	p.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	p := open(t, func(dir string) {
		save(t, filepath.Join(dir, "5"), noneFlagged, nil)
		save(t, filepath.Join(dir, versions.Shadow, "4"), allFlagged, nil)
		save(t, filepath.Join(dir, versions.Shadow, "6"), allFlagged, nil)
		if err := os.Symlink("4", filepath.Join(dir, versions.Shadow, "7")); err != nil {
			t.Fatal(err)
		}
	})
	lock := func(dir string) {
		unlock, err := dirlock.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unlock)
	}
	builtin, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		t.Fatal(err)
	}
	none, err := New(Options{Serving: builtin, Policy: p.o.Policy})
	if err != nil || none.Reports() != nil {
		t.Fatal(err)
	}
	single, err := New(Options{Serving: p.o.Serving, Dir: filepath.Join(p.dir, "1"), Policy: p.o.Policy})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what   string
		before func()
		err    func() error
		want   string
	}{
		{"not there", nil, func() error { return p.Promote(ctx, 9) }, "no version 9 that can be loaded. Try: "},
		{"below", nil, func() error { return p.Promote(ctx, 4) }, "version 5 is in force, and the highest number"},
		{"a link", nil, func() error { return p.Promote(ctx, 7) }, "is a link"},
		{"not the newest", nil, func() error { return p.Demote(ctx, 1) }, "version 5 is in force, and the highest"},
		{"built in", nil, func() error { return none.Promote(ctx, 2) }, "degas export-model --to models/degas/1"},
		{"a version", nil, func() error { return single.Demote(ctx, 1) }, "with the folder above the numbers"},
		{"published just now", func() { lock(p.candidate("6")) }, func() error { return p.Promote(ctx, 6) },
			dirlock.ErrLocked.Error()},
		{"another server moves", func() { lock(filepath.Join(p.dir, versions.Shadow)) },
			func() error { return p.Promote(ctx, 6) }, dirlock.ErrLocked.Error()},
	} {
		if tc.before != nil {
			tc.before()
		}
		if err := tc.err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
	v, _ := p.o.Serving.Find("shop", "")
	if got := p.names(filepath.Join(p.dir, versions.Shadow)); v.Number != 5 || !slices.Contains(got, "6") {
		t.Errorf("version %d is in force, the shadow has %v", v.Number, got)
	}
	last := open(t, nil)
	if err := last.Demote(ctx, 1); err == nil || !strings.Contains(err.Error(), "last version") {
		t.Errorf("the last one goes: %v", err)
	}
}

// A candidate that is damaged since it was loaded is not renamed.
func TestPromoteDamaged(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "10"), allFlagged, nil) })
	p.only(10)
	if err := os.Truncate(filepath.Join(p.candidate("10"), model.WeightsFile), 100); err != nil {
		t.Fatal(err)
	}
	err := p.Promote(context.Background(), 10)
	if err == nil || !strings.Contains(err.Error(), "cannot be loaded") || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("a damaged one: %v", err)
	}
	if got := p.names(p.dir); !slices.Equal(got, []string{"1", "shadow"}) {
		t.Errorf("the store has %v", got)
	}
}

// What the server does not take within the time is renamed back.
func TestPromoteNotTaken(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	still, err := models.Open(nil, models.Source{Dir: p.dir}) // nobody watches it
	if err != nil {
		t.Fatal(err)
	}
	o := p.o
	o.Serving = still
	q, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	q.wait = 50 * time.Millisecond
	err = q.Promote(context.Background(), 2)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is renamed back") {
		t.Errorf("not taken: %v", err)
	}
	if got := p.names(p.dir); !slices.Equal(got, []string{"1", "shadow"}) {
		t.Errorf("the store has %v", got)
	}
	if got := p.names(p.candidate("")); !slices.Contains(got, "2") {
		t.Errorf("the shadow has %v", got)
	}
}

// A version that somebody put in force and that cannot be loaded is not called in force, and can be taken back.
func TestDemoteBroken(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	ctx := context.Background()
	for _, broken := range []string{"9", "10"} {
		if err := os.Mkdir(filepath.Join(p.dir, broken), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for n, move := range map[int]func(context.Context, int) error{1: p.Demote, 2: p.Promote} {
		err := move(ctx, n)
		if err == nil || strings.Contains(err.Error(), "in force") ||
			!strings.Contains(err.Error(), "Try: take back version 10 first") {
			t.Errorf("below a broken one: %v", err)
		}
	}
	for _, n := range []int{10, 9} {
		if err := p.Demote(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Promote(ctx, 2); err != nil {
		t.Error(err)
	}
	if got := p.names(p.dir); !slices.Equal(got, []string{"1", "2", "shadow"}) {
		t.Errorf("the store has %v", got)
	}
}

// Two people who promote and take back at once do not mix: each move happens once, and the others say so.
func TestRaces(t *testing.T) {
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	q, err := New(p.o) // another server on the same folder
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			s := []*Shadow{p.Shadow, q}[i%2]
			errs[i] = s.Promote(context.Background(), 2)
		})
	}
	all.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !strings.Contains(err.Error(), "Try: ") {
			t.Error(err)
		}
	}
	if v, _ := p.o.Serving.Find("shop", ""); done != 1 || v.Number != 2 {
		t.Errorf("%d promoted it, version %d is in force", done, v.Number)
	}
}

// A folder that may not be written to leaves everything as it is.
func TestReadOnly(t *testing.T) {
	err := unwritable(fmt.Errorf("x: %w", fs.ErrPermission), "models/degas")
	if !strings.Contains(err.Error(), "Try: let") {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	p := open(t, func(dir string) { save(t, filepath.Join(dir, versions.Shadow, "2"), allFlagged, nil) })
	if err := os.Chmod(p.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(p.dir, 0o755) })
	if err := p.Promote(context.Background(), 2); err == nil || !strings.Contains(err.Error(), "Try: let") {
		t.Error(err)
	}
}
