package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/urfave/cli/v2"
)

func (c *command) train() *cli.Command {
	d := trainer.DefaultOptions()
	return &cli.Command{
		Name:      "train-model",
		Usage:     "train a model on the splits of process-data",
		ArgsUsage: "[IN]",
		Description: "IN is the output of process-data (data/processed). The run goes to runs/NAME: config.yaml, history.jsonl,\n" +
			"a checkpoint for --resume, and the best epoch's model in model/.\n\n" +
			"Example: degas train-model data/processed --arch cnn --epochs 5 --run first",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "arch", Value: "cnn", Usage: strings.Join(model.Presets(), ", ") + ", or a `SPEC` file (.json, as the spec in a model.json)"},
			&cli.StringFlag{Name: "from", Usage: "start from the model of a run or a version `DIR`, whose architecture and labels stay, and with them the target"},
			&cli.IntFlag{Name: "epochs", Value: d.Epochs, Usage: "at most `N` passes over the training names"},
			&cli.IntFlag{Name: "batch-size", Value: d.BatchSize, Usage: "names a step"},
			&cli.IntFlag{Name: "patience", Value: d.Patience, Usage: "stop after `N` epochs without a lower validation loss; 0 never"},
			&cli.StringFlag{Name: "optimizer", Value: d.Optimizer, Usage: "adam or rmsprop"},
			&cli.Float64Flag{Name: "learning-rate", Value: d.LearningRate, Usage: "the optimizer's step size"},
			&cli.StringFlag{Name: "schedule", Value: trainer.SchedulePlateau, Usage: "plateau halves the rate when validation stops improving, cosine lowers it to nothing by the last epoch"},
			&cli.Float64Flag{Name: "weight-decay", Usage: "AdamW's"},
			&cli.Float64Flag{Name: "label-smoothing", Usage: "share of each target that all labels divide between them"},
			&cli.Float64Flag{Name: "augment", Usage: "share of training names that get a host such as www put before them"},
			&cli.Float64Flag{Name: "average", Usage: "decay a step of a running mean of the weights that is kept in place of the last ones (0: none)"},
			&cli.StringFlag{Name: "target", Value: trainer.TargetBinary, Usage: "binary, class or family"},
			&cli.StringFlag{Name: "class-weight", Value: d.ClassWeight, Usage: "none or balanced"},
			&cli.Uint64Flag{Name: "seed", Value: d.Seed, Usage: "of weights, order and dropout"},
			&cli.StringFlag{Name: "engine", Value: "cpu", Usage: strings.Join(trainer.Engines(), ", ")},
			&cli.IntFlag{Name: "workers", Usage: "parts a batch is split into (0: one a core); results depend on it in their last digits"},
			&cli.StringFlag{Name: "run", Usage: "`NAME` of the run (the architecture and the next free number)"},
			&cli.StringFlag{Name: "runs", Value: "runs", Usage: "`DIR` that holds runs"},
			&cli.BoolFlag{Name: "resume", Usage: "go on with the run of that name"},
			jsonFlag,
		},
		Action: c.trainAction,
	}
}

func (c *command) trainAction(ctx *cli.Context) error {
	if err := arguments(ctx, 0, 1); err != nil {
		return err
	}
	o := trainer.DefaultOptions()
	o.Epochs, o.BatchSize, o.Patience = ctx.Int("epochs"), ctx.Int("batch-size"), ctx.Int("patience")
	o.Optimizer, o.LearningRate, o.Seed, o.ClassWeight, o.Workers = ctx.String("optimizer"), ctx.Float64("learning-rate"), ctx.Uint64("seed"), ctx.String("class-weight"), ctx.Int("workers")
	o.Schedule, o.WeightDecay, o.LabelSmoothing, o.Average, o.Augment = ctx.String("schedule"), ctx.Float64("weight-decay"), ctx.Float64("label-smoothing"), ctx.Float64("average"), ctx.Float64("augment")
	if err := checkTrainFlags(ctx, o); err != nil {
		return err
	}
	arch, target := ctx.String("arch"), ctx.String("target")
	var spec *model.Spec
	if strings.HasSuffix(arch, ".json") {
		s, err := model.ReadSpec(arch)
		if err != nil {
			return err
		}
		spec, arch = s, cmp.Or(s.Name, strings.TrimSuffix(filepath.Base(arch), ".json"))
	}
	if from := ctx.String("from"); from != "" {
		if ctx.IsSet("arch") {
			return usagef("--from has its own architecture: leave --arch out")
		}
		m, err := model.LoadAny(from)
		if err != nil {
			return err
		}
		arch = m.Spec.Name
		if !ctx.IsSet("target") {
			target = targetOf(m.Spec.Labels)
		}
	}
	dir, err := runDir(ctx.String("runs"), ctx.String("run"), arch, ctx.Bool("resume"))
	if err != nil {
		return err
	}
	bar := c.progress()
	defer bar.close()
	cfg := trainer.Config{Arch: arch, From: ctx.String("from"), Target: target, Engine: ctx.String("engine"),
		Data: argument(ctx, 0, "data/processed"), Options: o, Degas: release}
	s, err := trainer.Train(ctx.Context, trainer.Request{Dir: dir, Config: cfg, Spec: spec, Resume: ctx.Bool("resume")}, bar.training())
	bar.close()
	if err != nil {
		removeIfEmpty(dir)
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(s)
	}
	stopped := ""
	if s.Stopped {
		stopped = ", stopped early"
	}
	_, err = fmt.Fprintf(c.out, "run         %s\nmodel       %s, %d parameters, %s\nnames       %d to train, %d to validate\nepochs      %d%s\nbest        epoch %d: validation loss %.4f, AUC %.4f, accuracy %.4f\n\nNext: degas evaluate-model %s\n",
		s.Dir, cfg.Arch, s.Parameters, strings.Join(labelsShort(s.Labels), ", "), s.Train, s.Validation, s.Epochs, stopped,
		s.Best.Epoch, s.Best.ValidationLoss, s.Best.ValidationAUC, s.Best.ValidationAccuracy, s.Dir)
	return err
}

// checkTrainFlags finds wrong flag values before anything is read or written.
func checkTrainFlags(ctx *cli.Context, o trainer.Options) error {
	if err := o.Resolve(); err != nil {
		return usageError{err}
	}
	if arch := ctx.String("arch"); !strings.HasSuffix(arch, ".json") {
		if _, err := model.Preset(arch); err != nil {
			return usageError{err}
		}
	}
	if _, err := trainer.LookupEngine(ctx.String("engine")); err != nil {
		return usageError{err}
	}
	switch t := ctx.String("target"); t {
	case trainer.TargetBinary, trainer.TargetClass, trainer.TargetFamily:
		return nil
	default:
		return usagef("target %q: must be binary, class or family", t)
	}
}

// labelsShort keeps a family model's list of labels on one line.
func labelsShort(labels []string) []string {
	if len(labels) <= 6 {
		return labels
	}
	return append(append([]string(nil), labels[:5]...), fmt.Sprintf("… %d labels", len(labels)))
}

// runDir is where the run goes: the named directory, or the architecture's next free number.
func runDir(runs, name, arch string, resume bool) (string, error) {
	if name != "" {
		if filepath.Base(name) != name || name == "." || name == ".." {
			return "", usagef("run %q: give a name, not a path; --runs chooses the directory", name)
		}
		return filepath.Join(runs, name), nil
	}
	if resume {
		return "", usagef("--resume needs --run NAME")
	}
	for i := 1; ; i++ {
		dir := filepath.Join(runs, fmt.Sprintf("%s-%d", arch, i))
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return dir, nil
		} else if err != nil {
			return "", err
		}
	}
}

// removeIfEmpty takes back the directory of a run that failed before it had anything to keep.
func removeIfEmpty(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 1 || len(entries) == 1 && entries[0].Name() != ".lock" {
		return
	}
	os.Remove(filepath.Join(dir, ".lock"))
	os.Remove(dir)
	os.Remove(filepath.Dir(dir)) // stays unless it is empty
}
