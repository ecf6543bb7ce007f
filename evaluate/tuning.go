package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/internal/atomicfile"
)

// tuningFile is what was done to a run's model after training, a line for each time.
const tuningFile = "tuning.jsonl"

// tuned is a line of it.
type tuned struct {
	Command   string  `json:"command"` // calibrate or choose-threshold
	FPR       float64 `json:"fpr,omitempty"`
	Data      string  `json:"data"`
	Split     string  `json:"split"`
	Threshold float64 `json:"threshold"` // the model's, after it
}

// note adds a line to the run's tuningFile.
func (t tuned) note(run string) error {
	path := filepath.Join(run, tuningFile)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(append(before, line...), '\n'))
}

// readTuning reads what led to a model's threshold; nothing where the threshold is another one since, as after a training
// that went on.
func readTuning(run string, threshold float64) ([]tuned, error) {
	path := filepath.Join(run, tuningFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []tuned
	d := json.NewDecoder(bytes.NewReader(data))
	for d.More() {
		var t tuned
		if err := d.Decode(&t); err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", path, len(out)+1, err)
		}
		out = append(out, t)
	}
	if n := len(out); n == 0 || out[n-1].Threshold != threshold {
		return nil, nil
	}
	return out, nil
}

// words are the command that did it to the run in dir, whose own data set is data.
func (t tuned) words(dir, data string) []string {
	words := []string{"degas", t.Command, dir, "--split", t.Split}
	if t.FPR != 0 {
		words = append(words, "--fpr", fmt.Sprint(t.FPR))
	}
	if t.Data != data {
		words = append(words, "--data", t.Data)
	}
	return words
}
