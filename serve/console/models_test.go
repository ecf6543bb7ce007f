package console_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model/modeltest"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/console"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/shadow"
)

// Promoting and taking back in a real folder: the page that follows at once is true, a version that was taken back has
// no row beside its candidate, and one that cannot be loaded can be taken back.
func TestModelsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	for _, path := range []string{"1", filepath.Join(versions.Shadow, "2")} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := modeltest.Small(.5, nil).Save(path); err != nil {
			t.Fatal(err)
		}
	}
	set, err := models.Open(nil, models.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, func(c *console.Options, o *serve.Options) {
		engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "shop",
			Policy: detect.Options{Action: detect.Report}, Decided: c.Ledger})
		if err != nil {
			t.Fatal(err)
		}
		policy := func() *detect.Policy { p, _ := engine.Policy(); return p }
		s, err := shadow.New(shadow.Options{Serving: set, Policy: policy, Look: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		c.Engine, c.Models, c.Shadow, o.Engine, o.Models = engine, set, s, engine, set
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { set.Watch(ctx, 20*time.Millisecond); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })

	o.answers(303, "/console/models/promote", "version", "2")
	o.shows("/console/models", `<th scope="row">2</th>`, "/console/models?demote=2")
	o.answers(303, "/console/models/demote", "version", "2")
	if body := o.shows("/console/models", `<th scope="row">1</th>`); strings.Contains(body, `<th scope="row">2</th>`) {
		t.Error("a version that was taken back has a row of its own")
	}

	if err := os.Mkdir(filepath.Join(dir, "10"), 0o755); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); len(set.States("shop")) < 3 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	o.shows("/console/models", "/console/models?demote=10")
	o.shows("/console/models?demote=10", "version 1 goes on deciding")
	start := time.Now()
	o.answers(303, "/console/models/demote", "version", "10")
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("taking back a version that decides nothing took %v", took)
	}
	if _, err := os.Stat(filepath.Join(dir, versions.Shadow, "10")); err != nil {
		t.Error(err)
	}
}
