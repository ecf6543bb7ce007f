package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

func (c *command) train() *cli.Command {
	d := trainer.DefaultOptions()
	return &cli.Command{
		Name:      "train-model",
		Usage:     "train a model on the splits of process-data",
		ArgsUsage: "[IN]",
		Description: "IN is the output of process-data (data/processed). The run goes to runs/NAME: config.yaml, " +
			"history.jsonl\nand the same for TensorBoard, a checkpoint for --resume, and the best epoch's model in model/.\n\n" +
			"auto and hybrid have a recipe of their own: batches of 512, rate 0.002 on a cosine, weight decay 0.02, augment\n" +
			"0.15, invent 0.2, and 6 epochs with blend 0.5, which adds one. For --target family, invent and blend are 0 and\n" +
			"the epochs 7. The values shown are those of every other architecture and of --from; a flag replaces either.\n\n" +
			"A resumed run keeps its recipe: only --epochs and --patience may change.\n\n" +
			"Example: degas train-model data/processed --epochs 5 --run first",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "arch", Value: trainer.Auto, Usage: "auto, the best known, with a recipe of its own; " +
				strings.Join(model.Presets(), ", ") + "; list describes them. Or your own `SPEC` file (.json: configs/spec.json, " +
				"a model.json, or what --print-spec prints)"},
			&cli.StringFlag{Name: "from", Usage: "start from the model of a run or a version `DIR`, or builtin, " +
				"whose architecture and labels stay, and with them the target"},
			&cli.IntFlag{Name: "epochs", Value: d.Epochs, Usage: "at most `N` passes over the training names"},
			&cli.IntFlag{Name: "batch-size", Value: d.BatchSize, Usage: "names a step"},
			&cli.IntFlag{Name: "patience", Value: d.Patience,
				Usage: "stop after `N` epochs without a lower validation loss; 0 never"},
			&cli.StringFlag{Name: "optimizer", Value: d.Optimizer, Usage: "adam or rmsprop"},
			&cli.Float64Flag{Name: "learning-rate", Value: d.LearningRate, Usage: "the optimizer's step size"},
			&cli.StringFlag{Name: "schedule", Value: trainer.SchedulePlateau, Usage: "plateau halves the rate " +
				"when validation stops improving, cosine lowers it to nothing by the last epoch"},
			&cli.Float64Flag{Name: "weight-decay", Usage: "AdamW's"},
			&cli.Float64Flag{Name: "label-smoothing", Usage: "share of each target that all labels divide between them"},
			&cli.Float64Flag{Name: "augment", Usage: "share of training names that get a host such as www put before them"},
			&cli.Float64Flag{Name: "invent",
				Usage: "share of malicious training names that names of invented families take the place of"},
			&cli.Float64Flag{Name: "blend", Usage: "share in the model of one more epoch, " +
				"in which most malicious names are long random letters and hashes (0: none)"},
			&cli.StringFlag{Name: "teacher", Usage: "learn mostly from what the model of a run, a version `DIR` or builtin " +
				"makes of names; it needs the same labels, and --engine cpu"},
			&cli.StringFlag{Name: "focus", Usage: "`SOURCE`, such as console, whose labels count whatever a teacher says"},
			&cli.Float64Flag{Name: "focus-share",
				Usage: "share of an epoch that names of the focus have, which are repeated for it (0: each once)"},
			&cli.IntFlag{Name: "names", Usage: "train on `N` of the training names, drawn by the seed (0: all)"},
			&cli.Float64Flag{Name: "average",
				Usage: "decay a step of a running mean of the weights that is kept in place of the last ones (0: none)"},
			&cli.StringFlag{Name: "target", Value: trainer.TargetBinary, Usage: "binary, class or family"},
			&cli.StringFlag{Name: "class-weight", Value: d.ClassWeight,
				Usage: "none, balanced between labels, or family, which gives small families more weight"},
			&cli.Uint64Flag{Name: "seed", Value: d.Seed, Usage: "of weights, order and dropout"},
			&cli.StringFlag{Name: "engine", Value: trainer.EngineAuto, Usage: "auto, a GPU where there is one that this " +
				"degas can use; " + strings.Join(trainer.Engines.Names(), ", ")},
			&cli.StringFlag{Name: "precision", Usage: "of matrix products: fp32, tf32 or bf16; " +
				"weights and sums are fp32 (fp32 on the CPU, bf16 on CUDA)"},
			&cli.StringFlag{Name: "memory", Value: trainer.DefaultMemory, Usage: "bound on the memory of names; " +
				"training names that take more are read from disk, in another order (0: all names in memory)"},
			&cli.IntFlag{Name: "workers",
				Usage: "parts a batch is split into (0: one a core); results depend on it in their last digits"},
			&cli.StringFlag{Name: "run", Usage: "`NAME` of the run (the architecture and the next free number)"},
			&cli.StringFlag{Name: "runs", Value: "runs", Usage: "`DIR` that holds runs"},
			&cli.BoolFlag{Name: "resume", Usage: "go on with the run of that name"},
			&cli.BoolFlag{Name: "print-spec", Usage: "print the architecture that would be trained as JSON, and train nothing"},
			jsonFlag,
		},
		Action: c.trainAction,
	}
}

func (c *command) trainAction(ctx *cli.Context) error {
	if err := arguments(ctx, 0, 1); err != nil {
		return err
	}
	if ctx.String("arch") == "list" {
		return c.listPresets(ctx)
	}
	request := c.newRun
	if ctx.Bool("resume") {
		request = resumedRun
	}
	r, err := request(ctx)
	if err != nil {
		return err
	}
	if ctx.Bool("print-spec") {
		spec, err := r.WouldTrain(ctx.Context)
		if err != nil {
			return err
		}
		return c.printJSON(spec)
	}
	if data, err := datasets.ReadManifest(ctx.Context, r.Config.Data); err == nil { // else Train says what is wrong
		warnOfSample(data)
	}
	bar := c.progress()
	defer bar.close()
	s, err := trainer.Train(ctx.Context, r, bar.training())
	bar.close()
	if err != nil {
		removeIfEmpty(r.Dir)
		if _, gone := os.Stat(filepath.Join(r.Dir, trainer.ConfigFile)); gone == nil {
			c.goesOn = "to go on: " + resumeCommand(r.Dir)
		}
		if errors.Is(err, device.ErrLost) {
			return fmt.Errorf("%w. Its last epoch is kept. Try: %s", err, resumeCommand(r.Dir))
		}
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(s)
	}
	stopped := ""
	if s.Stopped {
		stopped = ", stopped early"
	}
	if s.Best.Blend > 0 {
		stopped += ", the last on invented names"
	}
	_, err = printable.Fprintf(c.out, `run         %s
model       %s, %d parameters, %s
names       %d to train, %d to validate
epochs      %d%s
kept        epoch %d, %s: validation loss %.4f, AUC %.4f, accuracy %.4f

Next: degas evaluate-model %s
`,
		s.Dir,
		r.Config.Arch, s.Parameters, strings.Join(labelsShort(s.Labels), ", "),
		s.Train, s.Validation,
		s.Epochs, stopped,
		s.Best.Epoch, why(s.Best), s.Best.ValidationLoss, s.Best.ValidationAUC, s.Best.ValidationAccuracy,
		s.Dir)
	return err
}

// resumeCommand is the command that goes on with the run in dir.
func resumeCommand(dir string) string {
	text := "degas train-model --run " + filepath.Base(dir) + " --resume"
	if runs := filepath.Dir(dir); runs != "runs" {
		text += " --runs " + runs
	}
	return text
}

// architecture is a preset in the list of --arch list.
type architecture struct {
	Name       string `json:"name"`
	Parameters int    `json:"parameters"` // with the labels benign and malicious
	About      string `json:"about"`
}

// listPresets prints the architectures that --arch takes.
func (c *command) listPresets(ctx *cli.Context) error {
	var list []architecture
	for _, name := range model.Presets() {
		about, err := model.AboutPreset(name)
		if err != nil {
			return err
		}
		spec, err := model.Preset(name)
		if err != nil {
			return err
		}
		params, err := spec.Params()
		if err != nil {
			return err
		}
		a := architecture{Name: name, About: about}
		for _, p := range params {
			a.Parameters += p.Size()
		}
		list = append(list, a)
	}
	return c.show(ctx, list, func(w io.Writer) {
		printable.Fprintf(w, "ARCHITECTURE\tPARAMETERS\tWHAT IT IS\n")
		for _, a := range list {
			printable.Fprintf(w, "%s\t%s\t%s\n", a.Name, printable.Grouped(a.Parameters), a.About)
		}
		printable.Fprintf(w, "\nFor your own: degas train-model --arch NAME --print-spec > mine.json\n"+
			"Edit mine.json, and train it with --arch mine.json.\n")
	})
}

// newRun is the request for a new run as the flags ask for it.
func (c *command) newRun(ctx *cli.Context) (trainer.Request, error) {
	none := trainer.Request{}
	arch, o := trainer.Recipe(ctx.String("arch"), ctx.String("target"))
	if ctx.IsSet("from") { // the architecture is not known yet
		o = trainer.DefaultOptions()
	}
	o, err := givenOptions(ctx, o)
	if err != nil {
		return none, err
	}
	if err := checkTrainFlags(ctx, arch, o); err != nil {
		return none, err
	}
	target, from := ctx.String("target"), ctx.String("from")
	var own, spec *model.Spec // own is that of --arch FILE
	if strings.HasSuffix(arch, ".json") {
		if own, err = model.ReadSpec(arch); err != nil {
			return none, err
		}
		spec, arch = own, cmp.Or(own.Name, strings.TrimSuffix(filepath.Base(arch), ".json"))
	}
	if from != "" {
		if ctx.IsSet("arch") {
			return none, usagef("--from has its own architecture: leave --arch out")
		}
		m, err := model.LoadNamed(from)
		if err != nil {
			return none, err
		}
		arch, spec = m.Spec.Name, &m.Spec
		if !ctx.IsSet("target") {
			target = trainer.TargetOf(m.Spec.Labels)
		}
	}
	if spec == nil {
		preset, err := model.Preset(arch)
		if err != nil {
			return none, err
		}
		spec = &preset
	}
	engine := ctx.String("engine")
	if o.Teacher != "" && engine == trainer.EngineAuto {
		engine = "cpu" // the one that learns from a teacher
	}
	engine, device, err := trainer.ChooseEngine(engine, spec)
	if err != nil {
		return none, err
	}
	if device != "" {
		printable.Fprintf(c.err, "training on %s (--engine %s)\n", device, engine)
	}
	dir, err := runDir(ctx.String("runs"), ctx.String("run"), arch, false)
	cfg := trainer.Config{
		Arch:    arch,
		From:    from,
		Target:  target,
		Engine:  engine,
		Data:    argument(ctx, 0, "data/processed"),
		Options: o,
		Degas:   release,
	}
	return trainer.Request{Dir: dir, Config: cfg, Spec: own}, err
}

// givenOptions are o with what flags replace.
func givenOptions(ctx *cli.Context, o trainer.Options) (trainer.Options, error) {
	given := map[string]any{}
	for _, name := range trainer.OptionNames() {
		if flag := strings.ReplaceAll(name, "_", "-"); ctx.IsSet(flag) {
			given[name] = ctx.Value(flag)
		}
	}
	return o.With(given)
}

// checkTrainFlags finds wrong flag values before anything is read or written.
func checkTrainFlags(ctx *cli.Context, arch string, o trainer.Options) error {
	if err := o.Resolve(); err != nil {
		return usageError{err}
	}
	if !strings.HasSuffix(arch, ".json") {
		if _, err := model.Preset(arch); err != nil {
			return usageError{err}
		}
	}
	if engine := ctx.String("engine"); engine != trainer.EngineAuto {
		if _, err := trainer.Engines.Lookup(engine); err != nil {
			return usageError{fmt.Errorf("%w; %s chooses one", err, trainer.EngineAuto)}
		}
	}
	targets := []string{trainer.TargetBinary, trainer.TargetClass, trainer.TargetFamily}
	if t := ctx.String("target"); !slices.Contains(targets, t) {
		return usagef("target %q: must be binary, class or family", t)
	}
	return nil
}

// labelsShort keeps a family model's list of labels on one line.
func labelsShort(labels []string) []string {
	if len(labels) <= 6 {
		return labels
	}
	return append(slices.Clone(labels[:5]), fmt.Sprintf("… %d labels", len(labels)))
}

// runDir is where the run goes: the named directory, or the architecture's next free number.
func runDir(runs, name, arch string, resume bool) (string, error) {
	if name != "" {
		if filepath.Base(name) != name || name == "." || name == ".." {
			return "", usagef("run %q: give a name, not a path; --runs chooses the directory", name)
		}
		if name == model.BuiltinName && !resume {
			return "", usagef("run %q: that is the built-in model's name, whose evaluation goes to runs/%s. "+
				"Try: another --run", name, name)
		}
		return filepath.Join(runs, name), nil
	}
	if resume {
		return "", usagef("--resume needs --run NAME")
	}
	for i := 1; ; i++ {
		name := fmt.Sprintf("%s-%d", arch, i)
		if filepath.Base(name) != name { // a Spec may have any name
			return "", usagef("the architecture's name, %q, is a path and cannot name the run. Try: --run NAME", arch)
		}
		dir := filepath.Join(runs, name)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return dir, nil
		} else if err != nil {
			return "", err
		}
	}
}

// removeIfEmpty takes back the directory of a run that failed before it had anything to keep, unless another process
// has locked it.
func removeIfEmpty(dir string) {
	unlock, err := dirlock.Lock(dir)
	if err != nil {
		return
	}
	os.Remove(dir) // stays unless it is empty, and so does its parent
	unlock()
	os.Remove(filepath.Dir(dir))
}
