package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/internal/yamlfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer/tensorboard"
)

// What a run directory holds.
const (
	ConfigFile    = "config.yaml"
	HistoryFile   = "history.jsonl"
	ModelDir      = "model"
	CheckpointDir = "checkpoint"
	SpecFile      = "spec.json" // an architecture that is no preset
)

// Config is a run's config.yaml: all that is needed to do it again.
type Config struct {
	Version int    `yaml:"version"`
	Arch    string `yaml:"arch"` // a preset of package model, or what an imported model is called
	// From is where the first weights came from: a run or a model's directory, model.BuiltinName, or an imported file.
	From string `yaml:"from,omitempty"`
	// FromDataset is the fingerprint of the data set that those weights had learned from, empty when unknown.
	FromDataset string `yaml:"from_dataset,omitempty"`
	Target      string `yaml:"target"` // binary, class or family
	Engine      string `yaml:"engine,omitempty"`
	Data        string `yaml:"data"` // directory of process-data's output
	// Fingerprint is that data set's; a resumed run refuses another.
	Fingerprint string  `yaml:"fingerprint,omitempty"`
	Options     Options `yaml:"options,omitempty"`
	// TeacherWeights is the SHA-256 of the weights of Options.Teacher; a resumed run refuses other ones.
	TeacherWeights string `yaml:"teacher_weights,omitempty"`
	Degas          string `yaml:"degas"`             // version that started the run
	Machine        string `yaml:"machine,omitempty"` // for a person: a result's last digits depend on it

	spec *model.Spec // of SpecFile; nil for a preset

	sources map[string]int64 // training names by source, as task found them
}

// Request is what Train is asked for.
type Request struct {
	Dir string // the run's directory
	// Spec is the architecture where it is no preset; the run keeps it in SpecFile.
	Spec   *model.Spec
	Config Config // Version, Fingerprint and Machine are filled in
	Resume bool
}

// Summary is what Train tells of a finished run.
type Summary struct {
	Dir        string   `json:"run"`
	Labels     []string `json:"labels"`
	Parameters int      `json:"parameters"`
	Train      int      `json:"train_names"`
	Validation int      `json:"validation_names"`
	Skipped    int      `json:"skipped_names"` // of validation: their label does not occur in training
	Epochs     int      `json:"epochs"`
	Stopped    bool     `json:"stopped_early"`
	Best       Epoch    `json:"best"`
}

// ErrRunExists is returned for a new run in a directory that already holds one.
var ErrRunExists = errors.New("a run of that name exists")

// Train does a whole run: reads the splits, fits the model, and leaves config.yaml, history.jsonl, a checkpoint and the
// best epoch's model in the run's directory.
func Train(ctx context.Context, r Request, obs Observer) (*Summary, error) {
	unlock, err := atomicfile.Claim(r.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := datasets.ReadManifest(ctx, r.Config.Data)
	if err != nil {
		return nil, err
	}
	cfg, err := r.config(data)
	if err != nil {
		return nil, err
	}
	task, err := cfg.task(ctx, data, func(b Beginning) {
		if obs.Begin != nil {
			b.Dir, b.Resumed = r.Dir, r.Resume
			obs.Begin(b)
		}
	})
	if err != nil {
		return nil, err
	}
	if s, ok := task.Train.(*Stream); ok {
		defer s.Close()
	}
	task.Store, task.Resume = store(r.Dir), r.Resume
	result, err := fitRun(ctx, r.Dir, cfg, task, obs)
	if err != nil {
		return nil, err
	}
	m := &model.Model{
		Spec:      *task.Spec,
		Weights:   result.Weights,
		Threshold: 0.5,
		Epoch:     result.Best.Epoch,
		Dataset:   cfg.Fingerprint,
		Sources:   cfg.sources,
		Producer:  "degas " + cfg.Degas,
	}
	if err := save(m, filepath.Join(r.Dir, ModelDir)); err != nil {
		return nil, err
	}
	return &Summary{
		Dir:        r.Dir,
		Labels:     task.Spec.Labels,
		Parameters: result.Weights.Size(),
		Train:      task.Train.Len(),
		Validation: task.Validation.Len(),
		Skipped:    task.Validation.Skipped,
		Epochs:     len(result.History),
		Stopped:    result.Stopped,
		Best:       result.Best,
	}, nil
}

// fitRun writes the run's config.yaml and fits the model. If a new run cannot start, it leaves nothing: such a run
// would neither go on nor make room for a better one.
func fitRun(ctx context.Context, dir string, cfg *Config, task *Task, obs Observer) (*Result, error) {
	if err := cfg.write(dir); err != nil {
		return nil, err
	}
	events, err := tensorboard.Create(dir)
	if err != nil {
		return nil, err
	}
	result, err := Fit(ctx, *task, cfg.Options, recorded(obs, events))
	err = errors.Join(err, events.Close())
	if errors.As(err, &unstarted{}) && !task.Resume && ctx.Err() == nil {
		err = errors.Join(err, events.Remove(), cfg.remove(dir))
	}
	return result, err
}

// save writes m to dir. A model of the same epoch stays, with the threshold and calibration that it may have been
// given.
func save(m *model.Model, dir string) error {
	old, err := model.Load(dir)
	if err == nil && old.Epoch == m.Epoch {
		return atomicfile.Tidy(dir) // a process may have been killed after it put this model in its place
	}
	if err == nil && (old.Threshold != m.Threshold || old.Temperature != 0) {
		slog.Warn("the model was trained further: its threshold and calibration are to be chosen again", "model", dir)
	}
	return m.Save(dir)
}

// recorded also writes what obs is told to TensorBoard's event file.
func recorded(obs Observer, events *tensorboard.Writer) Observer {
	epoch, validated := obs.Epoch, obs.Validated
	obs.Epoch = func(e Epoch) {
		for tag, v := range map[string]float64{
			"loss/train":          e.TrainLoss,
			"loss/validation":     e.ValidationLoss,
			"validation/auc":      e.ValidationAUC,
			"validation/accuracy": e.ValidationAccuracy,
			"learning_rate":       e.LearningRate,
			"names_per_second":    e.NamesPerSecond,
		} {
			events.Scalar(e.Epoch, tag, v)
		}
		if epoch != nil {
			epoch(e)
		}
	}
	obs.Validated = func(n int, scores []float64, malicious []bool) {
		events.PRCurve(n, "validation/precision_recall", scores, malicious)
		if validated != nil {
			validated(n, scores, malicious)
		}
	}
	return obs
}

// config is the run's configuration, to train on data: the request's for a new run, the directory's for a resumed one.
func (r *Request) config(data *datasets.Manifest) (*Config, error) {
	asked := r.Config
	asked.spec = r.Spec
	if err := asked.Options.Resolve(); err != nil {
		return nil, err
	}
	if err := asked.Options.Fits(asked.Target); err != nil {
		return nil, err
	}
	asked.Version, asked.Fingerprint = 1, data.Fingerprint
	asked.Machine = fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	old, err := ReadConfig(r.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && !r.Resume:
		return &asked, nil
	case err != nil:
		return nil, err
	case !r.Resume:
		return nil, fmt.Errorf("%s: %w. Try: --resume, or another --run", r.Dir, ErrRunExists)
	}
	return old, old.resumed(r.Dir, &asked)
}

// resumed changes the configuration of the run in dir to what is asked for when it is resumed: the folder of the data,
// the number of epochs and the patience.
func (c *Config) resumed(dir string, asked *Config) error {
	if c.Fingerprint != asked.Fingerprint {
		return fmt.Errorf("resume %s: it was trained on the data set %.12s, %s now holds %.12s",
			dir, c.Fingerprint, asked.Data, asked.Fingerprint)
	}
	epochs := asked.Options.Epochs
	if epochs < c.Options.Epochs { // asked for less than it has done it stays as it is
		if done, err := store(dir).head(); err == nil {
			epochs = max(epochs, min(done.Epoch, c.Options.Epochs))
		} else if !errors.Is(err, ErrNoCheckpoint) {
			return err
		}
	}
	c.Data, c.Options.Epochs, c.Options.Patience = asked.Data, epochs, asked.Options.Patience
	return nil
}

// store is where a run keeps its checkpoint and its history.
func store(dir string) *Store {
	return &Store{Dir: filepath.Join(dir, CheckpointDir), History: filepath.Join(dir, HistoryFile)}
}

// Continues reports whether the request goes on with what a run began: all but the number of epochs and the patience is
// the same.
func (r *Request) Continues(old *Config) bool {
	c, options := r.Config, old.Options
	options.Epochs, options.Patience = c.Options.Epochs, c.Options.Patience
	if c.Options.Workers == 0 { // not asked for: whatever machine the run began on decided
		options.Workers = 0
	}
	mine, err := json.Marshal(r.Spec)
	theirs, oldErr := json.Marshal(old.spec)
	return err == nil && oldErr == nil && bytes.Equal(mine, theirs) && c.Arch == old.Arch && c.From == old.From &&
		c.Target == old.Target &&
		c.Engine == old.Engine && c.Options == options
}

// write puts config.yaml into a run's directory.
func (c *Config) write(dir string) error {
	data, err := yamlfile.Encode(c)
	if err != nil {
		return err
	}
	if c.spec != nil {
		err = atomicfile.WriteJSON(filepath.Join(dir, SpecFile), c.spec)
	} else if err = os.Remove(filepath.Join(dir, SpecFile)); errors.Is(err, os.ErrNotExist) {
		err = nil // else it is of a run that was killed before it had a configuration
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, ConfigFile), data)
}

// remove takes back what write put there.
func (c *Config) remove(dir string) error {
	if c.spec != nil {
		if err := os.Remove(filepath.Join(dir, SpecFile)); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(dir, ConfigFile))
}

// ReadConfig reads a run's config.yaml.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, err
	}
	var c Config
	if err := yamlfile.Decode(data, &c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if c.Version != 1 {
		return nil, fmt.Errorf("read %s: version %d, this degas reads 1", path, c.Version)
	}
	if c.Engine == "reference" { // an engine of earlier versions, with the results of cpu to rounding
		c.Engine = "cpu"
	}
	spec, err := model.ReadSpec(filepath.Join(dir, SpecFile))
	if err == nil {
		c.spec = spec
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &c, nil
}

// begin is the model that training starts from: a preset without weights, or a trained model.
func (c *Config) begin() (*model.Model, error) {
	if c.spec != nil {
		return &model.Model{Spec: *c.spec}, nil
	}
	if c.From == "" {
		spec, err := model.Preset(c.Arch)
		return &model.Model{Spec: spec}, err
	}
	m, err := model.LoadNamed(c.From)
	if err != nil {
		return nil, fmt.Errorf("start from %s: %w", c.From, err)
	}
	return m, nil
}

// Import makes a run of a model that was trained elsewhere: config.yaml and the model, no history. from says where the
// model came from, data is the data set to measure it on.
func Import(dir string, m *model.Model, target, from, data, version string) error {
	unlock, err := atomicfile.Claim(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
		return fmt.Errorf("%s: %w. Try: another --run", dir, ErrRunExists)
	}
	if err := m.Save(filepath.Join(dir, ModelDir)); err != nil {
		return err
	}
	c := Config{Version: 1, Arch: m.Spec.Name, From: from, Target: target, Data: data, Degas: version}
	return c.write(dir)
}

// WouldTrain is the Spec that Train would train for the request, with the labels of its data. For TargetBinary it reads
// no data.
func (r *Request) WouldTrain(ctx context.Context) (*model.Spec, error) {
	c := r.Config
	c.spec = r.Spec
	begin, err := c.begin()
	if err != nil {
		return nil, err
	}
	if c.Target == TargetBinary {
		return c.labelled(ctx, begin, nil)
	}
	data, err := datasets.ReadManifest(ctx, c.Data)
	if err != nil {
		return nil, err
	}
	train, err := data.Open(ctx, "train")
	if err != nil {
		return nil, err
	}
	defer train.Close()
	return c.labelled(ctx, begin, train)
}
