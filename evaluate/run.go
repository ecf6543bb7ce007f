package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// RunOptions say what to measure and where the result goes.
type RunOptions struct {
	RunDir string // as train-model wrote it
	Data   string // process-data's output; "" is the run's own
	Split  string // "" is test
	Out    string // directory, "" is RunDir/evaluation
	// Baselines also trains plain classifiers on the training names and measures them beside the model.
	Baselines bool
	// Progress, if not nil, is told names done of total.
	Progress func(done, total int64)
}

// runConfig is what this package reads of a run's config.yaml.
type runConfig struct {
	Arch        string        `yaml:"arch"`
	From        string        `yaml:"from"`
	FromDataset string        `yaml:"from_dataset"`
	Target      string        `yaml:"target"`
	Engine      string        `yaml:"engine"`
	Data        string        `yaml:"data"`
	Fingerprint string        `yaml:"fingerprint"`
	Degas       string        `yaml:"degas"`
	Machine     string        `yaml:"machine"`
	Options     yaml.MapSlice `yaml:"options"` // in the order of the file, which is train-model's
}

// option is one of the run's by its name; nil where it is zero or missing.
func (c *runConfig) option(name string) any {
	v := c.Options.ToMap()[name]
	if fmt.Sprint(v) == "0" {
		return nil
	}
	return v
}

// seed is the run's; 0 for an imported model.
func (c *runConfig) seed() uint64 {
	seed, _ := c.option("seed").(uint64)
	return seed
}

// Run scores a split with a run's model and writes metrics.json, plots/*.png and report.html. The output directory is
// replaced when all of it is complete; until then, and on any error, an earlier one stays as it was.
func Run(ctx context.Context, o RunOptions) (*Metrics, error) {
	cfg, m, err := openRun(&o)
	if err != nil {
		return nil, err
	}
	if o.Split == "" {
		o.Split = "test"
	}
	if o.Out == "" {
		o.Out = filepath.Join(o.RunDir, "evaluation")
	}
	if err := replaceable(o.Out); err != nil {
		return nil, err
	}
	manifest, err := datasets.ReadManifest(o.Data)
	if err != nil {
		return nil, err
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	sample, err := scoreWith(ctx, c, cfg.Target, o)
	if err != nil {
		return nil, err
	}
	metrics, err := Measure(ctx, sample, m.Threshold, cfg.seed())
	if err != nil {
		return nil, err
	}
	metrics.Split, metrics.Dataset = o.Split, manifest.Fingerprint
	if metrics.Model, err = m.Digest(); err != nil {
		return nil, err
	}
	if metrics.Probes, err = probes(ctx, c, sample, cfg.seed()); err != nil {
		return nil, err
	}
	if metrics.Generalisation, err = readGeneralisations(o.RunDir, manifest.Fingerprint); err != nil {
		return nil, err
	}
	history, err := readHistory(filepath.Join(o.RunDir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	tuning, err := readTuning(o.RunDir, m.Threshold)
	if err != nil {
		return nil, err
	}
	metrics.warn(sample, o.Split, m, manifest)
	metrics.warnOfTraining(cfg, m, history, manifest)
	if o.Baselines {
		if err := metrics.baselines(ctx, sample, o.Data, cfg.seed()); err != nil {
			return nil, err
		}
	}
	_, own := os.Stat(filepath.Join(o.RunDir, "spec.json"))
	r := &report{OwnSpec: own == nil, Config: *cfg, Model: m, Metrics: metrics, Sample: sample, History: history, Tuning: tuning, Split: o.Split, Dir: filepath.Clean(o.RunDir), Data: manifest}
	r.Run = filepath.Base(r.Dir)
	if o.Data != cfg.Data {
		r.Elsewhere = o.Data
	}
	if err := ctx.Err(); err != nil { // interrupted while nobody looked: the earlier evaluation stays
		return nil, err
	}
	return metrics, writeAll(r, o.Out)
}

// openRun reads a run's configuration and model. Where o names no data, the run's own are set.
func openRun(o *RunOptions) (*runConfig, *model.Model, error) {
	cfg, err := readConfig(o.RunDir)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.Load(filepath.Join(o.RunDir, "model"))
	if err != nil {
		return nil, nil, err
	}
	if o.Data == "" {
		o.Data = cfg.Data
	}
	return cfg, m, nil
}

func score(ctx context.Context, m *model.Model, target string, o RunOptions) (*Sample, error) {
	c, err := model.NewClassifier(m)
	if err != nil {
		return nil, err
	}
	return scoreWith(ctx, c, target, o)
}

func scoreWith(ctx context.Context, c *model.Classifier, target string, o RunOptions) (*Sample, error) {
	split, err := datasets.Open(o.Data, o.Split)
	if err != nil {
		return nil, err
	}
	defer split.Close()
	s, err := ScoreSplit(ctx, c, split, target, o.Progress)
	if err != nil {
		return nil, fmt.Errorf("score %s of %s: %w", o.Split, o.Data, err)
	}
	return s, nil
}

func readConfig(run string) (*runConfig, error) {
	path := filepath.Join(run, "config.yaml")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run: %w. Try: degas train-model", run, err)
	} else if err != nil {
		return nil, err
	}
	c := &runConfig{}
	if err := yaml.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// readHistory reads a run's epochs; none for an imported model.
func readHistory(path string) ([]Epoch, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []Epoch
	d := json.NewDecoder(bytes.NewReader(data))
	for d.More() {
		var e Epoch
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("read %s: entry %d: %w", path, len(out)+1, err)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read %s: no epoch in it", path)
	}
	return out, nil
}

// fewNames is where a test split is too small to say much.
const fewNames = 1000

// warn notes what a reader must know before trusting the numbers.
func (m *Metrics) warn(s *Sample, split string, trained *model.Model, data *datasets.Manifest) {
	add := func(format string, args ...any) { m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...)) }
	if builtIn(s) {
		add("All names come from the built-in sample, which is for trying degas out: these numbers say nothing about real traffic.")
	}
	switch split {
	case "train":
		add("These are the names that the model was trained on: the numbers say nothing about names it has not seen.")
	case "validation":
		add("Validation names chose the epoch, and the threshold and the temperature if there are: the numbers are better than on names that chose nothing.")
	}
	if trained.Dataset == "" {
		add("It is not known what the model was trained on: names may have been seen in training.")
	} else if trained.Dataset != data.Fingerprint {
		add("The model was trained on data set %.12s, measured on %.12s: names may have been seen in training.", trained.Dataset, data.Fingerprint)
	}
	if data.Leaks.Crossing > 0 {
		add("%d groups of names cross the splits of this data set.", data.Leaks.Crossing)
	}
	if m.Benign < fewNames || m.Malicious < fewNames {
		add("The split is small: %d benign and %d malicious names.", m.Benign, m.Malicious)
	}
	if m.Unknown > 0 {
		add("%d names were left out: their label does not occur in training.", m.Unknown)
	}
}

// warnOfTraining notes what is odd about how the model came about.
func (m *Metrics) warnOfTraining(c *runConfig, trained *model.Model, history []Epoch, data *datasets.Manifest) {
	if len(history) == 0 {
		return
	}
	if c.foreign(data) {
		m.Warnings = append(m.Warnings, fmt.Sprintf("Training began with the weights of %s, which may have seen these names.", c.From))
	}
	if best := bestEpoch(history).Epoch; trained.Epoch != 0 && trained.Epoch != best {
		m.Warnings = append(m.Warnings, fmt.Sprintf("The model is of epoch %d. Training went on to epoch %d, whose best is %d, and was interrupted: train-model --resume finishes it.", trained.Epoch, history[len(history)-1].Epoch, best))
	}
}

// foreign reports whether a training began with weights that may have seen names of another split of data.
func (c *runConfig) foreign(data *datasets.Manifest) bool {
	return c.From != "" && c.Fingerprint != "" && c.FromDataset != data.Fingerprint
}

// replaceable says why an evaluation cannot take the place of what is at out: nothing but an earlier one is replaced.
func replaceable(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write the evaluation to %s: %w", out, err)
	}
	for _, name := range []string{metricsFile, "report.html"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			return fmt.Errorf("write the evaluation to %s: it holds no %s and so is no evaluation, which could be replaced: %w", out, name, fs.ErrExist)
		}
	}
	return nil
}

// metricsFile is the evaluation for programs.
const metricsFile = "metrics.json"

// builtIn reports whether every name is of the sample source.
func builtIn(s *Sample) bool {
	for _, src := range s.Source {
		if src != "sample" {
			return false
		}
	}
	return true
}

// writeAll makes the whole output beside its place and moves it there.
func writeAll(r *report, out string) (err error) {
	parent := filepath.Dir(filepath.Clean(out))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(parent, ".evaluation-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	data, err := json.MarshalIndent(r.Metrics, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(work, metricsFile), append(data, '\n')); err != nil {
		return err
	}
	if err := r.plots(filepath.Join(work, "plots")); err != nil {
		return err
	}
	if err := errors.Join(r.html(work), r.markdown(work)); err != nil {
		return err
	}
	return atomicfile.PlaceDir(work, out)
}

// plots draws every picture the sample allows.
func (r *report) plots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name+".png") }
	m := r.Metrics
	if len(r.History) > 0 {
		if err := plotTraining(r.History, at("training")); err != nil {
			return err
		}
	}
	if m.ROCAUC != nil {
		c := newCurve(r.Sample)
		if err := errors.Join(plotROC(c, m, at("roc")), plotPR(c, m, at("pr"))); err != nil {
			return err
		}
	}
	if len(m.Families) > 0 {
		if err := plotFamilies(m.Families, m.Threshold, m.Operating[1].TooFew, at("families")); err != nil {
			return err
		}
	}
	return errors.Join(plotCalibration(r.Sample, float64(m.ECE), at("calibration")), plotConfusion(m.Labels, m.Confusion, at("confusion")), plotHistogram(r.Sample, m.Threshold, at("scores")))
}

// labelText lists a model's labels, few of them.
func labelText(labels []string) string {
	if len(labels) <= 6 {
		return strings.Join(labels, ", ")
	}
	return fmt.Sprintf("%s and %d families", labels[0], len(labels)-1)
}
