package trainer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// ErrNoCheckpoint is returned where there is nothing to resume from.
var ErrNoCheckpoint = errors.New("no checkpoint")

// Progress is the part of a checkpoint that is no tensor. It is also the state of every random number generator: the
// order of names and the dropout masks are functions of the seed, the epoch and the number of updates.
type Progress struct {
	Epoch        int     `json:"epoch"` // epochs done
	Best         int     `json:"best"`  // the best of them, from 1
	BestLoss     float64 `json:"best_loss"`
	LearningRate float64 `json:"learning_rate"`
	SinceBest    int     `json:"since_best"`
	SinceDrop    int     `json:"since_drop"` // epochs since the best or the last drop of the learning rate
	Stopped      bool    `json:"stopped"`
	History      []Epoch `json:"history"`
	// Blended is the epoch that Options.Blend adds, once it is done; a training that goes on drops it.
	Blended *Epoch `json:"blended,omitempty"`
}

// all are the epochs with the one that Blend adds.
func (p *Progress) all() []Epoch {
	if p.Blended == nil {
		return p.History
	}
	return append(slices.Clip(p.History), *p.Blended)
}

// Checkpoint is all that training needs to go on.
type Checkpoint struct {
	Progress
	State State
	Best  model.Weights
	Mean  model.Weights // the running mean of the weights; empty without one
	// Blend is what Options.Blend made of Best; empty before.
	Blend model.Weights
}

// parts are the tensors by the prefix of their names in the file.
func (c *Checkpoint) parts() map[string]*model.Weights {
	return map[string]*model.Weights{
		"weights/": &c.State.Weights,
		"m/":       &c.State.M,
		"v/":       &c.State.V,
		"best/":    &c.Best,
		"mean/":    &c.Mean,
		"blend/":   &c.Blend,
	}
}

// Store keeps one checkpoint in a directory: checkpoint.json, and beside it the tensors in a safetensors file that the
// JSON names with its hash. The JSON is replaced last, so the directory always holds a whole checkpoint.
type Store struct {
	Dir string
	// History, when not empty, is a file that every Save rewrites with one JSON object an epoch.
	History string
}

const checkpointFile = "checkpoint.json"

type checkpointJSON struct {
	Version int    `json:"version"`
	Tensors string `json:"tensors"`
	SHA256  string `json:"sha256"`
	Steps   int    `json:"steps"`
	Progress
}

// Save replaces the checkpoint.
func (s *Store) Save(c Checkpoint) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	all := model.Weights{}
	for prefix, w := range c.parts() {
		for n, t := range *w {
			all[prefix+n] = t
		}
	}
	var buf bytes.Buffer
	if _, err := all.WriteTo(&buf); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	sum := sha256.Sum256(buf.Bytes())
	head := checkpointJSON{Version: 1, Tensors: c.tensors(), SHA256: hex.EncodeToString(sum[:]), Steps: c.State.Steps,
		Progress: c.Progress}
	if err := atomicfile.Write(filepath.Join(s.Dir, head.Tensors), buf.Bytes()); err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(filepath.Join(s.Dir, checkpointFile), head); err != nil {
		return err
	}
	return s.settle(&c)
}

// tensors is the file of the checkpoint's tensors.
func (c *Checkpoint) tensors() string {
	if c.Progress.Blended != nil { // beside that epoch's own, which is whole until the JSON names this one
		return fmt.Sprintf("epoch-%04d-blended.safetensors", c.Epoch)
	}
	return fmt.Sprintf("epoch-%04d.safetensors", c.Epoch)
}

// settle does what comes after the checkpoint is in place: it writes the history, and removes earlier tensors.
func (s *Store) settle(c *Checkpoint) error {
	if s.History != "" {
		if err := writeHistory(s.History, c.all()); err != nil {
			return err
		}
	}
	return s.prune(c.tensors())
}

func writeHistory(path string, epochs []Epoch) error {
	return atomicfile.WriteFunc(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		for _, x := range epochs {
			if err := e.Encode(x); err != nil {
				return err
			}
		}
		return nil
	})
}

// prune removes the tensors of earlier checkpoints and what interrupted saves left.
func (s *Store) prune(keep string) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	for _, e := range entries {
		if n := e.Name(); n != keep && (strings.HasSuffix(n, ".safetensors") || strings.HasSuffix(n, ".tmp")) {
			if err := os.Remove(filepath.Join(s.Dir, n)); err != nil {
				return fmt.Errorf("save checkpoint: %w", err)
			}
		}
	}
	return nil
}

// head reads and checks the JSON. It returns ErrNoCheckpoint when there is none.
func (s *Store) head() (*checkpointJSON, error) {
	path := filepath.Join(s.Dir, checkpointFile)
	data, err := userfile.Read(path, userfile.Text)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", s.Dir, ErrNoCheckpoint)
	} else if err != nil {
		return nil, err
	}
	var head checkpointJSON
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if head.Version != 1 || head.Tensors != filepath.Base(head.Tensors) || head.Epoch != len(head.History) ||
		head.Best < 1 || head.Best > head.Epoch {
		return nil, fmt.Errorf("read %s: version %d, epoch %d of %d, best %d: not a checkpoint of this degas", path,
			head.Version, head.Epoch, len(head.History), head.Best)
	}
	return &head, nil
}

// Load reads the checkpoint of a model of that Spec and verifies its hash. It returns ErrNoCheckpoint when there is
// none.
func (s *Store) Load(spec *model.Spec) (*Checkpoint, error) {
	head, err := s.head()
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Progress: head.Progress, State: State{Steps: head.Steps}}
	limit, err := model.MaxWeightsBytes(spec, len(c.parts()))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.Dir, head.Tensors)
	data, err := userfile.Bytes(path, limit)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != head.SHA256 {
		return nil, fmt.Errorf("read %s: its SHA-256 is not the one checkpoint.json names", path)
	}
	all, err := model.ReadWeights(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for prefix, w := range c.parts() {
		*w = model.Weights{}
		for n, t := range all {
			if rest, ok := strings.CutPrefix(n, prefix); ok {
				(*w)[rest] = t
			}
		}
	}
	return c, nil
}
