package protocol

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/evaluate/simulate"
)

// The protocol simulates with any run's model, and keeps the result where the run's protocols are.
func TestHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	run := newRun(t)
	o := HostsOptions{RunDir: run, Options: simulate.Options{Clients: 100, Pairs: 20, Repeat: 2}}
	r, err := RunHosts(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Domains < 200 || len(r.Clean) == 0 || len(r.Infected) == 0 || len(r.Tunnels) == 0 {
		t.Errorf("%d domains, %d rows of clean clients, %d of infected ones, %d of tunnels", r.Domains, len(r.Clean),
			len(r.Infected), len(r.Tunnels))
	}
	text, err := os.ReadFile(filepath.Join(run, rundir.ProtocolDir, Hosts+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var again simulate.Result
	if err := json.Unmarshal(text, &again); err != nil || again.Model != r.Model || len(again.Clean) != len(r.Clean) {
		t.Errorf("hosts.json holds another result: %v", err)
	}
	opened, err := rundir.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := opened.Generalisations(opened.Config.Fingerprint); err != nil || len(g) > 0 {
		t.Errorf("a report takes it for a training without some names: %v, %v", g, err)
	}
}
