package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/protocol"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/export/publish"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/trainer"
)

// fieldError is what is wrong with the value of a key, such as train.arch.
type fieldError struct {
	key string
	err error
}

func (e fieldError) Error() string { return e.key + ": " + e.err.Error() }
func (e fieldError) Unwrap() error { return e.err }

// wrong is a fieldError, nil where err is.
func wrong(key string, err error) error {
	if err == nil {
		return nil
	}
	return fieldError{key, err}
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *Config) check() error {
	switch {
	case c.Version == 0:
		return errors.New("version is missing. Write: version: 1")
	case c.Version != 1:
		return fieldError{"version", fmt.Errorf("version %d, this degas reads 1", c.Version)}
	case !nameForm.MatchString(c.Name):
		return fieldError{"name", fmt.Errorf("name %q: use letters, digits, '.', '_' and '-'", c.Name)}
	}
	if len(c.Stages("", Hooks{})) == 0 && c.Gate == nil {
		return errors.New("has no stage: give download, process, train, evaluate or export")
	}
	for _, check := range []func() error{
		c.checkData, c.checkTrain, c.checkProtocol, c.checkTuning, c.checkEvaluation, c.checkExport,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// first sets an empty field to its default and returns the field.
func first(field *string, def string) string {
	if *field == "" {
		*field = def
	}
	return *field
}

// one is an error if value, which is a kind of something, is none of known.
func one(key, kind, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fieldError{key, fmt.Errorf("unknown %s %q, known are: %s", kind, value, strings.Join(known, ", "))}
}

// run is where the run of a stage after train is; key is the stage's.
func (c *Config) run(key string, field *string) error {
	def := ""
	if c.Train != nil {
		def = c.Train.Run
	}
	if first(field, def) == "" {
		return fieldError{key, errors.New("give run, or a train stage before it")}
	}
	return nil
}

// processed is where the data set is: what the process stage writes, what is trained on, or def.
func (c *Config) processed(def string) string {
	if c.Process != nil {
		return c.Process.Out
	}
	if c.Train != nil {
		return cmp.Or(c.Train.Data, def)
	}
	return def
}

func (c *Config) checkData() error {
	raw := "data/raw"
	if d := c.Download; d != nil {
		raw = first(&d.To, raw)
		for i, name := range d.Sources {
			if err := sources.Check(name); err != nil {
				return fieldError{fmt.Sprintf("download.sources[%d]", i), err}
			}
		}
	}
	if p := c.Process; p != nil {
		first(&p.In, raw)
		first(&p.Out, "data/processed")
		if bucket.IsURL(p.In) || bucket.IsURL(p.Out) {
			return fieldError{"process", errors.New("in and out are each a folder of this machine. Try: degas process-data, " +
				"which uploads what it makes")}
		}
		if _, err := p.options().Plan(); err != nil {
			return fieldError{"process", err}
		}
	}
	return nil
}

func (c *Config) checkTrain() error {
	t := c.Train
	if t == nil {
		return nil
	}
	first(&t.Data, c.processed("data/processed"))
	first(&t.Run, "runs/"+c.Name)
	if filepath.Base(t.Run) == model.BuiltinName { // evaluate and export would take it for the built-in model
		return fieldError{"train.run", fmt.Errorf("%s: that is the built-in model's name. Try: another run", t.Run)}
	}
	if teacher := t.Options.Teacher; teacher != "" {
		if rel, err := filepath.Rel(t.Run, teacher); err == nil && filepath.IsLocal(rel) {
			return fieldError{"train.options.teacher", fmt.Errorf("%s is the run itself, which the training would replace. "+
				"Try: another run", teacher)}
		}
	}
	if t.From != "" && t.Arch != "" {
		return fieldError{"train.arch", errors.New("from has its own architecture: leave arch out")}
	}
	if t.From == "" {
		first(&t.Target, trainer.TargetBinary)
	}
	first(&t.Engine, trainer.EngineAuto)
	asked := t.Options.Workers // what is not asked for is no parameter: machines differ in their cores
	if err := t.Options.Resolve(); err != nil {
		option, _, _ := strings.Cut(err.Error(), " ")
		return fieldError{"train.options." + strings.ReplaceAll(option, "-", "_"), err}
	}
	t.Options.Workers = asked
	if t.Target != "" {
		if err := one("train.target", "target", t.Target, trainer.Targets...); err != nil {
			return err
		}
	}
	if err := t.Options.Fits(t.Target); err != nil {
		return fieldError{"train.options", err}
	}
	if t.From != "" {
		return nil // CheckFiles looks for it
	}
	spec, _, err := t.spec()
	if err != nil {
		return fieldError{"train.arch", err}
	}
	if t.Engine != trainer.EngineAuto {
		_, _, err = trainer.ChooseEngine(t.Engine, spec)
	}
	return wrong("train.engine", err)
}

func (c *Config) checkProtocol() error {
	p := c.Protocol
	if p == nil {
		return nil
	}
	if err := c.run("protocol", &p.Run); err != nil {
		return err
	}
	if p.Run == model.BuiltinName {
		return fieldError{"protocol.run", errors.New("a protocol trains a run's recipe again, and the built-in model is " +
			"no run. Try: a run of train-model")}
	}
	first(&p.Data, c.processed(""))
	if len(p.Kinds) == 0 {
		return fieldError{"protocol", fmt.Errorf("give kinds, some of: %s", strings.Join(protocol.Names(), ", "))}
	}
	for i, kind := range p.Kinds {
		if err := one(fmt.Sprintf("protocol.kinds[%d]", i), "protocol", kind, protocol.Names()...); err != nil {
			return err
		}
	}
	switch {
	case p.Folds == 1 || p.Folds < 0:
		return fieldError{"protocol.folds", fmt.Errorf("%d folds: at least 2 are needed", p.Folds)}
	case p.Epochs < 0:
		return fieldError{"protocol.epochs", fmt.Errorf("%d: must be at least 1", p.Epochs)}
	case p.Names < 0:
		return fieldError{"protocol.names", fmt.Errorf("%d: must be at least 1", p.Names)}
	}
	return nil
}

func (c *Config) checkTuning() error {
	if k := c.Calibrate; k != nil {
		if err := c.tuned("calibrate", &k.Run, &k.Data, &k.Split); err != nil {
			return err
		}
	}
	t := c.Threshold
	if t == nil {
		return nil
	}
	if err := c.tuned("threshold", &t.Run, &t.Data, &t.Split); err != nil {
		return err
	}
	given := 0
	for _, is := range []bool{t.FPR != 0, t.WorstSource, t.Value != 0, t.Of != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return fieldError{"threshold", errors.New("give one of fpr, worst_source, value and of")}
	case t.FPR != 0 && !(t.FPR > 0 && t.FPR < 1):
		return fieldError{"threshold.fpr", fmt.Errorf("%g: must be above 0 and below 1", t.FPR)}
	case t.Value != 0 && !(t.Value > 0 && t.Value < 1):
		return fieldError{"threshold.value", fmt.Errorf("%g: must be above 0 and below 1", t.Value)}
	case t.WorstSource && c.Train != nil && !c.leavesBenignOut():
		return fieldError{"threshold.worst_source",
			fmt.Errorf("it needs a protocol stage with kinds: [%s]", protocol.LeaveBenignOut)}
	case c.Calibrate != nil && c.Calibrate.Run != t.Run:
		return fieldError{"threshold.run", fmt.Errorf("%s: calibrate has another run, %s", t.Run, c.Calibrate.Run)}
	}
	return nil
}

// leavesBenignOut reports whether there is a stage that finds the worst benign source.
func (c *Config) leavesBenignOut() bool {
	return c.Protocol != nil && slices.Contains(c.Protocol.Kinds, protocol.LeaveBenignOut)
}

// tuned fills in what calibrate and threshold have in common.
func (c *Config) tuned(key string, run, data, split *string) error {
	if err := c.run(key, run); err != nil {
		return err
	}
	if *run == model.BuiltinName {
		return fieldError{key + ".run", errors.New("the built-in model is part of the program and cannot be changed")}
	}
	first(data, c.processed(""))
	return one(key+".split", "split", first(split, "validation"), "validation", "train")
}

func (c *Config) checkEvaluation() error {
	if e := c.Evaluate; e != nil {
		if err := c.run("evaluate", &e.Run); err != nil {
			return err
		}
		first(&e.Data, c.processed("data/processed"))
		first(&e.Out, filepath.ToSlash(evaluate.OutputDir(e.Run)))
	}
	if k := c.Compare; k != nil {
		if err := c.run("compare", &k.Run); err != nil {
			return err
		}
		first(&k.Data, c.processed("data/processed"))
		first(&k.Out, filepath.ToSlash(filepath.Join(filepath.Dir(evaluate.OutputDir(k.Run)), "comparison")))
		if len(k.With) == 0 {
			k.With = []string{model.BuiltinName}
		}
		for i, text := range k.FailIf {
			if _, err := metrics.ParseChange(text); err != nil {
				return fieldError{fmt.Sprintf("compare.fail_if[%d]", i), err}
			}
		}
	}
	if g := c.Gate; g != nil {
		if c.Evaluate == nil {
			return fieldError{"gate", errors.New("it needs an evaluate stage, which measures")}
		}
		if len(g.FailIf) == 0 {
			return fieldError{"gate", errors.New("give fail_if, such as [auc<0.99]")}
		}
		for i, text := range g.FailIf {
			if _, err := metrics.ParseGate(text); err != nil {
				return fieldError{fmt.Sprintf("gate.fail_if[%d]", i), err}
			}
		}
	}
	return nil
}

func (c *Config) checkExport() error {
	if e := c.Export; e != nil {
		if err := c.run("export", &e.Run); err != nil {
			return err
		}
		first(&e.To, "models/"+c.Name+"/1")
		for i, name := range e.Formats {
			if _, err := export.Lookup(name); err != nil {
				return fieldError{fmt.Sprintf("export.formats[%d]", i), err}
			}
		}
	}
	p := c.Publish
	if p == nil {
		return nil
	}
	if c.Export != nil {
		first(&p.From, c.Export.To)
	}
	switch u, err := url.Parse(p.To); {
	case p.From == "":
		return fieldError{"publish", errors.New("give from, or an export stage before it")}
	case p.To == "":
		return fieldError{"publish", errors.New("give to, such as /srv/models")}
	case err != nil:
		return fieldError{"publish.to", err}
	case u.Scheme != "" && !slices.Contains(publish.Schemes, u.Scheme):
		return fieldError{"publish.to", fmt.Errorf("unknown scheme %q, known are: %s", u.Scheme,
			strings.Join(publish.Schemes, ", "))}
	case p.Version < 0 || p.Keep < 0:
		return fieldError{"publish", errors.New("version and keep are numbers from 1 on")}
	case p.Shadow && (p.Version != 0 || p.Replace || !publish.HasShadow(u.Scheme)):
		return fieldError{"publish.shadow", errors.New("a candidate goes to a store, with a number of its " +
			"own: leave version and replace out")}
	}
	from := filepath.Clean(p.From)
	if n, ok := versions.Number(filepath.Base(from)); ok {
		if from = filepath.Dir(from); !p.Shadow { // a candidate gets a number of its own
			p.Version = cmp.Or(p.Version, n)
		}
	}
	first(&p.Model, filepath.Base(from))
	return nil
}
