package serve_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/shadow"
)

// What is kept is shown to the candidates, and the metrics have what came of it.
func TestShadow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "degas")
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"1", filepath.Join(versions.Shadow, "2")} {
		if err := m.Save(filepath.Join(dir, folder)); err != nil {
			t.Fatal(err)
		}
		m.Threshold = 1 - 1e-7 // the candidate is careful
	}
	set, err := models.Open(nil, models.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "degas"})
	if err != nil {
		t.Fatal(err)
	}
	candidates, err := shadow.New(shadow.Options{Serving: set, Policy: func() *detect.Policy {
		p, _ := engine.Policy()
		return p
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{Models: set, Engine: engine, Store: &kept{}, Shadow: candidates})
	if err != nil {
		t.Fatal(err)
	}
	go candidates.Run(t.Context())
	var all []events.Event
	var decisions []detect.Decision
	p, _ := engine.Policy()
	for _, name := range []string{"www.google.com", "xjpakmdcfuqe.biz", "xjpakmdcfuqe.biz", "1.0.0.127.in-addr.arpa"} {
		all = append(all, events.Event{Name: []byte(name)})
		decisions = append(decisions, p.Decide(name))
	}
	s.Keep("log", all, decisions)
	want := []string{`degas_shadow_names_total{outcome="old",version="2"} 1`,
		`degas_shadow_names_total{outcome="neither",version="2"} 1`, `degas_shadow_dropped_total{version="2"} 0`}
	var page string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		page = ask(t, s, "GET", "/metrics", "").Body.String()
		if strings.Contains(page, want[0]) && strings.Contains(page, want[1]) {
			break
		}
	}
	for _, line := range want {
		if !strings.Contains(page, line) {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	if problems, err := promlint.New(strings.NewReader(page)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, v := range set.Versions("degas") {
		if v.Number != 1 {
			t.Errorf("version %d is served", v.Number)
		}
	}
}
