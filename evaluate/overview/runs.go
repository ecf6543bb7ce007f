package overview

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/internal/bucket"
)

// Row is a run in a list of runs. Numbers that it does not have are nil.
type Row struct {
	Run            string          `json:"run"` // its directory
	Arch           string          `json:"arch"`
	Target         string          `json:"target"`
	Epochs         int             `json:"epochs"`
	ValidationLoss *float64        `json:"validation_loss"` // of the saved weights
	TestAUC        *metrics.Number `json:"test_auc"`        // of the model as it is now
	Threshold      *float64        `json:"threshold"`
	// Trained is when the last epoch ended or, without epochs, when the run was made.
	Trained time.Time `json:"trained"`
	// Problem says why the rest is missing.
	Problem string `json:"problem,omitempty"`
}

// Runs lists the runs in dir by name, and those in folders of runs below it, such as degas tune's. A run that cannot be
// read has a row that says so.
func Runs(dir string) ([]Row, error) {
	rows, err := runsIn(dir, 1)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w. Try: --runs DIR, or degas train-model for a first run", err)
	}
	return rows, err
}

// runsIn lists the runs in dir; levels is how much deeper it looks.
func runsIn(dir string, levels int) ([]Row, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	rows := []Row{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		if has(path, "config.yaml") {
			rows = append(rows, row(path))
		} else if levels > 0 {
			inner, err := runsIn(path, levels-1)
			if err != nil {
				return nil, err
			}
			rows = append(rows, inner...)
		}
	}
	return rows, nil
}

func row(dir string) Row {
	r := Row{Run: dir, Trained: changed(dir)}
	p, err := openRun(dir)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	if !bucket.IsURL(p.Training.Data) { // a list of many runs does not ask for each one's data over the network
		p.addData(context.Background())
	}
	r.Arch, r.Target, r.Epochs = p.Training.Arch, p.Training.Target, p.Training.Epochs
	if kept := p.Training.Kept; kept != nil {
		r.ValidationLoss = &kept.ValidationLoss
	}
	if p.Model == nil {
		r.Problem = "not trained to its end"
		return r
	}
	r.Threshold, r.Problem = &p.Model.Threshold, p.damage
	if s := p.Scores; s != nil && s.Split == "test" && s.Model == p.Model.Hash {
		r.TestAUC = &s.ROCAUC
	}
	return r
}

// changed is when the run in dir was last trained.
func changed(dir string) time.Time {
	for _, file := range []string{"history.jsonl", "config.yaml"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return info.ModTime().UTC()
		}
	}
	return time.Time{}
}
