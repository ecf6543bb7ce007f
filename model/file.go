package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/nearest"
	"github.com/degas-dns/degas/internal/userfile"
)

// Names of the two files in a model directory.
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
	// Threshold is the lowest score that is not labelled benign, (0, 1).
	Threshold float64 `json:"threshold"`
	// ThresholdFPR is the false-positive rate that Threshold was chosen for, 0 if there is none.
	ThresholdFPR float64 `json:"threshold_fpr,omitempty"`
	// Temperature is the number that calibration divided the logits by, 0 if there is none. The weights contain it.
	Temperature float64 `json:"temperature,omitempty"`
	// Epoch is the training epoch that the weights are of, 0 when unknown.
	Epoch int `json:"epoch,omitempty"`
	// Dataset is the fingerprint of the training data, empty when unknown.
	Dataset string `json:"dataset,omitempty"`
	// Sources counts the names of the training data by where they come from, nil when unknown.
	Sources map[string]int64 `json:"sources,omitempty"`
	// Producer is the program and the version that made the model.
	Producer string `json:"producer,omitempty"`
}

// SampleSource is the source of the built-in sample's names.
const SampleSource = "sample"

// SampleWarning says what it means that some training names, counted by source, come from the built-in sample; "" if
// none do.
func SampleWarning(sources map[string]int64) string {
	var all int64
	for _, n := range sources {
		all += n
	}
	switch sample := sources[SampleSource]; sample {
	case 0:
		return ""
	case all:
		return "All training names come from the built-in sample, which is for trying degas out: a model of them has seen " +
			"no real traffic. Do not use it."
	default:
		return fmt.Sprintf("%d of %d training names come from the built-in sample, which is for trying degas out. "+
			"To leave them out of a model for use: process-data --exclude %s.", sample, all, SampleSource)
	}
}

// maxSpecBytes bounds a file with a Spec: one with thousands of labels has a few hundred kilobytes.
const maxSpecBytes = 4 << 20

// modelJSON is the layout of model.json.
type modelJSON struct {
	FormatVersion int `json:"format_version"`
	Parameters    int `json:"parameters"`
	// WeightsSHA256 is of WeightsFile, "" in files of the first builds: the two files belong together.
	WeightsSHA256 string `json:"weights_sha256,omitempty"`
	*Model
}

// afterSpec is called between the two files that Load reads. A test replaces the model then.
var afterSpec = func() {}

// Load reads the model in dir and checks the weights against the Spec. The error names the file at fault. It wraps
// ErrNoModel if dir has no SpecFile. If another process replaces the model meanwhile, Load gives the old one, the new
// one or an error, but never the weights of one with the description of the other.
func Load(dir string) (*Model, error) {
	path := filepath.Join(dir, SpecFile)
	for range 3 {
		spec, err := userfile.Read(path, maxSpecBytes)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil, fmt.Errorf("%s %w: %w", dir, ErrNoModel, err)
		} else if err != nil {
			return nil, err
		}
		file, err := parse(spec)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		afterSpec()
		err = file.loadWeights(filepath.Join(dir, WeightsFile))
		if after, readErr := userfile.Read(path, maxSpecBytes); readErr == nil && bytes.Equal(spec, after) {
			if err != nil {
				return nil, err
			}
			return file.Model, nil
		}
	}
	return nil, fmt.Errorf("read the model in %s: another process replaces it again and again. Try: again later", dir)
}

// loadWeights reads the weights at path, which must be those that the description is of.
func (m *modelJSON) loadWeights(path string) error {
	limit, err := MaxWeightsBytes(&m.Spec, 1)
	if err != nil {
		return err
	}
	data, err := userfile.Bytes(path, limit)
	if err != nil {
		return err
	}
	if err := m.setWeights(data); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// setWeights parses the contents of WeightsFile and checks them against the description.
func (m *modelJSON) setWeights(data []byte) (err error) {
	if sum := hexSum(data); m.WeightsSHA256 != "" && sum != m.WeightsSHA256 {
		return fmt.Errorf("its SHA-256 is %.12s…, %s says %.12s…: it is damaged, or of another model",
			sum, SpecFile, m.WeightsSHA256)
	}
	if m.Weights, err = ReadWeights(data); err == nil {
		err = m.Weights.Check(&m.Spec)
	}
	return err
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// LoadAny reads the model in dir, a version directory, or in dir/model, if dir is a run. If one of the two holds a
// model that cannot be read, the error is about that one.
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

// NewestVersion is the version directory with the highest number in a store's folder of versions, "" if dir is none.
func NewestVersion(dir string) (newest string) {
	entries, _ := os.ReadDir(dir) // one that cannot be read is none
	highest := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if n, err := strconv.Atoi(e.Name()); err != nil || n <= highest {
			continue
		} else if _, err := os.Stat(filepath.Join(path, SpecFile)); err == nil {
			highest, newest = n, path
		}
	}
	return newest
}

func parse(data []byte) (*modelJSON, error) {
	m := &Model{}
	file := &modelJSON{Model: m}
	if err := json.Unmarshal(data, file); err != nil {
		return nil, err
	}
	if file.FormatVersion != SpecVersion {
		return nil, fmt.Errorf("format version %d, this degas reads %d", file.FormatVersion, SpecVersion)
	}
	switch {
	case m.Threshold <= 0 || m.Threshold >= 1:
		return nil, fmt.Errorf("threshold %g is not between 0 and 1", m.Threshold)
	case m.ThresholdFPR < 0 || m.ThresholdFPR >= 1:
		return nil, fmt.Errorf("the threshold's false-positive rate %g is not between 0 and 1", m.ThresholdFPR)
	case m.Temperature != 0 && (m.Temperature < 1e-6 || m.Temperature > 1e6): // undoing it would spoil the weights
		return nil, fmt.Errorf("temperature %g is not between 1e-6 and 1e6", m.Temperature)
	}
	return file, m.Spec.Validate()
}

// Files returns the contents of SpecFile and WeightsFile. Equal models give equal bytes.
func (m *Model) Files() (spec, weights []byte, err error) { return m.files("F32") }

// HalfFiles is Files with every weight rounded to a float16, which halves WeightsFile. A weight beyond ±65504 is an
// error. A model that is read from the files has the rounded weights, and Files and Digest are of those.
func (m *Model) HalfFiles() (spec, weights []byte, err error) { return m.files("F16") }

func (m *Model) files(dtype string) (spec, weights []byte, err error) {
	if err := m.Weights.Check(&m.Spec); err != nil {
		return nil, nil, err
	}
	if weights, err = m.Weights.encode(dtype); err != nil {
		return nil, nil, err
	}
	file := modelJSON{SpecVersion, m.Weights.Size(), hexSum(weights), m}
	if spec, err = json.MarshalIndent(file, "", "  "); err != nil {
		return nil, nil, err
	}
	return append(spec, '\n'), weights, nil
}

// Digest identifies the model: the SHA-256 of its two files' bytes, one after the other.
func (m *Model) Digest() (string, error) {
	spec, weights, err := m.Files()
	if err != nil {
		return "", err
	}
	return hexSum(append(spec, weights...)), nil
}

// Save makes dir the model's directory, in one step: a reader finds the old model or the new one. It refuses a
// directory that holds anything else.
func (m *Model) Save(dir string) error {
	err := atomicfile.HoldsOnly(dir, SpecFile, WeightsFile)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = atomicfile.ReplaceDir(dir, m.Write)
	}
	if err != nil {
		return fmt.Errorf("save model to %s: %w", dir, err)
	}
	return nil
}

// Write writes SpecFile and WeightsFile into the directory dir, each whole or not at all.
func (m *Model) Write(dir string) error {
	spec, weights, err := m.Files()
	if err != nil {
		return err
	}
	return errors.Join(atomicfile.Write(filepath.Join(dir, WeightsFile), weights),
		atomicfile.Write(filepath.Join(dir, SpecFile), spec))
}

// ReadSpec reads a Spec from a JSON file, or the Spec in a model.json. An error names the line. An unknown field is an
// error, because it is most likely mistyped. Without labels the Spec gets BinaryLabels.
func ReadSpec(path string) (*Spec, error) {
	data, err := userfile.Read(path, maxSpecBytes)
	if err != nil {
		return nil, err
	}
	var whole struct {
		FormatVersion int             `json:"format_version"`
		Spec          json.RawMessage `json:"spec"`
	}
	if json.Unmarshal(data, &whole) == nil && whole.FormatVersion > 0 && whole.Spec != nil { // a model.json
		before, _, _ := bytes.Cut(data, whole.Spec)
		data = append(bytes.Repeat([]byte("\n"), bytes.Count(before, []byte("\n"))), whole.Spec...)
	}
	s := &Spec{}
	if err := strictJSON(data, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(s.Labels) == 0 {
		s.Labels = slices.Clone(BinaryLabels)
	}
	if err := s.Validate(); err != nil {
		if place := placeOf(err); place != nil {
			err = fmt.Errorf("line %d: %w", lineOf(data, place...), err)
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// strictJSON decodes all of data into v. Unlike the library's, its errors name the line and the fields there are.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		return fmt.Errorf("line %d: something follows the end", lineAt(data, d.InputOffset()+1))
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		last := lineAt(bytes.TrimSpace(data), int64(len(data)))
		return fmt.Errorf("line %d: the text ends before its last bracket is closed", last)
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", lineAt(data, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %s: a JSON %s does not fit", lineAt(data, kind.Offset), kind.Field, kind.Value)
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		line := 0
		if at := regexp.MustCompile(regexp.QuoteMeta(strconv.Quote(m[1])) + `\s*:`).FindIndex(data); at != nil {
			line = lineAt(data, int64(at[0]))
		}
		return fmt.Errorf("line %d: unknown field %q%s", line, m[1], knownFields(m[1]))
	}
	return err
}

var unknownField = regexp.MustCompile(`^json: unknown field "(.*)"$`)

// knownFields names the field of a Spec that is nearest to one that is unknown, or lists them all.
func knownFields(unknown string) string {
	var all, text []string
	for _, t := range []reflect.Type{reflect.TypeFor[Spec](), reflect.TypeFor[Encoder](), reflect.TypeFor[Layer]()} {
		var names []string
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
		all = append(all, names...)
		text = append(text, "a "+strings.ToLower(t.Name())+" has "+strings.Join(names, ", "))
	}
	if best := nearest.Of(unknown, all); best != "" {
		return fmt.Sprintf(" (did you mean %s?)", best)
	}
	return ": " + strings.Join(text, "; ")
}

// lineAt is the line that the byte at offset is on, from 1.
func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n"))
}

// lineOf is the line on which the value at a place in a JSON text begins: keys of objects and indices of lists.
func lineOf(data []byte, place ...any) int {
	d := json.NewDecoder(bytes.NewReader(data))
	var skipped json.RawMessage
	for _, step := range place {
		if _, err := d.Token(); err != nil { // the bracket
			break
		}
		for i := 0; d.More(); i++ {
			var at any = i
			if _, ok := step.(string); ok {
				at, _ = d.Token()
			}
			if at == step || d.Decode(&skipped) != nil {
				break
			}
		}
	}
	offset := int(d.InputOffset())
	for offset < len(data) && strings.ContainsRune(" \t\r\n,:", rune(data[offset])) {
		offset++
	}
	return lineAt(data, int64(offset))
}
