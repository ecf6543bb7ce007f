package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/model"
)

// ChooseThreshold scores a split of a run, validation unless o says otherwise, and keeps the threshold for a
// false-positive rate in the run's model, which exports and predictions then use. The test split is refused.
func ChooseThreshold(ctx context.Context, o RunOptions, fpr float64) (_ *metrics.Threshold, err error) {
	defer addContext(&err, "choose a threshold for", o)
	if !(fpr > 0 && fpr < 1) {
		return nil, fmt.Errorf("a false-positive rate of %g is not between 0 and 1", fpr)
	}
	return keepThreshold(ctx, o, fpr, func(s *metrics.Sample, split string) (*metrics.Threshold, error) {
		return metrics.ChooseThreshold(ctx, s, split, fpr)
	})
}

// SetThreshold is ChooseThreshold for a threshold in (0, 1) that is known already, such as 0.5, a new model's.
func SetThreshold(ctx context.Context, o RunOptions, threshold float64) (_ *metrics.Threshold, err error) {
	defer addContext(&err, "set the threshold of", o)
	if !(threshold > 0 && threshold < 1) {
		return nil, fmt.Errorf("a threshold of %g is not between 0 and 1", threshold)
	}
	return keepThreshold(ctx, o, 0, func(s *metrics.Sample, split string) (*metrics.Threshold, error) {
		return metrics.MeasureThreshold(ctx, s, split, threshold)
	})
}

// keepThreshold gives a run's model the threshold that find finds on a split's sample.
func keepThreshold(ctx context.Context, o RunOptions, fpr float64,
	find func(s *metrics.Sample, split string) (*metrics.Threshold, error)) (*metrics.Threshold, error) {
	tuned, err := loadForTuning(ctx, o)
	if err != nil {
		return nil, err
	}
	defer tuned.unlock()
	t, err := find(tuned.sample, tuned.options.Split)
	if err != nil {
		return nil, err
	}
	t.Before, t.BeforeFPR = tuned.run.Model.Threshold, tuned.run.Model.ThresholdFPR
	tuned.run.Model.Threshold, tuned.run.Model.ThresholdFPR = t.Value, fpr
	return t, tuned.save("choose-threshold", fpr)
}

// WorstSource is the benign source that decides which false-positive rate to choose a threshold for, by what
// leave-benign-out found for a run on its data set.
func WorstSource(ctx context.Context, o RunOptions) (worst metrics.HeldOut, err error) {
	defer addContext(&err, "find the worst benign source of", o)
	run, err := rundir.Open(o.RunDir)
	if err != nil {
		return worst, err
	}
	data, err := readData(ctx, cmp.Or(o.Data, run.Config.Data))
	if err != nil {
		return worst, err
	}
	found, err := run.Generalisations(data.Fingerprint)
	if err != nil {
		return worst, err
	}
	for _, g := range found {
		if g.Protocol == "leave-benign-out" && len(g.Groups) > 0 {
			worst = g.WorstSource()
			if !(worst.Needed > 0) {
				return worst, fmt.Errorf("of %s, more than 1 in 1,000 names are called malicious at every threshold", worst.Name)
			}
			return worst, nil
		}
	}
	return worst, fmt.Errorf("no benign source was left out yet. Try: degas evaluate-model %s --protocol leave-benign-out",
		o.RunDir)
}

// Calibrate scales the logits of a run's model by the temperature that fits a split best, validation unless o says
// otherwise (Guo et al. 2017, arXiv:1706.04599). The scale goes into the head's weights, so that every export has it.
// The order of scores and the verdicts stay as they are; of more than two labels, the number of false alarms does. The
// test split is refused, and so is, unless force is set, a temperature that makes the calibration error larger on names
// that it was not fitted on.
func Calibrate(ctx context.Context, o RunOptions, force bool) (_ *metrics.Calibration, err error) {
	defer addContext(&err, "calibrate", o)
	tuned, err := loadForTuning(ctx, o)
	if err != nil {
		return nil, err
	}
	defer tuned.unlock()
	c, err := metrics.FitTemperature(tuned.sample, tuned.options.Split)
	if err != nil {
		return nil, err
	}
	var before float64
	before, c.ECEHeldOut = metrics.HeldOutErrors(tuned.sample)
	command := "calibrate"
	if force {
		command += " --force"
	} else if c.ECEHeldOut >= before && math.Abs(math.Log(c.Temperature)) > unchanged {
		return nil, fmt.Errorf("a temperature of %.4g would make the calibration error larger on names that it was not"+
			" fitted on: %.4f, now it is %.4f. The run stays as it is. More names of more registered domains in %s may help;"+
			" --force goes on all the same",
			c.Temperature, c.ECEHeldOut, before, c.Split)
	}
	return c, tuned.rescale(ctx, c, command)
}

// unchanged is the logarithm of a temperature that changes next to nothing, as for a run that is calibrated already.
const unchanged = 0.01

// Uncalibrate takes back what Calibrate did to a run's model, however often: the model's bytes are again those that
// they were, unless another threshold was chosen since, which moves along.
func Uncalibrate(ctx context.Context, o RunOptions) (_ *metrics.Calibration, err error) {
	defer addContext(&err, "undo the calibration of", o)
	tuned, err := loadForTuning(ctx, o)
	if err != nil {
		return nil, err
	}
	defer tuned.unlock()
	m := tuned.run.Model
	if m.Temperature == 0 {
		return nil, errors.New("it is not calibrated")
	}
	c := metrics.Measured(tuned.sample, tuned.options.Split, 1/m.Temperature)
	head, err := headOf(m)
	if err != nil {
		return nil, err
	}
	before, err := tuned.run.Uncalibrated()
	if err != nil {
		return nil, err
	}
	exact := before != nil && madeOf(before.Kernel, head[0].Data, m.Temperature) &&
		madeOf(before.Bias, head[1].Data, m.Temperature)
	if exact {
		copy(head[0].Data, before.Kernel)
		copy(head[1].Data, before.Bias)
	} else { // calibrated by another build, or the file is of another model
		divide(head, c.Temperature)
	}
	threshold := m.Threshold
	if err := tuned.follow(ctx, c); err != nil {
		return nil, err
	}
	m.Temperature = 0
	if exact && threshold == before.Moved {
		m.Threshold, c.Threshold, c.Restored = before.Threshold, before.Threshold, true
	}
	if err := tuned.save("calibrate --undo", 0); err != nil {
		return nil, err
	}
	return c, tuned.run.KeepUncalibrated(nil)
}

// headOf are the kernel and the bias of the last layer.
func headOf(m *model.Model) ([]*model.Tensor, error) {
	params, err := m.Spec.Params()
	if err != nil {
		return nil, err
	}
	n := len(params)
	return []*model.Tensor{m.Weights[params[n-2].Name], m.Weights[params[n-1].Name]}, nil
}

// divide divides what a head computes by a temperature.
func divide(head []*model.Tensor, temperature float64) {
	for _, t := range head {
		for i := range t.Data {
			t.Data[i] /= float32(temperature)
		}
	}
}

// madeOf reports whether weights are original ones divided by a temperature, but for rounding.
func madeOf(original, weights []float32, temperature float64) bool {
	for i, w := range original {
		if i >= len(weights) || math.Abs(float64(w)-float64(weights[i])*temperature) > 1e-4*math.Abs(float64(w)) {
			return false
		}
	}
	return len(original) == len(weights)
}

// rescale divides the logits of the model by c's temperature, fills in c, keeps what it changes and saves the model, as
// command does it.
func (t *tuning) rescale(ctx context.Context, c *metrics.Calibration, command string) error {
	m := t.run.Model
	head, err := headOf(m)
	if err != nil {
		return err
	}
	before, err := t.run.Uncalibrated()
	if err != nil {
		return err
	}
	if m.Temperature == 0 { // what is kept is of another model
		before = &rundir.Uncalibrated{Kernel: slices.Clone(head[0].Data), Bias: slices.Clone(head[1].Data),
			Threshold: m.Threshold, Moved: m.Threshold}
	}
	chosen := m.Threshold
	divide(head, c.Temperature)
	if err := t.follow(ctx, c); err != nil {
		return err
	}
	m.Temperature = c.Temperature * cmp.Or(m.Temperature, 1)
	if before != nil {
		if before.Moved == chosen {
			before.Moved = m.Threshold
		}
		if err := t.run.KeepUncalibrated(before); err != nil {
			return err
		}
	}
	return t.save(command, 0)
}

// follow fills in c, and moves the model's threshold, after the weights were rescaled.
func (t *tuning) follow(ctx context.Context, c *metrics.Calibration) error {
	after, err := t.sample.Rescored(ctx, t.run.Model)
	if err != nil {
		return err
	}
	c.Applied(t.sample, after, t.run.Model.Threshold)
	t.run.Model.Threshold = c.Threshold
	return nil
}

// addContext says in an error what failed.
func addContext(err *error, what string, o RunOptions) {
	if *err != nil {
		*err = fmt.Errorf("%s %s: %w", what, o.RunDir, *err)
	}
}

// tuning is a run whose model is about to change, with a split that it has scored.
type tuning struct {
	unlock  func()
	options RunOptions // filled in
	run     *rundir.Run
	sample  *metrics.Sample
}

// loadForTuning scores a split that a model may be tuned on: validation, or train, but not test. It locks the run until
// unlock is called, so that what is saved follows from what was read.
func loadForTuning(ctx context.Context, o RunOptions) (*tuning, error) {
	if o.Split == "test" {
		return nil, errors.New("the test split is for measuring: what is chosen on it would look better than it is." +
			" Try: --split validation")
	}
	if o.RunDir == model.BuiltinName {
		return nil, errors.New("the built-in model is part of the program and cannot be changed." +
			" Try: degas train-model --from builtin --run mine, and then the same command on runs/mine")
	}
	if _, err := rundir.Open(o.RunDir); err != nil { // else the lock would make the directory
		return nil, err
	}
	unlock, err := atomicfile.Claim(o.RunDir)
	if err != nil {
		return nil, err
	}
	run, err := rundir.Open(o.RunDir)
	var s *metrics.Sample
	if err == nil {
		var data *datasets.Manifest
		o = o.complete(run, "validation")
		if data, err = readData(ctx, o.Data); err == nil {
			_, s, err = score(ctx, run, data, o)
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return &tuning{unlock, o, run, s}, nil
}

// save notes which command changes the model, then writes it: after a kill in between, running the command again makes
// the same of both.
func (t *tuning) save(command string, fpr float64) error {
	err := t.run.AddTuning(rundir.Tuning{
		Command: command, FPR: fpr, Data: t.options.Data, Split: t.options.Split, Threshold: t.run.Model.Threshold,
	})
	if err != nil {
		return err
	}
	return t.run.SaveModel()
}
