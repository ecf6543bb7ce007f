package protocol

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// partial is what a stopped protocol leaves beside its results: another call that is asked the same goes on behind it.
type partial struct {
	// Key tells what was asked: the recipe, the data and the division into folds.
	Key    string                  `json:"key"`
	Folds  int                     `json:"folds"` // measured
	Result *metrics.Generalisation `json:"result"`
}

func (r *runner) dir() string { return filepath.Join(r.RunDir, rundir.ProtocolDir) }

func (r *runner) partialPath() string { return filepath.Join(r.dir(), "."+r.Protocol+".partial") }

// key is the same for two calls whose folds have the same results.
func (r *runner) key(folds []fold) (string, error) {
	var without []string
	for _, f := range folds {
		without = append(without, f.without)
	}
	asked := *r.result
	asked.Folds = 0 // without says it
	c := r.config
	data, err := json.Marshal([]any{asked, r.spec, c.Target, c.Engine, c.Options, c.Degas, without})
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}

// resume reads what an earlier call has measured, if it was asked the same, and gives the number of folds done.
func (r *runner) resume(key string) (done int, err error) {
	data, err := userfile.Read(r.partialPath(), userfile.Text)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	var p partial
	if err := json.Unmarshal(data, &p); err != nil {
		return 0, fmt.Errorf("read %s: %w. Try: remove it", r.partialPath(), err)
	}
	if p.Key != key || p.Result == nil {
		return 0, nil
	}
	r.result = p.Result
	return p.Folds, nil
}

// save keeps what was measured so far.
func (r *runner) save(key string, folds int, spent time.Duration) error {
	r.result.Seconds += spent.Seconds()
	data, err := json.Marshal(partial{key, folds, r.result})
	if err != nil {
		return err
	}
	return atomicfile.Write(r.partialPath(), data)
}

// finish writes the result in place of the partial one.
func (r *runner) finish() error {
	if err := atomicfile.WriteJSON(filepath.Join(r.dir(), r.Protocol+".json"), r.result); err != nil {
		return err
	}
	return os.Remove(r.partialPath())
}
