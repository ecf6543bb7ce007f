package protocol

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/evaluate/simulate"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// Hosts is the protocol that trains nothing: it simulates clients and tunnels, and measures what degas makes of the
// model's scores.
const Hosts = "hosts"

// HostsOptions are those of RunHosts.
type HostsOptions struct {
	RunDir  string
	Data    string // process-data's output; "" is the run's own
	Out     string // folder for hosts.json; "" is the run's folder of protocols, and none for a model that is no run
	Names   int    // benign names at most; 0 uses all
	Options simulate.Options
}

// RunHosts simulates clients and tunnels with the scores of a run's model, and the benign names of its test split.
func RunHosts(ctx context.Context, o HostsOptions) (*simulate.Result, error) {
	result, err := hosts(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", Hosts, o.RunDir, err)
	}
	if o.Out == "" {
		return result, nil
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	return result, atomicfile.WriteJSON(filepath.Join(o.Out, Hosts+".json"), result)
}

func hosts(ctx context.Context, o *HostsOptions) (*simulate.Result, error) {
	run, err := rundir.OpenModel(o.RunDir)
	if err != nil {
		return nil, err
	}
	if isRun := run.Config.Fingerprint != ""; isRun {
		o.Out = cmp.Or(o.Out, filepath.Join(run.Dir, rundir.ProtocolDir))
	}
	s := o.Options
	c, err := model.NewClassifier(run.Model)
	if err != nil {
		return nil, err
	}
	if s.Policy, err = detect.New(detect.Options{Classifier: c}); err != nil {
		return nil, err
	}
	if s.Tables, err = watch.TablesFor(s.Policy, run.Model); err != nil {
		return nil, err
	}
	split, err := datasets.Open(ctx, cmp.Or(o.Data, run.Config.Data), "test")
	if err != nil {
		return nil, err
	}
	defer split.Close()
	if s.Benign, s.Families, err = simulate.Names(ctx, split, o.Names); err != nil {
		return nil, err
	}
	return simulate.Run(ctx, s)
}
