package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/internal/atomicfile"
)

// Names of the two files a model directory holds.
const (
	SpecFile    = "model.json"
	WeightsFile = "model.safetensors"
)

// ErrNoModel is returned for a directory without a SpecFile.
var ErrNoModel = errors.New("holds no model")

// Model is a trained classifier: what it is, what it learned and where it came from.
type Model struct {
	Spec    Spec    `json:"spec"`
	Weights Weights `json:"-"`
	// Threshold is the score from which a name is called not benign, (0, 1).
	Threshold float64 `json:"threshold"`
	// ThresholdFPR is the rate of false alarms that Threshold was chosen for; 0 where it was not chosen by one.
	ThresholdFPR float64 `json:"threshold_fpr,omitempty"`
	// Temperature is what the logits were divided by to calibrate them; the weights have it already. 0 without.
	Temperature float64 `json:"temperature,omitempty"`
	// Epoch is the one of its training whose weights it has, 0 when unknown.
	Epoch int `json:"epoch,omitempty"`
	// Dataset is the fingerprint of the data set it was trained on, empty when unknown.
	Dataset string `json:"dataset,omitempty"`
	// Producer is the degas version that trained it.
	Producer string `json:"producer,omitempty"`
}

// modelJSON is the layout of model.json.
type modelJSON struct {
	FormatVersion int `json:"format_version"`
	Parameters    int `json:"parameters"`
	*Model
}

// Load reads the model in dir and checks the weights against the Spec. The error names the file at fault; it is ErrNoModel
// where there is none.
func Load(dir string) (*Model, error) {
	path := filepath.Join(dir, SpecFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %w: %w", dir, ErrNoModel, err)
	} else if err != nil {
		return nil, err
	}
	m, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	path = filepath.Join(dir, WeightsFile)
	if data, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	if m.Weights, err = ReadWeights(data); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := m.Weights.Check(&m.Spec); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// LoadAny reads the model that dir is or that dir/model holds: a version directory, or a run. The error is of the one that is
// there.
func LoadAny(dir string) (*Model, error) {
	m, err := Load(dir)
	if !errors.Is(err, ErrNoModel) {
		return m, err
	}
	if inner, innerErr := Load(filepath.Join(dir, "model")); !errors.Is(innerErr, ErrNoModel) {
		return inner, innerErr
	}
	return nil, err
}

func parse(data []byte) (*Model, error) {
	m := &Model{}
	file := modelJSON{Model: m}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if file.FormatVersion != SpecVersion {
		return nil, fmt.Errorf("format version %d, this degas reads %d", file.FormatVersion, SpecVersion)
	}
	if m.Threshold <= 0 || m.Threshold >= 1 {
		return nil, fmt.Errorf("threshold %g is not between 0 and 1", m.Threshold)
	}
	return m, m.Spec.Validate()
}

// Files renders the model as the contents of SpecFile and WeightsFile. Equal models give equal bytes.
func (m *Model) Files() (spec, weights []byte, err error) {
	if err := m.Weights.Check(&m.Spec); err != nil {
		return nil, nil, err
	}
	if spec, err = json.MarshalIndent(modelJSON{SpecVersion, m.Weights.Size(), m}, "", "  "); err != nil {
		return nil, nil, err
	}
	var buf bytes.Buffer
	if _, err := m.Weights.WriteTo(&buf); err != nil {
		return nil, nil, err
	}
	return append(spec, '\n'), buf.Bytes(), nil
}

// Digest identifies the model: the SHA-256 of its two files' bytes, one after the other.
func (m *Model) Digest() (string, error) {
	spec, weights, err := m.Files()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(spec)
	sum.Write(weights)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Save writes the model into dir, which is created if need be. Each file appears whole or not at all.
func (m *Model) Save(dir string) error {
	spec, weights, err := m.Files()
	if err != nil {
		return fmt.Errorf("save model to %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Weights first: a reader that finds model.json finds the weights as well.
	if err := atomicfile.Write(filepath.Join(dir, WeightsFile), weights); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, SpecFile), spec)
}
