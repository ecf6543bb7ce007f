package rundir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/jsonl"
	"github.com/degas-dns/degas/internal/userfile"
)

// Epoch is what an evaluation reads of a line of history.jsonl.
type Epoch struct {
	Epoch          int     `json:"epoch"`
	TrainLoss      float64 `json:"train_loss"`
	ValidationLoss float64 `json:"validation_loss"`
	ValidationAUC  float64 `json:"validation_auc"`
	// Blend is above 0 for a last epoch whose weights were blended with the best ones before it.
	Blend float64 `json:"blend"`
}

// History is a run's epochs in their order; none for an imported or the built-in model.
type History []Epoch

// History reads the run's epochs.
func (r *Run) History() (History, error) {
	if r.builtin() {
		return nil, nil
	}
	path := filepath.Join(r.Dir, "history.jsonl")
	h, err := jsonl.Read[Epoch](path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err == nil && len(h) == 0 {
		return nil, fmt.Errorf("read %s: no epoch in it", path)
	}
	return h, err
}

// Best is the epoch with the lowest validation loss, or the one that was blended with it. h has an epoch.
func (h History) Best() Epoch {
	if last := h[len(h)-1]; last.Blend > 0 {
		return last
	}
	return slices.MinFunc(h, func(a, b Epoch) int { return cmp.Compare(a.ValidationLoss, b.ValidationLoss) })
}

// Kept is the epoch of the saved weights; epoch is the number that the model gives. Zero for an imported model, which
// has no history.
func (h History) Kept(epoch int) Epoch {
	if len(h) == 0 {
		return Epoch{}
	}
	if i := slices.IndexFunc(h, func(e Epoch) bool { return e.Epoch == epoch }); i >= 0 {
		return h[i]
	}
	return h.Best()
}

// Tuning is a line of tuning.jsonl: what was done to a run's model after training.
type Tuning struct {
	Command   string  `json:"command"` // calibrate, maybe with an option, or choose-threshold
	FPR       float64 `json:"fpr,omitempty"`
	Data      string  `json:"data"`
	Split     string  `json:"split"`
	Threshold float64 `json:"threshold"` // the model's, after it
}

// TuningFile has a line for each of them.
const TuningFile = "tuning.jsonl"

// UncalibratedFile has what the first calibration changed in a run's model, until that is undone.
const UncalibratedFile = "uncalibrated.json"

// Uncalibrated is what calibrations change in a model, as it was before the first of them.
type Uncalibrated struct {
	Kernel    []float32 `json:"kernel"` // of the head
	Bias      []float32 `json:"bias"`
	Threshold float64   `json:"threshold"`
	// Moved is the threshold that calibrations made of Threshold: the model's, unless another was chosen since.
	Moved float64 `json:"moved"`
}

func (r *Run) uncalibratedFile() string { return filepath.Join(r.Dir, UncalibratedFile) }

// Uncalibrated reads what calibrations changed. It returns nil for a run that keeps no such file.
func (r *Run) Uncalibrated() (*Uncalibrated, error) {
	data, err := userfile.Read(r.uncalibratedFile(), userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	u := &Uncalibrated{}
	err = json.Unmarshal(data, u)
	if err == nil && !(u.Threshold > 0 && u.Threshold < 1) {
		err = fmt.Errorf("threshold %g is not between 0 and 1", u.Threshold)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w. Try: remove it, and calibrate --undo comes as near as it can",
			r.uncalibratedFile(), err)
	}
	return u, nil
}

// KeepUncalibrated writes u; nil removes the file.
func (r *Run) KeepUncalibrated(u *Uncalibrated) error {
	if u != nil {
		return atomicfile.WriteJSON(r.uncalibratedFile(), u)
	}
	if err := os.Remove(r.uncalibratedFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (r *Run) tuningFile() string { return filepath.Join(r.Dir, TuningFile) }

// AddTuning notes what is done to the run's model, unless that is the last note already.
func (r *Run) AddTuning(t Tuning) error {
	before, err := userfile.Read(r.tuningFile(), userfile.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if rest, ok := bytes.CutSuffix(before, line); ok && (len(rest) == 0 || rest[len(rest)-1] == '\n') {
		return nil
	}
	return atomicfile.Write(r.tuningFile(), append(before, line...))
}

// Tunings reads what led to the threshold of r.Model. It returns nothing if the threshold has changed since, for
// example after more training.
func (r *Run) Tunings() ([]Tuning, error) {
	if r.builtin() {
		return nil, nil
	}
	out, err := jsonl.Read[Tuning](r.tuningFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if n := len(out); n == 0 || out[n-1].Threshold != r.Model.Threshold {
		return nil, err
	}
	return out, nil
}
